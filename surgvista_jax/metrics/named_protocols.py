"""The named protocols, and what each of them decides."""

import math
from typing import Any

from surgvista_jax.errors import UserError
from surgvista_jax.facts import instruments, splits
from surgvista_jax.facts.phases import AUTOLAPARO, CHOLEC80, M2CAI16
from surgvista_jax.metrics.protocols import (
    CriteriaChoices,
    PhaseChoices,
    PresenceChoices,
    Protocol,
    Relaxed,
    SingleChoices,
    Split,
    TripletChoices,
)
from surgvista_jax.metrics.published import PUBLISHED

_CHOLEC80_SPLITS = (
    Split.of("Cholec80 41-80, the usual 40", splits.CHOLEC80["test"]),
    Split.of(
        "Cholec80 41-80 without 73 and 77-80, SurgVISTA's 35", splits.CHOLEC80["authors/test"]
    ),
    Split.of("Cholec80 49-80, the 32 of the 40/8/32 division", splits.CHOLEC80_LAST_32),
)
_M2CAI16_SPLITS = (
    Split.of("M2CAI16 28-41, the 14 test videos renumbered after training", splits.M2CAI16["test"]),
)
_AUTOLAPARO_SPLITS = (Split.of("AutoLaparo 15-21", splits.AUTOLAPARO["test"]),)
_RDV_SPLIT = Split.of("CholecT50 as divided by RDV, 10 videos", splits.CHOLECT50["rdv/test"])
_CHALLENGE_SPLIT = Split.of(
    "CholecT50 as divided by the challenge, 5 videos", splits.CHOLECT50["test"]
)

_BY_NUMBER = "Test videos are recognised by the last number in their name. "
_PER_VIDEO = (
    "One frame a second. Accuracy is the mean over videos. Precision, recall, Jaccard and F1 of "
    "each phase are averaged over the videos whose ground truth holds the phase, then over phases; "
    "the precision of a phase that a video holds but the model never predicts is undefined there "
    "and left out. "
)
_RELAXED = (
    "Around each boundary of the ground truth 10 seconds are forgiven for neighbouring phases (and "
    "for some jumps over one phase); precision, recall and Jaccard above 100 % are set to 100 % in "
    "each video and phase before averaging. "
)
_PUBLISHED = (
    "The published script's indexing is kept: forgiveness meant for the last 10 s of a phase is "
    "applied to its first 10 s. Copies of the script differ in how far ahead the last two phases "
    "may run; with legal labels this changes nothing. "
)
_INTENDED = (
    "The published script's indexing is corrected: early transitions are forgiven in the last 10 s "
    "of a phase, where the script marks its first 10 s by mistake. Scores come out higher than the "
    "official ones. "
)
_STRICT = "Nothing is forgiven around boundaries. "
_PHASE_PRIMARY = ("accuracy", "precision", "recall", "jaccard")


# An operation at 25 frames a second that is taken for 1 a second lasts ten hours and more, the
# other way round a minute or two.
_OPERATION: dict[str, Any] = {"shortest_seconds": 120.0, "longest_seconds": 6 * 3600.0}
_ANY: dict[str, Any] = {"fps": None, "shortest_seconds": 0.0, "longest_seconds": math.inf}


def _phase(
    name: str, text: str, classes: tuple = (), relaxed: Relaxed | None = None, **more: Any
) -> Protocol:
    arguments: dict[str, Any] = {"primary": _PHASE_PRIMARY, "fps": 1.0} | _OPERATION | more
    return Protocol(
        name=name,
        version=1,
        task="phase",
        choices=PhaseChoices(absent=arguments.pop("absent", "gt_only"), relaxed=relaxed),
        classes=classes,
        text=text,
        **arguments,
    )


