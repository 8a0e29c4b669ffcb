"""Do reports say what the scores say, and compare like with like?"""

import re

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.metrics import phase
from surgvista_jax.metrics.averaging import summarise
from surgvista_jax.metrics.named_protocols import CHOLEC80, find
from surgvista_jax.predictions.frames import Predictions, assemble
from surgvista_jax.reports import comparison, words
from surgvista_jax.reports.build import Grouping, System, build_report
from surgvista_jax.reports.markdown import markdown
from surgvista_jax.reports.page import page
from surgvista_jax.reports.scoring import evaluate_run
from surgvista_jax.reports.screen import screen, summary


def operations(seed: int, wrong: float, source: str = "run") -> Predictions:
    """Six cholecystectomies of 700 s; the fifth lacks phase 5."""
    truth_of, generator = np.random.default_rng(0), np.random.default_rng(seed)
    videos, frames, labels, scores = [], [], [], []
    for video in range(6):
        order = [0, 1, 2, 3, 4, 6] if video == 4 else range(7)
        cuts = np.sort(truth_of.choice(np.arange(20, 680), len(order) - 1, replace=False))
        label = np.repeat(order, np.diff([0, *cuts, 700]))
        found = np.where(generator.random(700) < wrong, generator.integers(0, 7, 700), label)
        score = generator.random((700, 7)) + 3 * np.eye(7)[found]
        videos.append(np.full(700, f"video{41 + video}"))
        frames.append(np.arange(700))
        labels.append(label)
        scores.append(score / score.sum(1, keepdims=True))
    score = np.concatenate(scores)
    found = assemble(
        source,
        np.concatenate(videos),
        np.concatenate(frames),
        1.0,
        score=score,
        decision=score.argmax(1),
        label=np.concatenate(labels),
        classes=CHOLEC80,
    )
    return found


def system(name: str, *runs: Predictions) -> System:
    return System(name, list(runs))


PROTOCOL = find("cholec80-relaxed-official")


def test_report_holds_the_scores_of_the_metrics() -> None:
    run = operations(1, 0.2)
    report = build_report(find("cholec80-strict"), system("a", run), samples=50)
    scores = {entry["key"]: entry for entry in report["scores"]}
    pairs = [(run.label[run.rows(k)], run.decision[run.rows(k)]) for k in range(6)]
    confusions = phase.confusion_matrices(pairs, 7)
    jaccard = summarise(phase.per_class(confusions, "gt_only")["jaccard"])
    assert scores["jaccard"]["value"] == pytest.approx(jaccard.videos_then_classes)
    assert scores["jaccard"]["std_over_classes"] == pytest.approx(jaccard.std_over_classes)
    assert scores["jaccard"]["std_over_videos"] == pytest.approx(jaccard.std_over_videos)
    assert scores["jaccard_video"]["value"] == pytest.approx(jaccard.classes_then_videos)
    assert scores["accuracy_pooled"]["value"] == phase.accuracies(confusions.sum(0))
    for entry in report["scores"]:
        assert entry["low"] <= entry["value"] <= entry["high"], entry["key"]
    assert report["confusion"]["counts"] == confusions.sum(0).tolist()
    shown = report["timelines"]["items"]
    assert [item["rank"] for item in shown] == ["best"] * 3 + ["worst"] * 3
    assert shown[0]["value"] == max(video["values"]["accuracy"] for video in report["videos"])
    assert shown[3]["value"] == min(video["values"]["accuracy"] for video in report["videos"])
    assert all(item["seconds"] == 699 and item["truth"][-1][2] == 700 for item in shown)
    assert report["protocol"]["digest"] == find("cholec80-strict").digest
    assert "none of the test splits" in report["split"]
    assert any("in a video that lacks them: 1 cases" in note for note in report["notes"])


def test_order_of_videos_changes_nothing() -> None:
    run = operations(1, 0.2)
    names = np.array(run.videos)[::-1][run.video_index]
    turned = assemble(
        "turned",
        names,
        run.frame,
        1.0,
        score=run.score,
        decision=run.decision,
        label=run.label,
        classes=CHOLEC80,
    )
    ones = np.ones(6)
    for ours, theirs in zip(
        evaluate_run(run, PROTOCOL).scores, evaluate_run(turned, PROTOCOL).scores, strict=True
    ):
        assert ours.value(ones) == pytest.approx(theirs.value(ones), abs=1e-12), ours.key


def test_perfect_predictions_score_one() -> None:
    for score in evaluate_run(operations(1, 0.0), PROTOCOL).scores:
        if score.higher_is_better:
            assert score.value(np.ones(6)) == pytest.approx(1.0), score.key


