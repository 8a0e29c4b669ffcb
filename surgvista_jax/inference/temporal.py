"""A trained MS-TCN, and the backbone whose features it was trained on."""

import dataclasses
import functools
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from surgvista_jax.config import build
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.storage.features_header import FeaturesHeader
from surgvista_jax.errors import UserError
from surgvista_jax.inference.classifier import Backbone
from surgvista_jax.inference.computed import VIDEO_FILES
from surgvista_jax.inference.features import TrainedBackbone
from surgvista_jax.inference.frame_probabilities import FrameProbabilities
from surgvista_jax.inference.starting_point import StartingPoint, fit_to_clips, read_backbone
from surgvista_jax.inference.trained import (
    MADE_SPLITS,
    Meaning,
    Trained,
    check_told,
    load_classifier,
    refuse_heads,
    transitions_in,
)
from surgvista_jax.models.heads import POOLS
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.models.mstcn import MsTcnConfig
from surgvista_jax.training.checkpoint_files import restore_params
from surgvista_jax.weights.adapt import AdaptConfig
from surgvista_jax.weights.choosing import GivenHeads
from surgvista_jax.weights.loading import digest_of
from surgvista_jax.weights.place import locate
from surgvista_jax.weights.runs import Run, find_run

BACKBONE = "backbone"  # where the weights of the features lay, as the run says
_PAD_TO = 512  # of runs that do not say it


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedTemporal(Trained):
    """An MS-TCN, and what computes its features where they are not given.

    Attributes:
        model: its sizes.
        own_params: NumPy tree of the MS-TCN; `params` are the backbone's.
        header: what its features are.
        features: the backbone; None where features are given.
        pad_to: lengths are rounded up to its multiples, as in training.
    """

    model: MsTcnConfig
    own_params: Mapping[str, Any]
    header: FeaturesHeader
    features: TrainedBackbone | None
    pad_to: int

    @property
    def causal(self) -> bool:
        return self.model.causal

    @property
    def digest(self) -> str:
        """Of its own weights, and of those of its features' backbone."""
        return f"{digest_of(self.own_params)} {self.header.weights}"

    @property
    def backbone(self) -> Backbone:
        return self._features.backbone

    def with_backbone(self, backbone: Backbone) -> "TrainedTemporal":
        features = dataclasses.replace(self._features, backbone=backbone)
        return dataclasses.replace(self, features=features)

    @property
    def without_params(self) -> "TrainedTemporal":
        return dataclasses.replace(self, params={}, own_params={}, features=None)

    def init(self) -> dict:
        return self._features.backbone.init(jax.random.key(0))

    def of_clip(self, params: Mapping, video: jax.Array) -> jax.Array:
        """Features."""
        return self._features.features(params, video)

    @property
    def _features(self) -> TrainedBackbone:
        assert self.features is not None  # whoever has features asks for none
        return self.features

    def of_video(self, features: np.ndarray) -> np.ndarray:
        """Probabilities float32 [L, C] of the features [L, F] of all frames of a video."""
        return self._probabilities(self.own_params, features)

    @functools.cached_property
    def _probabilities(self) -> FrameProbabilities:
        return FrameProbabilities(self.model, len(self.meaning.classes), self.pad_to)

    def check_features(self, header: FeaturesHeader, where: Path) -> None:
        """Raises UserError for features of another backbone, clip or rate than it was trained on.

        Args:
            header: what they are, of whatever dataset.
            where: they lie.
        """
        header = dataclasses.replace(header, dataset=self.header.dataset)
        if differing := self.header.differences(header):
            raise UserError(
                f"{where}: other features than {self.name} was trained on: {'; '.join(differing)}"
            )


