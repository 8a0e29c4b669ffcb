"""Whether every video has a file of its own is known before anything is computed."""

from pathlib import Path

import pytest

from surgvista_jax.data import video_files
from surgvista_jax.data.video_files import files_of
from surgvista_jax.errors import UserError


def test_each_id_has_its_file(tmp_path):
    ids = ["a", "a/b", "A", "b.csv", "\u00e4" * 100, "a.npy"]
    assert files_of(tmp_path, ids, ".csv") == [Path(tmp_path, f"{video}.csv") for video in ids]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (["a", "../a"], "video id '../a' cannot be a file name"),
        (["/a"], "cannot be a file name"),
        (["a\0b"], "cannot be a file name"),
        (["\ud800"], "cannot be a file name"),
        (["b", "x" * 252], "is too long for a file name; mend it"),
        (["\u00e4" * 126], "is too long"),  # 252 bytes, and the suffix
        (["/".join(["x" * 200] * 21)], "is too long"),
        (["a", "a.csv/b"], "the file of video id 'a' would have the name of a folder"),
        (["a.csv/b", "a"], "the file of video id 'a' would have the name of a folder"),
        (["a", "b", "a"], "'a' and 'a' are one file name"),
    ],
)
def test_ids_that_files_cannot_have_are_named(ids, said, tmp_path):
    with pytest.raises(UserError) as caught:
        files_of(tmp_path / "new", ids, ".csv")
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("pair", [("Case", "case"), ("\u00e4", "a\u0308"), ("D/x", "d/X")])
def test_ids_of_one_file_where_case_does_not_count_are_named(pair, tmp_path, monkeypatch):
    assert len(files_of(tmp_path, pair, ".csv")) == 2
    monkeypatch.setattr(video_files, "_folds_case", lambda folder, videos: True)
    with pytest.raises(UserError, match="are one file name here"):
        files_of(tmp_path, pair, ".csv")
