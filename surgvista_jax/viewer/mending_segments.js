// Mending of one label a moment: the labels of segments and of stretches, and the borders between.

const GRIP = { mouse: 5, touch: 14 }; // pixels beside a border that take hold of it

function mendSegments({ page, stretch, changed, show }) {
  const { operation } = page, n = operation.label.length;
  const edits = makeEdits(operation.label, -1, operation.classes.length - 1);
  let drag = null;

  const of = element("span");
  const choice = element("select", { ariaLabel: "its label", on: { change: () => {
    relabel(Number(choice.value));
    choice.blur();
  } } }, ...operation.classes.map((name, k) => element("option", { value: String(k), text: keyed(name, k) })),
  element("option", { value: "-1", text: "no label" }));
  const where = element("span", { className: "soft" });

  function relabel(value) {
    const moments = stretch.moments ?? runAt(edits.label, page.index);
    stretch.clear();
    changed(edits.set(...moments, value));
    show();
  }
  // What is before this moment in its segment goes to the segment before.
  function begin() {
    const i = page.index, [first] = runAt(edits.label, i);
    changed(edits.set(first, i, first > 0 ? edits.label[first - 1] : -1));
  }
  function finish() {
    const i = page.index, [, end] = runAt(edits.label, i);
    changed(edits.set(i + 1, end, end < n ? edits.label[end] : -1));
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
    const to = Math.min(Math.max(near + by, 0), n);
    changed(edits.moveBorder(near, to));
    page.seek(operation.seconds[Math.min(to, n - 1)]);
  }
  // The border under a pointer, as the moment that begins there; null where there is none.
  function under(event) {
    const reach = GRIP[event.pointerType === "touch" ? "touch" : "mouse"];
    const at = page.ribbon.secondsAt(event.clientX);
    const [from, to] = [page.ribbon.secondsAt(event.clientX - reach), page.ribbon.secondsAt(event.clientX + reach)];
    const near = bordersOf(edits.label).filter((i) => operation.seconds[i] >= from && operation.seconds[i] <= to);
    near.sort((a, b) => Math.abs(operation.seconds[a] - at) - Math.abs(operation.seconds[b] - at));
    return near.length ? near[0] : null;
  }

  return {
    edits,
    hint: "Drag a border on the ribbon, or use the keys: 1 to 9 name this segment, [ and ] move its borders here, x cuts it, z undoes. A stretch gets one label at once: drag over it with shift, or mark both its ends by v, and name it.",
    controls: (button) => [element("label", {}, of, " is ", choice), where,
      button("Begins here", "[", begin), button("Ends here", "]", finish), button("Cut here", "x", cut)],
    keys: {
      "[": { run: begin, help: "mending: the segment begins here" },
      "]": { run: finish, help: "mending: the segment ends here" },
      ",": { run: () => nudge(-1), help: "mending: the nearest border a moment earlier" },
      ".": { run: () => nudge(1), help: "mending: the nearest border a moment later" },
      x: { run: cut, help: "mending: cut the segment here" },
      Delete: { run: () => relabel(-1), help: "mending: the segment or stretch has no label" },
      ...classKeys(operation, relabel, (name) => `mending: the segment or stretch is ${name}`),
    },
    apply: () => page.setLabels(edits.isMended ? Int16Array.from(edits.label) : null),
    show() {
      const [first, end] = stretch.moments ?? runAt(edits.label, page.index);
      of.textContent = stretch.moments ? "This stretch" : "This segment";
      const same = edits.label.subarray(first, end).every((value) => value === edits.label[first]);
      choice.value = same ? String(edits.label[first]) : "";
      where.textContent = ` ${timeText(operation.seconds[first])} to ${timeText(operation.ends[end - 1])} `;
    },
    // Takes hold of a border; false where there is none.
    grasp(event) {
      const border = under(event);
      drag = border === null ? null : { border, to: border, edited: false };
      return drag !== null;
    },
    // Whether it drags something.
    move(event) {
      if (drag === null) {
        page.ribbon.element.style.cursor = under(event) === null ? "" : "ew-resize";
        return false;
      }
      const to = borderAt(operation, page.ribbon.secondsAt(event.clientX));
      if (to === drag.to) return true;
      if (drag.edited) edits.takeBack();
      drag.to = to;
      drag.edited = to !== drag.border && edits.moveBorder(drag.border, to);
      changed();
      page.seek(operation.seconds[Math.min(to, n - 1)]);
      return true;
    },
    drop() { drag = null; },
  };
}
