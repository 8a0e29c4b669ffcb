"""An address in a bucket, where a path is wanted: one line, and no folder called `gs:` is made."""

from pathlib import Path

import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.addresses import is_address, refuse_address
from surgvista_jax.errors import UserError
from surgvista_jax.locking import alone_in
from surgvista_jax.weights.place import locate
from surgvista_jax.writing import new_folder, write_text

TYPED = [
    ["data", "convert", "videos", "--source=raw", "--out=gs://bucket/data"],
    ["data", "convert", "videos", "--source", "s3://bucket/raw", "--out", "data"],
    ["data", "synthetic", "--task=phase", "--out", "gs://bucket/data"],
    ["data", "pack", "az://bucket/data"],
    ["predict", "video.mp4", "--checkpoint=run", "--out", "S3://bucket/out"],
    ["predict", "video.mp4", "--checkpoint=gs://bucket/run", "--out=out"],
    ["evaluate", "gs://bucket/predictions.npz", "--protocol=phase-strict"],
    ["evaluate", "p.npz", "--protocol=phase-strict", "--out", "gs://bucket/report"],
    ["view", "gs://bucket/predictions", "--out=pages"],
    ["weights", "inspect", "endossl:gs://bucket/teacher.pth"],
    ["finetune", "--config=configs/demo.py", "--workdir=r", "--config.init=gs://bucket/run"],
    ["merge", "hdfs://bucket/data"],
]


@pytest.mark.parametrize("words", TYPED, ids=lambda words: " ".join(words[:2]))
def test_what_is_typed_is_refused_by_one_line_that_names_it(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    said = capsys.readouterr().err
    named = next(word for word in words if "://" in word)
    assert said.startswith("surgvista: ") and said.count("\n") == 1
    assert f"{named}: lies in a bucket" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "use",
    [
        lambda path: write_text(path, "text"),
        lambda path: new_folder(path).__enter__(),
        lambda path: alone_in(path).__enter__(),
    ],
    ids=["write_text", "new_folder", "alone_in"],
)
def test_what_no_word_said_is_refused_where_it_is_used(use, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="^gs://bucket/data: lies in a bucket"):
        use(Path("gs://bucket/data"))
    assert not list(tmp_path.iterdir())


def test_weights_in_a_bucket_are_refused():
    with pytest.raises(UserError, match="^endossl:s3://bucket/teacher.pth: lies in a bucket"):
        locate("endossl:s3://bucket/teacher.pth")


@pytest.mark.parametrize(
    "word",
    ["rtsp://camera/1", "https://host/x", "hf://owner/name", "sqlite:///runs.db", "gs", "logs://x"],
)
def test_other_addresses_and_words_are_none(word):
    assert not is_address(word)
    refuse_address(word)


def test_a_folder_of_that_name_is_meant_by_its_whole_path(tmp_path):
    write_text(tmp_path / "gs:" / "file", "text")
    assert (tmp_path / "gs:" / "file").read_text() == "text"
