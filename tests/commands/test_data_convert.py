"""Does a folder of videos become a dataset, whatever is wrong with it and whenever it stops?"""

import io
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.data.storage.open import open_frames
from tests.support import footage
from tests.support import marked_videos as marked
from tests.support.marked_videos import Pictures
from tests.support.places import REALDATA

COMMAND = [sys.executable, "-m", "surgvista_jax", "data", "convert", "videos"]


def convert(source: Path, out: Path, *options, fps="5", workers="2") -> int:
    words = ["--source", source, "--out", out, "--fps", fps, "--workers", workers, *options]
    return main(["data", "convert", "videos", *map(str, words)])


def files(out: Path) -> dict[str, bytes]:
    """Every file of a dataset folder but the journal, whose order is that of finishing."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and ".convert" not in path.parts
    }


def problems(capfd) -> list[str]:
    """The lines on stderr without the progress bar, and without the one on clips and videos."""
    lines = capfd.readouterr().err.replace("\r", "\n").split("\n")
    others = "video/s|s/video|^note: .* clips of 16 x 4 at"
    return [line for line in lines if line.strip() and not re.search(others, line)]


@pytest.mark.parametrize("interrupted", [False, True])
def test_nothing_of_the_bar_stays_on_a_terminal(tmp_path, capfd, monkeypatch, interrupted):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def interrupt(*given):
        raise KeyboardInterrupt

    footage.write_video(tmp_path / "in" / "a.mp4", 5)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    if interrupted:
        monkeypatch.setattr("surgvista_jax.data.conversion.extract_all._take_in", interrupt)
    assert convert(tmp_path / "in", tmp_path / "out") == (130 if interrupted else 0)
    assert "video" in terminal.getvalue()
    for line in terminal.getvalue().split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :]
        assert "?video/s" not in shown and "%|" not in shown


def test_videos_and_frame_folders_become_a_dataset(tmp_path, capfd):
    source, out = tmp_path / "Videos für 手术", tmp_path / "out put"
    footage.write_video(source / "b case.mp4", 50)
    footage.write_video(source / "day 1" / "Löwe.AVI".lower(), 50)
    footage.write_images(source / "a frames", [(48, 32)] * 7)
    assert convert(source, out, "--json") == 0
    captured = capfd.readouterr()
    assert json.loads(captured.out) == {
        "dataset": str(out),
        "videos": 3,
        "frames": 27,
        "fps": 5.0,
        "extracted": 3,
        "problems": [],
        "notes": [],
    }
    dataset = read_dataset(out)
    assert [video.video for video in dataset.videos] == ["a frames", "b case", "day 1/löwe"]
    assert dataset.splits == {"train": ("a frames", "b case", "day 1/löwe")}
    assert (dataset.task, dataset.fps, dataset.source_format) == ("none", 5.0, "videos")
    assert dataset.name == source.name
    for video, every in zip(dataset.videos, [1, 5, 5], strict=True):
        assert video.source == f"frames/{video.video}"
        assert (out / video.source / "000000.jpg").is_file()
        frames, unreadable = open_frames(out, video).read(np.arange(video.num_frames))
        assert footage.numbers(frames) == [every * k for k in range(len(frames))]
        assert not unreadable.any()
    assert sorted(path.name for path in out.iterdir()) == [
        ".convert",
        "dataset.json",
        "frames",
        "videos.jsonl",
    ]


def test_every_problem_has_its_line_and_the_rest_is_written(tmp_path, capfd):
    source, out = tmp_path / "in", tmp_path / "out"
    footage.write_video(source / "good.mp4")
    footage.cut(footage.index_first(footage.write_video(source / "cut.mp4")), 0.75)
    footage.set_avi_length(footage.write_video(source / "liar.avi"), 500)
    footage.cut(footage.write_video(source / "no index.mp4"))
    footage.set_avi_rate(footage.write_video(source / "rate.avi"), 90_000, 1)
    (source / "text.mp4").write_text("no video, but text")
    (source / "empty.mov").touch()
    (source / "lost.mkv").symlink_to("nothing")
    footage.write_images(source / "sizes", [(32, 32), (40, 32)])
    footage.cut(footage.write_images(source / "broken", [(32, 32)] * 2) / "frame_1.png")
    assert convert(source, out) == 1
    lines = problems(capfd)
    expected = {
        "broken": "frame_1.png in it cannot be read",
        "cut.mp4": "its header promises 60 frames, ",
        "empty.mov": "the file is empty; was it copied whole?",
        "liar.avi": "its header promises 500 frames, 60 could be read and are kept",
        "lost.mkv": "the file is missing",
        "no index.mp4": "not a video that can be opened",
        "rate.avi": "a frame rate of 90000; give the true one by --source-fps",
        "sizes": "frames of different sizes: frame_1.png is 40x32, the first one 32x32",
        "text.mp4": "not a video that can be opened",
    }
    assert len(lines) == len(expected)
    for line, (name, text) in zip(lines, expected.items(), strict=True):
        assert line.startswith(f"{source / name}: ") and text in line
    dataset = read_dataset(out)
    assert {video.video: video.num_frames for video in dataset.videos}.keys() == {
        "cut",
        "good",
        "liar",
    }
    assert not (out / "frames" / "text").exists()

    # What was mended, and no more, is done by the next run; the problems that stay are told again.
    untouched = (out / "frames" / "good" / "000000.jpg").stat().st_mtime_ns
    for name in list(expected)[2:]:
        path = source / name
        if path.is_dir():
            footage.write_images(path, [(32, 32)] * 2)
        elif name != "liar.avi":
            path.unlink()
    footage.write_images(source / "broken", [(32, 32)] * 2)
    assert convert(source, out, "--json") == 1
    report = json.loads(capfd.readouterr().out)
    assert report["extracted"] == 2
    assert [Path(entry["file"]).name for entry in report["problems"]] == ["cut.mp4", "liar.avi"]
    assert (out / "frames" / "good" / "000000.jpg").stat().st_mtime_ns == untouched

    for name in ("cut.mp4", "liar.avi"):
        (source / name).unlink()
        footage.write_video(source / name, 59)
    assert convert(source, out, "--json") == 0
    report = json.loads(capfd.readouterr().out)
    assert (report["extracted"], report["videos"]) == (2, 5)
    assert {video.num_frames for video in read_dataset(out).videos} == {12, 2}


def test_a_replaced_video_leaves_no_frame_of_the_old_one(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    footage.write_images(source / "a", [(32, 32)] * 9)
    footage.write_images(source / "a" / "b", [(32, 32)] * 4)
    assert convert(source, out) == 0
    for path in list((source / "a").glob("*_[3-8].png")):
        path.unlink()
    assert convert(source, out) == 0
    assert len(list((out / "frames" / "a").glob("*.jpg"))) == 3
    assert len(list((out / "frames" / "a" / "b").glob("*.jpg"))) == 4
    assert [video.num_frames for video in read_dataset(out).videos] == [3, 4]


def test_a_slow_video_keeps_its_own_rate_and_is_noted(tmp_path, capfd):
    source, out = tmp_path / "in", tmp_path / "out"
    footage.write_video(source / "slow.avi", 10, fps=2)
    assert convert(source, out) == 0
    assert "has only 2 frames a second" in problems(capfd)[0]
    [video] = read_dataset(out).videos
    assert (video.fps, video.num_frames, read_dataset(out).fps) == (2.0, 10, 5.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fps", "0"], "--fps 0: must be a number above 0"),
        (["--fps", "-1"], "--fps -1: must be"),
        (["--fps", "nan"], "--fps nan: must be"),
        (["--source-fps", "0"], "--source-fps 0: must be"),
        (["--short-side", "0"], "--short-side 0: must be"),
        (["--workers", "0"], "--workers 0: must be"),
        (["--source", "{tmp}/nothing"], "{tmp}/nothing: no such folder"),
        (["--source", "{tmp}/empty"], "{tmp}/empty: no video and no folder of images in it"),
        (["--out", "{tmp}/in"], "{tmp}/in: is the folder of the videos"),
        (["--out", "{tmp}/in/v.avi"], "{tmp}/in/v.avi: is a file"),
        (["--out", "{tmp}/foreign"], "{tmp}/foreign: holds a dataset that this command has not"),
        (["--source", "{tmp}/texts"], "{tmp}/texts: none of its 1 videos can be read"),
    ],
)
def test_a_mistake_is_one_line_and_writes_no_dataset(tmp_path, capfd, options, message):
    source, out = tmp_path / "in", tmp_path / "out"
    footage.write_video(source / "v.avi", 5)
    for name in ("empty", "texts", "foreign"):
        (tmp_path / name).mkdir()
    (tmp_path / "texts" / "text.mp4").write_text("no video")
    (tmp_path / "foreign" / "dataset.json").write_text("{}")
    before = files(tmp_path)
    assert convert(source, out, *(option.format(tmp=tmp_path) for option in options)) == 1
    lines = problems(capfd)
    assert lines[-1].startswith("surgvista: " + message.format(tmp=tmp_path))
    assert len(lines) == (2 if "texts" in message else 1)
    assert files(tmp_path) == before


def test_other_settings_on_the_same_folder_are_refused(tmp_path, capfd):
    source, other, out = tmp_path / "in", tmp_path / "other", tmp_path / "out"
    footage.write_video(source / "v.avi", 10)
    footage.write_images(source / "f", [(32, 32)] * 4)
    footage.write_video(other / "v.avi", 10)
    assert convert(source, out) == 0
    before = files(out)
    capfd.readouterr()
    for arguments, options, message in [
        ((source, out), {"fps": "1"}, "fps was 5.0 and is 1.0"),
        ((source, out, "--short-side", "128"), {}, "short_side was 256 and is 128"),
        ((other, out), {}, f"source was '{source}' and is '{other}'"),
        ((source, out, "--source-fps", "10"), {}, "f: was extracted as a video of 5 fps"),
    ]:
        assert convert(*arguments, **options) == 1
        [line] = problems(capfd)
        assert message in line and "another --out" in line
        assert files(out) == before
    assert convert(source, out) == 0


def test_two_conversions_into_one_folder_are_refused(tmp_path, capfd):
    source, out = tmp_path / "in", tmp_path / "out"
    footage.write_video(source / "v.avi", 10)
    holds = (
        f"from surgvista_jax.locking import alone_in\nwith alone_in(Path({str(out)!r})): input()"
    )
    words = [sys.executable, "-c", f"from pathlib import Path\n{holds}"]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as other:
        while not (out / ".surgvista.lock").exists() or not (out / ".surgvista.lock").read_text():
            assert other.poll() is None
            time.sleep(0.002)
        assert convert(source, out) == 1
        other.communicate(b"\n")
    assert "another process is at work here" in problems(capfd)[0]


def test_a_killed_conversion_goes_on_to_the_same_files(tmp_path, capfd):
    source = tmp_path / "in"
    for index in range(12):
        footage.write_video(source / f"v{index}.avi", 200, size=(320, 256))
    assert convert(source, tmp_path / "whole", fps="25") == 0
    out = tmp_path / "killed"
    journal = out / ".convert" / "journal.jsonl"
    words = ["--source", source, "--out", out, "--fps", "25", "--workers", "2"]
    for finished in (2, 5):
        process = subprocess.Popen([*COMMAND, *map(str, words)], stderr=subprocess.DEVNULL)
        while not journal.exists() or journal.read_bytes().count(b"\n") < 1 + finished:
            assert process.poll() is None, "ended before it could be killed"
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (out / "dataset.json").exists()
    with open(journal, "a") as file:
        file.write('{"key": "v1')  # as if killed while writing a line
    kept = journal.read_bytes().count(b"\n") - 1
    assert 5 <= kept < 12
    capfd.readouterr()
    assert convert(source, out, "--json", fps="25") == 0
    assert json.loads(capfd.readouterr().out)["extracted"] == 12 - kept
    assert files(out) == files(tmp_path / "whole")
    assert sorted(os.listdir(out / ".convert")) == ["journal.jsonl", "written.jsonl"]
    assert convert(source, out, fps="25") == 0  # the torn line has not spoilt the journal


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 200 KiB, which holds 50 small files."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("a file system can be mounted by root only")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path, small_disk, capfd):
    source, out = tmp_path / "in", small_disk / "out"
    for index in range(6):
        footage.write_images(source / f"v{index}", [(256, 256)] * 12)
    assert convert(source, tmp_path / "whole") == 0
    capfd.readouterr()
    assert convert(source, out, workers="1") == 1
    [line] = problems(capfd)
    assert line.startswith(f"surgvista: {out}: No space left on device while writing video 'v")
    finished = sorted(path.name for path in (out / "frames").iterdir())
    assert 1 <= len(finished) < 6 and f"the {len(finished)} finished video" in line
    for name in finished:
        assert len(list((out / "frames" / name).iterdir())) == 12
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    assert convert(source, out, "--json") == 0
    assert json.loads(capfd.readouterr().out)["extracted"] == 6 - len(finished)
    assert files(out) == files(tmp_path / "whole")


def test_a_frame_that_cannot_be_written_is_one_line(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    footage.write_images(source / "v", [(256, 256)] * 2)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Larger than the journal, smaller than a frame. Set here, to be inherited: a function to be
    # called before exec would make Python fork, which JAX warns of.
    resource.setrlimit(resource.RLIMIT_FSIZE, (800, hard))
    try:
        run = subprocess.run(
            [*COMMAND, "--source", str(source), "--out", str(out)], capture_output=True, text=True
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert run.returncode == 1
    assert f"surgvista: {out}: File too large while writing video 'v'" in run.stderr
    assert "Traceback" not in run.stderr
    assert not list(out.rglob("*.jpg"))


def test_a_disk_full_at_the_end_keeps_all_frames(tmp_path, capfd, monkeypatch):
    def full(*unused):
        raise OSError(28, "No space left on device")

    source, out = tmp_path / "in", tmp_path / "out"
    footage.write_images(source / "v", [(32, 32)] * 2)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        assert convert(source, out) == 1
    line = problems(capfd)[0]
    assert line.startswith(f"surgvista: {out / 'videos.jsonl'}: cannot be written (No space left")
    assert "all frames are in place" in line
    assert convert(source, out, "--json") == 0
    assert json.loads(capfd.readouterr().out)["extracted"] == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_that_may_not_be_written_is_one_line(tmp_path, capfd):
    footage.write_video(tmp_path / "in" / "v.avi", 5)
    (tmp_path / "locked").mkdir(mode=0o500)
    assert convert(tmp_path / "in", tmp_path / "locked" / "out") == 1
    assert "cannot be written (Permission denied)" in problems(capfd)[0]


@pytest.mark.skipif(not REALDATA.is_dir(), reason="no real videos beside the checkout")
def test_real_clips(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    for index in (0, 125, 199):
        name = f"video01_{index:03d}.mp4"
        (source / name).symlink_to(REALDATA / "cholec80_video01" / "clips" / name)
    assert convert(source, tmp_path / "out") == 0
    dataset = read_dataset(tmp_path / "out")
    assert [video.num_frames for video in dataset.videos] == [25, 25, 25]
    frames, unreadable = open_frames(dataset.folder, dataset.videos[0]).read(np.arange(0, 25, 8))
    assert frames.shape == (4, 256, 256, 3) and not unreadable.any()
    assert frames.std() > 20


def test_how_video_files_are_read_is_a_setting_of_the_folder(tmp_path, capfd):
    source = tmp_path / "in"
    late = Pictures(start=Fraction(1), first=100)
    marked.write(source / "a.mp4", late, Pictures(size=(32, 32)), sound=(Fraction(0), Fraction(4)))
    options = ["--clock", "picture", "--stream", "1", "--deinterlace", "off"]
    for out, told, numbers in (("usual", [], [-1, 100, 125, 150]), ("told", options, [0, 25, 50])):
        assert convert(source, tmp_path / out, *told, fps="1") == 0
        (video,) = read_dataset(tmp_path / out).videos
        frames, _ = open_frames(tmp_path / out, video).read(np.arange(len(numbers)))
        assert [marked.number(frame) for frame in frames] == numbers
    assert convert(source, tmp_path / "told", *options, fps="1") == 0
    capfd.readouterr()
    assert convert(source, tmp_path / "told", fps="1") == 1
    assert "clock was 'picture' and is None" in capfd.readouterr().err
    assert convert(source, tmp_path / "told", "--stream", "-1") == 1
    assert "--stream -1: streams are numbered from 0" in capfd.readouterr().err


def test_frames_of_an_earlier_version_go_on_and_that_is_said(tmp_path, capfd):
    source, out = tmp_path / "in", tmp_path / "out"
    footage.write_video(source / "a.mp4", 50)
    assert convert(source, out) == 0
    journal = out / ".convert" / "journal.jsonl"
    settings, finished = map(json.loads, journal.read_text().splitlines())
    for key in ("frames_missing", "notes", "problems", "reader"):  # which it did not have
        del finished["extracted"][key]
    journal.write_text(json.dumps(settings) + "\n" + json.dumps(finished) + "\n")
    capfd.readouterr()
    assert convert(source, out) == 0
    [line] = problems(capfd)
    assert "1 video, such as a, extracted by an earlier version" in line
    assert read_dataset(out).videos[0].num_frames == 10


def test_what_is_the_same_of_many_videos_is_said_once_and_times_of_each(tmp_path, capfd):
    for name in "abcd":
        wide = Pictures("mpeg4", count=5, pixel_aspect=Fraction(2))
        marked.write(tmp_path / "wide" / f"{name}.mov", wide)
        hole = marked.with_hole(40, Fraction(25), 10 + ord(name) - ord("a"), Fraction(2))
        marked.write(tmp_path / "holes" / f"{name}.mov", Pictures(count=40, times=hole))
    assert convert(tmp_path / "wide", tmp_path / "out") == 0
    [line] = problems(capfd)
    assert line.startswith("4 videos, such as ") and "192x64" in line
    assert convert(tmp_path / "holes", tmp_path / "out 2") == 0
    assert sum("no pictures at" in line for line in problems(capfd)) == 4


def test_videos_shorter_than_the_published_clip_are_noted_and_who_takes_another(tmp_path, capfd):
    footage.write_images(tmp_path / "in" / "a", [(48, 32)] * 10)
    assert convert(tmp_path / "in", tmp_path / "out") == 0
    said = capfd.readouterr().err
    assert "WARNING" not in said
    assert (
        "note: configs/pretrain/own.py and configs/finetune/own.py choose a clip that fits" in said
    )
    assert "as published, clips of 16 x 4 at 5 fps span 12.2 s" in said


@pytest.mark.parametrize(
    "word",
    ["--fps=1e20", "--fps=1e-30", "--fps=inf", f"--short-side={10**17}", "--stream=99999"],
)
def test_numbers_that_no_video_has_are_one_line(word, tmp_path, capsys):
    assert main(["data", "convert", "videos", f"--source={tmp_path}", "--out=x", word]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"surgvista: {word.partition('=')[0]} ") and said.count("\n") == 1
