"""Are the published protocols what their sources compute? Each is computed here a second time."""

from dataclasses import replace

import numpy as np
import pytest
from ivtmetrics import Recognition
from sklearn import metrics as sk

from surgvista_jax.facts.splits import CHOLECT45, CHOLECT50
from surgvista_jax.facts.triplets import CHOLECT50 as CHOLECT50_TABLE
from surgvista_jax.metrics import triplet
from surgvista_jax.metrics.named_protocols import find
from surgvista_jax.metrics.published import PUBLISHED
from surgvista_jax.predictions.frames import Predictions, assemble
from surgvista_jax.predictions.npz import write_npz
from surgvista_jax.predictions.reading import ReadingOptions, read_one
from surgvista_jax.reports.scoring import evaluate_run

VIDEOS, FRAMES = 4, 80


def videos_of(num_classes: int, seed: int = 0) -> Predictions:
    """Blocks of classes, in each video some of them, and predictions that are half right."""
    generator = np.random.default_rng(seed)
    labels, decisions = [], []
    for _ in range(VIDEOS):
        present = generator.permutation(num_classes)[: max(3, num_classes // 2)]
        label = np.repeat(generator.choice(present, 8), FRAMES // 8)
        noise = np.repeat(generator.integers(0, num_classes, FRAMES // 4), 4)
        labels.append(label)
        decisions.append(np.where(generator.random(FRAMES) < 0.6, label, noise))
    return assemble(
        "run",
        np.repeat([f"v{k}" for k in range(VIDEOS)], FRAMES),
        np.tile(np.arange(FRAMES), VIDEOS),
        1.0,
        label=np.concatenate(labels),
        decision=np.concatenate(decisions),
        classes=tuple(f"c{k}" for k in range(num_classes)),
    )


def pairs_of(run: Predictions) -> list[tuple[np.ndarray, np.ndarray]]:
    rows = [run.rows(k) for k in range(len(run.videos))]
    return [(run.label[r], run.decision[r]) for r in rows]


def values(run: Predictions, protocol: str) -> dict[str, float]:
    scores = evaluate_run(run, find(protocol)).scores
    return {score.key: score.value(np.ones(len(run.videos))) for score in scores}


SCORERS = {
    "precision": sk.precision_score,
    "recall": sk.recall_score,
    "f1": sk.f1_score,
    "jaccard": sk.jaccard_score,
}


def by_funke(name: str, truth: np.ndarray, found: np.ndarray, strategy: str) -> np.ndarray:
    """Values [7] of a video as PhaseMetrics has them: scikit-learn's, then what is undefined."""
    result = SCORERS[name](truth, found, labels=range(7), average=None, zero_division=0)
    for k in range(7):
        lacking, unsaid = k not in truth, k not in found
        if strategy == "B" and lacking:
            result[k] = np.nan
        elif (name == "precision" and unsaid and not (strategy == "C" and lacking)) or (
            name == "recall" and lacking
        ):
            result[k] = np.nan
        elif name != "recall" and lacking and unsaid:
            result[k] = {"A": np.nan, "C": 1.0}[strategy]
    return result


@pytest.mark.parametrize("strategy", "ABC")
def test_strategies_of_funke(strategy: str) -> None:
    run = videos_of(7)
    found = values(run, f"funke-{strategy.lower()}")
    table = {
        name: np.stack([by_funke(name, *pair, strategy) for pair in pairs_of(run)])
        for name in SCORERS
    }
    assert any(np.isnan(values).any() for values in table.values())
    for name, each in table.items():
        assert found[f"{name}_pairs"] == pytest.approx(np.nanmean(each))
        assert found[name] == pytest.approx(np.nanmean(np.nanmean(each, 0)))
        assert found[f"{name}_video"] == pytest.approx(np.nanmean(np.nanmean(each, 1)))
    precision, recall = table["precision"], table["recall"]
    pairs = np.nanmean(precision), np.nanmean(recall)
    assert found["f1_of_means_pairs"] == pytest.approx(2 * pairs[0] * pairs[1] / sum(pairs))
    phases = found["precision"], found["recall"]
    assert found["f1_of_means"] == pytest.approx(2 * phases[0] * phases[1] / sum(phases))
    means = np.nanmean(precision, 1), np.nanmean(recall, 1)
    each = 2 * means[0] * means[1] / (means[0] + means[1])
    assert found["f1_of_means_video"] == pytest.approx(each.mean())


def test_segmental_f1_is_pooled_and_a_mean_of_videos_and_says_which() -> None:
    label = np.repeat([0, 1, 0, 1], FRAMES)
    decision = label.copy()
    decision[:32] = 1  # of one video two fifths are wrong, in front
    run = replace(videos_of(2), label=label, decision=decision, classes=("a", "b"))
    found = values(run, "funke-a")
    # That video has one of two segments right up to an overlap of 0.6, and none above.
    for percent, hits in ((10, 1), (25, 1), (50, 1), (75, 0), (90, 0)):
        video = 2 * hits / (1 + 2)
        assert found[f"f1_at_{percent}_video"] == pytest.approx((3 + video) / 4)
        assert found[f"f1_at_{percent}"] == pytest.approx(2 * (3 + hits) / (4 + 5))
    titles = {score.key: score.title for score in evaluate_run(run, find("funke-a")).scores}
    assert titles["f1_at_75"] == "F1@75, segments of all videos pooled"
    assert titles["f1_at_75_video"] == "F1@75, mean over videos"


def edit(truth: list, found: list) -> float:
    """1 - the Levenshtein distance of two orders / the longer's length, by recursion over both."""
    table = np.add.outer(np.arange(len(truth) + 1), np.arange(len(found) + 1))
    for i, a in enumerate(truth, 1):
        for j, b in enumerate(found, 1):
            table[i, j] = min(
                table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (a != b)
            )
    return 1 - table[-1, -1] / max(len(truth), len(found))


def order(labels: np.ndarray) -> list:
    return [x for k, x in enumerate(labels) if k == 0 or x != labels[k - 1]]


def test_pitvis_leaves_frames_out_before_it_forms_segments(tmp_path) -> None:
    protocol = replace(find("pitvis-steps"), shortest_seconds=0)
    run = replace(videos_of(15, seed=3), classes=protocol.classes)
    score = np.eye(15)[run.decision]
    write_npz(
        tmp_path / "p.npz",
        video=np.array(run.videos)[run.video_index],
        frame=run.frame * 2,
        score=score,
        label=run.label,
        meta={"fps": 2, "classes": list(protocol.classes)},
    )
    read = read_one(str(tmp_path / "p.npz"), protocol, ReadingOptions())
    assert not np.isin(read.label, (0, 11, 13)).any() and len(read.label) < len(run.label)
    assert any("class 0, 11, 13, which pitvis-steps does not score" in n for n in read.notes)
    expected = []
    for truth, found in pairs_of(run):
        keep = ~np.isin(truth, (0, 11, 13))
        truth, found = truth[keep], found[keep]
        macro = sk.f1_score(truth, found, average="macro", zero_division=0)
        expected.append((macro + edit(order(truth), order(found))) / 2)
    assert values(read, "pitvis-steps")["f1_edit"] == pytest.approx(np.mean(expected))


def test_cataracts_forgives_around_idleness_and_does_not_score_it() -> None:
    run = videos_of(19, seed=1)
    label = run.label.copy()
    label[np.tile(np.arange(FRAMES) % 20 >= 10, VIDEOS)] = 0
    run = replace(run, label=label, classes=find("cataracts-2020").classes)
    expected = []
    for truth, found in pairs_of(run):
        found, steps, position = found.copy(), order(truth), 0
        for k in range(FRAMES):
            position += k > 0 and truth[k] != truth[k - 1]
            if truth[k] == 0 and found[k] in steps[max(position - 1, 0) : position + 2]:
                found[k] = 0
        each = [sk.f1_score(truth == k, found == k, zero_division=0) for k in set(truth) - {0}]
        expected.append(np.mean(each))
    found = values(run, "cataracts-2020")
    assert found["f1_video"] == pytest.approx(np.mean(expected))
    plain = values(run, "phase-strict")
    assert found["accuracy"] > plain["accuracy"]


def test_heichole_is_f1_over_phases() -> None:
    run = videos_of(7)
    found = values(run, "heichole-phases")
    each = np.stack([by_funke("f1", *pair, "B") for pair in pairs_of(run)])
    assert found["f1"] == pytest.approx(np.nanmean(np.nanmean(each, 0)))
    assert found["f1_video"] == pytest.approx(np.nanmean(np.nanmean(each, 1)))


def triplets(numbers: list[int]) -> Predictions:
    generator = np.random.default_rng(0)
    size = 6 * len(numbers)
    truth = (generator.random((size, 100)) < 0.03).astype(np.uint8)
    video = np.repeat([f"VID{k:02d}" for k in numbers], 6)
    frame = np.tile(np.arange(6), len(numbers))
    score = generator.random(truth.shape) + 0.5 * truth
    return assemble("t", video, frame, 1.0, score=score, label=truth)


def test_top_k_is_that_of_the_fields_package() -> None:
    run, package = triplets([1, 2, 4]), Recognition(100)
    package.update(run.label, run.score)
    package.video_end()
    found = values(run, "cholect50-rdv")
    for k in (5, 10, 20):
        assert found[f"top{k}"] == pytest.approx(package.topK(k))


@pytest.mark.parametrize(("name", "parts"), [("50", CHOLECT50), ("45", CHOLECT45)])
def test_five_folds_together_and_alone(name: str, parts: dict) -> None:
    protocol = find(f"cholect{name}-folds")
    tests = [list(parts[f"fold{k}/test"].numbers) for k in range(1, 6)]
    run = triplets(sum(tests, []))
    assert len(run.videos) == int(name)
    found, alone = values(run, protocol.name), []
    for k, numbers in enumerate(tests, 1):
        members = np.isin([int(v[3:]) for v in run.videos], numbers)
        fold = run.take(members[run.video_index])
        rows = [fold.rows(v) for v in range(len(fold.videos))]
        videos = [(fold.label[r], fold.score[r]) for r in rows]
        each = triplet.video_average_precisions(videos, CHOLECT50_TABLE, "ivt", absent="drop")
        alone.append(triplet.mean_average_precision(each))
        assert protocol.recognise_split(fold.videos, 9).endswith(f"CholecT{name}, fold {k} of 5")
    single = values(fold, protocol.name)
    assert "ap_ivt_folds" not in single and single["ap_ivt"] == pytest.approx(alone[-1])
    assert found["ap_ivt_folds"] == pytest.approx(np.mean(alone))
    assert protocol.recognise_split(run.videos, 9).endswith("all five folds")
    (note,) = evaluate_run(run, protocol).notes
    assert f"standard deviation {100 * np.std(alone, ddof=1):.2f}" in note


def test_published_protocols_are_named_and_their_digests_frozen() -> None:
    assert {p.name: p.digest for p in PUBLISHED} == {
        "funke-a": "7a49a48d861e57ae",
        "funke-b": "8a733524af6d5d1a",
        "funke-c": "60c6b25c7dd8ed14",
        "pitvis-steps": "2a32fde5db79f299",
        "cataracts-2020": "b905bb3b5fee2466",
        "heichole-phases": "b480da18200fe107",
        "cholect50-folds": "d85241d4cf79c5f5",
        "cholect45-folds": "f2362fc4a2727d73",
    }
    assert all(find(protocol.name) is protocol for protocol in PUBLISHED)
