// Elements of the page, and how times and shares are written. Texts never become markup.

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "text") made.textContent = value;
    else if (name === "on") for (const [kind, run] of Object.entries(value)) made.addEventListener(kind, run);
    else if (name in made && name !== "list") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// A name that may be broken where a word begins: CalotTriangleDissection.
function breakable(text) {
  const parts = text.split(/(?<=[\p{Ll}\d])(?=\p{Lu})|(?<=[_/,])/u);
  return parts.flatMap((part, k) => (k ? [document.createElement("wbr"), part] : [part]));
}

const twoDigits = (number) => String(number).padStart(2, "0");

// Seconds as h:mm:ss.
function timeText(seconds) {
  const whole = Math.floor(Math.max(seconds, 0) + 1e-6);
  return `${Math.floor(whole / 3600)}:${twoDigits(Math.floor(whole / 60) % 60)}:${twoDigits(whole % 60)}`;
}

// Seconds as h:mm, for axes.
function hoursMinutes(seconds) {
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)}:${twoDigits(minutes % 60)}`;
}

// How long something lasts, in the words of a person.
function lasting(seconds) {
  const whole = Math.round(seconds);
  if (seconds > 0 && seconds < 0.95) return `${Math.max(seconds, 0.1).toFixed(1)} s`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min${whole < 600 && whole % 60 ? ` ${whole % 60} s` : ""}`;
  return `${Math.floor(whole / 3600)} h ${twoDigits(Math.floor(whole / 60) % 60)} min`;
}

const percent = (share) => `${Math.round(100 * share)} %`;

// A name of a file that every system takes, from any text.
function safeName(text) {
  return text.replace(/[\u0000-\u001f<>:"/\\|?*]+/g, "_").replace(/^[.\s]+|[.\s]+$/g, "").slice(0, 120) || "video";
}

// What is remembered from one page to the next, where the browser lets us, else while it is open. Each
// name has an entry of its own, so that pages that are open side by side keep what the other wrote.
const memory = { key: (name) => `surgvista.viewer ${name}`, values: {} };

function remembered(name) {
  if (name in memory.values) return memory.values[name];
  try {
    const text = localStorage.getItem(memory.key(name));
    return text === null ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

// Whether it outlasts the page.
function remember(name, value) {
  memory.values[name] = value;
  try {
    if (value === undefined) localStorage.removeItem(memory.key(name));
    else localStorage.setItem(memory.key(name), JSON.stringify(value));
    return true;
  } catch {
    return false; // private windows and pages of a file may not
  }
}

// The text that is kept by a name now, perhaps by another page: null where there is none, undefined
// where the browser does not let us.
function keptText(name) {
  try {
    return localStorage.getItem(memory.key(name));
  } catch {
    return undefined;
  }
}

// What goes with this tab from one loading of the page to the next.
const carried = (name) => history.state?.[memory.key(name)];

function carry(name, value) {
  try {
    history.replaceState({ ...history.state, [memory.key(name)]: value }, "");
  } catch {
    // more than the browser takes: it is kept without
  }
}