def _phase_family(
    dataset: str, classes: tuple[str, ...], splits: tuple[Split, ...]
) -> tuple[Protocol, ...]:
    about = _PER_VIDEO + _BY_NUMBER
    return (
        _phase(
            f"{dataset}-relaxed-official",
            _RELAXED + _PUBLISHED + about,
            classes,
            Relaxed(dataset, "published"),
            splits=splits,
        ),
        _phase(
            f"{dataset}-relaxed-corrected",
            _RELAXED + _INTENDED + about,
            classes,
            Relaxed(dataset, "intended"),
            splits=splits,
        ),
        _phase(f"{dataset}-strict", _STRICT + about, classes, splits=splits),
    )


_TRIPLET = (
    "Scores of a component are the maximum over the triplets that share it. Average precision per "
    "class and video; a class is left out of the videos that lack it; mean over videos, then over "
    "classes. "
)
_TRIPLET_PRIMARY = ("ap_ivt", "ap_i", "ap_v", "ap_t", "ap_iv", "ap_it")


def _triplet(name: str, table: str, null_classes: str, text: str, splits: tuple = ()) -> Protocol:
    return Protocol(
        name=name,
        version=1,
        task="triplet",
        choices=TripletChoices(table, "drop", null_classes),
        primary=_TRIPLET_PRIMARY,
        text=_TRIPLET + text,
        splits=splits,
    )


_SINGLE_PRIMARY = ("accuracy", "mean_ap", "f1", "balanced_accuracy")
_CRITERIA_PRIMARY = ("mean_ap", "mean_ap_video")
_CVS = (
    "Three criteria, each true where more than half of the annotators saw it (their mean is "
    "rounded, a tie to no). Average precision of each criterion over the frames of all videos "
    "together, then the mean of the three; the per-video mean is given beside it. Scored on the "
    "annotated frames alone. "
)
_PRESENCE = (
    "Each instrument is there or not, several at once. Average precision of each instrument over "
    "the frames of all videos together, without interpolation and with one threshold for tied "
    "scores (scikit-learn's), then the mean over instruments; an instrument that no frame holds is "
    "left out. The mean of each video's average precision stands beside it. "
)


def _presence(name: str, text: str, classes: tuple[str, ...] = (), **more: Any) -> Protocol:
    return Protocol(
        name=name,
        version=1,
        task="tool",
        choices=PresenceChoices(absent="drop"),
        primary=("mean_ap", "mean_ap_video"),
        classes=classes,
        text=_PRESENCE + text,
        **more,
    )