def load_temporal(
    spec: str,
    told: Mapping[str, Any],
    *,
    backbone: str | None = None,
    computes: bool = True,
) -> TrainedTemporal | None:
    """Reads a temporal run and, if it has to compute features, its backbone.

    Args:
        spec: the folder of a run; of anything else, None is returned.
        told: values of `Meaning`, which must be the run's.
        backbone: where its weights lie now, `[NAME:]PATH[#KEY]`; None: where they lay in training.
        computes: whether features will be computed.

    Raises:
        UserError: the run is damaged; the backbone is not found, or is another one.
    """
    place = locate(spec)
    if not place.path.is_dir() or (run := find_run(place.path, temporal=True)).kind != "temporal":
        return None
    about, where = run.about, f"{run.folder}/meta"
    if not {"model", "classes", "features", "fps"} <= about.keys():
        raise UserError(f"{run.folder}: damaged, its meta does not say of what model it is")
    model = build(MsTcnConfig, about["model"], f"{where}: model")
    header = build(FeaturesHeader, about["features"], f"{where}: features")
    clip = ClipConfig(header.clip_frames, header.clip_stride, header.size)
    known = {
        "classes": tuple(about["classes"]),
        "label_kind": about["label_kind"],
        "task": about["task"],
        "fps": about["fps"],
    }
    check_told(place.path, {**known, **dataclasses.asdict(clip)}, told)
    features = _backbone_of(run, header, clip, backbone, spec) if computes else None
    return TrainedTemporal(
        name=str(place.path),
        params={} if features is None else features.params,
        meaning=Meaning(**known, clip=clip),
        dataset=str(about.get("dataset", "")),
        made_splits=about.get(MADE_SPLITS, {}),
        transitions=transitions_in(about, where),
        model=model,
        own_params=restore_params(run.folder),
        header=header,
        features=features,
        pad_to=int(run.config.get("pad_to", _PAD_TO)),
    )


def _backbone_of(
    run: Run, header: FeaturesHeader, clip: ClipConfig, said: str | None, spec: str
) -> TrainedBackbone:
    """The backbone by which the features were computed."""
    source = said or str(run.about.get(BACKBONE, ""))
    if not source:
        raise UserError(
            f"{spec}: is an MS-TCN over features of {header.model}, and does not say where the"
            f" weights lie (SHA-256 {header.weights[:16]}…): say --backbone=WEIGHTS, or"
            " --features=FOLDER"
        )
    try:
        model, variables, origin, _ = read_backbone(source, None)
    except UserError as error:
        if said:
            raise
        raise UserError(
            f"{error}; there lay the backbone of {spec}: say where it lies, --backbone=WEIGHTS"
        ) from None
    if origin != header.weights:
        raise UserError(
            f"--backbone={source}: other weights (SHA-256 {origin[:16]}…) than those of the"
            f" features that {spec} was trained on ({header.weights[:16]}…)"
        )
    assert variables is not None  # they were read
    # In words alone the header says what was pooled and computed in.
    wanted = header.model.removesuffix(f", {VIDEO_FILES}")
    for pool, dtype in itertools.product(POOLS, ("bfloat16", "float32")):
        if pool == "class" and not model.class_token:
            continue
        start = fit_to_clips(
            StartingPoint(model, clip, variables, origin),
            AdaptConfig(),
            pool=pool,
            keep_norm=True,
        )
        assert start.variables is not None
        backbone = Backbone(start.model, clip, ComputeConfig(dtype=dtype))
        trained = TrainedBackbone(backbone, pool, start.variables, origin, source)
        if trained.in_words == wanted:
            return trained
    raise UserError(
        f"{spec}: was trained on features of {header.model}, which this version of surgvista_jax"
        " does not compute; compute them again by `surgvista features`, and train it on these"
    )


def load_trained(
    spec: str,
    told: Mapping[str, Any] | None = None,
    heads: GivenHeads = None,
    compute: ComputeConfig | None = None,
    *,
    backbone: str | None = None,
    computes: bool = True,
) -> Trained:
    """Reads whatever predicts: a temporal run, or as `load_classifier` a classifier.

    Args:
        spec, told, heads, compute: as for `load_classifier`.
        backbone, computes: as for `load_temporal`.

    Raises:
        UserError: as both; a classifier has no backbone and no features of its own.
    """
    told = told or {}
    temporal = load_temporal(spec, told, backbone=backbone, computes=computes)
    if temporal is not None:
        refuse_heads(spec, heads)
        return temporal
    if backbone is not None or not computes:
        option = "features" if backbone is None else "backbone"
        raise UserError(f"--{option}: is of an MS-TCN; {spec} sees the pictures itself")
    return load_classifier(spec, told, heads, compute)
