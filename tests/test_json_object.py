"""A file that should hold one JSON object is read, or one line says what it holds."""

import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.json_object import parse_object, read_object

WRONG = {
    b"": "is not JSON",
    b"{": "is not JSON",
    b"[1]": "should hold a JSON object",
    b"3": "should hold a JSON object",
    b"\xff\xfe{}": "is not JSON",
    b'{"a": ' + b"[" * 100_000: "nests too deep",
    b'{"a": ' + b"9" * 5_000 + b"}": "is not JSON",
}


@pytest.mark.parametrize("content", WRONG, ids=range(len(WRONG)))
def test_what_is_no_object_is_one_line(content, tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=WRONG[content]) as caught:
        read_object(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    for path in (tmp_path, tmp_path / "x.json"):
        with pytest.raises(UserError, match=r": cannot be read \("):
            read_object(path)


def test_a_mark_of_the_byte_order_is_passed_over_and_a_key_may_have_to_be_unique(tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1, "b": {"a": 2, "a": 3}}')
    assert read_object(path) == {"a": 1, "b": {"a": 3}}
    with pytest.raises(UserError, match="text: is not JSON .*'a' stands twice"):
        parse_object(path.read_text("utf-8-sig"), "text", unique=True)
