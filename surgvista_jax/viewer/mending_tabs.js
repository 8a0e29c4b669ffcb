// Labels of one video that are mended in several tabs at once: each takes over what the others changed.
//
// A browser shows a tab late what another has kept, so two may keep at once and the later hide the
// earlier. Therefore every moment has a stamp, and the newer one stands whichever way tabs meet: what
// a hidden tab had changed comes back with the next that it keeps. A stamp is above all that its tab
// has seen, and not below the time: of tabs that saw nothing of each other the later change stands.

// Whether a moment that was stamped is to stand where another is; of equal stamps the higher label.
const stands = (stamp, value, otherStamp, otherValue) =>
  stamp > otherStamp || (stamp === otherStamp && value > otherValue);

// Since the end of 2023, or 32 bits would not hold it for long.
const secondsNow = () => Math.floor(Date.now() / 1000 - 1.7e9);

// Shares the labels of edits with the other tabs, by what is kept under a key.
function shareEdits(key, edits) {
  const size = edits.label.length;
  const shared = edits.label.slice(), stamps = new Int32Array(size); // 0: as the model says
  let clock = 0;

  // Runs of [first, end, label, stamp], moment for moment; null where they are none or do not fit.
  function moments(runs) {
    if (!Array.isArray(runs)) return null;
    const values = new Int16Array(size), theirs = new Int32Array(size);
    for (const run of runs) {
      if (!Array.isArray(run)) return null;
      const [first, end, value, stamp = 1] = run;
      const whole = [first, end, value, stamp].every(Number.isInteger);
      if (!whole || first < 0 || first >= end || end > size || !edits.allows(value) || stamp < 1) return null;
      values.fill(value, first, end);
      theirs.fill(stamp, first, end);
    }
    return { values, stamps: theirs };
  }
  function kept() {
    try {
      return JSON.parse(keptText(key) ?? "null");
    } catch {
      return null;
    }
  }

  return {
    // Takes over what other tabs have kept: whether that changed a label, and whether what is kept
    // lacks something of this tab. What was changed here and not yet kept stands.
    take(runs = kept()) {
      const theirs = moments(runs), taken = [];
      let lacks = false;
      for (let i = 0; i < size; i++) {
        const stamp = theirs ? theirs.stamps[i] : 0, value = theirs ? theirs.values[i] : 0;
        if (stamp && stands(stamp, value, stamps[i], shared[i])) {
          if (edits.label[i] === shared[i] && value !== shared[i]) taken.push(i);
          stamps[i] = stamp;
          shared[i] = value;
          clock = Math.max(clock, stamp);
        } else if (stamps[i] && (stamp !== stamps[i] || value !== shared[i])) lacks = true;
      }
      edits.adopt(taken, shared);
      return { took: taken.length > 0, lacks };
    },
    // Stamps what was changed here; all that differs from the model or once did, as
    // [first, end, label, stamp]. Nothing, where that is nowhere.
    stamped() {
      const changed = edits.label.findIndex((value, i) => value !== shared[i]);
      if (changed >= 0) clock = Math.max(clock + 1, secondsNow());
      const runs = [];
      for (let i = 0; i < size; i++) {
        if (edits.label[i] !== shared[i]) {
          stamps[i] = clock;
          shared[i] = edits.label[i];
        }
        if (!stamps[i]) continue;
        const last = runs.at(-1);
        if (last && last[1] === i && last[2] === shared[i] && last[3] === stamps[i]) last[1] += 1;
        else runs.push([i, i + 1, shared[i], stamps[i]]);
      }
      return runs.length ? runs : undefined;
    },
  };
}
