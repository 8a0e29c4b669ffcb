"""Is a conversion with labels the same however it is stopped, and small however large it is?"""

import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

from surgvista_jax.data.conversion.convert import convert as convert_reading
from surgvista_jax.data.conversion.extract import ExtractConfig
from surgvista_jax.data.conversion.official import Reading, Recording
from surgvista_jax.data.conversion.sources import SourceVideo
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.labels.tables import read_frame_table
from surgvista_jax.data.storage.manifest import read_dataset, write_dataset
from tests.support import footage
from tests.support.convert_run import convert, write


def files(out: Path) -> dict[str, bytes]:
    """Every file of a dataset folder but the journal, whose order is that of finishing."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and ".convert" not in path.parts
    }


def test_a_killed_conversion_ends_with_the_same_files(tmp_path):
    source = tmp_path / "in"
    for k in range(1, 9):
        footage.write_video(source / "videos" / f"video{k:02d}.mp4", 400)
        lines = "".join(f"{f}\tPreparation\n" for f in range(350 + k))
        write(source / "phase_annotations" / f"video{k:02d}-phase.txt", "Frame\tPhase\n" + lines)
    _, notes = convert("cholec80", source, tmp_path / "whole")
    words = ["data", "convert", "cholec80", "--source", source, "--out", tmp_path / "out"]
    command = [sys.executable, "-m", "surgvista_jax", *map(str, words)]
    kills = 0
    for delay in (0.8, 1.2):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills
    # Whatever they were writing when they were killed; a folder that looks like it is a user's.
    for name in (".partial-abcd1234/.surgvista_partial", ".partial-mine/kept"):
        write(tmp_path / "out" / name, "")
    _, resumed_notes = convert("cholec80", source, tmp_path / "out")
    whole = {path: data.replace(b"/whole", b"") for path, data in files(tmp_path / "whole").items()}
    assert files(tmp_path / "out") == whole | {".partial-mine/kept": b""}
    assert resumed_notes.replace("/out", "/whole") == notes


def peak(tmp_path: Path, num_videos: int) -> int:
    """Bytes that a conversion of so many videos of 4,000 labels holds at most."""
    folder = tmp_path / "in"
    frames = footage.write_images(folder / "frames", [(8, 8)])
    lines = "".join(f"{f}\t{f % 7}\n" for f in range(4_000))
    path = write(folder / "labels.txt", lines)

    def track():
        return read_frame_table(path, 25, lambda text, where: int(text))

    recordings = [
        Recording(SourceVideo(f"frames/{k}", f"v{k:04d}", frames, True, 1), track)
        for k in range(num_videos)
    ]
    out = tmp_path / f"out{num_videos}"
    head = Dataset(out, "n", "phase", tuple("abcdefg"), "single", 1.0, {}, "", "", "", "made", ())
    tracemalloc.start()
    try:
        convert_reading(
            head, lambda named: Reading(recordings, {}), folder, ExtractConfig(), num_workers=1
        )
        highest = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(read_dataset(out).videos) == num_videos
    return highest


def test_labels_of_one_video_at_a_time_are_in_memory(tmp_path):
    few, many = peak(tmp_path, 2), peak(tmp_path, 8)
    assert many < 1.2 * few


def test_the_labels_of_a_dataset_are_written_one_video_at_a_time(tmp_path):
    def peak(num_videos: int) -> int:
        out = tmp_path / str(num_videos)
        head = Dataset(out, "n", "phase", ("a",), "single", 1.0, {}, "", "", "", "made", ())
        videos = (Video(f"v{k}", ".", 1.0, 30_000, tuple(range(30_000))) for k in range(num_videos))
        tracemalloc.start()
        try:
            write_dataset(head, videos)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(12) < 1.2 * peak(2)
