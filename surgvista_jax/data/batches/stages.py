"""What `data bench` measures: clips a second of each stage alone, and of the floor.

Everything here runs on one core. The floor is OpenCV's decoding, cropping and resizing of the same
frames from memory, with nothing around it. Clips that slide over a stretch are measured together.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from surgvista_jax.data.batches.clips import ClipConfig, ClipIndex, clip_frame_ids
from surgvista_jax.data.batches.crop import (
    AugmentConfig,
    Crop,
    augment_clip,
    crop_box,
    multi_scale_crop,
)
from surgvista_jax.data.batches.masking import MASKS, MaskConfig
from surgvista_jax.data.batches.stretches import stretch_frames
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.process_tree import used_seconds
from surgvista_jax.data.storage.decode import EncodedFrames, Frames, decode_image
from surgvista_jax.data.storage.open import open_frames

TUBELET, PATCH = 2, 16
_MEASURED_CLIPS = 64


@dataclass(frozen=True)
class MeasuredClip:
    """A clip, or a stretch of them, that is measured: its frames, the distinct ones, a crop."""

    frames: Frames
    frame_ids: np.ndarray
    crop: Crop

    @property
    def distinct(self) -> list[int]:
        return list(dict.fromkeys(self.frame_ids.tolist()))


def token_grid(clip: ClipConfig) -> tuple[int, int, int]:
    """Tokens of a clip along (t, h, w)."""
    side = clip.size // PATCH
    return clip.num_frames // TUBELET, side, side


def draw_clips(dataset: Dataset, clip: ClipConfig, seed: int) -> list[MeasuredClip]:
    """Draws clips of the dataset, or stretches, with a crop each."""
    index = ClipIndex([video.num_frames for video in dataset.videos])
    rng = np.random.default_rng(seed)
    clips, places = [], dataset.places()
    num_frames = stretch_frames(clip, TUBELET)
    for _ in range(_MEASURED_CLIPS):
        number, last = index[int(rng.integers(len(index)))]
        frame_ids = clip_frame_ids(last, num_frames, clip.stride)
        clips.append(MeasuredClip(open_frames(*places[number]), frame_ids, multi_scale_crop(rng)))
    return clips


def stage_speeds(clips: list[MeasuredClip], config: ClipConfig) -> dict[str, float]:
    """Clips a second of each stage of pretraining; reading and decoding a video file are one."""
    times = dict.fromkeys(("read", "decode", "crop and resize", "masks"), 0.0)
    out = np.empty((config.size, config.size, 3), np.uint8)
    grid = token_grid(config)
    rng = np.random.default_rng(0)
    for clip in clips:
        start = time.perf_counter()
        stored = list(_stored(clip))
        read = time.perf_counter()
        images = list(_decoded(clip, stored))
        decoded = time.perf_counter()
        for image in images:
            _crop_and_resize(image, clip.crop, out)
        resized = time.perf_counter()
        for _ in range(config.slide):
            MASKS["tube"](rng, grid, MaskConfig().ratio)
        masked = time.perf_counter()
        for stage, began, ended in (
            ("read", start, read),
            ("decode", read, decoded),
            ("crop and resize", decoded, resized),
            ("masks", resized, masked),
        ):
            times[stage] += ended - began
    count = config.slide * len(clips)
    return {stage: count / spent for stage, spent in times.items() if spent}


def augmentation_speed(
    clips: list[MeasuredClip], config: ClipConfig, augment: AugmentConfig
) -> float:
    """Clips a second of what finetuning does to decoded frames: operations, crop, resize, flip."""
    out = np.empty((config.num_frames, config.size, config.size, 3), np.uint8)
    rng = np.random.default_rng(0)
    spent = 0.0
    for clip in clips:
        frames, _ = clip.frames.read(clip.frame_ids)
        start = time.perf_counter()
        augment_clip(rng, frames, augment, out)
        spent += time.perf_counter() - start
    return len(clips) / spent


def floor_speed(
    clips: list[MeasuredClip], config: ClipConfig, seconds: float
) -> tuple[float, float]:
    """Clips a second, and a second of processor time, of decoding, cropping and resizing alone."""
    stored = [list(_stored(clip)) for clip in clips]
    out = np.empty((config.size, config.size, 3), np.uint8)

    def run(count: int) -> None:
        for clip, data in zip(clips[:count], stored, strict=False):
            for image in _decoded(clip, data):
                _crop_and_resize(image, clip.crop, out)

    run(4)
    return repeated_speed(lambda: run(len(clips)), config.slide * len(clips), seconds)


def repeated_speed(run: Callable[[], object], count: int, seconds: float) -> tuple[float, float]:
    """Runs for `seconds`; `count` * runs a second, and the same a second of processor time."""
    start, used, runs = time.perf_counter(), used_seconds(), 0
    while True:
        run()
        runs += 1
        spent = time.perf_counter() - start
        if spent >= seconds:
            # The kernel counts processor time in hundredths of a second.
            return count * runs / spent, count * runs / max(used_seconds() - used, 0.01)


def _stored(clip: MeasuredClip) -> Iterator[bytes | None]:
    """The image files of a clip; none of a video file."""
    if isinstance(clip.frames, EncodedFrames):
        yield from clip.frames.encoded(clip.distinct)


def _decoded(clip: MeasuredClip, stored: list[bytes | None]) -> Iterator[np.ndarray]:
    """The readable images of a clip, from memory where they are image files."""
    images = map(decode_image, stored) if stored else clip.frames.images(clip.distinct)
    return (image for image in images if image is not None)


def _crop_and_resize(image: np.ndarray, crop: Crop, out: np.ndarray) -> None:
    box = crop_box(crop, *image.shape[:2])
    part = image[box.top : box.top + box.height, box.left : box.left + box.width]
    cv2.resize(part, out.shape[1::-1], dst=out, interpolation=cv2.INTER_LINEAR)
