// Puts the page together: header, picture, timeline, panels; keys; what is remembered; export.

const CLEARER = 1.6; // of one step of zoom

function makePage(data) {
  const operation = readOperation(data);
  const bare = !operation.classes.length; // nobody says what is to be seen: pictures alone
  const listeners = [], status = element("div", { className: "status", role: "status" });
  let cursor = operation.seconds[0], fading = 0, worst = null, worstAt = -1;
  const page = {
    operation,
    details: remembered("details") === true,
    film: makeFilm(operation.film),
    get seconds() { return cursor; },
    get index() { return indexAt(operation, cursor); },
    toolbar: element("div", { className: "toolbar" }),
    panel: element("div", { className: "panel" }),
    keys: {},
    remember,
    onTime: (run) => listeners.push(run),
    seek(second, played = false) {
      cursor = Math.min(Math.max(second, operation.seconds[0]), operation.duration - 1e-3);
      if (!played) page.picture.seek();
      page.picture.show();
      page.timeline.follow();
      page.now.show();
      for (const run of listeners) run();
    },
    say(text) {
      status.textContent = text;
      status.classList.add("shown");
      clearTimeout(fading);
      fading = setTimeout(() => status.classList.remove("shown"), 3500);
    },
    redraw() {
      page.timeline.draw();
      page.durations.draw();
      page.picture.show();
      page.now.show();
    },
    // Shows other labels than the model's, or with null the model's again.
    setLabels(label, held = null) {
      const { said } = operation;
      operation.mended = label !== null;
      const known = label && said.known.map((value, i) => (held || label[i] >= 0 ? 1 : 0));
      operation.labels = label === null
        ? { label: said.label, held: said.held, known: said.known, segments: said.segments }
        : { label, held, known, segments: segmentsOf(operation, label, held, said.probabilities) };
      rows = null;
      page.redraw();
    },
    toNext(k) {
      const begins = operation.labels.segments.filter(({ label }) => label === k).map(({ start }) => start);
      page.seek(begins.find((start) => start > cursor + 1e-6) ?? begins[0]);
    },
  };

  let rows = null;
  const rowsNow = () => (rows ??= makeRows(page));
  page.picture = makePicture(page);
  page.now = makeNow(page);
  page.durations = makeDurations(page);
  page.timeline = makeTimeline(page, rowsNow);
  page.ribbon = { element: page.timeline.area, secondsAt: page.timeline.secondsAt };

  function jump(times, forward, none) {
    const next = forward ? times.find((time) => time > cursor + 1e-6)
      : times.findLast((time) => time < cursor - 1e-6);
    if (next === undefined) page.say(none);
    else page.seek(next);
  }
  const errors = () => stretchesWhere(operation, (i) => differAt(operation, operation.labels, operation.truth, i)).map(({ start }) => start);
  function leastSure(by) {
    worst ??= leastCertain(operation);
    if (!worst.length) return page.say("This file says nothing of confidence");
    worstAt = (worstAt + by + worst.length) % worst.length;
    page.seek(worst[worstAt].second);
    page.say(`Least certain ${worstAt + 1} of ${worst.length}: ${percent(worst[worstAt].confidence)}`);
  }
  const step = (by) => (event) => page.seek(cursor + by * (event.shiftKey ? 10 : 1));
  const word = operation.labelKind === "multi" ? "change" : "phase";
  Object.assign(page.keys, {
    ArrowLeft: { run: step(-1), help: "1 s back, with shift 10 s" },
    ArrowRight: { run: step(1), help: "1 s on, with shift 10 s" },
    n: { run: () => jump(changes(operation), true, `No further ${word}`), help: `next ${word}` },
    p: { run: () => jump(changes(operation), false, `No earlier ${word}`), help: `previous ${word}` },
    e: { run: () => (operation.truth ? jump(errors(), true, "No further error") : page.say("No truth is given")), help: "next error, where the truth is known" },
    u: { run: (event) => leastSure(event.shiftKey ? -1 : 1), help: "next least certain moment, with shift the one before" },
    d: { run: () => setDetails(!page.details), help: "details" },
    " ": { run: () => page.picture.toggle(), help: "play, pause (with the video)" },
    "+": { run: () => page.timeline.zoom(CLEARER), help: "a closer look at the time axis" },
    "-": { run: () => page.timeline.zoom(1 / CLEARER), help: "a wider look" },
    0: { run: () => page.timeline.all(), help: "the whole operation" },
    "?": { run: () => help(), help: "this help" },
  });

  if (bare) for (const key of "npeud") delete page.keys[key];

  const detailsButton = element("button", { type: "button", text: "Details", title: "d", on: { click: () => setDetails(!page.details) } });
  function setDetails(on) {
    page.details = on;
    remember("details", on);
    document.body.classList.toggle("with-details", on && !bare);
    detailsButton.setAttribute("aria-pressed", String(on));
    rows = null;
    page.redraw();
  }

  const sheet = element("dialog", { className: "help" });
  function help() {
    if (sheet.open) return sheet.close();
    const names = { " ": "space", ArrowLeft: "←", ArrowRight: "→" };
    // An object's digits come first of themselves.
    const listed = Object.entries(page.keys).sort(([a], [b]) => /\d/.test(a) - /\d/.test(b));
    sheet.replaceChildren(element("h2", { text: "Keys" }), element("dl", {}, ...listed.flatMap(
      ([key, { help: words }]) => [element("dt", {}, element("kbd", { text: names[key] ?? key })), element("dd", { text: words })])),
    element("p", { className: "soft", text: "Click or drag on the ribbon to move; ctrl and the wheel zoom. While mending, a drag with shift marks a stretch." }),
    element("button", { type: "button", text: "Close", on: { click: () => sheet.close() } }));
    sheet.showModal();
    sheet.scrollTop = 0; // the button at its end has the focus
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    if (sheet.open && event.key !== "?") return;
    if (event.key === " " && event.target.closest("button, summary")) return;
    const letter = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const found = page.keys[event.key] ?? page.keys[letter];
    if (!found) return;
    event.preventDefault();
    found.run(event);
  });

  const zoomButtons = element("div", { className: "zoom" }, element("span", { className: "soft", text: "Click or drag to move" }),
    ...[["+", "+", "closer"], ["−", "-", "wider"], ["All", "0", "the whole operation"]].map(([text, key, title]) =>
      element("button", { type: "button", text, title, ariaLabel: title, on: { click: (event) => page.keys[key].run(event) } })));
  page.toolbar.append(...(bare ? [] : [detailsButton, ...exportMenu(page)]), element("button", { type: "button", text: "?", title: "keys", ariaLabel: "help", on: { click: help } }));
  const maps = makeMaps(page);
  const about = [lasting(operation.duration), operation.task, operation.model && `by ${operation.model}`].filter(Boolean).join(" · ");
  document.getElementById("page").append(
    element("header", {}, element("div", {}, element("h1", { text: operation.video }), element("p", { className: "soft", text: about }),
      ...operation.damage.map((text) => element("p", { className: "damage", text: `Not all of the video could be read: ${text}` }))), page.toolbar),
    element("div", { className: bare ? "parts bare" : "parts" }, page.picture.element, page.now.element,
      ...(bare ? [maps].filter(Boolean) : [page.durations.element]),
      element("div", { className: "card ribbon" }, zoomButtons, page.timeline.element, page.panel),
      element("div", { className: bare ? "rest" : "rest details" },
        ...[!bare && maps, makeReliability(operation), notesOf(operation)].filter(Boolean))),
    status, sheet);
  new ResizeObserver(() => page.timeline.draw()).observe(page.timeline.area);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => page.redraw());
  setDetails(page.details);
  return page;
}

