// Values that are mended, such as one class a moment (-1: none): edits of stretches, undo and redo.

// The stretch [first, end) of moments around one that have its label.
function runAt(label, i) {
  let first = i, end = i + 1;
  while (first > 0 && label[first - 1] === label[i]) first -= 1;
  while (end < label.length && label[end] === label[i]) end += 1;
  return [first, end];
}

// The first moment at or after a time, less half a moment; their number where there is none.
function borderAt(operation, second) {
  const { seconds, step } = operation;
  let low = 0, high = seconds.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (seconds[middle] < second - step / 2) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Moments at which another label begins.
function bordersOf(label) {
  const found = [];
  for (let i = 1; i < label.length; i++) if (label[i] !== label[i - 1]) found.push(i);
  return found;
}

function makeEdits(model, lowest, highest) {
  const label = Int16Array.from(model);
  const done = [], undone = [];
  const put = ({ first }, values) => label.set(values, first);
  const edits = {
    label,
    get isMended() { return label.some((value, i) => value !== model[i]); },
    get canUndo() { return done.length > 0; },
    get canRedo() { return undone.length > 0; },
    // Gives the moments [first, end) a class; false where they have it already.
    set(first, end, value) {
      const before = label.slice(first, end);
      if (!before.some((held) => held !== value)) return false;
      const edit = { first, before, after: before.map(() => value) };
      put(edit, edit.after);
      done.push(edit);
      undone.length = 0;
      return true;
    },
    // Moves the border at which the moment `from` begins another label; what it passes over is
    // taken by the label that grows.
    moveBorder(from, to) {
      return to < from ? edits.set(to, from, label[from]) : edits.set(from, to, label[from - 1]);
    },
    // The model's labels for all moments, as one edit.
    discard() {
      const edit = { first: 0, before: label.slice(), after: Int16Array.from(model) };
      put(edit, edit.after);
      done.push(edit);
      undone.length = 0;
    },
    undo() {
      const edit = done.pop();
      if (!edit) return false;
      put(edit, edit.before);
      undone.push(edit);
      return true;
    },
    redo() {
      const edit = undone.pop();
      if (!edit) return false;
      put(edit, edit.after);
      done.push(edit);
      return true;
    },
    // As if the last edit had not been: of one that is still being dragged.
    takeBack() {
      const edit = done.pop();
      if (edit) put(edit, edit.before);
    },
    allows: (value) => value >= lowest && value <= highest,
    // Takes over values of some moments from elsewhere; undo and redo leave these as they come.
    adopt(moments, values) {
      for (const i of moments) {
        label[i] = values[i];
        for (const { first, before, after } of [...done, ...undone])
          if (i >= first && i < first + before.length) before[i - first] = after[i - first] = values[i];
      }
    },
  };
  return edits;
}

// A short name of what a page shows, so that edits are given back to the same predictions alone.
function fingerprintOf(operation) {
  let hash = 0x811c9dc5; // FNV-1a, 32 bits
  const take = (value) => { hash = Math.imul(hash ^ value, 0x01000193) >>> 0; };
  for (const character of JSON.stringify([operation.video, operation.classes, operation.fps])) take(character.codePointAt(0));
  for (const frame of operation.frames) take(frame);
  for (const value of operation.label) take(value + 1);
  for (const value of operation.held ?? []) take(value);
  return hash.toString(16).padStart(8, "0");
}
