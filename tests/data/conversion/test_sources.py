"""Are all videos below a folder found, each with an id of its own that stays?"""

import os
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from surgvista_jax.data.conversion import sources
from surgvista_jax.data.conversion.sources import (
    find_given,
    find_videos,
    frame_files,
    name_videos,
    same_number,
)
from surgvista_jax.errors import UserError
from tests.support import marked_videos as marked
from tests.support.marked_videos import Pictures


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def ids(folder, **named):
    search = find_videos(folder, skip=folder / "out")
    return {source.key: source.video for source in name_videos(search.videos, named)}


def test_files_and_frame_folders_at_any_depth(tmp_path):
    make(tmp_path, "a.mp4", "day 1/B.MKV", "day 1/löwe/1.jpg", "day 1/löwe/2.PNG", "notes.txt")
    make(tmp_path, "case.v2.avi", "empty/readme.md", "x.tif/0.bmp")
    assert ids(tmp_path) == {
        "a.mp4": "a",
        "case.v2.avi": "case.v2",
        "day 1/B.MKV": "day 1/B",
        "day 1/löwe": "day 1/löwe",
        "x.tif": "x.tif",
    }
    videos = {source.video: source for source in find_videos(tmp_path, tmp_path).videos}
    assert videos == {}  # skip is the folder itself
    videos = {source.video: source for source in find_videos(tmp_path, tmp_path / "o").videos}
    assert list(videos) == sorted(videos)
    assert (videos["day 1/löwe"].is_folder, videos["day 1/löwe"].size) == (True, 2)
    assert (videos["a"].is_folder, videos["a"].size) == (False, 1)


def test_hidden_things_and_the_output_are_skipped(tmp_path):
    make(tmp_path, ".a.mp4", "._b.mp4", ".git/c.mp4", "out/frames/d/0.jpg", "f/.0.jpg", "e.mp4")
    assert ids(tmp_path) == {"e.mp4": "e"}


def test_videos_that_would_share_an_id_keep_their_extensions(tmp_path):
    make(tmp_path, "a.mp4", "a.avi", "a.mp4.mkv", "b.mov", "b/0.png", "c.mp4", "d/c.mp4")
    assert ids(tmp_path) == {
        "a.avi": "a.avi",
        "a.mp4": "a.mp4",
        "a.mp4.mkv": "a.mp4.mkv",
        "b": "b",
        "b.mov": "b.mov",
        "c.mp4": "c",
        "d/c.mp4": "d/c",
    }


def test_a_named_video_keeps_its_id_when_another_comes(tmp_path):
    make(tmp_path, "a.mp4", "a.avi")
    assert ids(tmp_path, **{"a.mp4": "a"}) == {"a.mp4": "a", "a.avi": "a.avi"}


def test_images_in_the_folder_itself_are_a_video_of_its_name(tmp_path):
    make(tmp_path / "case 7", "0.jpg", "1.jpg", "case 7/0.jpg")
    assert ids(tmp_path / "case 7") == {".": "case 7_frames", "case 7": "case 7"}


def test_images_beside_videos_are_noted_and_not_taken(tmp_path):
    make(tmp_path, "a.mp4", "a.webp", "b.mp4", "b.webp", "sub/0.jpg")
    assert ids(tmp_path) == {"a.mp4": "a", "b.mp4": "b", "sub": "sub"}
    [note] = find_videos(tmp_path, tmp_path / "out").notes
    assert note.path == str(tmp_path) and "2 images are beside video files" in note.text


def test_links_are_followed_but_not_in_a_circle(tmp_path):
    make(tmp_path, "in/a.mp4", "far/b.mp4")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "far")
    (tmp_path / "in" / "circle").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "lost.mp4").symlink_to(tmp_path / "nothing")
    assert ids(tmp_path / "in") == {
        "a.mp4": "a",
        "link/b.mp4": "link/b",
        "lost.mp4": "lost",
    }


def test_a_name_that_is_not_utf8_is_a_problem(tmp_path):
    try:
        open(os.fsencode(tmp_path) + b"/caf\xe9.mp4", "w").close()
    except OSError:
        pytest.skip("the file system takes no such name")
    search = find_videos(tmp_path, tmp_path / "out")
    assert not search.videos
    assert "not UTF-8" in str(search.problems[0])


def test_frames_are_ordered_by_number(tmp_path):
    names = ["10.png", "9.jpg", "f1_2.png", "f1_10.png", "f0_11.png", "008.jpg", ".0.jpg", "a.txt"]
    make(tmp_path, *names)
    assert [path.name for path in frame_files(tmp_path)] == [
        "008.jpg",
        "9.jpg",
        "10.png",
        "f0_11.png",
        "f1_2.png",
        "f1_10.png",
    ]