_ALL = (
    *_phase_family("cholec80", CHOLEC80, _CHOLEC80_SPLITS),
    _phase(
        "cholec80-macro-union",
        _STRICT
        + "One frame a second. Per video the mean over all phases that its ground truth or its "
        "prediction holds, 0/0 counted as 0 (scikit-learn's macro average without a list of "
        "labels), then the mean over videos. A phase predicted once in a video that lacks it "
        "counts as a zero. " + _BY_NUMBER,
        CHOLEC80,
        absent="union",
        primary=("accuracy", "precision_video", "recall_video", "f1_video", "jaccard_video"),
        splits=_CHOLEC80_SPLITS,
    ),
    *_phase_family("m2cai16", M2CAI16, _M2CAI16_SPLITS),
    _phase(
        "autolaparo-strict",
        _STRICT + _PER_VIDEO + _BY_NUMBER,
        AUTOLAPARO,
        splits=_AUTOLAPARO_SPLITS,
    ),
    _phase(
        "phase-strict",
        _STRICT
        + _PER_VIDEO.replace("One frame a second.", "All labelled frames, any set of phases."),
        **_ANY,
    ),
    _phase(
        "surgvista-image-level",
        "Share of frames recognised, frames of all videos pooled, so that long videos count more. "
        "The per-video scores beside it forgive nothing; whether the paper's own were relaxed is "
        "not on record. Any set of phases.",
        primary=("accuracy_pooled", "accuracy", "precision", "recall", "jaccard"),
        **_ANY,
    ),
    _triplet(
        "cholect50-rdv",
        "cholect50",
        "keep",
        "All 100 triplets count, the six null triplets too. RDV's 35/5/10 division of CholecT50. "
        + _BY_NUMBER,
        (_RDV_SPLIT,),
    ),
    _triplet(
        "cholect50-challenge",
        "cholect50",
        "drop",
        "The six null triplets (94-99) are left out of the triplet score, not of the components. "
        "The challenge's 40/5/5 division of CholecT50. " + _BY_NUMBER,
        (_CHALLENGE_SPLIT,),
    ),
    _triplet(
        "cholect50-surgvista",
        "cholect50",
        "drop",
        "The six null triplets are left out of the triplet score, as SurgVISTA's code does, on "
        "either division of CholecT50. " + _BY_NUMBER,
        (_CHALLENGE_SPLIT, _RDV_SPLIT),
    ),
    _triplet(
        "prostatd",
        "prostatd",
        "drop",
        "89 triplets with a table of their own; its null triplets (21, 45, 53, 66, 79, 85, 88) are "
        "left out of the triplet score. The names of its 14/2/5 test videos are not on record, so "
        "the split is not recognised.",
    ),
    Protocol(
        name="endoscapes-cvs50",
        version=1,
        task="cvs",
        choices=CriteriaChoices(),
        primary=_CRITERIA_PRIMARY,
        text=_CVS
        + "Endoscapes, the subset of 50 videos. Its video ids and their division are not on record "
        "here, so the split is not recognised.",
    ),
    Protocol(
        name="endoscapes-cvs201",
        version=1,
        task="cvs",
        choices=CriteriaChoices(),
        primary=_CRITERIA_PRIMARY,
        text=_CVS
        + "Endoscapes, all 201 videos divided 120/41/40. The ids of the test videos are not on "
        "record here, so the split is not recognised.",
    ),
    Protocol(
        name="cholec80-cvs",
        version=1,
        task="cvs",
        choices=CriteriaChoices(),
        primary=("accuracy", "precision", "recall", "f1", "mean_ap"),
        text="Three criteria, predicted yes from a score of 0.5 on. Accuracy, precision, recall "
        "and F1 of each criterion over all clips, 0/0 counted as 0, then their mean. The published "
        "labels run from 0 to 2; whether 1 counts as seen is unclear, so the ground truth must "
        "come as yes or no (1 or 0).",
    ),
    Protocol(
        name="clips-single",
        version=1,
        task="action",
        choices=SingleChoices(absent="drop"),
        primary=_SINGLE_PRIMARY,
        text="One label a clip, all clips pooled. Mean average precision is one class against the "
        "rest; a class without a test clip is left out. Macro precision, recall and F1 cover the "
        "classes in truth or prediction.",
    ),
    Protocol(
        name="surgvista-clips",
        version=1,
        task="action",
        choices=SingleChoices(absent="zero"),
        primary=_SINGLE_PRIMARY,
        text="As in SurgVISTA's clip engine (SurgicalActions160, Cholec80-CVS and Endoscapes as "
        "total-score classes): one label a clip, all clips pooled; a class without a test clip "
        "adds an average precision of 0. Its own precision and recall are micro averages, that is, "
        "the accuracy; the macro averages given here are ours.",
    ),
    _presence(
        "cholec80-tool",
        "Cholec80's seven instruments, on the frames that are labelled: one a second. "
        + _BY_NUMBER,
        instruments.CHOLEC80,
        fps=1.0,
        splits=_CHOLEC80_SPLITS,
        **_OPERATION,
    ),
    _presence("tool-presence", "All labelled frames, any set of instruments."),
    *PUBLISHED,
)

PROTOCOLS = {protocol.name: protocol for protocol in _ALL}


def find(name: str) -> Protocol:
    """The protocol of that name; raises UserError with the names there are."""
    if name not in PROTOCOLS:
        raise UserError(f"--protocol={name}: no such protocol; choose {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
