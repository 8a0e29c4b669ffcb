"""The figure of what a student rebuilds of clips, in training and afterwards.

The figure of training and that of the command are made by the same three functions: clips that
no crop is drawn for (`figure_batch`), what the student says of them (`predict_pixels`, to be jitted
by whoever knows the mesh), and the page (`reconstruction_sheet.draw` with `make_caption`).
"""

import dataclasses
import functools
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from surgvista_jax.counted import counted
from surgvista_jax.data.batches.clips import clip_frame_ids
from surgvista_jax.data.batches.masked import describe_clip, fixed_clips
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.figures.denormalise import PLAIN
from surgvista_jax.figures.reconstruction_sheet import Caption, draw
from surgvista_jax.tasks.pretraining.task import Pretraining
from surgvista_jax.training.loop import Hook, Run
from surgvista_jax.training.partition import replicated
from surgvista_jax.training.state import TrainState


def figure_batch(
    dataset: Dataset,
    task: Pretraining,
    *,
    clips: int,
    seed: int,
    video: str | None = None,
    last: int | None = None,
) -> dict[str, np.ndarray]:
    """`batches.masked.fixed_clips` for a run, with one mask a clip whatever it was trained with."""
    mask = dataclasses.replace(task.config.mask, masks_per_clip=1)
    return fixed_clips(
        dataset,
        task.config.clip,
        mask,
        grid=task.grid,
        count=clips,
        seed=seed,
        video=video,
        last=last,
    )


def predict_pixels(task: Pretraining, params: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
    """What the student says of the hidden patches: float32 [B, M, P] normalised pixels. Pure."""
    return task.predict(params, batch)[1].pixels


def statistics_of(task: Pretraining, asked: Sequence[str]) -> Sequence[str]:
    """What undoes the normalisation of predictions: what is asked for, if there was any."""
    return (PLAIN,) if task.config.objective.pixels == "plain" else asked


def make_caption(
    dataset: Dataset, task: Pretraining, batch: Mapping[str, np.ndarray], step: int
) -> Caption:
    """Says which clips a batch of `figure_batch` shows, and to whom."""
    clip, mask = task.config.clip, task.config.mask
    names = [describe_clip(dataset, int(index)) for index in batch["index"]]
    return Caption(
        dataset=f"{' + '.join(name for name, _ in dataset.parts())} ({dataset.fps:g} fps)",
        step=step,
        mask=mask.kind,
        ratio=mask.ratio,
        videos=[video for video, _ in names],
        frame_ids=np.stack(
            [clip_frame_ids(last, clip.num_frames, clip.stride) for _, last in names]
        ),
    )


def figure_hook(task: Pretraining, dataset: Dataset, run: Run) -> Hook:
    """Draws what the student rebuilds of a few clips, always the same ones."""
    config, everywhere = task.config.figure, replicated(run.mesh)
    predict = jax.jit(functools.partial(predict_pixels, task), out_shardings=everywhere)

    def draw_figure(step: int, state: TrainState) -> None:
        batch = figure_batch(dataset, task, clips=config.clips, seed=task.config.seed)
        unreadable = batch["unreadable"]
        if unreadable.mean() > run.config.max_unreadable_share:
            if run.writer.active:
                tqdm.write(
                    f"WARNING: no figure of step {step}: {int(unreadable.sum())} of its"
                    f" {counted(unreadable.size, 'frame')} could not be read",
                    file=sys.stderr,
                )
            return
        keys = ("video", "visible_ids", "hidden_ids")
        arrays = jax.device_put({key: batch[key] for key in keys}, everywhere)
        predicted = np.asarray(predict(state.params, arrays))
        if run.writer.active:
            page = draw(
                batch,
                predicted,
                make_caption(dataset, task, batch, step),
                tubelet=task.config.model.tubelet,
                patch=task.config.model.patch,
                statistics=statistics_of(task, (config.denormalise,)),
            )
            run.writer.image(step, "reconstruction", page)

    return Hook(config.every, draw_figure, part="figure")
