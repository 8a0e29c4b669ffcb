// Labels of one video that are mended in several tabs at once: each takes over what the others changed.

// What two made of labels that both knew. Of moments that both changed, and to other labels, ours
// stand; `both` says how many these are.
function merged(base, ours, theirs) {
  const label = Int16Array.from(theirs);
  let both = 0;
  for (let i = 0; i < label.length; i++) {
    if (ours[i] === base[i] || ours[i] === theirs[i]) continue;
    if (theirs[i] !== base[i]) both += 1;
    label[i] = ours[i];
  }
  return { label, both };
}

// Watches what is kept by a key, where all tabs of a video keep what was mended.
function watchTabs(key, edits) {
  let known, base;
  const parsed = (text) => {
    try {
      return text === null ? edits.patched([]) : edits.patched(JSON.parse(text));
    } catch {
      return null;
    }
  };
  const watch = {
    // Takes into the edits what another tab has kept since; null where none has, else how many
    // moments both had changed. One step of undo leads to the labels of the other tab.
    take() {
      const text = keptText(key);
      if (text === undefined || text === known) return null;
      known = text;
      const theirs = parsed(text);
      if (!theirs) return null;
      const ours = edits.label.slice(), { label, both } = merged(base, ours, theirs);
      if (both) edits.replace(merged(base, theirs, ours).label);
      edits.replace(label);
      base = theirs;
      return both;
    },
    // What is kept now is known: it was read, or this tab has written it.
    kept() {
      known = keptText(key);
      base = (known !== undefined && parsed(known)) || edits.label.slice();
    },
  };
  watch.kept();
  return watch;
}
