"""Batches of masked clips of a dataset, the same ones on any machine.

A batch is a function of (seed, step) alone. What is random about a sample is drawn first, by an
endless grain graph that is indexed by the sample's position in the run; reading and decoding follow
that plan. So workers, threads, hosts and restarts have nothing to agree on, and no state of the
input is saved.
"""

import dataclasses
import functools
import math
import types
from collections.abc import Callable, Mapping, Sequence

import grain
import numpy as np

from surgvista_jax.data.batches.clips import ClipConfig, ClipIndex, clip_frame_ids
from surgvista_jax.data.batches.crop import (
    CENTRE_CROP,
    Crop,
    crop_and_resize,
    crop_box,
    multi_scale_crop,
)
from surgvista_jax.data.batches.loader import BatchLoader, LoaderConfig
from surgvista_jax.data.batches.masking import MASKS, MaskConfig, hidden_count
from surgvista_jax.data.batches.order import Order, order_of, seeds_of
from surgvista_jax.data.batches.share import Share
from surgvista_jax.data.batches.shared_memory import Batch
from surgvista_jax.data.batches.stretches import stretch_frames, stretches_of
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.storage.open import open_frames
from surgvista_jax.errors import UserError

_NO_WEIGHTS: Mapping[str, float] = types.MappingProxyType({})


