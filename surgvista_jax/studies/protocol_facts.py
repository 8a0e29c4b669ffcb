"""What a reader asks of a score (split, clip, rate, pooling, …), as the files of its run say it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from surgvista_jax.metrics.averaging import nanmean
from surgvista_jax.metrics.protocols import Protocol
from surgvista_jax.metrics.scores import Score
from surgvista_jax.predictions.frames import Predictions
from surgvista_jax.studies.collect import Cell

NOT_RECORDED = "not recorded"
_DIGEST = re.compile("[0-9a-f]{64}")
_SWEPT = "learning_rates", "weight_decays"
_POOLS = {"mean": "mean over all tokens", "class": "the class token"}
_TRAINED = {
    "full": "all parameters are finetuned",
    "linear": "a linear layer on frozen features",
    "attentive": "an attentive pool and a linear layer on frozen tokens",
    "lora": "low-rank adapters of a frozen backbone, and the head",
    "temporal": "an MS-TCN on frozen features",
}


def facts(
    cell: Cell, predictions: Predictions, protocol: Protocol, about: Mapping[str, Any]
) -> dict[str, str]:
    """Question -> answer, of one finished cell. What no file says is "not recorded".

    Args:
        about: what the checkpoint of the run says of its model; {} where it is gone.
    """
    meta = predictions.meta or {}
    fps = about.get("fps", meta.get("fps"))
    clip = about.get("clip")
    if not clip and cell.config.get("image_clip") is None:
        clip = cell.config.get("clip")  # else the run may have taken either
    return {
        "Trained": _trained(cell),
        "Started from": _start(cell, about),
        "Split": _split(cell.config, predictions, meta, about),
        "Training samples": _training(about),
        "Test samples": _test(cell.result, predictions),
        "Clip": _clip(clip, fps),
        "Rate": _rate(fps, protocol),
        "Sees": _sees(cell, about, clip),
        "Pooling": _pooling(cell, about),
        "Parameters selected on": _selected(cell, about),
        "Smoothing of predictions": _smoothing(meta),
    }


def averaging(score: Score) -> str:
    """How the frames, videos and classes of a score are averaged, as it is computed here."""
    if score.key.endswith("_pairs"):
        return "mean over all pairs of video and class"
    if score.per_class is not None:
        return "mean over videos of each class, then over classes"
    if score.per_video is not None:
        weights = 1.0 + np.arange(len(score.per_video)) % 3  # which tell a mean from a pool
        known = ~np.isnan(score.per_video)
        mean = (weights * score.per_video)[known].sum() / max(weights[known].sum(), 1e-12)
        if np.isclose(score.value(weights), mean) and np.isclose(
            score.value(), nanmean(score.per_video)
        ):
            return "mean over videos"
    return "samples of all videos pooled"


def answers(of_weights: Mapping[str, Sequence[Mapping[str, str]]]) -> list[dict[str, Any]]:
    """The questions with their answers, and who gives each where they differ.

    Args:
        of_weights: weights -> the facts of its finished cells.

    Returns:
        {"question", "answers": [{"answer", "weights"}]}; of a single answer, weights are all.
    """
    found: list[dict[str, Any]] = []
    questions = dict.fromkeys(
        question for cells in of_weights.values() for each in cells for question in each
    )
    for question in questions:
        who: dict[str, dict[str, None]] = {}
        for name, cells in of_weights.items():
            for each in cells:
                who.setdefault(each.get(question, NOT_RECORDED), {})[name] = None
        entries = [{"answer": answer, "weights": list(names)} for answer, names in who.items()]
        found.append({"question": question, "answers": entries})
    return found


def _trained(cell: Cell) -> str:
    """What of the model is trained, and for how long."""
    what = _TRAINED.get(cell.mode, cell.mode)
    if cell.mode == "linear" and "probe" in cell.config:
        probe = cell.config["probe"]
        rates, decays = (len(str(probe[key]).split(",")) for key in _SWEPT)
        swept = f"best of {rates} learning rates x {decays} weight decays, and of the epochs"
        return f"{what}: {probe['epochs']} epochs" + (f"; {swept}" if rates * decays > 1 else "")
    budget = cell.config.get("budget", {})
    length = next((f"{budget[key]:g} {key}" for key in ("steps", "epochs") if budget.get(key)), "")
    return f"{what}: {length}, {budget['batch_size']} samples a step" if length else what


def _start(cell: Cell, about: Mapping[str, Any]) -> str:
    init = cell.init or (f"pretraining {cell.pretraining}" if cell.pretraining else "")
    digest = str(about.get("init_digest"))
    told = init or str(about.get("init") or cell.config.get("init") or NOT_RECORDED)
    return f"{told} (sha256 {digest[:16]}…)" if _DIGEST.fullmatch(digest) else told


def _split(
    config: Mapping[str, Any],
    predictions: Predictions,
    meta: Mapping[str, Any],
    about: Mapping[str, Any],
) -> str:
    data = config.get("data", {})
    train, test = data.get("train"), meta.get("split") or data.get("test")
    if not train and not test:
        return NOT_RECORDED
    videos = len(predictions.videos)
    made = "; the run made the splits itself" if about.get("made_splits") else ""
    return f"trained on {train or NOT_RECORDED!r}, tested on {test!r} ({videos} videos){made}"


def _training(about: Mapping[str, Any]) -> str:
    for source in about.get("sources") or ():
        what = source.get("what", "") if isinstance(source, dict) else ""
        if what.startswith("data: "):  # without the dataset's own name: the study has one for it
            return what.removeprefix("data: ").rpartition(" (")[2].removesuffix(")")
    return NOT_RECORDED


def _test(result: Mapping[str, Any], predictions: Predictions) -> str:
    scored = f"{len(predictions.frame):,} scored"
    clips = result.get("clips")
    return f"{clips:,} predicted, {scored}" if isinstance(clips, int) else scored


def _clip(clip: Any, fps: Any) -> str:
    if not isinstance(clip, dict) or "num_frames" not in clip:
        return NOT_RECORDED
    frames, stride, size = clip["num_frames"], clip.get("stride"), clip.get("size")
    size_words = f", {size} pixels a side" if size else ""
    if clip.get("sampling") == "uniform":
        return f"{frames} frames spread over the whole video{size_words}"
    span = ""
    if isinstance(fps, int | float) and fps > 0 and stride:
        span = f" ({(frames - 1) * stride / fps:g} s from first to last)"
    return f"{frames} frames, {stride} apart{span}{size_words}"


def _rate(fps: Any, protocol: Protocol) -> str:
    known = isinstance(fps, int | float) and fps == fps
    labelled = f"{fps:g} a second" if known else NOT_RECORDED
    scored = "all of them" if protocol.fps is None else f"{protocol.fps:g} a second"
    return f"labelled frames: {labelled}; scored: {scored}"


def _sees(cell: Cell, about: Mapping[str, Any], clip: Any) -> str:
    past = clip.get("sampling") == "past" if isinstance(clip, dict) else None
    if cell.mode == "temporal":
        model = about.get("model") or cell.config.get("model") or {}
        if "causal" not in model:
            return NOT_RECORDED
        whole = "the past alone (causal)" if model["causal"] else "past and future (not causal)"
        return f"{whole}, as far as the MS-TCN goes"
    if past is None:
        return NOT_RECORDED
    return "the past alone (causal)" if past else "the whole video, before and after each moment"


def _pooling(cell: Cell, about: Mapping[str, Any]) -> str:
    if cell.mode == "attentive":
        heads = (about.get("head") or cell.config.get("head") or {}).get("heads", NOT_RECORDED)
        return f"a learned query by cross-attention ({heads} heads)"
    if cell.mode == "temporal":
        return "as in the features that it reads"
    pool = (about.get("head") or cell.config.get("head") or {}).get("pool")
    return _POOLS.get(str(pool), NOT_RECORDED)


def _selected(cell: Cell, about: Mapping[str, Any]) -> str:
    chosen = cell.result.get("selected_on") or about.get("selected_on")
    if not isinstance(chosen, str):
        return NOT_RECORDED
    if chosen == "last":
        return "nothing: the last step"
    score = cell.result.get("score")
    by = f", by {score}" if isinstance(score, str) else ""
    videos = cell.result.get("selection_videos")
    number = f"{videos} videos of " if isinstance(videos, int) else ""
    if chosen == "test":
        return f"{number}test (THE TEST VIDEOS){by}"
    if str(cell.result.get("selection_from")).startswith("held-out"):
        return f"{number}the training split, held out{by}"
    name = cell.config.get("data", {}).get(chosen)
    if not name:
        return f"{number}{chosen}{by}"
    sure = "" if number else ", or videos held out where there is none"
    made = ", which the run made" if chosen in about.get("made_splits", {}) else ""
    return f"{number}split {name!r}{made}{sure}{by}"


def _smoothing(meta: Mapping[str, Any]) -> str:
    if "smoothing" not in meta:
        return NOT_RECORDED
    told = meta["smoothing"]
    if not told:
        return "none"
    words = ", ".join(f"{key} {value}" for key, value in told.items() if key != "kind")
    return f"{told.get('kind', '')} ({words})" if words else str(told.get("kind", ""))
