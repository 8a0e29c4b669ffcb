// The whole operation on one axis: drawn on a canvas once for each view, with the cursor above it,
// so that moving the cursor draws nothing anew. Click, drag, hover, zoom.

const TITLE = 17;

function makeTimeline(page, rowsNow) {
  const { operation } = page;
  const begin = Math.min(operation.seconds[0], 0), whole = { from: begin, to: operation.duration };
  const view = { ...whole, width: 1 };
  const canvas = element("canvas");
  const cursor = element("div", { className: "cursor" }, element("i"));
  const chosen = element("div", { className: "chosen", hidden: true });
  const hover = element("div", { className: "hover", hidden: true });
  const tip = element("div", { className: "tip", hidden: true });
  const tipPicture = element("img", { alt: "" }), tipText = element("div");
  tip.append(tipPicture, tipText);
  const area = element("div", {
    className: "timeline", tabIndex: 0, role: "slider", ariaLabel: "Time of the operation",
    ariaValueMin: "0", ariaValueMax: String(Math.round(operation.duration)),
  }, canvas, chosen, hover, cursor, tip);
  const overview = element("canvas");
  const frame = element("div", { className: "window" });
  const overall = element("div", { className: "overview", hidden: true }, overview, frame);

  const secondsAt = (clientX) => {
    const box = canvas.getBoundingClientRect();
    const share = Math.min(Math.max((clientX - box.left) / box.width, 0), 1);
    return view.from + share * (view.to - view.from);
  };

  function draw() {
    const rows = rowsNow(), ink = inks();
    view.width = Math.max(area.clientWidth, 50);
    const height = rows.reduce((sum, row) => sum + row.height + 6 + (row.title ? TITLE : 0), 0);
    const context = sized(canvas, view.width, height);
    let top = 0;
    for (const row of rows) {
      if (row.title) {
        context.font = "12px system-ui, sans-serif";
        context.fillStyle = ink.soft;
        context.fillText(fitted(context, row.title, view.width), 0, top + 12);
        top += TITLE;
      }
      context.save();
      context.beginPath();
      context.rect(0, top - 1, view.width, row.height + 2);
      context.clip();
      row.draw(context, view, top, ink);
      context.restore();
      row.top = top;
      top += row.height + 6;
    }
    const zoomed = view.to - view.from < whole.to - whole.from - 1e-6;
    overall.hidden = !zoomed;
    if (zoomed) {
      const all = { ...whole, width: view.width };
      segmentsRow(operation, "", 12, () => operation.labels.segments, { named: false })
        .draw(sized(overview, view.width, 12), all, 0, ink);
      frame.style.left = `${placeOf(all, view.from)}px`;
      frame.style.width = `${Math.max(placeOf(all, view.to) - placeOf(all, view.from), 4)}px`;
    }
    select(stretch);
    move();
  }

  function move() {
    cursor.style.transform = `translateX(${placeOf(view, page.seconds)}px)`;
  }

  // Marks a stretch of seconds [from, to]; null marks none.
  let stretch = null;
  function select(seconds) {
    stretch = seconds;
    chosen.hidden = !seconds;
    if (!seconds) return;
    const [left, right] = seconds.map((second) => Math.min(Math.max(placeOf(view, second), 0), view.width));
    chosen.style.left = `${left}px`;
    chosen.style.width = `${Math.max(right - left, 2)}px`;
  }

  function show(from, to) {
    const least = Math.min(whole.to - whole.from, Math.max(20 * operation.step, 4));
    const span = Math.min(Math.max(to - from, least), whole.to - whole.from);
    view.from = Math.min(Math.max(from + (to - from - span) / 2, whole.from), whole.to - span);
    view.to = view.from + span;
    draw();
  }

  // Nearer by a factor, so that a time stays where it is.
  function zoom(factor, around = page.seconds) {
    const span = (view.to - view.from) / factor;
    const share = Math.min(Math.max((around - view.from) / (view.to - view.from), 0), 1);
    show(around - share * span, around + (1 - share) * span);
  }

  function follow() {
    const span = view.to - view.from;
    if (page.seconds < view.from || page.seconds > view.to)
      show(page.seconds - span / 2, page.seconds + span / 2);
    else move();
  }

  let dragging = false;
  area.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    dragging = true;
    area.setPointerCapture(event.pointerId);
    page.seek(secondsAt(event.clientX));
    tip.hidden = hover.hidden = true;
  });
  area.addEventListener("pointermove", (event) => {
    if (dragging) page.seek(secondsAt(event.clientX));
    else if (event.pointerType !== "touch") look(event.clientX);
  });
  const release = () => { dragging = false; };
  area.addEventListener("pointerup", release);
  area.addEventListener("pointercancel", release);
  area.addEventListener("pointerleave", () => { tip.hidden = hover.hidden = true; });
  area.addEventListener("wheel", (event) => {
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (!sideways && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    if (sideways) {
      const by = (event.deltaX / view.width) * (view.to - view.from);
      show(view.from + by, view.to + by);
    } else zoom(Math.exp(-event.deltaY / 200), secondsAt(event.clientX));
  }, { passive: false });

  function look(clientX) {
    const second = secondsAt(clientX), x = placeOf(view, second);
    const i = indexAt(operation, second);
    hover.hidden = tip.hidden = false;
    hover.style.transform = `translateX(${x}px)`;
    const address = page.film.addressAt(second);
    tipPicture.hidden = !address;
    if (address && tipPicture.src !== address) tipPicture.src = address;
    const names = holding(operation, operation.labels, i).map((k) => operation.classes[k]);
    tipText.textContent = `${timeText(second)}  ${names.join(", ")}`;
    const half = tip.offsetWidth / 2;
    tip.style.left = `${Math.min(Math.max(x - half, 0), Math.max(view.width - 2 * half, 0))}px`;
  }

  let panning = false;
  const pan = (clientX) => {
    const box = overview.getBoundingClientRect(), span = view.to - view.from;
    const middle = whole.from + ((clientX - box.left) / box.width) * (whole.to - whole.from);
    show(middle - span / 2, middle + span / 2);
  };
  overall.addEventListener("pointerdown", (event) => {
    panning = true;
    overall.setPointerCapture(event.pointerId);
    pan(event.clientX);
  });
  overall.addEventListener("pointermove", (event) => { if (panning) pan(event.clientX); });
  overall.addEventListener("pointerup", () => { panning = false; });

  return { element: element("div", { className: "times" }, overall, area), area, draw, follow, zoom,
    all: () => show(whole.from, whole.to), secondsAt, select, view };
}
