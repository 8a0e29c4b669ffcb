// Mending in the page, by keyboard and mouse, with undo. What was mended is kept in the browser for
// the same predictions, and saved as a CSV file. Here is what all mending has in common; of one label
// a moment `mending_segments.js` has the rest, of several `mending_classes.js`.

function startMending(page) {
  const { operation } = page;
  const key = `mended ${fingerprintOf(operation)}`;
  const stretch = makeStretch(page);
  let on = false, saved = true, chooses = null;
  const session = { page, stretch, changed, show, get on() { return on; } };
  const kind = operation.labelKind === "single" ? mendSegments(session) : mendClasses(session);
  const { edits } = kind;

  const button = (text, title, run) => element("button", { type: "button", text, title, on: { click: run } });
  const undoButton = button("Undo", "z", () => undo());
  const redoButton = button("Redo", "y", () => redo());
  const panel = element("div", { className: "mending", hidden: true }, ...kind.controls(button),
    button("Mark here", "v", () => mark()), undoButton, redoButton,
    button("Save as CSV", "s", () => save()), button("Discard all", "the model's labels again", () => discard()),
    element("p", { className: "soft", text: kind.hint }));
  const mode = element("button", { type: "button", text: "Mend", title: "m", ariaPressed: "false", on: { click: () => setMode(!on) } });
  page.toolbar.prepend(mode);
  page.panel.append(panel);

  function changed(says = true) {
    if (!says) return;
    saved = false;
    hear();
    keep();
    apply();
  }
  function keep() {
    if (!page.remember(key, tabs.stamped()))
      page.say("This browser does not keep what is mended: save it as CSV");
  }
  function apply() {
    kind.apply();
    show();
  }
  // Takes over what other tabs of this video have mended meanwhile.
  function hear() {
    const { took, lacks } = tabs.take();
    if (took) {
      kind.drop(); // what is dragged may be another border now
      page.say("What was mended in another tab is shown here too");
    }
    return { took, lacks };
  }
  function show() {
    if (!on) return;
    stretch.show();
    kind.show();
    undoButton.disabled = !edits.canUndo;
    redoButton.disabled = !edits.canRedo;
  }
  function mark() {
    stretch.mark();
    show();
  }
  function unmark() {
    stretch.clear();
    show();
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
    edits.discard();
    changed();
  }
  function save() {
    if (saveAs(page, WRITERS[0])) saved = true;
  }

  const keys = {
    ...kind.keys,
    v: { run: mark, help: "mending: an end of a stretch is here; the next key names all of it" },
    Escape: { run: unmark, help: "mending: no stretch" },
    z: { run: undo, help: "mending: undo (or ctrl z)" },
    y: { run: redo, help: "mending: redo (or ctrl y)" },
    s: { run: save, help: "mending: save as CSV" },
  };
  page.keys.m = { run: () => setMode(!on), help: "mend labels" };
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

  const ribbon = page.ribbon.element;
  const before = { capture: true }; // the page's own listeners move the cursor
  ribbon.addEventListener("pointerdown", (event) => {
    if (!on || event.button !== 0 || !(event.shiftKey || kind.grasp(event))) return;
    event.stopPropagation();
    event.preventDefault();
    ribbon.setPointerCapture(event.pointerId);
    if (!event.shiftKey) return;
    chooses = indexAt(operation, page.ribbon.secondsAt(event.clientX));
    choose(event);
  }, before);
  function choose(event) {
    const here = indexAt(operation, page.ribbon.secondsAt(event.clientX));
    stretch.between(chooses, here);
    page.seek(operation.seconds[here]);
  }
  ribbon.addEventListener("pointermove", (event) => {
    if (!on) return;
    if (chooses !== null) choose(event);
    else if (!kind.move(event)) return;
    event.stopImmediatePropagation();
  }, before);
  const drop = () => {
    chooses = null;
    kind.drop();
  };
  ribbon.addEventListener("pointerup", drop, before);
  ribbon.addEventListener("pointercancel", drop, before);

  page.onTime(show);
  window.addEventListener("beforeunload", (event) => {
    if (!saved && edits.isMended) event.preventDefault();
  });
  const tabs = shareEdits(key, edits);
  // Chromium gives a page of a file now and then an empty storage of its own until it is loaded anew.
  // So what was mended goes with the tab's history as well, by which a reload finds it.
  window.addEventListener("beforeunload", () => carry(key, tabs.stamped()));
  tabs.take(carried(key));
  if (tabs.take().lacks) keep();
  if (edits.isMended) {
    kind.apply();
    page.say("What you mended here is shown; it can be saved as CSV");
    setMode(true);
  }
  const look = () => {
    const { took, lacks } = hear();
    if (lacks) keep();
    if (took) apply();
  };
  window.addEventListener("storage", look);
  document.addEventListener("visibilitychange", look); // what came while the page slept
}

// The numbers of classes that have a key of their own, and what it does.
function classKeys(operation, run, help) {
  const named = operation.classes.slice(0, 9).map((name, k) => [String(k + 1), { run: () => run(k), help: help(name) }]);
  return Object.fromEntries(named);
}

const keyed = (name, k) => (k < 9 ? `${k + 1}  ${name}` : name);
