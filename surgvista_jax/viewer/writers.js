// The files that the page writes: labels over time in the forms that other tools read.
//
// Each writer is a pure function of the page's `operation` that gives the whole text, or throws an
// Error in words where its format cannot hold that operation. Times are cut to milliseconds, every
// border once, so that segments neither overlap nor leave a gap, and a moment stays in its segment.

const WRITERS = [
  { name: "CSV (start, end, label)", suffix: ".csv", type: "text/csv", write: toCsv },
  { name: "Subtitles (SRT)", suffix: ".srt", type: "application/x-subrip", write: toSrt },
  { name: "Subtitles (WebVTT)", suffix: ".vtt", type: "text/vtt", write: toWebVtt },
  { name: "Label Studio", suffix: ".json", type: "application/json", write: toLabelStudio },
  { name: "ELAN", suffix: ".eaf", type: "application/xml", write: toElan },
  { name: "Cholec80 text", suffix: ".txt", type: "text/plain", write: toCholec80 },
];

const CHOLEC80_FPS = 25;

// Whole milliseconds, never after the moment itself; a rounded double is not a millisecond early.
function milliseconds(seconds) {
  return Math.floor(seconds * 1000 + 1e-6);
}

function inSeconds(time) {
  return (milliseconds(time) / 1000).toFixed(3);
}

// HH:MM:SS and milliseconds; subtitles of any length have two digits of hours, or more.
function clock(time, point) {
  const ms = milliseconds(time);
  const two = (number) => String(number).padStart(2, "0");
  const [h, m, s] = [Math.floor(ms / 3600000), Math.floor(ms / 60000) % 60, Math.floor(ms / 1000) % 60];
  return `${two(h)}:${two(m)}:${two(s)}${point}${String(ms % 1000).padStart(3, "0")}`;
}

// A name without what ends a line or cannot stand in XML; half of a surrogate pair is no character.
function oneLine(name) {
  const plain = String(name).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufffe\uffff]+/g, " ");
  const whole = Array.from(plain, (c) => (c >= "\ud800" && c <= "\udfff" && c.length === 1 ? "\ufffd" : c));
  return whole.join("").trim();
}

function xmlText(text) {
  const names = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;" };
  return oneLine(text).replace(/[&<>"']/g, (character) => names[character]);
}

// A cell of a CSV table. Spreadsheets run what begins with these characters: an apostrophe before
// them makes it text, and is taken off again when the labels are read.
function cell(text) {
  const plain = oneLine(text);
  const guarded = /^'*[=+\-@]/.test(plain) ? `'${plain}` : plain;
  return /[",;]|^\s|\s$/.test(guarded) ? `"${guarded.replace(/"/g, '""')}"` : guarded;
}

function isLabelled(segment) {
  return segment.label >= 0 && milliseconds(segment.end) > milliseconds(segment.start);
}

function labelledSegments(operation) {
  const segments = operation.labels.segments.filter(isLabelled);
  if (!segments.length) throw new Error("No moment has a label.");
  return segments;
}

// The stretches in which the classes that hold stay the same: [{start, end, classes: [ids]}].
// Those of one label a moment are its segments; where no class holds there is no stretch.
function stretches(operation) {
  if (operation.labelKind === "single") {
    return labelledSegments(operation).map((s) => ({ start: s.start, end: s.end, classes: [s.label] }));
  }
  const segments = labelledSegments(operation);
  const borders = [...new Set(segments.flatMap((s) => [s.start, s.end]))].sort((a, b) => a - b);
  const found = [];
  for (let k = 0; k + 1 < borders.length; k++) {
    const [start, end] = [borders[k], borders[k + 1]];
    const on = segments.filter((s) => s.start <= start && s.end >= end).map((s) => s.label);
    const classes = [...new Set(on)].sort((a, b) => a - b);
    if (classes.length) found.push({ start, end, classes });
  }
  return found;
}

// What was mended by hand: of one label a moment [{start, end, label: the model's}], of several
// [{start, end, of: the class}].
function mendedStretches(operation) {
  const found = [];
  if (!operation.mended) return found;
  if (operation.labelKind !== "single") return mendedClasses(operation);
  const { label } = operation.labels;
  for (let i = 0; i < label.length; i++) {
    if (label[i] === operation.label[i]) continue;
    const last = found[found.length - 1];
    const [start, end] = [operation.seconds[i], operation.ends[i]];
    if (last && last.end === start && last.label === operation.label[i]) last.end = end;
    else found.push({ start, end, label: operation.label[i] });
  }
  return found;
}

function mendedClasses(operation) {
  const { held, seconds, ends, classes } = operation, found = [];
  for (let k = 0; k < classes.length; k++) {
    let last = null;
    for (let i = 0; i < seconds.length; i++) {
      const at = i * classes.length + k;
      if (operation.labels.held[at] === held[at]) continue;
      if (last && last.end === seconds[i]) last.end = ends[i];
      else found.push(last = { start: seconds[i], end: ends[i], of: k });
    }
  }
  return found;
}

