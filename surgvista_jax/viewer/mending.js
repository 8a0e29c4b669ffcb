// Mending in the page: the label of a segment or of any stretch, and borders, by keyboard and mouse,
// with undo. What was mended is kept in the browser for the same predictions, and saved as a CSV file.

const GRIP = { mouse: 5, touch: 14 }; // pixels beside a border that take hold of it

function startMending(page) {
  const { operation } = page;
  if (operation.labelKind !== "single") return; // lanes of several classes have no border in common
  const key = `mended ${fingerprintOf(operation)}`;
  const edits = makeEdits(operation.label, operation.classes.length);
  const stretch = makeStretch(page);
  let on = false, saved = true, drag = null, chooses = null;

  const of = element("span", { text: "This segment" });
  const choice = element("select", { ariaLabel: "its label", on: { change: () => {
    relabel(Number(choice.value));
    choice.blur();
  } } }, ...operation.classes.map((name, k) => element("option", { value: String(k), text: k < 9 ? `${k + 1}  ${name}` : name })),
  element("option", { value: "-1", text: "no label" }));
  const button = (text, title, run) => element("button", { type: "button", text, title, on: { click: run } });
  const undoButton = button("Undo", "z", () => undo());
  const redoButton = button("Redo", "y", () => redo());
  const where = element("span", { className: "soft" });
  const panel = element("div", { className: "mending", hidden: true },
    element("label", {}, of, " is ", choice), where,
    button("Begins here", "[", () => begin()), button("Ends here", "]", () => finish()),
    button("Cut here", "x", () => cut()), button("Mark here", "v", () => mark()), undoButton, redoButton,
    button("Save as CSV", "s", () => save()), button("Discard all", "the model's labels again", () => discard()),
    element("p", { className: "soft", text: "Drag a border on the ribbon, or use the keys: 1 to 9 name this segment, [ and ] move its borders here, x cuts it, z undoes. A stretch gets one label at once: drag over it with shift, or mark both its ends by v, and name it." }));
  const mode = element("button", { type: "button", text: "Mend", title: "m", ariaPressed: "false", on: { click: () => setMode(!on) } });
  page.toolbar.prepend(mode);
  page.panel.append(panel);

  function changed(says = true) {
    if (!says) return;
    saved = false;
    hear();
    keep();
  }
  function keep() {
    page.setLabels(edits.isMended ? Int16Array.from(edits.label) : null);
    page.remember(key, edits.isMended ? edits.runs : undefined);
    tabs.kept();
    show();
  }
  // Takes over what another tab of this video has mended meanwhile; whether it has.
  function hear() {
    const both = tabs.take();
    if (both === null) return false;
    drag = null; // what it dragged may be another border now
    page.say(both ? `Another tab gave other labels to ${both} of the moments that you mended: yours stand, undo shows theirs`
      : "What was mended in another tab is shown here too");
    return true;
  }
  function show() {
    if (!on) return;
    stretch.show();
    const [first, end] = stretch.moments ?? runAt(edits.label, page.index);
    of.textContent = stretch.moments ? "This stretch" : "This segment";
    const same = edits.label.subarray(first, end).every((value) => value === edits.label[first]);
    choice.value = same ? String(edits.label[first]) : "";
    where.textContent = ` ${timeText(operation.seconds[first])} to ${timeText(operation.ends[end - 1])} `;
    undoButton.disabled = !edits.canUndo;
    redoButton.disabled = !edits.canRedo;
  }
  function relabel(value) {
    const moments = stretch.moments ?? runAt(edits.label, page.index);
    stretch.clear();
    changed(edits.set(...moments, value));
    show();
  }
  function mark() {
    stretch.mark();
    show();
  }
  function unmark() {
    stretch.clear();
    show();
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
    edits.replace();
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
    v: { run: mark, help: "mending: an end of a stretch is here; the next key names all of it" },
    Escape: { run: unmark, help: "mending: no stretch" },
    Delete: { run: () => relabel(-1), help: "mending: the segment or stretch has no label" },
  };
  operation.classes.slice(0, 9).forEach((name, k) => {
    keys[String(k + 1)] = { run: () => relabel(k), help: `mending: the segment or stretch is ${name}` };
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
    stretch.clear();
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
    const border = event.shiftKey ? null : grasped(event);
    if (border === null && !event.shiftKey) return;
    event.stopPropagation();
    event.preventDefault();
    ribbon.setPointerCapture(event.pointerId);
    if (event.shiftKey) {
      chooses = indexAt(operation, page.ribbon.secondsAt(event.clientX));
      choose(event);
    } else drag = { border, to: border, edited: false };
  }, before);
  function choose(event) {
    const here = indexAt(operation, page.ribbon.secondsAt(event.clientX));
    stretch.between(chooses, here);
    page.seek(operation.seconds[here]);
  }
  ribbon.addEventListener("pointermove", (event) => {
    if (!on) return;
    if (chooses !== null) {
      event.stopImmediatePropagation();
      return choose(event);
    }
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
  const drop = () => { drag = chooses = null; };
  ribbon.addEventListener("pointerup", drop, before);
  ribbon.addEventListener("pointercancel", drop, before);

  page.onTime(show);
  window.addEventListener("beforeunload", (event) => {
    if (!saved && edits.isMended) event.preventDefault();
  });
  const kept = page.remembered(key);
  const tabs = watchTabs(key, edits);
  const look = () => { if (hear()) keep(); };
  window.addEventListener("storage", look);
  document.addEventListener("visibilitychange", look); // what came while the page slept
  if (kept !== undefined && edits.restore(kept) && edits.isMended) {
    page.setLabels(Int16Array.from(edits.label));
    page.say("What you mended here is shown; it can be saved as CSV");
    setMode(true);
  }
}
