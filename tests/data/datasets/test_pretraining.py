"""Are the videos of the pretraining datasets found, and only these?"""

import pytest

from surgvista_jax.data.datasets import registry
from tests.support import footage
from tests.support.convert_run import convert, refusal, run


@pytest.mark.parametrize(
    ("name", "first", "second", "stranger"),
    [
        ("heichole", "Hei-Chole1", "Hei-Chole24", "Hei-Chole1_instruments"),
        ("pitvis", "video_01", "video_25", "video_x"),
        ("psi-ava", "CASE001", "CASE021", "CASE"),
        ("bernbypass70", "BBP01", "BBP70", "SBP01"),
        ("strasbypass70", "SBP01", "SBP70", "BBP01"),
    ],
)
def test_videos_are_found_by_name_at_any_depth(tmp_path, name, first, second, stranger):
    source = tmp_path / "in"
    footage.write_video(source / "Videos" / "Full" / f"{first}.mp4", 75)
    footage.write_images(source / "frames" / second, [(32, 32)] * 4, ".jpg", "{:05d}")
    footage.write_images(source / "frames" / first, [(32, 32)] * 9)  # the video counts
    footage.write_video(source / "Videos" / f"{stranger}.mp4", 50)
    dataset, _ = convert(name, source, tmp_path / "out")
    assert {v.video: v.num_frames for v in dataset.videos} == {first: 3, second: 4}
    assert dataset.splits == {"train": (first, second)} and dataset.task == "none"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert f"is called such as {first}" in refusal(name, empty, tmp_path / "again")


def test_two_videos_of_one_name_are_named(tmp_path):
    for part in ("a", "b"):
        footage.write_video(tmp_path / "in" / part / "CASE001.mp4", 30)
    message = refusal("psi-ava", tmp_path / "in", tmp_path / "out")
    assert "b/CASE001.mp4: a second CASE001" in message


def test_gensurgery_drops_what_is_shorter_than_a_minute(tmp_path):
    source = tmp_path / "in"
    footage.write_images(source / "colon" / "case a", [(32, 32)] * 60)
    footage.write_images(source / "case b", [(32, 32)] * 59)
    dataset, said = convert("gensurgery", source, tmp_path / "out")
    assert [video.video for video in dataset.videos] == ["colon/case a"]
    assert dataset.splits == {"train": ("colon/case a",)}
    assert "case b: left out: 59 frames, 60 are needed" in said
    only = tmp_path / "short"
    footage.write_images(only / "case b", [(32, 32)] * 59)
    code, _, said = run("data", "convert", "gensurgery", "--source", only, "--out", tmp_path / "o")
    assert code == 1 and "no video has the 60 frames" in said


def test_an_output_below_the_source_is_no_source(tmp_path):
    footage.write_video(tmp_path / "in" / "CASE001.mp4", 30)
    first, _ = convert("psi-ava", tmp_path / "in", tmp_path / "in" / "out")
    again, _ = convert("psi-ava", tmp_path / "in", tmp_path / "in" / "out")
    assert first == again


@pytest.mark.parametrize("official", registry().values(), ids=registry())
def test_every_reader_tells_its_facts_and_refuses_an_empty_folder(official, tmp_path):
    assert official.layout.startswith("SOURCE/")
    for text in (official.procedure, official.centre, official.licence, official.access):
        assert text
    assert len(official.citation) > 40
    assert (official.task == "none") == (official.classes == ())
    empty = tmp_path / "empty"
    empty.mkdir()
    assert str(empty) in refusal(official.name, empty, tmp_path / "out")
    code, page, _ = run("data", "list", official.name)
    assert code == 0 and all(name in page for name in official.classes)
    assert max(map(len, page.split("\n"))) <= 110
