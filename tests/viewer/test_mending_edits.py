"""Edits of labels in the page: what they change, and that each can be undone."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import surgvista_jax

VIEWER = Path(surgvista_jax.__file__).parent / "viewer"
SCRIPTS = [VIEWER / "mending_edits.js", VIEWER / "mending_tabs.js"]
_RUN = """
const model = Int16Array.from([0, 0, 1, 1, 2, 2]);
const edits = makeEdits(model, -1, 2), told = [];
const tell = () => told.push([[...edits.label], edits.isMended]);
const operation = { seconds: Float64Array.from([0, 1, 2, 3, 4, 5]), step: 1 };
tell();
edits.moveBorder(2, 1); tell();      // earlier: the later label grows
edits.moveBorder(4, 6); tell();      // later, over all of the next
edits.set(...runAt(edits.label, 0), -1); tell();
edits.undo(); edits.undo(); tell();
edits.redo(); tell();
edits.set(0, 1, 0);                  // what it is already: no edit, redo stays
told.push([edits.canRedo, edits.undo(), edits.undo(), edits.undo(), [...edits.label]]);
edits.set(0, 2, 2); edits.takeBack();
told.push([[...edits.label], edits.canUndo, edits.canRedo]);
edits.set(0, 2, 2); edits.discard();
told.push([[...edits.label], edits.undo(), [...edits.label]]);
const near = [-3, 0.4, 0.6, 5.4, 9].map((second) => borderAt(operation, second));
told.push([near, bordersOf(model), runAt(model, 3)]);
let text = null;
globalThis.keptText = () => text;
let now = 1.7e12;
Date.now = () => now;
const mine = makeEdits(model, -1, 2), tabs = shareEdits("key", mine);
told.push([tabs.take(), tabs.stamped() ?? null]);
mine.set(0, 2, 2);
// Another tab kept this; moment 1 was changed here too.
text = JSON.stringify([[1, 3, 0, 4], [5, 6, -1, 4]]);
told.push([tabs.take(), [...mine.label], tabs.stamped(), tabs.take()]);
told.push([mine.undo(), [...mine.label]]);
mine.redo(); mine.discard();
text = JSON.stringify(tabs.stamped());
told.push([text, tabs.take(), mine.undo(), [...mine.label]]);

// Tabs that keep at random moments, and of which each sees what is kept up to some writes late.
function meet(random) {
  const size = 8, store = [null], own = [], made = [0, 1, 2].map(() => {
    const edits = makeEdits(new Int16Array(size), -1, 2);
    return { edits, tabs: shareEdits("key", edits), seen: 0 };
  });
  const last = made.map(() => new Map());
  const turn = (tab, edit) => {
    text = store[tab.seen];
    if (edit) edit();
    const { lacks } = tab.tabs.take();
    if (!edit && !lacks) return false;
    const kept = JSON.stringify(tab.tabs.stamped());
    tab.seen = store.push(kept) - 1;   // it sees its own at once, as browsers show it
    return true;
  };
  for (let step = 0; step < 30; step++) {
    const k = random(3), tab = made[k];
    tab.seen += random(store.length - tab.seen);
    turn(tab, random(3) ? () => {
      const moment = random(size), value = random(4) - 1;
      if (tab.edits.set(moment, moment + 1, value)) last[k].set(moment, value);
    } : null);
  }
  let rounds = 0;
  for (let quiet = false; !quiet && rounds < 9; rounds++) {
    quiet = true;
    for (const tab of made) {
      tab.seen = store.length - 1;
      if (turn(tab, null)) quiet = false;
    }
  }
  const [first, ...others] = made.map(({ edits }) => edits.label);
  const same = others.every((label) => label.every((value, i) => value === first[i]));
  // What one tab alone has changed is as that tab left it.
  const lost = [...first.keys()].filter((i) => {
    const by = last.filter((moments) => moments.has(i));
    return by.length === 1 && first[i] !== by[0].get(i);
  });
  return [same, lost.length, rounds < 9];
}
let state = 7;
const random = (below) => {
  state = (state * 1103515245 + 12345) % 2147483648;
  return Math.floor(state / 65536) % below;
};
told.push(Array.from({ length: 300 }, () => meet(random)));

// Many edits of yesterday, of which the browser shows nothing to a tab of today until later.
text = null;
const before = makeEdits(model, -1, 2), earlier = shareEdits("key", before);
for (let k = 0; k < 9; k++) {
  before.set(0, 3, k % 2 + 1);
  earlier.stamped();
}
now += 86_400_000;
const after = makeEdits(model, -1, 2), later = shareEdits("key", after);
later.take();
after.set(0, 1, -1);
later.stamped();
text = JSON.stringify(earlier.stamped());
told.push([later.take(), [...after.label]]);
process.stdout.write(JSON.stringify(told));
"""


@pytest.fixture(scope="module")
def told():
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node to run the page's script")
    script = '"use strict";' + "".join(path.read_text() for path in SCRIPTS) + _RUN
    run = subprocess.run([node, "-e", script], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def test_a_border_moves_and_takes_what_it_passes_over(told):
    assert told[0] == [[0, 0, 1, 1, 2, 2], False]
    assert told[1] == [[0, 1, 1, 1, 2, 2], True]
    assert told[2] == [[0, 1, 1, 1, 1, 1], True]
    assert told[3] == [[-1, 1, 1, 1, 1, 1], True]


def test_each_edit_is_undone_and_done_again_in_turn(told):
    assert told[4] == told[1] and told[5] == told[2]
    assert told[6] == [True, True, True, False, [0, 0, 1, 1, 2, 2]]
    assert told[7] == [[0, 0, 1, 1, 2, 2], False, False]
    assert told[8] == [[0, 0, 1, 1, 2, 2], True, [2, 2, 1, 1, 2, 2]]


def test_a_border_lies_between_the_moments_next_to_the_pointer(told):
    assert told[9] == [[0, 0, 1, 5, 6], [2, 4], [2, 4]]


def test_what_is_changed_here_stands_and_undo_takes_back_nothing_of_another_tab(told):
    assert told[10] == [{"took": False, "lacks": False}, None]
    took, label, stamped, again = told[11]
    assert took == {"took": True, "lacks": False}
    assert label == [2, 2, 0, 1, 2, -1]
    assert stamped == [[0, 2, 2, 5], [2, 3, 0, 4], [5, 6, -1, 4]]
    assert again == {"took": False, "lacks": True}
    assert told[12] == [True, [0, 0, 0, 1, 2, -1]]


def test_what_was_discarded_does_not_come_back_from_what_is_kept(told):
    text, again, undone, label = told[13]
    assert json.loads(text) == [[0, 2, 0, 6], [2, 3, 1, 6], [5, 6, 2, 6]]
    assert again == {"took": False, "lacks": False}
    assert undone and label == [2, 2, 0, 1, 2, -1]


def test_tabs_that_see_late_what_others_kept_end_with_the_same_labels_and_lose_none(told):
    assert told[14] == [[True, 0, True]] * 300


def test_what_is_mended_later_stands_though_nothing_of_many_earlier_edits_was_seen(told):
    assert told[15] == [{"took": True, "lacks": True}, [-1, 1, 1, 1, 2, 2]]
