// What stands beside the picture and below the ribbon: the phase now, durations, reliability.

const titled = (title, ...inside) => element("section", { className: "card" }, element("h2", { text: title }), ...inside);

function makeNow(page) {
  const { operation } = page, several = operation.labelKind === "multi";
  const time = element("output", { className: "time", id: "time" });
  const name = element("div", { className: "name", id: "name" });
  const sure = element("div", { className: "sure", id: "confidence" });
  const bar = element("i"), meter = element("div", { className: "meter" }, bar);
  const ranked = element("ul", { className: "ranked details" });
  const beside = element("ul", { className: "beside details" });
  let shownLabel = null, shownRanks = "", shownBeside = "";
  const ranks = []; // {k, line, share} by place; while one scrubs, mostly the share changes alone
  function rank(place, k, text) {
    if (ranks[place]?.k !== k) {
      const share = element("b");
      const line = element("li", {}, swatch(operation, k), element("span", {}, ...breakable(operation.classes[k])), share);
      if (ranks[place]) ranks[place].line.replaceWith(line);
      else ranked.append(line);
      ranks[place] = { k, line, share };
    }
    ranks[place].share.textContent = text;
  }

  function show() {
    const i = page.index, said = operation.said, labels = operation.labels;
    time.textContent = timeText(page.seconds);
    if (!operation.classes.length) {
      sure.textContent = "no labels";
      meter.hidden = true;
      page.timeline?.area.setAttribute("aria-valuetext", timeText(page.seconds));
      return;
    }
    const now = holding(operation, labels, i), P = said.probabilities, C = operation.classes.length;
    // Of several classes each has its own confidence beside it.
    const sureOf = (k) => (several && P ? percent(P[i * C + k] / 255) : "");
    const key = now.map((k) => k + sureOf(k)).join();
    if (key !== shownLabel) {
      shownLabel = key;
      name.replaceChildren(...now.map((k) => element("span", {}, swatch(operation, k),
        element("b", {}, ...breakable(operation.classes[k])), element("em", { text: sureOf(k) }))));
      if (!now.length) name.append(element("span", { className: "soft", text: said.known[i] ? "nothing" : "not labelled" }));
    }
    let confidence = null;
    if (P && !several && now.length) confidence = P[i * C + now[0]] / 255;
    else if (P && several) confidence = confidenceOf(operation, said, i);
    meter.hidden = confidence === null;
    const mended = operation.mended && (several ? differAt(operation, labels, said, i) : labels.label[i] !== said.label[i]);
    sure.textContent = mended ? `mended; the model said ${named(operation, said, i)}`
      : confidence === null ? "confidence not known"
      : several ? `least certain class: ${percent(confidence)} sure` : `${percent(confidence)} sure`;
    bar.style.transform = `scaleX(${confidence ?? 0})`; // which needs no layout
    if (page.details) detailsNow(i, P, C);
    page.timeline?.area.setAttribute("aria-valuenow", String(Math.round(page.seconds)));
    page.timeline?.area.setAttribute("aria-valuetext", `${timeText(page.seconds)}, ${named(operation, labels, i)}`);
  }

  function detailsNow(i, P, C) {
    if (P) {
      const order = Array.from({ length: C }, (_, k) => k).sort((a, b) => P[i * C + b] - P[i * C + a]).slice(0, 3);
      const key = order.map((k) => `${k}:${P[i * C + k]}`).join();
      if (key !== shownRanks) {
        shownRanks = key;
        order.forEach((k, place) => rank(place, k, percent(P[i * C + k] / 255)));
      }
    }
    const lines = [];
    let shown = "";
    for (const [title, other] of [["Truth", operation.truth], ["Second model", operation.other]]) {
      if (!other) continue;
      const same = !differAt(operation, operation.labels, other, i);
      const word = !other.known[i] ? "not labelled" : named(operation, other, i);
      lines.push([same ? "" : "differs", `${title}: ${word}`, other.known[i] ? (same ? "✓" : "≠") : ""]);
      shown += lines[lines.length - 1].join("\n");
    }
    if (shown !== shownBeside) {
      shownBeside = shown;
      beside.replaceChildren(...lines.map(([className, text, sign]) =>
        element("li", { className }, element("span", { text }), element("b", { text: sign }))));
    }
  }
  return { element: element("section", { className: "card now" }, time, name, meter, sure, ranked, beside), show };
}

function named(operation, said, i) {
  const now = holding(operation, said, i).map((k) => operation.classes[k]);
  return now.join(", ") || "nothing";
}

function makeDurations(page) {
  const { operation } = page, several = operation.labelKind === "multi";
  const list = element("ol", { className: "durations" });
  function draw() {
    const total = timeOfEach(operation, operation.labels);
    const truth = operation.truth && timeOfEach(operation, operation.truth);
    let classes = operation.classes.map((_, k) => k);
    const most = Math.max(...total, ...(truth ?? [0]), 1e-9);
    if (several || classes.length > 12) {
      classes = classes.filter((k) => total[k] > 0 || (page.details && truth?.[k] > 0));
      classes.sort((a, b) => total[b] - total[a]);
      if (!page.details) classes = classes.slice(0, 12);
    }
    list.replaceChildren(...classes.map((k) => {
      const bar = element("i"), look = operation.looks[k];
      bar.style.width = `${(100 * total[k]) / most}%`;
      bar.style.background = look.colour;
      const go = element("button", { type: "button", title: total[k] ? "go to its next beginning" : "does not occur", disabled: !total[k],
        on: { click: () => page.toNext(k) } }, swatch(operation, k),
        element("span", { className: "of" }, ...breakable(operation.classes[k])),
        element("span", { className: "bar" }, bar),
        element("b", { text: total[k] ? lasting(total[k]) : "–" }),
        truth && element("span", { className: "true details", text: truth[k] ? lasting(truth[k]) : "–" }));
      return element("li", {}, go);
    }));
    if (!classes.length) list.replaceChildren(element("li", { className: "soft", text: "nothing was found" }));
  }
  const title = several ? "Time of each" : "Durations";
  const head = operation.truth && element("p", { className: "soft details right", text: "predicted · true" });
  const card = titled(title, head, list);
  card.classList.add("lasting");
  return { element: card, draw };
}

// Of this video alone: how often the model is right where it is so sure.
function makeReliability(operation) {
  const bins = operation.reliability.filter(([moments]) => moments);
  if (!bins.length) return null;
  const list = element("div", { className: "bins" });
  operation.reliability.forEach(([moments, confidence, right], k) => {
    const size = operation.reliability.length;
    const bar = element("i"), wish = element("u");
    bar.style.height = moments ? `${(100 * right) / moments}%` : "0";
    wish.style.bottom = moments ? `${(100 * confidence) / moments}%` : "0";
    wish.hidden = !moments;
    const text = moments ? `${percent(confidence / moments)} sure, right in ${percent(right / moments)} of ${moments} moments` : "no moment";
    list.append(element("div", { title: text }, element("div", {}, bar, wish), element("span", { text: String(Math.round((100 * (k + 1)) / size)) })));
  });
  return titled("Reliability in this video", list,
    element("p", { className: "soft", text: "Bars: how often it is right, by how sure it is (%). Lines: what a well calibrated model would reach." }));
}
