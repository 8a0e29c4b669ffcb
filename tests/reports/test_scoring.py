"""Is every score of a report the one that its name says, by scikit-learn and by hand?"""

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk

from surgvista_jax.errors import UserError
from surgvista_jax.facts.instruments import CHOLEC80
from surgvista_jax.facts.triplets import CHOLECT50
from surgvista_jax.metrics import triplet
from surgvista_jax.metrics.averaging import nanmean
from surgvista_jax.metrics.named_protocols import find
from surgvista_jax.metrics.segments import edit_score
from surgvista_jax.predictions.frames import Predictions, assemble
from surgvista_jax.reports.scoring import evaluate_run

VIDEOS, FRAMES, CLASSES = 4, 60, 6


def values(run: Predictions, protocol: str) -> dict[str, float]:
    """Every score of a run with all videos once."""
    scores = evaluate_run(run, find(protocol)).scores
    found = {score.key: score.value(np.ones(len(run.videos))) for score in scores}
    assert len(found) == len(scores)
    return found


def run(score: np.ndarray, label: np.ndarray, **more) -> Predictions:
    video = np.repeat([f"v{k}" for k in range(VIDEOS)], FRAMES)
    frame = np.tile(np.arange(FRAMES), VIDEOS)
    return assemble("run", video, frame, 1.0, score=score, label=label, **more)


@pytest.fixture
def single() -> Predictions:
    """Blocks of six classes; video 0 lacks class 5 and is once said to hold it."""
    generator = np.random.default_rng(0)
    label = np.concatenate([np.repeat(generator.permutation(CLASSES), 10) for _ in range(VIDEOS)])
    label[:FRAMES][label[:FRAMES] == 5] = 4
    score = np.exp(generator.normal(size=(len(label), CLASSES)) + 2 * np.eye(CLASSES)[label])
    score[3, 5] = 1e6
    score /= score.sum(1, keepdims=True)
    names = tuple("abcdef")
    return run(score, label, decision=score.argmax(1), classes=names)


def macro(function, truth: np.ndarray, prediction: np.ndarray, **more) -> float:
    return function(truth, prediction, average="macro", zero_division=0, **more)


SCORERS = {
    "precision": sk.precision_score,
    "recall": sk.recall_score,
    "f1": sk.f1_score,
    "jaccard": sk.jaccard_score,
}


def test_phase_scores(single: Predictions) -> None:
    found = values(single, "phase-strict")
    truth, prediction = single.label, single.decision
    pairs = [(truth[single.rows(k)], prediction[single.rows(k)]) for k in range(VIDEOS)]
    accuracies = [sk.accuracy_score(*pair) for pair in pairs]
    assert found["accuracy"] == pytest.approx(np.mean(accuracies))
    assert found["accuracy_pooled"] == pytest.approx(sk.accuracy_score(truth, prediction))
    for name, function in SCORERS.items():
        table = np.full((VIDEOS, CLASSES), np.nan)
        for k, (a, b) in enumerate(pairs):
            held = np.unique(a)
            undefined = {} if name == "jaccard" else {"zero_division": np.nan}
            table[k, held] = function(a, b, average=None, labels=held, **undefined)
        assert found[name] == pytest.approx(np.nanmean(np.nanmean(table, 0)))
        assert found[f"{name}_video"] == pytest.approx(np.nanmean(np.nanmean(table, 1)))
        assert found[f"{name}_pooled"] == pytest.approx(macro(function, truth, prediction))
    union = values(single, "cholec80-macro-union")
    expected = np.mean([macro(sk.f1_score, *pair) for pair in pairs])
    assert union["f1_video"] == pytest.approx(expected)
    assert union["f1_video"] < found["f1_video"]  # the false alarm of a class that video 0 lacks
    assert found["edit"] == pytest.approx(np.mean([edit_score(*pair) for pair in pairs]))
    confidence, right = single.score.max(1), prediction == truth
    bins = np.ceil(confidence * 15)
    gaps = [abs((right - confidence)[bins == b].sum()) for b in np.unique(bins)]
    assert found["ece"] == pytest.approx(sum(gaps) / len(truth))
    assert found["brier"] == pytest.approx(
        ((single.score - np.eye(CLASSES)[truth]) ** 2).sum(1).mean()
    )


def test_segmental_f1() -> None:
    # In each video one true segment, predicted in three pieces; the first covers two thirds of it.
    label = np.zeros(VIDEOS * FRAMES, int)
    decision = np.tile(np.repeat([0, 1, 0], [40, 10, 10]), VIDEOS)
    found = values(run(None, label, decision=decision, classes=("a", "b")), "phase-strict")
    assert [found[f"f1_at_{k}"] for k in (10, 25, 50)] == pytest.approx([2 / (2 + 2)] * 3)
    decision = np.tile(np.repeat([0, 1, 0], [24, 30, 6]), VIDEOS)  # and now two fifths
    found = values(run(None, label, decision=decision, classes=("a", "b")), "phase-strict")
    assert [found[f"f1_at_{k}"] for k in (25, 50)] == pytest.approx([0.5, 0])


@pytest.mark.parametrize("protocol", ["clips-single", "cholec80-macro-union"])
def test_main_scores_come_first_in_the_protocols_order(single: Predictions, protocol: str) -> None:
    primary = find(protocol).primary
    keys = [score.key for score in evaluate_run(single, find(protocol)).scores]
    assert tuple(keys[: len(primary)]) == primary and len(set(keys)) == len(keys) > len(primary)
    bare = replace(single, score=None)  # decisions alone have no average precision
    keys = [score.key for score in evaluate_run(bare, find(protocol)).scores]
    assert tuple(keys[:3]) == tuple(k for k in primary if k != "mean_ap")[:3]


