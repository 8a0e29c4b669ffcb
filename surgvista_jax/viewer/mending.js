// Mending in the page: a segment's label and its borders, by keyboard and mouse, with undo. What was
// mended is kept in the browser for the same predictions, and saved as a CSV file.

const GRIP = { mouse: 5, touch: 14 }; // pixels beside a border that take hold of it

function startMending(page) {
  const { operation } = page;
  if (operation.labelKind !== "single") return; // lanes of several classes have no border in common
  const key = `mended ${fingerprintOf(operation)}`;
  const edits = makeEdits(operation.label, operation.classes.length);
  let on = false, saved = true, drag = null;

  const choice = element("select", { ariaLabel: "label of this segment", on: { change: () => {
    relabel(Number(choice.value));
    choice.blur();
  } } }, ...operation.classes.map((name, k) => element("option", { value: String(k), text: k < 9 ? `${k + 1}  ${name}` : name })),
  element("option", { value: "-1", text: "no label" }));
  const button = (text, title, run) => element("button", { type: "button", text, title, on: { click: run } });
  const undoButton = button("Undo", "z", () => undo());
  const redoButton = button("Redo", "y", () => redo());
  const where = element("span", { className: "soft" });
  const panel = element("div", { className: "mending", hidden: true },
    element("label", {}, "This segment is ", choice), where,
    button("Begins here", "[", () => begin()), button("Ends here", "]", () => finish()),
    button("Cut here", "x", () => cut()), undoButton, redoButton,
    button("Save as CSV", "s", () => save()), button("Discard all", "the model's labels again", () => discard()),
    element("p", { className: "soft", text: "Drag a border on the ribbon, or use the keys: 1 to 9 name this segment, [ and ] move its borders here, x cuts it, z undoes." }));
  const mode = element("button", { type: "button", text: "Mend", title: "m", ariaPressed: "false", on: { click: () => setMode(!on) } });
  page.toolbar.prepend(mode);
  page.panel.append(panel);

  function changed(says = true) {
    if (!says) return;
    saved = false;
    page.setLabels(edits.isMended ? Int16Array.from(edits.label) : null);
    page.remember(key, edits.isMended ? edits.runs : undefined);
    show();
  }
  function show() {
    if (!on) return;
    const [first, end] = runAt(edits.label, page.index);
    choice.value = String(edits.label[page.index]);
    where.textContent = ` ${timeText(operation.seconds[first])} to ${timeText(operation.ends[end - 1])} `;
    undoButton.disabled = !edits.canUndo;
    redoButton.disabled = !edits.canRedo;
  }
  function relabel(value) {
    changed(edits.set(...runAt(edits.label, page.index), value));
  }
  // What is before this moment in its segment goes to the segment before.
  function begin() {
    const i = page.index, [first] = runAt(edits.label, i);
    changed(edits.set(first, i, first > 0 ? edits.label[first - 1] : -1));
  }
  function finish() {
    const i = page.index, [, end] = runAt(edits.label, i);
    changed(edits.set(i + 1, end, end < edits.label.length ? edits.label[end] : -1));
  }
  // From here to its end the segment loses its label, and can be given another.
  function cut() {
    const i = page.index, [, end] = runAt(edits.label, i);
    changed(edits.set(i, end, -1));
    page.say("From here on it has no label: name it");
  }
  // The border next to the cursor, a moment earlier or later.
  function nudge(by) {
    const near = bordersOf(edits.label).reduce((best, at) =>
      (best === null || Math.abs(operation.seconds[at] - page.seconds) < Math.abs(operation.seconds[best] - page.seconds) ? at : best), null);
    if (near === null) return page.say("There is no border");
    const to = Math.min(Math.max(near + by, 0), edits.label.length);
    changed(edits.moveBorder(near, to));
    page.seek(operation.seconds[Math.min(to, edits.label.length - 1)]);
  }
  function undo() {
    if (edits.undo()) changed();
    else page.say("Nothing to undo");
  }
  function redo() {
    if (edits.redo()) changed();
    else page.say("Nothing to redo");
  }
  function discard() {
    if (!edits.isMended || !confirm("Take back everything that was mended in this video?")) return;
    edits.reset();
    changed();
  }
  function save() {
    if (saveAs(page, WRITERS[0])) saved = true;
  }

  const keys = {
    "[": { run: begin, help: "mending: the segment begins here" },
    "]": { run: finish, help: "mending: the segment ends here" },
    ",": { run: () => nudge(-1), help: "mending: the nearest border a moment earlier" },
    ".": { run: () => nudge(1), help: "mending: the nearest border a moment later" },
    x: { run: cut, help: "mending: cut the segment here" },
    z: { run: undo, help: "mending: undo (or ctrl z)" },
    y: { run: redo, help: "mending: redo (or ctrl y)" },
    s: { run: save, help: "mending: save as CSV" },
    Delete: { run: () => relabel(-1), help: "mending: the segment has no label" },
  };
  operation.classes.slice(0, 9).forEach((name, k) => {
    keys[String(k + 1)] = { run: () => relabel(k), help: `mending: the segment is ${name}` };
  });
  page.keys.m = { run: () => setMode(!on), help: "mend labels and borders" };
  function setMode(wanted) {
    on = wanted;
    mode.setAttribute("aria-pressed", String(on));
    panel.hidden = !on;
    for (const name of Object.keys(keys)) {
      if (on) page.keys[name] = keys[name];
      else delete page.keys[name];
    }
    page.ribbon.element.style.cursor = "";
    show();
  }

  document.addEventListener("keydown", (event) => {
    if (!on || !(event.ctrlKey || event.metaKey) || event.altKey || event.target.closest("input, textarea")) return;
    const letter = event.key.toLowerCase();
    if (letter !== "z" && letter !== "y") return;
    event.preventDefault();
    if (letter === "y" || event.shiftKey) redo();
    else undo();
  });

  // The border under a pointer, as the moment that begins there; null where there is none.
  function grasped(event) {
    const reach = GRIP[event.pointerType === "touch" ? "touch" : "mouse"];
    const at = page.ribbon.secondsAt(event.clientX);
    const [from, to] = [page.ribbon.secondsAt(event.clientX - reach), page.ribbon.secondsAt(event.clientX + reach)];
    const near = bordersOf(edits.label).filter((i) => operation.seconds[i] >= from && operation.seconds[i] <= to);
    near.sort((a, b) => Math.abs(operation.seconds[a] - at) - Math.abs(operation.seconds[b] - at));
    return near.length ? near[0] : null;
  }
  const ribbon = page.ribbon.element;
  const before = { capture: true }; // the page's own listeners move the cursor
  ribbon.addEventListener("pointerdown", (event) => {
    if (!on || event.button !== 0) return;
    const border = grasped(event);
    if (border === null) return;
    event.stopPropagation();
    event.preventDefault();
    ribbon.setPointerCapture(event.pointerId);
    drag = { border, to: border, edited: false };
  }, before);
  ribbon.addEventListener("pointermove", (event) => {
    if (!on) return;
    if (drag === null) {
      ribbon.style.cursor = grasped(event) === null ? "" : "ew-resize";
      return;
    }
    event.stopImmediatePropagation();
    const to = borderAt(operation, page.ribbon.secondsAt(event.clientX));
    if (to === drag.to) return;
    if (drag.edited) edits.takeBack();
    drag.to = to;
    drag.edited = to !== drag.border && edits.moveBorder(drag.border, to);
    changed();
    page.seek(operation.seconds[Math.min(to, edits.label.length - 1)]);
  }, before);
  const drop = () => { drag = null; };
  ribbon.addEventListener("pointerup", drop, before);
  ribbon.addEventListener("pointercancel", drop, before);

  page.onTime(show);
  window.addEventListener("beforeunload", (event) => {
    if (!saved && edits.isMended) event.preventDefault();
  });
  const kept = page.remembered(key);
  if (kept !== undefined && edits.restore(kept) && edits.isMended) {
    page.setLabels(Int16Array.from(edits.label));
    page.say("What you mended here is shown; it can be saved as CSV");
    setMode(true);
  }
}