def test_a_better_model_is_found_better_and_p_has_its_floor() -> None:
    report = build_report(
        PROTOCOL,
        system("ours", operations(1, 0.1)),
        [system("base", operations(2, 0.4))],
        samples=200,
    )
    assert [item["key"] for item in report["comparisons"]] == list(PROTOCOL.primary)
    for item in report["comparisons"]:
        assert item["difference"]["low"] > 0
        assert item["one_sided"]["p_value"] == item["one_sided"]["smallest_p"] == 1 / 64
        assert item["holm_one_sided"] == pytest.approx(4 / 64)
        assert item["two_sided"]["p_value"] == 1 / 32
    assert "smallest p that can be reached is 0.0156 one-sided and 0.0312" in words.test_words(
        report
    )


def test_a_model_equals_itself() -> None:
    run = operations(1, 0.2)
    report = build_report(PROTOCOL, system("a", run), [system("b", run)], samples=50)
    for item in report["comparisons"]:
        assert item["difference"] == {
            "value": 0.0,
            "low": 0.0,
            "high": 0.0,
            "level": 0.95,
            "samples": 50,
        }
        assert item["one_sided"]["num_zeros"] == 6 and item["one_sided"]["p_value"] == 1.0


def test_seeds_are_averaged_and_spread() -> None:
    runs = [operations(seed, 0.2, f"run{seed}") for seed in (1, 2, 3)]
    report = build_report(PROTOCOL, system("a", *runs), samples=50)
    entry = report["scores"][0]
    single = [evaluate_run(run, PROTOCOL).scores[0].value() for run in runs]
    assert entry["value"] == pytest.approx(np.mean(single))
    assert entry["seeds"]["std"] == pytest.approx(np.std(single, ddof=1))
    assert entry["seeds"]["number"] == 3 and any("3 runs" in note for note in report["notes"])


def test_other_frames_or_truth_are_refused() -> None:
    run = operations(1, 0.2, "ours")
    with pytest.raises(UserError, match="b and ours differ in the frames of video41"):
        comparison.check_same_frames(run, _named(run.take(np.arange(1, 4200)), "b"))
    with pytest.raises(UserError, match="differ in videos, the first video41"):
        comparison.check_same_frames(run, _named(run.take(np.arange(700, 4200)), "b"))
    other = _named(run, "b", label=np.zeros_like(run.label))
    with pytest.raises(UserError, match="differ in the ground truth of video41"):
        comparison.check_same_frames(run, other)


def _named(run: Predictions, source: str, **changes) -> Predictions:
    from dataclasses import replace

    return replace(run, source=source, **changes)


def test_gaps_are_refused_where_boundaries_are_relaxed() -> None:
    run = operations(1, 0.2)
    holed = run.take(np.delete(np.arange(4200), np.arange(100, 130)))
    with pytest.raises(UserError, match="video41 has no frame between 99 and 130 s"):
        evaluate_run(holed, PROTOCOL)
    evaluate_run(holed, find("cholec80-strict"))


def test_one_video_has_scores_but_no_interval() -> None:
    one = operations(1, 0.2).take(np.arange(700))
    report = build_report(PROTOCOL, system("a", one), [system("b", one)], samples=20)
    for entry in report["scores"]:
        assert entry["value"] is not None and entry["low"] is None, entry["key"]
    assert "No intervals: a single video" in screen(report) and "No intervals" in page(report)
    assert report["split"].startswith("1 video, which are none")


def test_patients_become_the_unit() -> None:
    grouping = Grouping("patient", ["p1", "p1", "p2", "p2", "p3", "p3"])
    report = build_report(
        PROTOCOL,
        system("a", operations(1, 0.1)),
        [system("b", operations(2, 0.4))],
        grouping,
        samples=50,
    )
    assert report["unit"] == "patient" and report["num_units"] == 3
    assert report["comparisons"][0]["one_sided"]["num_pairs"] == 3
    assert "patients paired (3 pairs)" in words.test_words(report)


def test_renderings_hold_the_numbers_and_the_page_stands_alone() -> None:
    run = operations(1, 0.2, "a<b>.npz")
    report = build_report(
        PROTOCOL,
        System("a<b>.npz", [run]),
        [system("base", operations(2, 0.4))],
        Grouping("centre", ["x", "x", "x", "y", "y", "y"], ("x",)),
        samples=50,
    )
    accuracy = words.number(report["scores"][0]["value"])
    for text in (screen(report), markdown(report), page(report)):
        assert (
            accuracy in text
            and PROTOCOL.digest in text
            and "GallbladderRetraction" in (text.replace("<wbr>", ""))
        )
    html = page(report)
    assert "a&lt;b&gt;.npz" in html and "a<b>" not in html
    assert not re.search(r"(?:src|href)=\"(?!#)|url\((?!#)|@import|<script|https?://", html)
    assert html.count('class="ribbon"') == 6 * 3 and html.count('class="course"') == 6
    assert "video4" in html
    assert 'name="viewport"' in html and "{'" not in html and "nan" not in html.lower()


