"""Does a conversion lose nothing, however it stops and whatever is in its way?"""

import json
import os
import resource
import signal
import subprocess
import time

import pytest

from tests.support import footage
from tests.support.convert_command import COMMAND, convert, files, problems


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
    import fcntl

    source, out = tmp_path / "in", tmp_path / "out"
    footage.write_video(source / "v.avi", 10)
    assert convert(source, out) == 0
    capfd.readouterr()
    with open(out / ".convert" / "journal.jsonl") as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        assert convert(source, out) == 1
    assert "another conversion is writing" in problems(capfd)[0]


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
    assert 1 <= len(finished) < 6 and f"the {len(finished)} finished videos are kept" in line
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
