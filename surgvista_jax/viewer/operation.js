// The operation that a page shows, from the JSON that it holds. The page, its writers and mending read
// {video, model, task, labelKind, fps, frames, seconds, ends, duration, classes, probabilities,
//  label, held, segments, truth, other, labels, mended, ...}; times are seconds.

function unpacked(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let k = 0; k < raw.length; k++) bytes[k] = raw.charCodeAt(k);
  return bytes;
}

function fromRuns(runs, made) {
  let at = 0;
  for (const [value, count] of runs) {
    made.fill(value, at, at + count);
    at += count;
  }
  return made;
}

// What a model says or what is true: {name, label, held, known, probabilities, segments}.
function readSaid(said, operation) {
  const n = operation.frames.length, C = operation.classes.length;
  const read = {
    name: said.name,
    label: fromRuns(said.label, new Int16Array(n)),
    known: fromRuns(said.known, new Uint8Array(n)),
    held: null,
    probabilities: null,
  };
  if (said.held) {
    read.held = new Uint8Array(n * C);
    const bits = unpacked(said.held); // of all rows one after the other, the highest bit first
    for (let k = 0; k < n * C; k++) read.held[k] = (bits[k >> 3] >> (7 - (k & 7))) & 1;
  }
  if (said.probability !== null) {
    const kept = unpacked(said.probability);
    read.probabilities = kept;
    if (said.every > 1) {
      read.probabilities = new Uint8Array(n * C);
      for (let i = 0; i < n; i++) {
        const row = Math.floor(i / said.every) * C;
        read.probabilities.set(kept.subarray(row, row + C), i * C);
      }
    }
  }
  read.segments = segmentsOf(operation, read.label, read.held, read.probabilities);
  return read;
}

// Segments {start, end, label, confidence} of one label a moment, or of all classes that hold,
// sorted by their start; a gap in the moments ends them.
function segmentsOf(operation, label, held, probabilities) {
  const { seconds, ends, classes } = operation;
  const n = seconds.length, C = classes.length, found = [];
  const stretches = (holds, classOf, apart) => {
    for (let i = 0; i < n; i++) {
      if (!holds(i)) continue;
      const first = i, k = classOf(i);
      let sum = probabilities ? probabilities[i * C + k] : 0;
      while (i + 1 < n && holds(i + 1) && classOf(i + 1) === k && !(apart(i))) {
        i += 1;
        if (probabilities) sum += probabilities[i * C + k];
      }
      const confidence = probabilities ? sum / (255 * (i - first + 1)) : null;
      found.push({ start: seconds[first], end: ends[i], label: k, confidence });
    }
  };
  const apart = (i) => seconds[i + 1] > ends[i] + 1e-9;
  if (!held) stretches((i) => label[i] >= 0, (i) => label[i], apart);
  else {
    for (let k = 0; k < C; k++) stretches((i) => held[i * C + k] === 1, () => k, apart);
    found.sort((a, b) => a.start - b.start || a.label - b.label);
  }
  return found;
}

function readOperation(data) {
  const n = 1 + data.steps.reduce((sum, [, count]) => sum + count, 0);
  const frames = new Float64Array(n), steps = [];
  frames[0] = data.first;
  let at = 0;
  for (const [step, count] of data.steps)
    for (let k = 0; k < count; k++) {
      frames[at + 1] = frames[at] + step;
      at += 1;
      steps.push(step);
    }
  const middle = steps.slice().sort((a, b) => a - b);
  const half = middle.length >> 1;
  const step = !middle.length ? 1 : middle.length % 2 ? middle[half] : (middle[half - 1] + middle[half]) / 2;
  const seconds = frames.map((frame) => frame / data.fps);
  const ends = frames.map((frame, i) => {
    const near = i + 1 < n && frames[i + 1] - frame <= 1.5 * step;
    return (near ? frames[i + 1] : frame + step) / data.fps;
  });
  const operation = {
    video: data.video, model: data.said.name, task: data.task, fps: data.fps,
    classes: data.classes, frames, seconds, ends, duration: ends[n - 1], mended: false,
    looks: data.looks, reliability: data.reliability, lanes: data.lanes, film: data.film,
    media: data.media, notes: data.notes, damage: data.damage, step: step / data.fps,
    labelKind: data.said.held ? "multi" : "single",
  };
  operation.said = readSaid(data.said, operation);
  operation.truth = data.truth && readSaid(data.truth, operation);
  operation.other = data.other && { ...readSaid(data.other, operation), model: data.other.name };
  const { label, held, known, probabilities, segments } = operation.said;
  Object.assign(operation, { label, held, probabilities, segments });
  operation.labels = { label, held, known, segments };
  return operation;
}