def pretrain_batches(
    dataset: Dataset,
    clip: ClipConfig,
    mask: MaskConfig,
    loader: LoaderConfig,
    share: Share,
    *,
    grid: tuple[int, int, int],
    seed: int,
    weights: Mapping[str, float] = _NO_WEIGHTS,
) -> BatchLoader:
    """Returns the batches of a share of a run, to be closed.

    Batch `step` holds the samples step * batch_size, ... of an endless order in which each epoch
    visits every clip of the dataset once, shuffled anew; with weights, in the order of `Order`.
    With `clip.slide` above 1 a sample is a stretch of clips.

    Args:
        share: of the samples.
        grid: tokens of a clip along (t, h, w).
        weights: of each of `dataset.parts()`, as shares of the samples; empty: they are one.

    Returns:
        Dicts with b = len(share.rows): `video` uint8 [b, T, H, W, 3], `visible_ids` int32 [b, V],
        `hidden_ids` int32 [b, M] (with K masks a clip [b, K, V] and [b, K, M]), and for the host
        `index` int64 [b], the clip of the dataset, and `unreadable` bool [b, T], the frames that
        had to be replaced. With `clip.slide` above 1, of b stretches of S frames: `video`
        [b, S, H, W, 3], ids [b, slide, V] (with K masks a clip [b, slide, K, V]), `index` of each
        one's last clip, `unreadable` [b, S], and `weight` float32 [b, slide], by which the loss of
        each clip counts: 0 where a place is empty, else the same for all clips of the global batch,
        so that its mean over all places is 1.

    Raises:
        UserError: if the dataset has no frames, or settings do not fit it or one another.
    """
    reader = _ClipReader(dataset, clip, clip.num_frames // grid[0])
    order_seed, sample_seed = seeds_of(seed)
    order = order_of(dataset, reader.stretches, weights, order_seed)
    planner = _Planner(mask, grid, clip.slide)
    plans = grain.MapDataset.source(order).random_map(planner, seed=sample_seed)
    plans[0]  # grain sets up its counters at the first access, which is not safe in threads
    rows = tuple(map(int, share.rows))
    read = _RowReader(order, plans, reader, share.batch_size, rows)
    return BatchLoader(read, len(rows), share.start_step, share.num_steps, loader)


def fixed_clips(
    dataset: Dataset,
    clip: ClipConfig,
    mask: MaskConfig,
    *,
    grid: tuple[int, int, int],
    count: int,
    seed: int,
    video: str | None = None,
    last: int | None = None,
) -> Batch:
    """Returns a batch of clips for figures, in which nothing but the masks is random.

    The clips are spread evenly over all frames of the dataset, or of one `video`, though not so
    early in a video that frames repeat, or they are `count` times the one clip that ends at frame
    `last` of it. They show the centre, as large as it fits.

    Returns:
        The keys of `pretrain_batches` for single clips, with b = `count`.

    Raises:
        UserError: also if there is no such video or frame.
    """
    clip = dataclasses.replace(clip, slide=1)
    reader, planner = _ClipReader(dataset, clip, clip.num_frames // grid[0]), _Planner(mask, grid)
    lengths = [entry.num_frames for entry in dataset.videos]
    numbers: Sequence[int] = range(len(lengths))
    if video is not None:
        names = [entry.video for entry in dataset.videos]
        if video not in names:
            raise UserError(f"{dataset.folder}: no video {video!r}; the first is {names[0]!r}")
        numbers = [names.index(video)]
    if last is None:
        # The first frame of each video that ends a clip without repeats, or its last one.
        earliest = [
            max(min(clip.num_frames * clip.stride - clip.stride, n - 1), 0) for n in lengths
        ]
        late = ClipIndex([lengths[number] - earliest[number] for number in numbers])
        ends = [late[(2 * k + 1) * len(late) // (2 * count)] for k in range(count)]
        ends = [(numbers[which], earliest[numbers[which]] + frame) for which, frame in ends]
    elif video is not None and 0 <= last < lengths[numbers[0]]:
        ends = [(numbers[0], last)] * count
    else:
        known = f"{video} has frames 0 to {lengths[numbers[0]] - 1}" if video else "of which video?"
        raise UserError(f"{dataset.folder}: frame {last}: {known}")
    plans = []
    for place, (number, frame) in enumerate(ends):
        rng = np.random.default_rng([seed, place])
        plans.append(planner.plan(reader.clips.first(number) + frame, CENTRE_CROP, rng))
    return reader.read(plans)


def describe_clip(dataset: Dataset, index: int) -> tuple[str, int]:
    """Returns the video id and the last frame of a clip, as logs name it."""
    number, last = ClipIndex([video.num_frames for video in dataset.videos])[index]
    return dataset.videos[number].video, last


@dataclasses.dataclass(frozen=True, slots=True)
class _ClipPlan:
    """All that is random about one sample: which stretch, which crop, which masks."""

    index: int
    crop: Crop
    visible_ids: np.ndarray  # [V], with slide [slide, V], with several masks a clip [.., K, V]
    hidden_ids: np.ndarray  # [M], likewise


class _Planner:
    """Draws the plan of a sample."""

    def __init__(self, mask: MaskConfig, grid: tuple[int, int, int], slide: int = 1):
        self._mask = mask
        self._grid = grid
        self._slide = slide
        hidden_count(mask.kind, self._grid, mask.ratio)

    def __call__(self, index: int, rng: np.random.Generator) -> _ClipPlan:
        return self.plan(index, multi_scale_crop(rng), rng)

    def plan(self, index: int, crop: Crop, rng: np.random.Generator) -> _ClipPlan:
        draw = MASKS[self._mask.kind]
        shape = [count for count in (self._slide, self._mask.masks_per_clip) if count > 1]
        masks = [draw(rng, self._grid, self._mask.ratio) for _ in range(math.prod(shape))]
        visible_ids, hidden_ids = (
            np.stack(ids).reshape(*shape, -1) for ids in zip(*masks, strict=True)
        )
        return _ClipPlan(int(index), crop, visible_ids, hidden_ids)


class _ClipReader:
    """Decodes planned stretches; it is sent to every worker and so holds no labels."""

    def __init__(self, dataset: Dataset, clip: ClipConfig, tubelet: int):
        lengths = [video.num_frames for video in dataset.videos]
        self.clips = ClipIndex(lengths)
        if not len(self.clips):
            raise UserError(f"{dataset.folder}: no frames to make clips of in the videos chosen")
        self.stretches = stretches_of(lengths, clip, tubelet)
        self.slide = clip.slide
        self._frames = [open_frames(*place) for place in dataset.places()]
        self._clip = clip
        self._num_frames = stretch_frames(clip, tubelet)

    def read(self, plans: list[_ClipPlan], empty: Callable[..., np.ndarray] = np.empty) -> Batch:
        """Returns the batch of these samples, its `video` in an array from `empty`."""
        num_frames, size = self._num_frames, self._clip.size
        video = empty((len(plans), num_frames, size, size, 3), np.uint8)
        unreadable = np.zeros((len(plans), num_frames), bool)
        index = np.empty(len(plans), np.int64)
        for row, plan in enumerate(plans):
            number, last = self.stretches[plan.index]
            index[row] = self.clips.first(number) + last
            # Clamped at the start of its video, a stretch is still, frame by frame, its clips.
            frame_ids = clip_frame_ids(last, num_frames, self._clip.stride)
            fit = functools.partial(_crop_frame, plan.crop)
            _, unreadable[row] = self._frames[number].read(frame_ids, fit, out=video[row])
        return {
            "video": video,
            "visible_ids": np.stack([plan.visible_ids for plan in plans]),
            "hidden_ids": np.stack([plan.hidden_ids for plan in plans]),
            "index": index,
            "unreadable": unreadable,
        }

    def clips_of(self, index: int) -> np.ndarray:
        """Returns which places of a stretch hold a clip, bool [slide]."""
        return self.stretches.clip_ends(self.stretches[index][1]) >= 0


def _crop_frame(crop: Crop, target: np.ndarray, image: np.ndarray) -> None:
    """Writes the part of one frame that a crop shows into `target`."""
    crop_and_resize(image[None], crop_box(crop, *image.shape[:2]), out=target[None])


@dataclasses.dataclass(frozen=True)
class _RowReader:
    """Reads some of this process's rows of the global batch of a step."""

    order: Order
    plans: grain.MapDataset
    reader: _ClipReader
    batch_size: int
    rows: tuple[int, ...]

    def __call__(self, step: int, rows: slice, empty: Callable[..., np.ndarray]) -> Batch:
        first, chosen = int(step) * self.batch_size, self.rows[rows]
        batch = self.reader.read([self.plans[first + row] for row in chosen], empty)
        if self.reader.slide > 1:
            batch["weight"] = self._weights(first)[list(chosen)]
        return batch

    def _weights(self, first: int) -> np.ndarray:
        """Weights of the clips of a global batch, whichever rows of it are read here."""
        stretches = [self.order[first + row] for row in range(self.batch_size)]
        holds = np.stack([self.reader.clips_of(stretch) for stretch in stretches])
        return (holds / holds.mean()).astype(np.float32)