function makeRows(page) {
  const { operation } = page, { said, truth, other, labels } = operation;
  const several = operation.labelKind === "multi", rows = [axisRow()];
  if (!operation.classes.length) return [...rows, ...laneRows(page)];
  const classRows = (source, title, among) => among.map((k) =>
    segmentsRow(operation, `${title}${operation.classes[k]}`, 12, () => source.segments.filter(({ label }) => label === k), { named: false }));
  if (several) {
    const total = timeOfEach(operation, labels);
    const occur = operation.classes.map((_, k) => k).filter((k) => total[k] > 0).sort((a, b) => total[b] - total[a]);
    if (page.details) rows.push(...together(page, classRows));
    else rows.push(...classRows(labels, "", occur.slice(0, 8)));
    if (!occur.length) rows.push(segmentsRow(operation, "nothing was found", 24, () => []));
  } else rows.push(segmentsRow(operation, "", 46, () => labels.segments));
  if (!page.details) return rows;
  const differing = (two) => stretchesWhere(operation, (i) => differAt(operation, labels, two, i));
  for (const [title, marks, colour, two] of [
    ["Truth", "Differs from the truth", "wrong", truth],
    [other && `Second model: ${other.name}`, "The models disagree", "differ", other]]) {
    if (!two) continue;
    if (!several) rows.push(segmentsRow(operation, title, 24, () => two.segments));
    rows.push(marksRow(marks, differing(two), colour));
  }
  if (said.probabilities)
    rows.push(curveRow(several ? "Confidence of the least certain class (0 to 100 %)" : "Confidence (0 to 100 %)", operation.seconds, (i) => confidenceOf(operation, said, i)));
  return [...rows, ...laneRows(page)];
}

