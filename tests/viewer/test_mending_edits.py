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
const tell = () => told.push([[...edits.label], edits.runs, edits.isMended]);
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
edits.set(0, 2, 2); edits.replace();
told.push([[...edits.label], edits.undo(), [...edits.label]]);
const other = makeEdits(model, -1, 2);
const wrong = [[[0, 9, 1]], [[0, 1, 3]], [[1, 1, 0]], "x", [[0, 1, "<b>"]]];
told.push(wrong.map((runs) => other.restore(runs)));
told.push([other.restore([[0, 2, 2], [5, 6, -1]]), [...other.label]]);
const near = [-3, 0.4, 0.6, 5.4, 9].map((second) => borderAt(operation, second));
told.push([near, bordersOf(model), runAt(model, 3)]);
let text = null;
globalThis.keptText = () => text;
const mine = makeEdits(model, -1, 2), tabs = watchTabs("key", mine);
mine.set(0, 2, 2);
text = JSON.stringify([[1, 3, 0], [5, 6, -1]]);  // of another tab; moment 1 is the model's there
told.push([tabs.take(), [...mine.label], tabs.take()]);
text = JSON.stringify(mine.runs); tabs.kept();
mine.set(5, 6, 1);
text = JSON.stringify([[0, 2, 2], [2, 3, 0], [5, 6, 0]]);
told.push([tabs.take(), [...mine.label], mine.undo(), [...mine.label]]);
text = "{"; told.push([tabs.take(), [...mine.label]]);
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
    assert told[0] == [[0, 0, 1, 1, 2, 2], [], False]
    assert told[1] == [[0, 1, 1, 1, 2, 2], [[1, 2, 1]], True]
    assert told[2] == [[0, 1, 1, 1, 1, 1], [[1, 2, 1], [4, 6, 1]], True]
    assert told[3] == [[-1, 1, 1, 1, 1, 1], [[0, 1, -1], [1, 2, 1], [4, 6, 1]], True]


def test_each_edit_is_undone_and_done_again_in_turn(told):
    assert told[4] == told[1] and told[5] == told[2]
    assert told[6] == [True, True, True, False, [0, 0, 1, 1, 2, 2]]
    assert told[7] == [[0, 0, 1, 1, 2, 2], False, False]
    assert told[8] == [[0, 0, 1, 1, 2, 2], True, [2, 2, 1, 1, 2, 2]]


def test_what_was_kept_is_taken_whole_or_not_at_all(told):
    assert told[9] == [False] * 5
    assert told[10] == [True, [2, 2, 1, 1, 2, -1]]


def test_a_border_lies_between_the_moments_next_to_the_pointer(told):
    assert told[11] == [[0, 0, 1, 5, 6], [2, 4], [2, 4]]


def test_what_two_tabs_changed_is_kept_and_where_they_differ_undo_shows_the_other(told):
    assert told[12] == [0, [2, 2, 0, 1, 2, -1], None]
    assert told[13] == [1, [2, 2, 0, 1, 2, 1], True, [2, 2, 0, 1, 2, 0]]
    assert told[14] == [None, [2, 2, 0, 1, 2, 0]]  # nothing that a page has kept
