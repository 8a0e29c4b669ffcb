"""Features of every frame of a dataset, or of video files, by a trained backbone, by video.

Each frame ends a clip, and the clip's pooled features are the frame's row. A video whose rows are
there already is not computed again, so that an interrupted run goes on.
"""

import dataclasses
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import Mesh
from tqdm import tqdm

from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.conversion.extract import ExtractConfig
from surgvista_jax.data.conversion.sources import SourceVideo
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.storage.feature_folder import FeatureFolder, create_features
from surgvista_jax.data.storage.features_header import FeaturesHeader
from surgvista_jax.inference.classifier import Backbone
from surgvista_jax.inference.computed import change_names, of_compute, of_data, of_encoder
from surgvista_jax.inference.every_clip import EveryClip
from surgvista_jax.inference.recordings import each_recording
from surgvista_jax.inference.remarks import Remarks
from surgvista_jax.training.partition import RULES
from surgvista_jax.training.processes import on_all_processes
from surgvista_jax.training.state import create_filled
from surgvista_jax.training.unreadable import USUAL_LIMIT, UnreadableLimit

# Videos whose rows are held in memory at a time, however long the dataset is.
_FRAMES_AT_ONCE = 20_000


@dataclasses.dataclass(frozen=True)
class TrainedBackbone:
    """A backbone with its parameters, and what of its tokens is a clip's features.

    Attributes:
        backbone: fitted to its clips.
        pool: "mean" or "class".
        params: NumPy trees, the parts of the backbone's parameters.
        digest: of the weights that they were read from.
        source: where these lay, `[NAME:]PATH[#KEY]`; "": not told.
    """

    backbone: Backbone
    pool: str
    params: Mapping[str, Any]
    digest: str
    source: str = ""

    def features(self, params: Mapping, video: jax.Array) -> jax.Array:
        """float32 [B, D] of uint8 video [B, T, H, W, 3]."""
        return self.backbone.features(params, video, self.pool)

    @property
    def in_words(self) -> str:
        """What computes them."""
        model, compute = self.backbone.model, self.backbone.compute
        # A folder that an earlier version began with other numbers is another's.
        changes = (*of_encoder("backbone", model.encoder), *of_compute(compute))
        name = f"{model.architecture}, {self.pool} of its tokens, {compute.dtype}"
        return ", ".join((name, *change_names(changes)))

    def header(self, dataset: Dataset, *how: str) -> FeaturesHeader:
        """What a folder of its features says of them; `how` frames were read, in words."""
        clip = self.backbone.clip
        return FeaturesHeader(
            dataset=dataset.name,
            fps=dataset.fps,
            model=", ".join((self.in_words, *change_names(of_data(dataset)), *how)),
            weights=self.digest,
            width=self.backbone.model.width,
            clip_frames=clip.num_frames,
            clip_stride=clip.stride,
            size=clip.size,
            source=self.source,
        )


def compute_features(
    trained: TrainedBackbone,
    dataset: Dataset,
    out: Path,
    *,
    mesh: Mesh,
    batch_size: int,
    loader: LoaderConfig,
    limit: UnreadableLimit = USUAL_LIMIT,
    overwrite: bool = False,
    header: FeaturesHeader | None = None,
) -> FeatureFolder:
    """Writes the rows of every video that the folder lacks; all processes call it.

    Args:
        trained: whose features.
        dataset: whose frames; labels do not matter.
        out: the features folder; what it holds already is kept.
        mesh: the devices, which must be able to share out the model.
        batch_size: clips at a time over all devices, which must be able to share them out.
        loader: how frames are read.
        limit: how many of them may be unreadable.
        overwrite: whether files in the way that hold no such features may be replaced.
        header: what the folder says of them, where `dataset` is a part of what it is of.

    Raises:
        UserError: the folder holds other features, or cannot be written; an id is no name of a
            file; a file in the way may not be replaced; too many frames cannot be read.
    """
    is_first, header = jax.process_index() == 0, header or trained.header(dataset)
    if is_first:
        folder = create_features(out, header, dataset.videos, overwrite)
    else:
        folder = FeatureFolder(out, header)
    # All compute a video's rows, or none: a process that computed alone would wait for the others.
    held = on_all_processes(np.array([folder.holds(video) for video in dataset.videos]))
    lacking = [video for video, kept in zip(dataset.videos, held, strict=True) if not kept]
    clip = trained.backbone.clip
    every_clip = EveryClip(trained.features, clip, loader, mesh, batch_size, limit)
    try:
        with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
            params = create_filled(
                lambda: trained.backbone.init(jax.random.key(0)), trained.params, mesh
            )
            bar = tqdm(
                total=len(lacking),
                unit="video",
                delay=10,
                disable=not is_first or not sys.stderr.isatty(),
            )
            for group in _groups(lacking):
                part = dataclasses.replace(dataset, videos=group)
                outputs = every_clip(params, part, unlabelled=True)
                if is_first:
                    for number, video in enumerate(group):
                        folder.write(video, outputs.values[outputs.video_index == number])
                bar.update(len(group))
            bar.close()
    except BaseException:
        if is_first:
            folder.withdraw()
        raise
    return folder