def test_the_screen_begins_with_what_is_read_first_and_says_where_the_rest_is(tmp_path) -> None:
    report = build_report(PROTOCOL, system("a", operations(1, 0.2)), samples=20)
    (_, main), *others = words.sections(report["scores"])
    said, whole = summary(report, tmp_path), screen(report)
    assert "\n\nMain scores  " in said and PROTOCOL.digest in said
    for entry in main:
        assert f"\n{words.title_of(entry)}  " in said
    for title, _ in others:
        assert f"\n\n{title}  " in whole and title not in said
    assert said.count("\n") < 30 < whole.count("\n")
    rest = f"{len(report['scores']) - len(main)} other scores, each class and each video too"
    last = f"written: {tmp_path}/report.html, report.md, report.json ({rest})"
    assert said.splitlines()[-1] == last


def test_triplets_criteria_instruments_and_clips_are_reported() -> None:
    generator = np.random.default_rng(0)
    video, frame = np.repeat(["6", "51"], 30), np.tile(np.arange(30), 2)
    label = (generator.random((60, 100)) < 0.03).astype(np.uint8)
    several = assemble("t", video, frame, 1.0, score=generator.random((60, 100)), label=label)
    report = build_report(find("cholect50-rdv"), system("t", several), samples=20)
    assert [entry["key"] for entry in report["scores"]][:2] == ["ap_ivt", "ap_i"]
    assert len(report["tables"]) == 6 and "Table of 100 classes" in page(report)
    ratings = generator.integers(0, 4, (60, 3)) / 3
    criteria = assemble(
        "c",
        video,
        frame,
        1.0,
        score=generator.random((60, 3)),
        label=ratings,
        classes=("C1", "C2", "C3"),
    )
    report = build_report(find("endoscapes-cvs50"), system("c", criteria), samples=20)
    assert "C3" in page(report) and report["scores"][0]["key"] == "mean_ap"
    there = (generator.random((60, 2)) < 0.3).astype(np.uint8)
    tools = assemble(
        "i",
        video,
        frame,
        1.0,
        score=generator.random((60, 2)),
        label=there,
        classes=("Hook", "Clipper"),
    )
    report = build_report(find("tool-presence"), system("i", tools), samples=20)
    main = report["scores"][0]
    assert main["key"] == "mean_ap" and main["low"] <= main["high"]
    assert report["tables"][0]["columns"]["Frames with it"] == there.sum(0).tolist()
    for text in (page(report), markdown(report), screen(report)):
        assert "Clipper" in text and "Frames with it" in text and "mean over videos" in text
    score = generator.dirichlet(np.ones(4), 60)
    clips = assemble(
        "s",
        np.array([f"clip{k}" for k in range(60)]),
        np.zeros(60, int),
        1.0,
        score=score,
        decision=score.argmax(1),
        label=generator.integers(0, 4, 60),
        classes=tuple("abcd"),
    )
    report = build_report(find("clips-single"), system("s", clips), samples=20)
    assert report["scores"][0]["value"] == pytest.approx((clips.decision == clips.label).mean())
    assert markdown(report) and screen(report)


def test_a_shifted_bootstrap_is_said_so() -> None:
    # 200 clips, each right or wrong. Together nearly calibrated; draws of them are so far less.
    confidence = np.repeat([0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0], 20)
    counts = np.rint(20 * np.unique(confidence)).astype(int) - np.tile([0, 1], 5)
    right = np.concatenate([np.arange(20) < count for count in counts])
    order = np.random.default_rng(0).permutation(200)
    clips = assemble(
        "t",
        np.array([f"v{k}" for k in range(200)]),
        np.zeros(200, int),
        1.0,
        score=np.stack([1 - confidence, confidence], axis=1)[order],
        decision=np.ones(200, int),
        label=right.astype(int)[order],
        classes=("no", "yes"),
    )
    report = build_report(find("clips-single"), system("t", clips), samples=100)
    entry = next(entry for entry in report["scores"] if entry["key"] == "ece")
    assert entry["value"] > 0.01 and entry["high"] < entry["value"]
    assert any("calibration error lies outside its interval" in n for n in report["notes"])
    assert not any("Accuracy lies outside" in note for note in report["notes"])