def test_clip_scores(single: Predictions) -> None:
    found = values(single, "clips-single")
    truth, prediction, score = single.label, single.decision, single.score
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(truth, prediction))
    expected = sk.average_precision_score(np.eye(CLASSES)[truth], score)
    assert found["mean_ap"] == pytest.approx(expected)
    for k in (3, 5):
        expected = sk.top_k_accuracy_score(truth, score, k=k)
        assert found[f"top{k}"] == pytest.approx(expected)
    assert found["balanced_accuracy"] == pytest.approx(
        sk.balanced_accuracy_score(truth, prediction)
    )
    for name, function in SCORERS.items():
        assert found[name] == pytest.approx(macro(function, truth, prediction))


def test_triplet_scores() -> None:
    generator = np.random.default_rng(1)
    truth = (generator.random((VIDEOS * FRAMES, 100)) < 0.02).astype(np.uint8)
    score = generator.random(truth.shape) + 0.5 * truth
    several = run(score, truth)
    videos = [(truth[several.rows(k)], score[several.rows(k)]) for k in range(VIDEOS)]
    for protocol, null in (("cholect50-rdv", "keep"), ("cholect50-challenge", "drop")):
        found = values(several, protocol)
        rules = {"absent": "drop", "null_classes": null}
        for name in triplet.COMPONENTS:
            table = triplet.video_average_precisions(videos, CHOLECT50, name, **rules)
            assert found[f"ap_{name}"] == pytest.approx(triplet.mean_average_precision(table))
        pooled = triplet.video_average_precisions([(truth, score)], CHOLECT50, "ivt", **rules)
        assert found["global_ap_ivt"] == pytest.approx(nanmean(pooled))
        rules["absent"] = "zero"
        table = triplet.video_average_precisions(videos, CHOLECT50, "ivt", **rules)
        assert found["zero_ap_ivt"] == pytest.approx(table.mean()) and np.isfinite(table).all()
        for k in (5, 10, 20):
            hits, total = triplet.top_k_counts(truth, score, k)
            assert found[f"top{k}"] == pytest.approx(hits.sum() / total.sum())


def test_criteria_scores() -> None:
    generator = np.random.default_rng(2)
    ratings = generator.integers(0, 4, (VIDEOS * FRAMES, 3)) / 3
    truth = ratings > 0.5
    score = np.clip(0.4 * truth + 0.8 * generator.random(truth.shape), 0, 1)
    criteria = run(score, ratings, classes=("C1", "C2", "C3"))
    found = values(criteria, "endoscapes-cvs201")
    assert found["mean_ap"] == pytest.approx(sk.average_precision_score(truth, score))
    rows = [criteria.rows(k) for k in range(VIDEOS)]
    expected = np.mean([sk.average_precision_score(truth[r], score[r]) for r in rows])
    assert found["mean_ap_video"] == pytest.approx(expected)
    decision = score >= 0.5
    assert found["accuracy"] == pytest.approx((decision == truth).mean())
    for name in ("precision", "recall", "f1"):
        assert found[name] == pytest.approx(macro(SCORERS[name], truth, decision))


def instruments() -> Predictions:
    """Seven instruments, of which video 0 lacks the last; scores with ties."""
    generator = np.random.default_rng(3)
    truth = (generator.random((VIDEOS * FRAMES, len(CHOLEC80))) < 0.2).astype(np.uint8)
    truth[:FRAMES, -1] = 0
    score = np.clip(0.3 * truth + generator.random(truth.shape), 0, 1).round(2)
    return run(score, truth, classes=CHOLEC80)


@pytest.mark.parametrize("protocol", ["cholec80-tool", "tool-presence"])
def test_instrument_scores(protocol: str) -> None:
    tools = instruments()
    truth, score = tools.label, tools.score
    found = values(tools, protocol)
    assert found["mean_ap"] == pytest.approx(sk.average_precision_score(truth, score), abs=1e-12)
    table = evaluate_run(tools, find(protocol)).tables[0]
    each = sk.average_precision_score(truth, score, average=None)
    np.testing.assert_allclose(table.columns["AP"], each, rtol=0, atol=1e-12)
    assert table.classes == CHOLEC80
    assert table.columns["Frames with it"].tolist() == truth.sum(0).tolist()
    assert table.columns["Videos"].tolist() == [VIDEOS] * 6 + [VIDEOS - 1]
    rows = [tools.rows(k) for k in range(VIDEOS)]
    of_videos = [sk.average_precision_score(truth[r], score[r], average=None) for r in rows[1:]]
    first = sk.average_precision_score(truth[rows[0], :6], score[rows[0], :6], average=None)
    of_videos = np.stack([np.append(first, np.nan), *of_videos])
    assert found["mean_ap_video"] == pytest.approx(np.nanmean(np.nanmean(of_videos, 0)))


def test_an_instrument_in_no_frame_does_not_count() -> None:
    tools = instruments()
    tools.label[:, 4] = 0
    held = [0, 1, 2, 3, 5, 6]
    expected = sk.average_precision_score(tools.label[:, held], tools.score[:, held])
    assert values(tools, "cholec80-tool")["mean_ap"] == pytest.approx(expected)
    (note,) = evaluate_run(tools, find("cholec80-tool")).notes
    assert note == "In no frame: Clipper; without an average precision they do not count."


def test_an_instrument_is_there_or_not() -> None:
    tools = instruments()
    halves = replace(tools, label=tools.label / 2)
    with pytest.raises(UserError, match=r"run: label 0\.5; a class is there \(1\) or not \(0\)"):
        evaluate_run(halves, find("tool-presence"))
