"""No conversion removes or replaces a file that no conversion wrote, also through links."""

import json
import os
import shutil

import pytest

from surgvista_jax.data.conversion.extract import Extracted
from surgvista_jax.data.conversion.journal import Finished, Journal
from surgvista_jax.data.conversion.placing import FrameFolders, checksums, clear_partial
from surgvista_jax.data.conversion.state import ownership
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.ownership import Foreign
from tests.support import footage
from tests.support.convert_run import run


def tree(folder):
    """Every file and link below a folder."""
    found = {}
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = os.path.join(place, name)
            if os.path.islink(path):
                found[path] = os.readlink(path)
            elif os.path.isfile(path):
                with open(path, "rb") as file:
                    found[path] = file.read()
    return found


def convert(tmp_path, *words):
    return run(
        *("data", "convert", "videos", "--source", tmp_path / "in", "--out", tmp_path / "out"),
        *("--workers", 1, *words),
    )


def refused(tmp_path, *words):
    before = tree(tmp_path)
    code, _, said = convert(tmp_path, *words)
    assert code == 1 and said.count("\n") == 0, said
    assert tree(tmp_path) == before
    return said


def frames_of_others(folder):
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"{number:06d}.jpg").write_text(f"theirs {number}")
    return folder


def in_frames(out, elsewhere):
    frames_of_others(out / "frames" / "a")


def other_names(out, elsewhere):
    (out / "frames" / "a").mkdir(parents=True)
    (out / "frames" / "a" / "0001.png").write_text("theirs")


def linked_folder(out, elsewhere):
    frames_of_others(elsewhere)
    (out / "frames").mkdir(parents=True)
    (out / "frames" / "a").symlink_to(elsewhere)


def linked_frames(out, elsewhere):
    frames_of_others(elsewhere / "a")
    out.mkdir()
    (out / "frames").symlink_to(elsewhere)


def a_file(out, elsewhere):
    (out / "frames").mkdir(parents=True)
    (out / "frames" / "a").write_text("theirs")


def videos_jsonl(out, elsewhere):
    out.mkdir()
    (out / "videos.jsonl").write_text("theirs")


def linked_dataset(out, elsewhere):
    out.mkdir()
    elsewhere.write_text("theirs")
    (out / "videos.jsonl").symlink_to(elsewhere)


def dataset_json(out, elsewhere):
    out.mkdir()
    (out / "dataset.json").write_text("{}")


def a_journal(out, elsewhere):
    (out / ".convert").mkdir(parents=True)
    (out / ".convert" / "journal.jsonl").write_text("a diary")


CASES = {
    in_frames: ("frames/a/000000.jpg", True),
    other_names: ("frames/a/0001.png", True),
    linked_folder: ("frames/a: ", False),
    linked_frames: ("frames: ", False),
    a_file: ("frames/a: ", False),
    videos_jsonl: ("videos.jsonl: ", True),
    linked_dataset: ("videos.jsonl: ", True),
    dataset_json: ("out: holds a dataset", True),
    a_journal: ("journal.jsonl, line 1: ", False),
}


@pytest.mark.parametrize(("make", "said", "helps"), [(k, *v) for k, v in CASES.items()])
def test_what_is_in_the_way_is_named_and_stays(make, said, helps, tmp_path):
    footage.write_images(tmp_path / "in" / "a", [(32, 32)] * 2)
    make(tmp_path / "out", tmp_path / "elsewhere")
    line = refused(tmp_path)
    assert said in line and ("--overwrite" in line) == helps
    if not helps:
        refused(tmp_path, "--overwrite")