def features_of_files(
    trained: TrainedBackbone,
    head: Dataset,
    sources: Sequence[SourceVideo],
    config: ExtractConfig,
    *,
    mesh: Mesh,
    batch_size: int,
    remarks: Remarks,
    overwrite: bool = False,
) -> FeatureFolder:
    """Writes the rows of video files and folders of frames, which are decoded meanwhile.

    Rows that are there and younger than their video are kept, those of one that breaks off count
    as older. No frame is kept.

    Args:
        trained: whose features.
        head: a dataset without videos, for its name and rate; its folder is the features folder,
            and what that holds already is kept.
        sources: the videos; one that breaks off has the rows of what came before.
        config: rate and size of their frames.
        mesh, batch_size, overwrite: as for `compute_features`.
        remarks: where it is noted what is to be said of a video.

    Raises:
        UserError: as `compute_features`.
    """
    out, header = head.folder, header_of_files(trained, head, config)
    made = FeatureFolder(out, header)
    rows = {source.video: made.num_rows(source.video) for source in sources}
    videos = [Video(s.video, s.path.name, head.fps, rows[s.video] or 0) for s in sources]
    folder = create_features(out, header, videos, overwrite)
    lacking = [
        source
        for source, video in zip(sources, videos, strict=True)
        if rows[source.video] is None
        or folder.path(video).stat().st_mtime_ns < source.path.stat().st_mtime_ns
    ]
    clip = trained.backbone.clip
    every_clip = EveryClip(trained.features, clip, LoaderConfig(), mesh, batch_size)
    try:
        with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
            params = create_filled(
                lambda: trained.backbone.init(jax.random.key(0)), trained.params, mesh
            )
            recordings = each_recording(
                every_clip, params, lacking, config, remarks, title="features"
            )
            with closing(recordings):
                for moments in recordings:
                    folder.write(moments.video, moments.outputs.values)
                    if moments.damage:  # to be read and told again
                        os.utime(folder.path(moments.video), ns=(0, 0))
    finally:
        folder.withdraw()  # where nothing came of it
    return folder


def header_of_files(
    trained: TrainedBackbone, head: Dataset, config: ExtractConfig
) -> FeaturesHeader:
    """What `features_of_files` says of its features."""
    return trained.header(head, *_read_as(config))


def _read_as(config: ExtractConfig) -> Iterator[str]:
    """How frames are read that nobody kept, in words: what makes their features other ones."""
    yield "frames as they are decoded"
    usual = ExtractConfig(config.fps)
    for key, value in dataclasses.asdict(config).items():
        if value != getattr(usual, key):
            yield f"{key} {value}"


def _groups(videos: Sequence[Video]) -> Iterator[tuple[Video, ...]]:
    """The videos in their order, as many at a time as `_FRAMES_AT_ONCE` allows, at least one."""
    group: list[Video] = []
    frames = 0
    for video in videos:
        if group and frames + video.num_frames > _FRAMES_AT_ONCE:
            yield tuple(group)
            group, frames = [], 0
        group.append(video)
        frames += video.num_frames
    if group:
        yield tuple(group)