const laneRows = (page) => page.operation.lanes.flatMap((lane) =>
  lane.names ? classLane(lane)
    : lane.images ? [picturesRow(lane, () => page.timeline.draw())]
    : [curveRow(lane.title, lane.seconds, (i) => lane.values[i])]);

// Of several labels: each class that anybody names, and below it what the others say of it.
function together(page, classRows) {
  const { labels, truth, other, classes } = page.operation;
  const all = [[labels, ""], [truth, "truth: "], [other, "second model: "]].filter(([source]) => source);
  const totals = all.map(([source]) => timeOfEach(page.operation, source));
  const named = classes.map((_, k) => k).filter((k) => totals.some((total) => total[k] > 0));
  named.sort((a, b) => totals[0][b] - totals[0][a]);
  return named.flatMap((k) => all.flatMap(([source, title], at) => (at === 0 || totals[at][k] > 0 ? classRows(source, title, [k]) : [])));
}

function notesOf(operation) {
  const lanes = operation.lanes.filter(({ note }) => note).map(({ title, note }) => `${title}: ${note}`);
  const lines = [...operation.notes, ...lanes];
  return lines.length ? titled("Notes", element("ul", { className: "notes" }, ...lines.map((text) => element("li", { text })))) : null;
}

// Saves what a writer makes of the operation; false, with its words shown, where it cannot.
function saveAs(page, writer) {
  let text;
  try {
    text = writer.write(page.operation);
  } catch (error) {
    page.say(error.message);
    return false;
  }
  const address = URL.createObjectURL(new Blob([text], { type: writer.type }));
  const link = element("a", { href: address, download: safeName(page.operation.video) + writer.suffix });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
  page.say(`Saved: ${link.download}`);
  return true;
}

function exportMenu(page) {
  const items = WRITERS.map((writer) => element("button", { type: "button", text: writer.name, on: { click: () => {
    menu.open = false;
    saveAs(page, writer);
  } } }));
  const menu = element("details", { className: "menu" }, element("summary", { text: "Export" }), element("div", {}, ...items));
  document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
  return [menu];
}

const thePage = makePage(JSON.parse(document.getElementById("data").textContent));
if (thePage.operation.classes.length) startMending(thePage);