def test_listed_videos_are_named_below_the_folder_that_holds_them_all(tmp_path):
    make(tmp_path, "monday/case.mp4", "tuesday/case.mp4", "tuesday/stills/1.jpg", "notes.txt")
    first, second = tmp_path / "monday" / "case.mp4", tmp_path / "tuesday"
    common, found = find_given([first, second, second / "case.mp4"], skip=tmp_path / "out")
    assert common == tmp_path
    names = ["monday/case", "tuesday/case", "tuesday/stills"]
    assert [video.video for video in found.videos] == names
    climbing = second / ".." / "monday" / "case.mp4"
    assert find_given([climbing, first], skip=tmp_path)[1].videos[0].path == first
    common, found = find_given([second / "stills"], skip=tmp_path / "out")
    assert [(video.video, video.is_folder) for video in found.videos] == [("stills", True)]
    for wrong, said in (
        ("nothing.mp4", "no such file"),
        ("notes.txt", "is not a video; no moving"),
    ):
        with pytest.raises(UserError, match=f"{wrong}: {said}"):
            find_given([first, tmp_path / wrong], skip=tmp_path)


def test_a_listed_file_of_an_unprintable_name_is_named_and_the_others_are_found(tmp_path):
    """As in a folder that is searched."""
    make(tmp_path, "a.mp4", "new\nline.mp4")
    found = find_given([tmp_path / "new\nline.mp4", tmp_path / "a.mp4"], tmp_path / "out")[1]
    assert [video.video for video in found.videos] == ["a"]
    problem = f"{tmp_path}/new\\nline.mp4: its name cannot be printed; rename it"
    assert (
        list(map(str, found.problems))
        == list(map(str, find_videos(tmp_path, tmp_path / "out").problems))
        == [problem]
    )


def test_any_file_that_shows_moving_pictures_is_a_video_and_the_others_are_named(tmp_path):
    video = marked.write(tmp_path / "v.mp4", Pictures(count=5)).read_bytes()
    marked.write(tmp_path / "song.mka", sound=(Fraction(0), Fraction(1)))
    for name in ("a.recording", "b", "v.mp4"):
        (tmp_path / name).write_bytes(video)
    make(tmp_path, "notes.rtf", "labels.csv", "frames/0.jpg", ".hidden")
    (tmp_path / "still.heap").write_bytes(cv2.imencode(".png", np.zeros((8, 8, 3)))[1].tobytes())
    assert ids(tmp_path) == {"a.recording": "a", "b": "b", "v.mp4": "v", "frames": "frames"}
    [note] = find_videos(tmp_path, tmp_path / "out").notes
    assert note.text.endswith("passed over: labels.csv, notes.rtf, song.mka, still.heap")
    read = find_videos(tmp_path, tmp_path / "out", lambda path: path.name == "labels.csv")
    assert read.notes[0].text.endswith("passed over: notes.rtf, song.mka, still.heap")
    assert find_given([tmp_path / "a.recording"], tmp_path / "out")[1].videos[0].video == "a"
    for wrong in ("song.mka", "still.heap"):
        with pytest.raises(UserError, match="no moving pictures"):
            find_given([tmp_path / wrong], tmp_path / "out")


def test_a_suffix_in_vain_is_not_looked_at_for_ever(tmp_path, monkeypatch):
    make(tmp_path, "a.mp4", *(f"{number}.bin" for number in range(100)))
    looked_at = []
    monkeypatch.setattr(sources, "is_video", lambda path: looked_at.append(path.name))
    [note] = find_videos(tmp_path, tmp_path / "out").notes
    assert len(looked_at) == 20 and "and 92 more" in note.text


@pytest.mark.parametrize(
    ("names", "twice"),
    [
        (["000002.jpg", "000003.jpg", "3.png"], ("000003.jpg", "3.png")),
        (["f1_0.jpg", "f1_00.jpg"], ("f1_0.jpg", "f1_00.jpg")),
        (["a.jpg", "a.png"], ("a.jpg", "a.png")),
        (["1.jpg", "10.jpg", "f1.jpg", "1_0.jpg"], None),
    ],
)
def test_two_images_of_one_number_are_found(names, twice):
    found = same_number(map(Path, names))
    assert (found and tuple(path.name for path in found)) == twice


@pytest.mark.parametrize("name", ["a\nb", "a\x07b", "a\udcffb"])
def test_a_folder_whose_name_no_dataset_can_hold_is_a_problem(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((8, 8), np.uint8))
    (tmp_path / "0.png").rename(folder / "0.png")
    search = find_videos(tmp_path, tmp_path / "out")
    assert not search.videos and "rename it" in str(search.problems[0])
    assert "\n" not in str(search.problems[0])
    str(search.problems[0]).encode()
