"""Pages of videos with what a student makes of them: what it rebuilds, its features as colours."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import jax
import numpy as np

from surgvista_jax.config import build
from surgvista_jax.data.batches.masked import describe_clip
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.figures.denormalise import assemble, denormalise
from surgvista_jax.figures.reconstruction_sheet import HIDDEN
from surgvista_jax.figures.token_maps import components
from surgvista_jax.image_files import jpeg
from surgvista_jax.inference.load import load
from surgvista_jax.models.patches import patchify
from surgvista_jax.ownership import in_folder
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.reconstruction import (
    figure_batch,
    predict_pixels,
    statistics_of,
)
from surgvista_jax.tasks.pretraining.task import make_pretraining
from surgvista_jax.training.checkpoint import restore_params
from surgvista_jax.training.rundir import read_config
from surgvista_jax.viewer.files import check_pages, write_pages
from surgvista_jax.viewer.lanes import Pictures
from surgvista_jax.viewer.operation import Operation, Said
from surgvista_jax.viewer.videos import film_of_video

MOST_VIDEOS, MOMENTS = 8, 32  # that pages show; clips of a video that the student is asked of
_AT_A_TIME = 8
_SIDE = 128  # pixels of a picture
_QUALITY = 85  # of JPEG

Lanes = Callable[[str], tuple[Pictures, ...]]  # of a video, by its id


def student_lanes(run: Path, step: int, dataset: Dataset) -> Lanes:
    """What shows a video through the eyes of a pretraining run's student, at even distances.

    Args:
        run: its folder.
        step: of the checkpoint that is asked.
        dataset: of the videos.

    Returns:
        A function that gives three lanes: what the student sees of a picture, what it rebuilds,
        and the three main components of its tokens as colours, the same ones for the whole video.
    """
    config = build(PretrainConfig, read_config(run).values)
    task = make_pretraining(dataclasses.replace(config, teacher=None))
    params = jax.device_put(restore_params(run, step))
    rebuild = jax.jit(lambda params, clips: predict_pixels(task, params, clips))
    model = load(str(run / "checkpoints" / str(step)), dtype="float32")
    tubelet, patch = config.model.tubelet, config.model.patch
    (statistics,) = statistics_of(task, (config.figure.denormalise,))

    def predicted(batch: Mapping[str, np.ndarray]) -> np.ndarray:
        keys = ("video", "visible_ids", "hidden_ids")
        parts = range(0, MOMENTS, _AT_A_TIME)
        each = ({key: batch[key][k : k + _AT_A_TIME] for key in keys} for k in parts)
        return np.concatenate([np.asarray(rebuild(params, clips)) for clips in each])

    def lanes(video: str) -> tuple[Pictures, ...]:
        batch = figure_batch(dataset, task, clips=MOMENTS, seed=config.seed, video=video)
        last = np.array([describe_clip(dataset, int(index))[1] for index in batch["index"]])
        _, first = np.unique(last, return_index=True)  # of short videos some are the same
        clips, hidden, visible = batch["video"], batch["hidden_ids"], batch["visible_ids"]
        patches = patchify(clips, tubelet, patch)

        def last_frames(pixels: np.ndarray | np.float32) -> np.ndarray:
            return assemble(pixels, patches, hidden, task.grid, tubelet, patch)[:, -1]

        said = denormalise(predicted(batch), patches, visible, hidden, task.grid, statistics)
        tokens = model.tokens(clips, batch_size=_AT_A_TIME)[:, model.class_tokens :]
        t, h, w = task.grid
        colours = components(tokens.reshape(-1, tokens.shape[-1]), (MOMENTS * t, h, w))
        rows = {
            f"What the student sees ({config.mask.ratio:.0%} hidden)": last_frames(HIDDEN),
            "What it rebuilds": last_frames(said),
            "Its features": (255 * colours[t - 1 :: t]).astype(np.uint8),
        }
        seconds = last[first] / dataset.fps
        return tuple(
            Pictures(
                title, seconds, tuple(_jpeg(images[k]) for k in first), note=_NOTES.get(title, "")
            )
            for title, images in rows.items()
        )

    return lanes


_NOTES = {
    "Its features": "three main components as red, green and blue: what is alike in colour is alike"
    " to the student, throughout this video"
}


def write_student_pages(
    run: Path, step: int, dataset: Dataset, out: Path, overwrite: bool = False
) -> Path:
    """Writes pages of a dataset's first videos, and the index of several; returns the one to open.

    Args:
        run, step: as for `student_lanes`.
        out: the folder that is written.
        overwrite: whether files in the way that were not written so may be replaced.

    Raises:
        UserError: the run or the videos cannot be read, a file cannot be written.
    """
    videos = dataset.videos[:MOST_VIDEOS]
    owned = in_folder(out, overwrite)
    check_pages(owned, [video.video for video in videos])
    lanes = student_lanes(run, step, dataset)
    entries = {video.video: video for video in videos}
    name = f"the student of {run}, step {step:,}"
    operations = [_unlabelled(video, dataset.fps, name, lanes(video.video)) for video in videos]
    return write_pages(
        owned,
        operations,
        lambda shown: film_of_video(dataset.folder, entries[shown.video], shown),
    )


def _unlabelled(video: Video, fps: float, name: str, lanes: tuple[Pictures, ...]) -> Operation:
    n = video.num_frames
    said = Said(name, np.full(n, -1, np.int16), None, np.zeros(n, bool))
    return Operation(video.video, "", fps, np.arange(n), (), said, lanes=lanes)


def _jpeg(image: np.ndarray) -> bytes:
    """A picture [H, W, 3], uint8 RGB, enlarged: of few pixels, such as one a token, in squares."""
    few = image.shape[0] < _SIDE // 4
    way = cv2.INTER_NEAREST if few else cv2.INTER_CUBIC
    large = cv2.resize(image, (_SIDE, _SIDE), interpolation=way)
    return jpeg(large, _QUALITY)
