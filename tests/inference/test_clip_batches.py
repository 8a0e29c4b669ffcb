"""Are clips of videos that are decoded meanwhile those of frames that were kept?"""

import dataclasses
import weakref

import cv2
import numpy as np
import pytest

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.labelled import evaluation_batches
from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.conversion.extract import ExtractConfig, KeptFrames
from surgvista_jax.data.conversion.own_videos import given_dataset
from surgvista_jax.data.conversion.sources import SourceVideo
from surgvista_jax.data.conversion.streaming import Again, Job, Opened, events
from surgvista_jax.data.dataset import Video
from surgvista_jax.data.storage.video_stream import UnreadableVideo
from surgvista_jax.inference.clip_batches import ClipBatches, clip_reading
from tests.support.footage import write_video

CONFIG = ExtractConfig(fps=5.0, short_side=60)


class Given(list):
    """Events of videos, as `stream` gives them."""

    closed = False

    def close(self):
        self.closed = True


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two videos, and a dataset of the same frames, kept without loss."""
    folder = tmp_path_factory.mktemp("videos")
    lengths = {"a": 45, "b": 70}
    paths = [write_video(folder / f"{name}.mp4", n, size=(96, 80)) for name, n in lengths.items()]
    sources = [SourceVideo(path.name, path.stem, path, False, 0) for path in paths]
    entries = []
    for source in sources:
        kept = KeptFrames(source, CONFIG)
        (folder / "kept" / source.video).mkdir(parents=True)
        for number, image in enumerate(kept):
            data = cv2.imencode(".png", image)[1].tobytes()  # whatever the name says
            (folder / "kept" / source.video / f"{number:06d}.jpg").write_bytes(data)
        entries.append(Video(source.video, source.video, kept.fps, number + 1))
    dataset = given_dataset(folder, folder / "kept", CONFIG.fps)
    return sources, dataclasses.replace(dataset, videos=tuple(entries))


@pytest.mark.parametrize(
    "clip",
    [ClipConfig(4, 2, 32), ClipConfig(1, 1, 32), ClipConfig(4, 1, 32, sampling="uniform")],
    ids=str,
)
def test_clips_are_those_of_frames_kept_without_loss(videos, clip):
    sources, dataset = videos
    reading = clip_reading(CONFIG, clip)
    given = Given((n, e) for n, s in enumerate(sources) for e in events(Job(s, reading, 1)))
    found = list(ClipBatches(given, clip, 8))
    with evaluation_batches(
        dataset, clip, LoaderConfig(), batch_size=8, rows=np.arange(8), unlabelled=True
    ) as batches:
        wanted = list(batches)
    assert len(found) == len(wanted) == (1 if clip.sampling == "uniform" else 3)
    for mine, kept in zip(found, wanted, strict=True):
        for key in ("video", "video_index", "frame", "weight", "unreadable"):
            np.testing.assert_array_equal(mine[key], kept[key], key)
            assert mine[key].dtype == kept[key].dtype


def test_what_was_read_of_a_video_is_known_when_a_later_one_begins():
    frame = np.zeros((2, 2, 3), np.uint8)
    broken = UnreadableVideo("gone")
    given = Given([(0, Opened(1.0)), (0, frame), (0, Again()), (0, broken), (1, broken)])
    given += [(2, Opened(0.5)), (3, Opened(1.0)), *[(3, frame)] * 4]
    batches = ClipBatches(given, ClipConfig(2, 1, 2), 3)
    first = next(batches)
    assert first["video_index"].tolist() == [0, 0, 3] and first["frame"].tolist() == [0, 1, 0]
    read = batches.read
    assert (read[0].num_frames, read[0].end, read[1].fps) == (2, broken, None)
    assert (read[2].fps, read[2].end) == (0.5, None)
    last = next(batches)
    assert last["weight"].tolist() == [1, 1, 1] and next(batches, None) is None
    batches.close()
    assert given.closed


def test_frames_are_forgotten_when_no_clip_looks_back_at_them():
    """However long a video is, so many live at a time: those of a clip, and the newest."""
    alive = []

    def frames():
        yield 0, Opened(1.0)
        for number in range(100):
            frame = np.full((2, 2, 3), number, np.uint8)
            alive.append(weakref.ref(frame))
            yield 0, frame
            del frame
            assert sum(ref() is not None for ref in alive) <= 2 * 3 + 1 + 1

    for batch in ClipBatches(frames(), ClipConfig(4, 2, 2), 8):
        rows = batch["weight"] > 0
        np.testing.assert_array_equal(batch["video"][rows, -1, 0, 0, 0], batch["frame"][rows])
