// Colours and bands of classes, and the inks of the page, on a canvas.

// Fills a rectangle as a class looks: its colour, and bands by which it is told apart without colour.
function fillAs(context, look, x, y, width, height) {
  context.fillStyle = look.colour;
  context.fillRect(x, y, width, height);
  context.fillStyle = look.ink;
  for (const [from, to] of look.bands)
    context.fillRect(x, y + from * height, width, Math.max((to - from) * height, 1));
}

// A little square that looks like the class.
function swatch(operation, k) {
  const { colour, ink, bands } = operation.looks[k], made = element("i", { className: "swatch", ariaHidden: "true" });
  made.style.backgroundColor = colour;
  made.style.backgroundImage = bands.map(([from, to]) => {
    const [top, bottom] = [from, to].map((share) => `${(100 * share).toFixed(1)}%`);
    return `linear-gradient(transparent ${top}, ${ink} ${top} ${bottom}, transparent ${bottom})`;
  }).join(", ");
  return made;
}

// The inks of the style sheet, light or dark.
function inks() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  return Object.fromEntries(["ink", "soft", "line", "paper", "back", "accent", "wrong", "differ"]
    .map((name) => [name, read(name)]));
}

// A canvas as wide as its place, sharp on every screen: returns its context in CSS pixels.
function sized(canvas, width, height) {
  const ratio = Math.min(window.devicePixelRatio || 1, 3);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

// A text cut to a width; "" where not even a few letters fit.
function fitted(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let low = 0, high = text.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (context.measureText(`${text.slice(0, middle)}…`).width <= width) low = middle;
    else high = middle - 1;
  }
  return low >= 3 ? `${text.slice(0, low)}…` : "";
}
