// A stretch of moments that is marked to get a label at once, whatever labels it has.

function makeStretch(page) {
  const { operation } = page;
  let from = null, to = null;
  const stretch = {
    // Its moments [first, end): between two marks, or from the mark to the cursor; null without one.
    get moments() {
      if (from === null) return null;
      const other = to ?? page.index;
      return [Math.min(from, other), Math.max(from, other) + 1];
    },
    show() {
      const moments = stretch.moments;
      page.timeline.select(moments && [operation.seconds[moments[0]], operation.ends[moments[1] - 1]]);
    },
    // Where the cursor is: first one end, then the other, then one end anew.
    mark() {
      if (from === null || to !== null) [from, to] = [page.index, null];
      else to = page.index;
      stretch.show();
    },
    between(one, other) {
      [from, to] = [one, other];
      stretch.show();
    },
    clear() {
      from = to = null;
      stretch.show();
    },
  };
  return stretch;
}
