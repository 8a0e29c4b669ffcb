"""Are the mistakes that a report shows the surest, of all confusions, and not all of one minute?"""

from dataclasses import replace

import numpy as np
import pytest

from surgvista_jax.metrics.named_protocols import find
from surgvista_jax.predictions.frames import assemble
from surgvista_jax.reports.build import System, build_report
from surgvista_jax.reports.judged import Judged
from surgvista_jax.reports.markdown import markdown
from surgvista_jax.reports.mistakes import APART, OF_A_PAIR, PAIRS, SUREST, mistakes
from surgvista_jax.reports.page import page


def judged(truth: np.ndarray, score: np.ndarray | None, found: np.ndarray, videos: int) -> Judged:
    """`videos` videos of the same length, one moment a second."""
    length = len(truth) // videos
    return Judged(
        videos=tuple(f"v{k}" for k in range(videos)),
        video_index=np.repeat(np.arange(videos), length),
        frame=np.tile(np.arange(length), videos),
        fps=1.0,
        classes=tuple("abcdefghij"[: found.shape[-1] if found.ndim == 2 else 10]),
        truth=truth,
        found=found,
        score=score,
    )


@pytest.fixture(scope="module")
def noisy() -> Judged:
    """Five videos of ten minutes, and ten classes that are taken for each other."""
    generator = np.random.default_rng(0)
    truth = np.repeat(generator.integers(0, 10, 50), 60)
    score = generator.random((3000, 10)) + 0.8 * np.eye(10)[truth]
    score /= score.sum(1, keepdims=True)
    return judged(truth, score, score.argmax(1), 5)


def key(item: dict) -> tuple[str, float]:
    return item["video"], item["second"]


def test_the_surest_are_real_mistakes_spread_over_videos_times_and_confusions(noisy) -> None:
    found = mistakes(noisy)
    surest = found["surest"]
    wrong = noisy.truth != noisy.found
    assert len(surest) == SUREST and surest[0]["confidence"] == noisy.score.max(1)[wrong].max()
    sure = [item["confidence"] for item in surest]
    assert sure == sorted(sure, reverse=True)
    for item in surest:
        row = noisy.rows(int(item["video"][1:])).start + int(item["second"])
        assert item["truth"] == noisy.classes[noisy.truth[row]] != item["prediction"]
        assert item["prediction"] == noisy.classes[noisy.found[row]]
        assert item["confidence"] == noisy.score[row].max()
    videos = [item["video"] for item in surest]
    assert len(set(videos)) >= 4 and max(map(videos.count, videos)) <= 3
    shown = [surest, *(pair["items"] for pair in found["pairs"])]
    for items in shown:
        for k, one in enumerate(items):
            for other in items[:k]:
                far = abs(one["second"] - other["second"]) >= APART
                assert one["video"] != other["video"] or far


def test_confusions_are_counted_over_all_frames_and_shown_from_several_videos(noisy) -> None:
    pairs = mistakes(noisy)["pairs"]
    counts = [pair["frames"] for pair in pairs]
    assert len(pairs) == PAIRS and counts == sorted(counts, reverse=True)
    for pair in pairs:
        true = noisy.truth == noisy.classes.index(pair["truth"])
        both = true & (noisy.found == noisy.classes.index(pair["prediction"]))
        assert pair["frames"] == both.sum() and pair["share"] == both.sum() / true.sum()
        possible = len(set(noisy.video_index[both].tolist()))
        assert len({item["video"] for item in pair["items"]}) == min(possible, OF_A_PAIR)


def test_without_scores_the_middle_of_the_longest_stretches_comes_first() -> None:
    truth, found = np.zeros(200, int), np.zeros(200, int)
    found[10:15], found[40:81], found[150:170] = 1, 1, 2
    items = mistakes(judged(truth, None, found, 1))["surest"]
    assert [item["second"] for item in items] == [60, 160, 12]
    assert all(item["confidence"] is None for item in items)
    # A stretch does not go on into the next video.
    assert len(mistakes(judged(truth, None, np.ones(200, int), 2))["surest"]) == 2


def test_of_several_labels_what_is_missing_and_what_is_invented() -> None:
    truth, score = np.zeros((100, 3), bool), np.full((100, 3), 0.1)
    truth[20, 0], score[60, 2] = True, 0.97
    found = mistakes(judged(truth, score, score >= 0.5, 1))
    told = [(i["second"], i["truth"], i["prediction"], i["confidence"]) for i in found["surest"]]
    assert told == [(60, "no c", "c", 0.97), (20, "a", "no a", 0.9)]
    assert sorted((p["truth"], p["frames"], p["share"]) for p in found["pairs"]) == [
        ("a", 1, 1.0),
        ("no c", 1, 0.01),
    ]


def test_reports_name_mistakes_and_nothing_of_them_is_markup() -> None:
    label, found = np.repeat([0, 1], 50), np.zeros(100, int)
    run = assemble(
        "p",
        np.full(100, "<img src=x>"),
        np.arange(100) + 3600,
        1.0,
        decision=found,
        label=label,
        classes=("a", "<b>|x"),
    )
    report = build_report(find("phase-strict"), System("m", [run]), samples=2)
    (pair,) = report["mistakes"]["pairs"]
    assert (pair["frames"], pair["share"]) == (50, 1.0) and pair["items"][0]["second"] == 3675
    html, text = page(report), markdown(report)
    for told in (html, text):
        assert "1:01:15" in told and "<b>|x" not in told and "<img" not in told
    assert "Confidence" not in html and "Confidence" not in text
    assert "The longest mistakes" in html and "--frames shows the frames" in html
    alike = replace(run, decision=label)
    report = build_report(find("phase-strict"), System("m", [alike]), samples=2)
    assert report["mistakes"] is None and "Mistakes" not in page(report)
