// Questions to an operation: which moment is it, how sure, where do two differ, what comes next?

// The moment that counts at a time: the last one that has begun.
function indexAt(operation, second) {
  const { seconds } = operation;
  let low = 0, high = seconds.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (seconds[middle] <= second + 1e-6) low = middle;
    else high = middle - 1;
  }
  return low;
}

// The probability of the label that is shown; of several, that of the least certain decision.
function confidenceOf(operation, said, i) {
  const P = said.probabilities, C = operation.classes.length;
  if (!P) return null;
  if (!said.held) return said.label[i] < 0 ? null : P[i * C + said.label[i]] / 255;
  let least = 255;
  for (let k = 0; k < C; k++) {
    const p = P[i * C + k];
    least = Math.min(least, said.held[i * C + k] ? p : 255 - p);
  }
  return least / 255;
}

function holding(operation, said, i) {
  const C = operation.classes.length;
  if (!said.held) return said.label[i] < 0 ? [] : [said.label[i]];
  const found = [];
  for (let k = 0; k < C; k++) if (said.held[i * C + k]) found.push(k);
  return found;
}

// Whether two differ at a moment of which both say something.
function differAt(operation, one, two, i) {
  if (!one.known[i] || !two.known[i]) return false;
  if (!one.held || !two.held) return one.label[i] !== two.label[i];
  const C = operation.classes.length;
  for (let k = 0; k < C; k++) if (one.held[i * C + k] !== two.held[i * C + k]) return true;
  return false;
}

// Stretches {start, end} in which a question is answered by yes.
function stretchesWhere(operation, asked) {
  const { seconds, ends } = operation, found = [];
  for (let i = 0; i < seconds.length; i++) {
    if (!asked(i)) continue;
    const last = found[found.length - 1];
    if (last && seconds[i] <= last.end + 1e-9) last.end = ends[i];
    else found.push({ start: seconds[i], end: ends[i] });
  }
  return found;
}

// Where what is shown changes: times at which a segment of the labels begins.
function changes(operation) {
  const found = [];
  for (const segment of operation.labels.segments)
    if (!found.length || segment.start > found[found.length - 1] + 1e-9) found.push(segment.start);
  return found;
}

// The least certain moments, the worst first, each the worst of its surroundings.
function leastCertain(operation) {
  const n = operation.seconds.length, apart = Math.max(operation.duration / 200, 3 * operation.step);
  const order = [];
  for (let i = 0; i < n; i++) {
    const confidence = confidenceOf(operation, operation.said, i);
    if (confidence !== null) order.push([confidence, i]);
  }
  order.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const taken = new Set(), found = [];
  for (const [confidence, i] of order) {
    const second = operation.seconds[i], cell = Math.floor(second / apart);
    if (taken.has(cell) || taken.has(cell - 1) || taken.has(cell + 1)) continue;
    taken.add(cell);
    found.push({ second, confidence });
    if (found.length === 50) break;
  }
  return found;
}

// Seconds for which each class holds.
function timeOfEach(operation, said) {
  const C = operation.classes.length, total = new Float64Array(C);
  for (const segment of said.segments) total[segment.label] += segment.end - segment.start;
  return total;
}
