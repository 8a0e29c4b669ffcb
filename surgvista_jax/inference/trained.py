"""What trained models have in common, what their numbers mean; the classifier that weights hold."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from surgvista_jax.config import build
from surgvista_jax.counted import counted
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.made_splits import lacks_splits
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.errors import UserError
from surgvista_jax.inference.classifier import Backbone, Classifier
from surgvista_jax.models.backbones import VIT, BackboneConfig
from surgvista_jax.models.heads import HeadConfig
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.predictions.transitions import Transitions, from_json
from surgvista_jax.training.checkpoint_files import restore_params
from surgvista_jax.weights.choosing import GivenHeads
from surgvista_jax.weights.loading import digest_of, encoder_of, encoder_params, load
from surgvista_jax.weights.place import locate
from surgvista_jax.weights.provenance import facts
from surgvista_jax.weights.runs import Run, find_run

MADE_SPLITS = "made_splits"  # what a run says of splits that it made for want of a dataset's own
TRANSITIONS = "transitions"  # how classes follow one another in its training
CLIP = ("num_frames", "stride", "size")  # of a clip, what weights from elsewhere may be told


@dataclasses.dataclass(frozen=True)
class Meaning:
    """What a classifier was made to see and to say.

    Attributes:
        classes: names, C of them.
        label_kind: "single", or "multi" where several classes may hold at once.
        task: as in `dataset.json`.
        fps: frames a second of the videos that it was finetuned on.
        clip: what it sees.
    """

    classes: tuple[str, ...]
    label_kind: str
    task: str
    fps: float
    clip: ClipConfig

    def __str__(self) -> str:
        clip = self.clip
        apart = "spread over the video" if clip.sampling == "uniform" else f"{clip.stride} apart"
        return (
            f"{counted(len(self.classes), 'class', 'classes')}; clips of"
            f" {counted(clip.num_frames, 'frame')} of {clip.size} pixels,"
            f" {apart}, at {self.fps:g} fps"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trained(abc.ABC):
    """A model that says something of each moment of a video.

    Attributes:
        name: what predictions call it.
        params: NumPy trees, the parts of the parameters of `of_clip`.
        meaning: see there.
        dataset: the name of the one that it was finetuned on; "" where it is not known.
        made_splits: the splits of it that the run made, name -> ids; {} where it had its own.
        transitions: how classes follow one another in its training; None where it is not known.
    """

    name: str
    params: Mapping[str, Any]
    meaning: Meaning
    dataset: str = ""
    made_splits: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    transitions: Transitions | None = None

    @property
    def causal(self) -> bool:
        """Whether what is said of a moment sees nothing after it."""
        return self.meaning.clip.sampling == "past"

    @property
    def digest(self) -> str:
        """Of all weights that predict, SHA-256 in hex."""
        return digest_of(self.params)

    @property
    @abc.abstractmethod
    def backbone(self) -> Backbone:
        """What sees the clips."""

    @abc.abstractmethod
    def with_backbone(self, backbone: Backbone) -> "Trained":
        """The same weights, by which another way of seeing the clips computes."""

    @property
    def unrolled(self) -> "Trained":
        """The same model without a loop over its blocks: slower to compile, faster to run."""
        backbone = self.backbone
        compute = dataclasses.replace(backbone.compute, unroll=True)
        return self.with_backbone(dataclasses.replace(backbone, compute=compute))

    @property
    def without_params(self) -> "Trained":
        """What is known of the model, for whoever computes nothing by it."""
        return dataclasses.replace(self, params={})

    @abc.abstractmethod
    def init(self) -> dict:
        """Parameters in the form of `params`, boxed with their logical axes."""

    @abc.abstractmethod
    def of_clip(self, params: Mapping, video: jax.Array) -> jax.Array:
        """What is computed of clips alone, float32 [B, X] of uint8 video [B, T, H, W, 3]."""

    def split(self, dataset: Dataset, name: str) -> Dataset:
        """The videos of a split of a dataset: as the finetuning run made it, or the dataset's own.

        Raises:
            UserError: there is no split of that name.
        """
        ids = {video.video for video in dataset.videos}
        made = {split: tuple(videos) for split, videos in self.made_splits.items()}
        if made and lacks_splits(dataset) and self.dataset == dataset.name:
            if missing := sorted(set(made.get(name, ())) - ids):
                raise UserError(
                    f"{dataset.folder}: lacks {counted(len(missing), 'video')} of the split"
                    f" {name!r} that the"
                    f" finetuning run made, such as {missing[0]}"
                )
            return dataclasses.replace(dataset, splits=made).split(name)
        return dataset.split(name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedClassifier(Trained):
    """A finetuned model.

    Attributes:
        classifier: what is computed with its parameters.
    """

    classifier: Classifier

    @property
    def backbone(self) -> Backbone:
        return self.classifier.backbone

    def with_backbone(self, backbone: Backbone) -> "TrainedClassifier":
        classifier = dataclasses.replace(self.classifier, backbone=backbone)
        return dataclasses.replace(self, classifier=classifier)

    def init(self) -> dict:
        return self.classifier.init(jax.random.key(0))

    def of_clip(self, params: Mapping, video: jax.Array) -> jax.Array:
        """Probabilities."""
        return self.classifier.predict(params, video)


def load_classifier(
    spec: str,
    told: Mapping[str, Any],
    heads: GivenHeads = None,
    compute: ComputeConfig | None = None,
) -> TrainedClassifier:
    """Reads a finetuning run, an imported folder or a file of a finetuned model.

    Args:
        spec: `[NAME:]PATH[#KEY]`.
        told: values of `Meaning` and of its clip, for weights that do not say them: files from
            elsewhere know no names of classes.
        heads: as for `loading.load`.
        compute: how it will be computed; None for the default.

    Raises:
        UserError: there is no finetuned model; what was told differs from what the weights say.
    """
    compute = compute or ComputeConfig()
    place = locate(spec)
    path = place.path
    if path.is_dir() and (run := find_run(path)).kind == "finetuned":
        refuse_heads(spec, heads)
        return _of_run(run, path, told, compute)
    loaded = load(place, kinds=("classifier",), heads=heads)
    if not loaded.config.classes:
        raise UserError(f"{path}: a finetuned model without its head; finetune it first")
    model = BackboneConfig(VIT, encoder_of(loaded.config))
    known = find_run(path).about if path.is_dir() else facts(loaded.metadata)
    meaning = _meaning(path, model, loaded.config.classes, known, told)
    params = {**loaded.params, "backbone": encoder_params(loaded)}
    backbone, head = Backbone(model, meaning.clip, compute), HeadConfig(dropout=0.0)
    return _composed(path.name, backbone, head, params, meaning)


def refuse_heads(spec: str, heads: GivenHeads) -> None:
    """Raises UserError where heads are told of a run, which knows its own."""
    if heads:
        raise UserError(f"--heads: is of weights from elsewhere; {spec} is a run, which says them")


def check_told(path: Path, known: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    """Raises UserError where the user says something else than the weights know of themselves."""
    for key in known.keys() & told.keys():
        if told[key] != known[key]:
            raise UserError(f"{path}: its own {key} is {known[key]}, which cannot be replaced")


def _of_run(
    run: Run, path: Path, told: Mapping[str, Any], compute: ComputeConfig
) -> TrainedClassifier:
    about = run.about
    if not {"model", "head", "classes", "clip"} <= about.keys():
        raise UserError(f"{run.folder}: damaged, its meta does not say of what model it is")
    where = f"{run.folder}/meta"
    model = build(BackboneConfig, about["model"], f"{where}: model")
    head = build(HeadConfig, about["head"], f"{where}: head")
    params = restore_params(run.folder)
    meaning = _meaning(path, model, len(about["classes"]), about, told)
    backbone = Backbone(model, meaning.clip, compute)
    composed = _composed(str(path), backbone, head, params, meaning)
    return dataclasses.replace(
        composed,
        dataset=str(about.get("dataset", "")),
        made_splits=about.get(MADE_SPLITS, {}),
        transitions=transitions_in(about, where),
    )


def transitions_in(about: Mapping[str, Any], where: str) -> Transitions | None:
    """What a run counted on its training labels, by its meta; None where it did not."""
    counts = about.get(TRANSITIONS)
    if counts is None:
        return None
    source = f"{about.get('dataset', '')}, as trained on"
    return from_json(counts, len(about["classes"]), where, source)


def _composed(
    name: str, backbone: Backbone, head: HeadConfig, params: Mapping[str, Any], meaning: Meaning
) -> TrainedClassifier:
    """The parameters say what parts the head has."""
    components = params.get("components")
    classifier = Classifier(
        backbone,
        head,
        len(meaning.classes),
        meaning.label_kind,
        attentive="pool" in params,
        norm="norm" in params,
        num_components=0 if components is None else len(components["bias"]),
    )
    return TrainedClassifier(name=name, classifier=classifier, params=params, meaning=meaning)


def _meaning(
    path: Path, model: BackboneConfig, count: int, known: Mapping, told: Mapping[str, Any]
) -> Meaning:
    """What the weights know of themselves, then what the user tells, then what is usual."""
    fields = [field.name for field in dataclasses.fields(Meaning)]
    known = {key: known[key] for key in fields if key in known}
    # As finetuning takes them: as many tokens of an image model as of a video model.
    clip = ClipConfig(8, 8) if model.sees_single_frames else ClipConfig()
    if "clip" in known:
        clip = build(ClipConfig, known.pop("clip"), f"{path}: clip")
        known |= {key: getattr(clip, key) for key in CLIP}
    if "classes" in known:
        known["classes"] = tuple(known["classes"])
    check_told(path, known, told)
    usual = {
        "classes": tuple(map(str, range(count))),
        "label_kind": "single",
        "task": "phase",
        "fps": 1.0,
        **{key: getattr(clip, key) for key in CLIP},
    }
    values = {**usual, **told, **known}
    clip = dataclasses.replace(clip, **{key: values.pop(key) for key in CLIP})
    if len(values["classes"]) != count:
        raise UserError(
            f"{path}: has {counted(count, 'class', 'classes')}, named are {len(values['classes'])}"
        )
    try:
        model.grid(clip.num_frames, clip.size, clip.size)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    return Meaning(**values, clip=clip)
