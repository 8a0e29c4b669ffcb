"""A journal that was cut off goes on, and one that is broken says what to do."""

import json
import os

import pytest

from surgvista_jax.data.conversion.extract import Extracted
from surgvista_jax.data.conversion.journal import Finished, Journal
from surgvista_jax.errors import UserError

SETTINGS = {"fps": 1.0}
ENTRY = Finished("v.mp4", "v", 9, Extracted(3, 1.0, 25.0, True, 75, 75, content=[0, 1, 2, 3]))


def written(tmp_path):
    path = tmp_path / "state" / "journal.jsonl"
    with Journal(path, SETTINGS) as journal:
        journal.append(ENTRY)
    return path


@pytest.mark.parametrize("theirs", ["link", "nowhere", "folder", "mine"])
def test_a_journal_that_is_not_ours_is_neither_followed_nor_cut(theirs, tmp_path):
    path, elsewhere = tmp_path / "state" / "journal.jsonl", tmp_path / "elsewhere"
    path.parent.mkdir()
    elsewhere.write_text('{"settings": {}}\nmine')
    if theirs in ("link", "nowhere"):
        path.symlink_to(elsewhere if theirs == "link" else tmp_path / "missing")
    else:
        (path.mkdir if theirs == "folder" else lambda: path.write_text("mine"))()
    with pytest.raises(UserError, match=r"journal\.jsonl"):
        Journal(path, {})
    assert elsewhere.read_text() == '{"settings": {}}\nmine'
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "state"]
    assert theirs != "mine" or path.read_text() == "mine"


@pytest.mark.parametrize("torn", [b'{"key": "w', b"\xff\xfe\n", b"\0\0\0", b"[]\n"])
def test_a_last_line_that_was_cut_off_is_said_and_the_next_start_finds_nothing(
    tmp_path, torn, capsys
):
    path = written(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    for said in (1, 0):
        with Journal(path, SETTINGS) as journal:
            assert journal.finished == {"v": ENTRY}
        assert capsys.readouterr().err.count("line 3: ") == said
    assert path.read_bytes() == whole
    path.write_bytes(whole[:-1])  # only its end is lost
    with Journal(path, SETTINGS) as journal:
        journal.append(ENTRY)
    assert path.read_bytes() == whole + whole.splitlines(keepends=True)[1]


@pytest.mark.parametrize(
    "change",
    [
        {"size": "9"},
        {"video": None},
        {"more": 1},
        {"extracted": []},
        {"extracted": {"num_frames": 3}},
        {"extracted": {**vars(ENTRY.extracted), "num_frames": "3"}},
    ],
)
def test_a_line_of_something_else_is_named_with_what_to_do(tmp_path, change):
    path = written(tmp_path)
    lines = path.read_text().splitlines()
    lines[1] = json.dumps(json.loads(lines[1]) | change)
    path.write_text("\n".join([*lines, lines[1], ""]))
    with pytest.raises(UserError, match="line 2: not a line of this journal; delete that line"):
        Journal(path, SETTINGS)
    path.write_text("\n".join(['{"other": 1}', *lines[1:], ""]))
    with pytest.raises(UserError, match="line 1: not the settings"):
        Journal(path, SETTINGS)
