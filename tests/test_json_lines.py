"""Files of JSON lines: a torn end is passed over and said, another broken line is named."""

import json

import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.json_lines import keep_lines, lacks_step, read_lines

GOOD = b'{"step": 1}\n{"step": 2, "text": "a\xe2\x80\xa8b"}\n'
BROKEN = {
    "half": b'{"step": 3, "te',
    "other bytes": b'{"step": \xff3}',
    "zeros of a crash": b"\0\0\0\0",
    "no object": b"[3]",
    "no step": b'{"loss": 3}',
    "a step that is none": b'{"step": 1e999}',
    "digits": b'{"step": %s}' % (b"9" * 5_000),
    "half a character": b'{"step": 3, "a": "\\ud800"}',
    "depth": b"[" * 100_000,
}


def steps(path, **options):
    return [line.values["step"] for line in read_lines(path, required=lacks_step, **options)]


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n"])
def test_a_broken_last_line_is_left_out_with_a_note_where_lines_are_added(tmp_path, name, end):
    path = tmp_path / "x.jsonl"
    path.write_bytes(GOOD + BROKEN[name] + end)
    notes: list[str] = []
    assert steps(path, torn=notes.append) == [1, 2]
    assert len(notes) == 1 and notes[0].startswith(f"{path}, line 3: ") and "\n" not in notes[0]
    with pytest.raises(UserError, match="line 3: .*; do this"):
        steps(path, advice="do this")
    assert len(keep_lines(path, required=lacks_step, torn=notes.append)) == 2
    assert path.read_bytes() == GOOD


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_line_in_the_middle_is_named_and_nothing_is_changed(tmp_path, name):
    path = tmp_path / "x.jsonl"
    content = BROKEN[name] + b"\n" + GOOD
    path.write_bytes(content)
    for read in (keep_lines, lambda path, **options: list(read_lines(path, **options))):
        with pytest.raises(UserError, match="line 1: .*; mend or delete that line") as caught:
            read(path, required=lacks_step, torn=print)
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


def test_lines_that_are_kept_stay_as_they_were_and_a_last_one_gets_its_end(tmp_path):
    path = tmp_path / "x.jsonl"
    lines = ['{"step":1}', json.dumps({"step": 2, "a": "ä"}), '{"step": 3,  "b": NaN}']
    path.write_text("\n\n".join(lines))
    kept = keep_lines(path, lambda values: values["step"] != 2)
    assert [values["step"] for values in kept] == [1, 3]
    assert path.read_text() == f"{lines[0]}\n{lines[2]}\n"
    assert keep_lines(tmp_path / "none.jsonl") == [] and not (tmp_path / "none.jsonl").exists()


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        list(read_lines(tmp_path))