def test_what_is_to_be_overwritten_is_and_nothing_else(tmp_path):
    footage.write_images(tmp_path / "in" / "a", [(32, 32)] * 2)
    folder = frames_of_others(tmp_path / "out" / "frames" / "a")
    (folder / "notes.txt").write_text("theirs")
    (tmp_path / "out" / "frames" / "b").mkdir()
    (tmp_path / "out" / "frames" / "b" / "000000.jpg").write_text("of another video")
    videos_jsonl = tmp_path / "out" / "videos.jsonl"
    videos_jsonl.write_text("theirs")
    code, _, said = convert(tmp_path, "--overwrite")
    assert code == 0, said
    assert [video.num_frames for video in read_dataset(tmp_path / "out").videos] == [2]
    assert sorted(os.listdir(folder)) == ["000000.jpg", "000001.jpg", "000002.jpg", "notes.txt"]
    assert (folder / "000002.jpg").read_text() == "theirs 2"
    assert (folder / "000000.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert (folder.parent / "b" / "000000.jpg").read_text() == "of another video"

    # What it wrote it may replace, without being told, unless it was edited.
    (tmp_path / "in" / "a" / os.listdir(tmp_path / "in" / "a")[0]).unlink()
    (folder / "000001.jpg").rename(tmp_path / "kept")
    (folder / "000001.jpg").write_text("edited")
    assert "000001.jpg" in refused(tmp_path)
    (tmp_path / "kept").rename(folder / "000001.jpg")
    (folder / "000002.jpg").unlink()
    videos_jsonl.write_text(videos_jsonl.read_text() + "\n")
    assert "videos.jsonl" in refused(tmp_path)
    videos_jsonl.write_text(videos_jsonl.read_text()[:-1])
    code, _, said = convert(tmp_path)
    assert code == 0, said
    assert sorted(os.listdir(folder)) == ["000000.jpg", "notes.txt"]


@pytest.fixture
def folders(tmp_path):
    out = tmp_path / "out"
    return FrameFolders(ownership(out, False), {})


def partial(tmp_path, *contents):
    folder = tmp_path / "partial"
    folder.mkdir()
    for number, content in enumerate(contents):
        (folder / f"{number:06d}.jpg").write_text(content)
    return folder


def install(folders, tmp_path, *contents):
    folder = partial(tmp_path, *contents)
    folders.install(folder, "a", len(contents), checksums(folder, len(contents)))
    shutil.rmtree(folder, ignore_errors=True)


def held(folders):
    return [path.read_text() for path in sorted(folders.path("a").glob("*.jpg"))]


def again(folders):
    return FrameFolders(folders.owned, folders.finished)


def test_frames_that_a_kill_left_between_two_steps_are_ours(folders, tmp_path):
    install(folders, tmp_path, "1", "2", "3")  # and killed before the journal named them
    install(again(folders), tmp_path, "one", "two")
    assert held(folders) == ["one", "two"]
    # Killed while the frames of a video that was replaced were moved to their place.
    folder = partial(tmp_path, "I", "II", "III")
    for number in (1, 2):
        (folders.path("a") / f"00000{number}.jpg").unlink(missing_ok=True)
    line = {"frames": "a", "num_frames": 3, "checksums": checksums(folder, 3)}
    with open(folders.owned.record.path, "a") as file:
        file.write(json.dumps(line) + "\n")
    (folder / "000001.jpg").rename(folders.path("a") / "000001.jpg")
    shutil.rmtree(folder)
    install(again(folders), tmp_path, "x")
    assert held(folders) == ["x"]


def test_frames_of_an_earlier_version_are_those_that_its_journal_counts(tmp_path):
    out = tmp_path / "out"
    frames_of_others(out / "frames" / "a")
    with Journal(out / ".convert" / "journal.jsonl", {}) as journal:
        journal.append(Finished("a.mp4", "a", 9, Extracted(3, 1.0, 25.0, True, 75, 75)))
    for name in ("videos.jsonl", "dataset.json"):
        (out / name).write_text("{}")
    owned = ownership(out, False)
    owned.check([out / "videos.jsonl"])  # which is known from now on
    folders = FrameFolders(owned, journal.finished)
    install(folders, tmp_path, "new")
    assert held(folders) == ["new"]
    (folders.path("a") / "000001.jpg").write_text("theirs")
    with pytest.raises(Foreign, match="000001.jpg"):
        again(folders).check("a")


def test_links_in_place_of_frames_are_not_ours_and_what_they_lead_to_stays(folders, tmp_path):
    install(folders, tmp_path, "1", "2")
    theirs = tmp_path / "theirs.jpg"
    (folders.path("a") / "000001.jpg").rename(theirs)
    (folders.path("a") / "000001.jpg").symlink_to(theirs)
    with pytest.raises(Foreign, match="000001.jpg"):
        folders.check("a")
    moved = folders.path("a").rename(tmp_path / "moved")
    folders.path("a").symlink_to(moved)
    with pytest.raises(Foreign, match="a: .* a link, through which nothing is replaced"):
        folders.check("a")


def test_only_folders_of_unfinished_videos_are_cleared(tmp_path):
    state = tmp_path / "partial"
    for name in ("12.0", "mine", "7.x"):
        (state / name).mkdir(parents=True)
        (state / name / "000000.jpg").touch()
    (state / "3.1").symlink_to(state / "mine")
    clear_partial(state)
    assert sorted(os.listdir(state)) == ["3.1", "7.x", "mine"]
    (tmp_path / "link").symlink_to(state)
    (state / "12.0").mkdir()
    clear_partial(tmp_path / "link")
    assert (state / "12.0").is_dir()


@pytest.mark.parametrize("change", [{"num_frames": "2"}, {"checksums": None}, {"frames": ["a"]}])
def test_a_line_that_lacks_something_is_told_by_its_number(change, folders, tmp_path):
    install(folders, tmp_path, "1", "2")
    line = json.loads(folders.owned.record.path.read_text())
    folders.owned.record.path.write_text(f"{json.dumps(line | change)}\n{json.dumps(line)}\n")
    with pytest.raises(UserError, match=r"written.jsonl, line 1: 'frames' should come .*; delete"):
        again(folders)
