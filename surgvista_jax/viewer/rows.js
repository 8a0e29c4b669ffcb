// The rows below one another on the axis of time: each {title, height, draw(context, view, top, ink)}.
// A view is {from, to, width}: seconds, and pixels.

const placeOf = (view, second) => ((second - view.from) / (view.to - view.from)) * view.width;

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000];

function axisRow() {
  return {
    title: "", height: 20, kind: "axis",
    draw(context, view, top, ink) {
      context.font = "12px system-ui, sans-serif";
      context.fillStyle = ink.soft;
      const textOf = (second, step) => (step < 60 ? timeText(second) : hoursMinutes(second));
      const wideOf = (text) => context.measureText(text).width;
      // The text at an end of the axis is moved within it: its neighbour needs half a text more.
      const room = (step) => (1.5 * wideOf(textOf(view.to, step)) + 8) / view.width * (view.to - view.from);
      const step = STEPS.find((each) => each >= room(each)) ?? 86400;
      for (let second = Math.ceil(view.from / step) * step; second <= view.to; second += step) {
        const x = placeOf(view, second), text = textOf(second, step), wide = wideOf(text);
        context.fillRect(Math.round(x), top + 15, 1, 5);
        context.fillText(text, Math.min(Math.max(x - wide / 2, 0), view.width - wide), top + 12);
      }
    },
  };
}

function segmentsRow(operation, title, height, segmentsNow, { named = true } = {}) {
  return {
    title, height, kind: "segments",
    draw(context, view, top, ink) {
      context.fillStyle = ink.line;
      context.fillRect(0, top + height - 1, view.width, 1);
      context.font = `600 ${height > 30 ? 13 : 11}px system-ui, sans-serif`;
      for (const { start, end, label } of segmentsNow()) {
        if (end < view.from || start > view.to) continue;
        const x = Math.max(placeOf(view, start), 0);
        const width = Math.max(Math.min(placeOf(view, end), view.width) - x, 1);
        const look = operation.looks[label];
        fillAs(context, look, x, top, width, height);
        if (width > 3) {
          context.fillStyle = ink.paper;
          context.fillRect(x + width - 1, top, 1, height);
        }
        if (!named || width < 34) continue;
        const text = fitted(context, operation.classes[label], width - 12);
        if (!text) continue;
        context.fillStyle = look.colour;
        context.fillRect(x, top + height / 2 - 8, context.measureText(text).width + 11, 16);
        context.fillStyle = look.ink;
        context.fillText(text, x + 7, top + height / 2 + 4.5);
      }
    },
  };
}

// When the classes of another task hold, a row for each.
const classLane = (lane) => lane.names.map((name, k) => ({
  title: `${lane.title}: ${name}`, height: 12, kind: "segments",
  draw(context, view, top, ink) {
    context.fillStyle = ink.line;
    context.fillRect(0, top + 11, view.width, 1);
    for (const [start, end] of lane.stretches[k]) {
      if (end < view.from || start > view.to) continue;
      const x = placeOf(view, start);
      fillAs(context, lane.looks[k], x, top, Math.max(placeOf(view, end) - x, 1), 12);
    }
  },
}));

function marksRow(title, stretches, colour) {
  return {
    title, height: 12, kind: "marks",
    draw(context, view, top, ink) {
      context.fillStyle = ink.line;
      context.fillRect(0, top + 5.5, view.width, 1);
      context.fillStyle = ink[colour];
      for (const { start, end } of stretches) {
        if (end < view.from || start > view.to) continue;
        const x = placeOf(view, start);
        context.fillRect(x, top, Math.max(placeOf(view, end) - x, 1.5), 12);
      }
    },
  };
}

// A curve from 0 to 1; where several moments fall on one pixel, from the lowest to the highest.
function curveRow(title, seconds, valueAt) {
  const height = 56;
  return {
    title, height, kind: "curve",
    draw(context, view, top, ink) {
      const y = (value) => top + 1 + (height - 3) * (1 - value);
      context.fillStyle = ink.line;
      for (const value of [0, 0.5, 1]) context.fillRect(0, Math.round(y(value)), view.width, 1);
      context.strokeStyle = context.fillStyle = ink.accent;
      context.lineWidth = 1.4;
      context.beginPath();
      let pixel = null, low = 0, high = 0, open = false;
      const flush = () => {
        if (pixel === null) return;
        if (open) context.lineTo(pixel, y(high));
        else context.moveTo(pixel, y(high));
        context.lineTo(pixel, y(low));
        open = true;
      };
      for (let i = Math.max(firstAfter(seconds, view.from) - 1, 0); i < seconds.length; i++) {
        const value = valueAt(i);
        if (value === null) { flush(); pixel = null; open = false; continue; }
        const x = Math.floor(placeOf(view, seconds[i]));
        if (x === pixel) { low = Math.min(low, value); high = Math.max(high, value); continue; }
        flush();
        [pixel, low, high] = [x, value, value];
        if (x > view.width) break;
      }
      flush();
      context.stroke();
    },
  };
}

function firstAfter(seconds, second) {
  let low = 0, high = seconds.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (seconds[middle] < second) low = middle + 1;
    else high = middle;
  }
  return low;
}

function picturesRow(lane, redraw) {
  const images = lane.images.map(() => null), height = 44;
  const imageOf = (k) => {
    if (!images[k]) {
      images[k] = new Image();
      images[k].onload = redraw;
      images[k].src = pictureAddress(lane.images[k]);
    }
    return images[k];
  };
  return {
    title: lane.title, height, kind: "pictures",
    draw(context, view, top) {
      let free = 0;
      for (let k = 0; k < lane.seconds.length; k++) {
        const x = placeOf(view, lane.seconds[k]);
        if (x < free - 0.5 || x > view.width) continue;
        const image = imageOf(k);
        if (!image.complete || !image.naturalHeight) { free = x + height; continue; }
        const width = (height * image.naturalWidth) / image.naturalHeight;
        context.imageSmoothingEnabled = image.naturalHeight > FEW_PIXELS;
        context.drawImage(image, x, top, width, height);
        free = x + width + 1;
      }
    },
  };
}

const pictureAddress = (text) => `data:image/${text.startsWith("iVBOR") ? "png" : "jpeg"};base64,${text}`;