// The stretches whose label was taken away by hand, as segments without one.
function emptied(operation) {
  const found = [];
  if (!operation.mended || operation.labelKind !== "single") return found;
  for (let i = 0; i < operation.label.length; i++) {
    if (operation.labels.label[i] >= 0 || operation.label[i] < 0) continue;
    const last = found[found.length - 1];
    if (last && last.end === operation.seconds[i]) last.end = operation.ends[i];
    else found.push({ start: operation.seconds[i], end: operation.ends[i], label: -1, confidence: null });
  }
  return found;
}

// The mended parts of a segment as "start-end start-end"; "" where it is the model's.
function mendedWithin(segment, mended) {
  const parts = mended
    .filter((m) => m.of === undefined || segment.label === undefined || m.of === segment.label)
    .map((m) => [Math.max(m.start, segment.start), Math.min(m.end, segment.end)])
    .filter(([start, end]) => end > start)
    .sort(([a], [b]) => a - b);
  const joined = [];
  for (const [start, end] of parts) {
    const last = joined[joined.length - 1];
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else joined.push([start, end]);
  }
  return joined.map(([start, end]) => `${inSeconds(start)}-${inSeconds(end)}`).join(" ");
}

// The name of a class; a semicolon joins several labels where one is read.
function className(operation, id) {
  const name = oneLine(operation.classes[id]);
  return operation.labelKind === "single" ? name : name.replace(/;/g, ",");
}

// ---- tables

function toCsv(operation) {
  if (operation.task === "cvs") return criteriaCsv(operation);
  const mended = mendedStretches(operation);
  const lines = ["video,start,end,label,confidence,mended"];
  const segments = [...labelledSegments(operation), ...emptied(operation)];
  for (const segment of segments.sort((a, b) => a.start - b.start)) {
    const { start, end, label, confidence } = segment;
    const name = label < 0 ? "" : className(operation, label);
    const sure = confidence == null ? "" : confidence.toFixed(3);
    const by = mendedWithin(segment, mended);
    lines.push([cell(operation.video), inSeconds(start), inSeconds(end), cell(name), sure, by].join(","));
  }
  return lines.join("\n") + "\n";
}

// Criteria have a column each: without one, those that never hold would be no classes.
function criteriaCsv(operation) {
  const header = operation.classes.map((_, id) => cell(`cvs_${className(operation, id)}`));
  const lines = [["video", "start", "end", ...header].join(",")];
  for (const { start, end, classes } of stretches(operation)) {
    const on = operation.classes.map((_, id) => (classes.includes(id) ? 1 : 0));
    lines.push([cell(operation.video), inSeconds(start), inSeconds(end), ...on].join(","));
  }
  return lines.join("\n") + "\n";
}

// A line for each frame at 25 a second, `Frame<TAB>Phase` as Cholec80's; frames without a label
// have none. Of several labels, as its tools: a line a moment with 0 or 1 for each class.
function toCholec80(operation) {
  const { seconds, ends, labels, classes } = operation;
  // Of frames that are numbered at another rate, some may be skipped.
  const rate = 1 / operation.step;
  if (rate > CHOLEC80_FPS + 1e-6) {
    throw new Error(`${Number(rate.toFixed(2))} moments a second do not fit the ${CHOLEC80_FPS} of this format.`);
  }
  const frameAt = (time) => Math.ceil(time * CHOLEC80_FPS - 1e-6);
  if (labels.held) {
    const header = classes.map((_, id) => className(operation, id).replace(/\s+/g, ""));
    const lines = [["Frame", ...header].join("\t")];
    for (let i = 0; i < seconds.length; i++) {
      const held = labels.held.subarray(i * classes.length, (i + 1) * classes.length);
      lines.push([frameAt(seconds[i]), ...held].join("\t"));
    }
    return lines.join("\n") + "\n";
  }
  labelledSegments(operation);
  const lines = ["Frame\tPhase"];
  for (let i = 0; i < seconds.length; i++) {
    if (labels.label[i] < 0) continue;
    const name = className(operation, labels.label[i]);
    for (let frame = frameAt(seconds[i]); frame < frameAt(ends[i]); frame++) lines.push(`${frame}\t${name}`);
  }
  return lines.join("\n") + "\n";
}

// ---- subtitles

// SubRip has no escapes, and players run <b> and {\an8}: signs that look alike stand for them.
function srtText(name) {
  return name.replace(/</g, "\u2039").replace(/>/g, "\u203a").replace(/\{\\/g, "{ \\");
}

function toSrt(operation) {
  const cues = stretches(operation).map(({ start, end, classes }, index) => {
    const names = classes.map((id) => srtText(className(operation, id)));
    return `${index + 1}\n${clock(start, ",")} --> ${clock(end, ",")}\n${names.join("\n")}\n`;
  });
  return cues.join("\n");
}

// https://www.w3.org/TR/webvtt1/ : neither notes nor identifiers may hold an arrow.
function toWebVtt(operation) {
  const escaped = (name) => name.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const mended = mendedStretches(operation);
  const cues = stretches(operation).map((stretch, index) => {
    const names = stretch.classes.map((id) => escaped(className(operation, id)));
    const by = mendedWithin(stretch, mended);
    const id = `${index + 1}${by && ` mended ${by}`}`;
    return `${id}\n${clock(stretch.start, ".")} --> ${clock(stretch.end, ".")}\n${names.join("\n")}\n`;
  });
  return ["WEBVTT\n", `NOTE ${escaped(oneLine(operation.video))}\n`, ...cues].join("\n");
}
