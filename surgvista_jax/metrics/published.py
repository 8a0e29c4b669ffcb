"""Protocols as challenges, benchmarks and a survey of metrics define them."""

import math
from typing import Any

from surgvista_jax.facts import splits
from surgvista_jax.facts.phases import CATARACTS, HEICHOLE, PITVIS
from surgvista_jax.metrics.phase import FUNKE
from surgvista_jax.metrics.protocols import PhaseChoices, Protocol, Split, TripletChoices

_NUM_FOLDS = 5
_COMPONENTS = ("ap_ivt", "ap_i", "ap_v", "ap_t", "ap_iv", "ap_it")
_ANY: dict[str, Any] = {"fps": None, "shortest_seconds": 0.0, "longest_seconds": math.inf}
_OPERATION: dict[str, Any] = {"shortest_seconds": 120.0, "longest_seconds": 6 * 3600.0}

_FUNKE = {
    "A": "values that are 0/0 are left out, and only those: a phase that a video lacks and the "
    "model predicts there counts as 0 in precision, Jaccard and F1.",
    "B": "all values of a phase that the ground truth of a video lacks are left out of it; the "
    "precision of a phase that is never predicted is left out too.",
    "C": "as A, but where a video lacks a phase and the model does not predict it, precision, "
    "Jaccard and F1 count as 1.",
}


def _funke(strategy: str) -> Protocol:
    return Protocol(
        name=f"funke-{strategy.lower()}",
        version=1,
        task="phase",
        choices=PhaseChoices(absent=FUNKE[strategy]),
        primary=("accuracy", "precision_pairs", "recall_pairs", "f1_pairs", "jaccard_pairs"),
        text=f"Strategy {strategy} of Funke et al., Metrics Matter in Surgical Phase Recognition "
        f"(arXiv:2305.13961): {_FUNKE[strategy]} Nothing is forgiven around boundaries. Accuracy "
        "is the mean over videos, the others are means over all pairs of video and phase; means "
        "by phase, by video, and the F1 of mean precision and mean recall, which is too high, "
        "stand beside them. All labelled frames, any set of phases.",
        **_ANY,
    )


_PITVIS = Protocol(
    name="pitvis-steps",
    version=1,
    task="phase",
    # Official labels -1, 11 and 13; -1 is our class 0.
    choices=PhaseChoices(absent="union", left_out=(0, 11, 13)),
    primary=("f1_edit", "f1_video", "edit"),
    classes=PITVIS,
    fps=1.0,
    text="PitVis-2023, steps (arXiv:2409.01184, and its published evaluation script): frames whose "
    "ground truth is out of the patient (-1), step 11 or step 13 are left out, before segments are "
    "formed. In each video the mean of macro F1, over the steps that truth or prediction holds, "
    "and of the edit score; then the mean over videos. A prediction of a step that is left out "
    "counts against it. Its eight test videos are not public.",
    **_OPERATION,
)
_CATARACTS = Protocol(
    name="cataracts-2020",
    version=1,
    task="phase",
    choices=PhaseChoices(absent="gt_only", idle=0),
    primary=("f1_video",),
    classes=CATARACTS,
    text="CATARACTS 2020, steps (the challenge's evaluation script): where the ground truth is "
    "idle, predicting the step before or after is no mistake, and idleness itself is not scored. "
    "F1 of each step that a video's ground truth holds, their mean, then the mean over videos; all "
    "other scores are of the predictions so forgiven. All labelled frames.",
    **_ANY,
)
_HEICHOLE = Protocol(
    name="heichole-phases",
    version=1,
    task="phase",
    choices=PhaseChoices(absent="gt_only"),
    primary=("f1", "f1_video", "f1_pooled", "accuracy"),
    classes=HEICHOLE,
    fps=1.0,
    text="HeiChole (EndoVis 2019, Medical Image Analysis 86, 2023): F1 averaged over the seven "
    "phases. How its videos are averaged is not on record here, so the means by video, then phase, "
    "by phase, then video, and over pooled frames stand side by side. One frame a second; the "
    "challenge counted all frames. Its nine test videos are not public.",
    **_OPERATION,
)


def _folds(dataset: str, parts: dict[str, splits.Part], about: str) -> Protocol:
    tests = [parts[f"fold{k}/test"] for k in range(1, _NUM_FOLDS + 1)]
    every = frozenset(number for part in tests for number in part.numbers)
    return Protocol(
        name=f"{dataset}-folds",
        version=1,
        task="triplet",
        choices=TripletChoices(
            "cholect50", "drop", "keep", folds=tuple(part.numbers for part in tests)
        ),
        primary=("ap_ivt_folds", *_COMPONENTS),
        text="Scores of a component are the maximum over the triplets that share it. Average "
        "precision per class and video; a class is left out of the videos that lack it; mean over "
        "videos, then over classes. All 100 triplets count. The official five-fold "
        f"cross-validation of {about} (arXiv:2204.05235): give the predictions of the five folds "
        "together, and the mean of the five folds' AP is shown with the score over all videos; "
        "those of a fold alone are recognised. Test videos are recognised by the last number in "
        "their name. ",
        splits=(
            Split(f"{about}, all five folds", every),
            *(Split.of(f"{about}, fold {k} of 5", part) for k, part in enumerate(tests, 1)),
        ),
    )


PUBLISHED = (
    *map(_funke, FUNKE),
    _PITVIS,
    _CATARACTS,
    _HEICHOLE,
    _folds("cholect50", splits.CHOLECT50, "CholecT50"),
    _folds("cholect45", splits.CHOLECT45, "CholecT45"),
)
