"""What a function says of every frame of videos that are decoded meanwhile, video after video."""

import operator
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from surgvista_jax.counted import counted
from surgvista_jax.data.conversion.extract import ExtractConfig, Extracted
from surgvista_jax.data.conversion.remarks import remarks_on
from surgvista_jax.data.conversion.sources import Remark, SourceVideo
from surgvista_jax.data.dataset import Video
from surgvista_jax.inference.clip_batches import Read, open_batches
from surgvista_jax.inference.every_clip import EveryClip, Outputs, joined
from surgvista_jax.inference.remarks import Remarks


class Moments(NamedTuple):
    """One finished video, or what came of it before it breaks off.

    Attributes:
        video: its entry in a manifest: id, source, rate and number of frames.
        folder: what its source is relative to.
        outputs: a row for each moment, what was said of it in `values`.
        damage: what of it could not be read, in words.
    """

    video: Video
    folder: Path
    outputs: Outputs
    damage: tuple[str, ...] = ()


def each_recording(
    every_clip: EveryClip,
    variables: Any,
    sources: Sequence[SourceVideo],
    config: ExtractConfig,
    remarks: Remarks,
    *,
    threads: int | None = None,
    title: str = "",
) -> Generator[Moments, None, None]:
    """Yields videos in their order, as soon as each is finished; of each every frame ends a clip.

    A video that breaks off gives what came before. No frame is kept. Call it on the mesh that is
    set.

    Args:
        every_clip: the function, its clips and how many at a time.
        variables: global arrays.
        sources: video files and folders of frames.
        config: rate and size of their frames; a video that has fewer a second is left out.
        remarks: where it is noted what is to be said of a video, before it is yielded.
        threads: that decode; None: as many as there are cores.
        title: of the progress bar.
    """
    clip, size = every_clip.clip, every_clip.batch_size
    batches, noted = open_batches(sources, config, clip, size, threads), 0
    for number, outputs in by_video(every_clip.over(variables, batches, title=title)):
        source, read = sources[number], batches.read[number]
        assert read.fps is not None
        for earlier in range(noted, number):
            _note(sources[earlier], batches.read[earlier], config.fps, remarks)
        damage, noted = _note(source, read, config.fps, remarks), number + 1
        video = Video(source.video, source.path.name, read.fps, read.num_frames)
        yield Moments(video, source.path.parent, outputs, damage)
    for number in range(noted, len(sources)):
        _note(sources[number], batches.read[number], config.fps, remarks)


def _note(source: SourceVideo, read: Read, fps: float, remarks: Remarks) -> tuple[str, ...]:
    """Notes what is to be said of a video; returns what of it could not be read."""
    end, notes = read.end, list[Remark]()
    if isinstance(end, Extracted):
        problems, notes = remarks_on(source, end, fps)
    elif end is not None:
        kept = (
            f"; what came before, {counted(read.num_frames, 'frame')}, is kept"
            if read.num_frames
            else ""
        )
        problems = [Remark(str(source.path), f"{end}{kept}")]
    else:
        problems = [] if read.fps is None else [other_rate(source.video, read.fps, fps)]
    remarks.add(problems, notes)
    return tuple(problem.text for problem in problems)


def other_rate(video: str, fps: float, trained: float) -> Remark:
    """Why a video is left out whose clips would span another time than those of training."""
    text = f"{fps:g} frames a second, where the model was trained on {trained:g}"
    return Remark(video, f"left out: has {text}")


def by_video(parts: Iterator[Outputs]) -> Iterator[tuple[int, Outputs]]:
    """Cuts batches, whose rows come video after video, into the number and the rows of each."""
    own: list[Outputs] = []
    for part in parts:
        borders = [0, *(np.flatnonzero(np.diff(part.video_index)) + 1).tolist(), len(part.frame)]
        for rows in map(slice, borders, borders[1:]):
            piece: Outputs = jax.tree.map(operator.itemgetter(rows), part)
            if own and own[0].video_index[0] != piece.video_index[0]:
                yield int(own[0].video_index[0]), joined(own)
                own = []
            own.append(piece)
    if own:
        yield int(own[0].video_index[0]), joined(own)
