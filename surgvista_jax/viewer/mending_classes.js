// Mending where several classes may hold at once: each is put on or off over a stretch. Edits know
// them class after class, n moments each, 1 where one holds.

function mendClasses({ page, stretch, changed, show }) {
  const { operation } = page, n = operation.label.length, C = operation.classes.length;
  const turned = (values, made, rows, columns) => {
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) made[column * rows + row] = values[row * columns + column];
    return made;
  };
  const edits = makeEdits(turned(operation.held, new Int16Array(n * C), n, C), 0, 1);
  const of = (k) => edits.label.subarray(k * n, (k + 1) * n);
  const holds = (k, [first, end]) => of(k).subarray(first, end).every((value) => value === 1);

  const title = element("span"), where = element("span", { className: "soft" });
  const options = operation.classes.map((_, k) => element("option", { value: String(k) }));
  const first = element("option", { value: "", text: "put on or off …" });
  const choice = element("select", { ariaLabel: "a class to be put on or off", on: { change: () => {
    if (choice.value) toggle(Number(choice.value));
    choice.blur();
  } } }, first, ...options);

  // On where it does not hold all the time, else off. Without a stretch, where it holds here.
  function toggle(k) {
    const moments = stretch.moments ?? (of(k)[page.index] ? runAt(of(k), page.index) : null);
    if (!moments) {
      page.say("Mark where it begins and ends: by v, or by dragging with shift");
      return show();
    }
    const value = holds(k, moments) ? 0 : 1;
    stretch.clear();
    changed(edits.set(k * n + moments[0], k * n + moments[1], value));
    show();
  }

  return {
    edits,
    hint: "Drag over a stretch with shift, or mark both its ends by v; the keys 1 to 9 put classes on or off in it. Without a stretch they put off the class that holds here, from its beginning to its end.",
    controls: () => [element("label", {}, title, choice), where],
    keys: classKeys(operation, toggle, (name) => `mending: ${name} is on, or off, in the stretch`),
    apply: () => page.setLabels(edits.isMended ? operation.label : null, turned(edits.label, new Uint8Array(n * C), C, n)),
    show() {
      const moments = stretch.moments ?? [page.index, page.index + 1];
      title.textContent = stretch.moments ? "In this stretch " : "Here ";
      choice.value = "";
      options.forEach((option, k) => { option.textContent = `${holds(k, moments) ? "✓" : "–"} ${keyed(operation.classes[k], k)}`; });
      where.textContent = stretch.moments ? ` ${timeText(operation.seconds[moments[0]])} to ${timeText(operation.ends[moments[1] - 1])} ` : "";
    },
    grasp: () => false,
    move: () => false,
    drop() {},
  };
}
