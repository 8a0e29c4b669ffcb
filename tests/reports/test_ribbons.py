"""Does a ribbon show what was true and predicted, when, and nothing where nothing is known?"""

import itertools
import re

import numpy as np

from surgvista_jax.metrics.named_protocols import find
from surgvista_jax.predictions.frames import Predictions, assemble
from surgvista_jax.reports import ribbon_page
from surgvista_jax.reports.build import System, build_report
from surgvista_jax.reports.page import page
from surgvista_jax.reports.ribbon_page import ribbon_section
from surgvista_jax.reports.ribbons import course, segments


def phases(frame: np.ndarray, label: list[int], found: list[int], fps: float) -> Predictions:
    return assemble(
        "p",
        np.full(len(frame), "<v>"),
        frame,
        fps,
        decision=np.array(found),
        label=np.array(label),
        classes=("Prep", "Calot <b>", "Clip"),
    )


def test_a_course_is_read_back_and_leaves_gaps_open() -> None:
    frame, label = np.array([2, 3, 4, 8, 9]), np.array([1, 1, 0, 0, 2])
    text = course(frame, label)
    assert text == "-*2 1*2 0*1 -*3 0*1 2*1"
    assert segments(text) == [(1, 2, 4), (0, 4, 5), (0, 8, 9), (2, 9, 10)]
    generator = np.random.default_rng(0)
    label = generator.integers(0, 3, 200)
    told = np.concatenate(
        [np.full(e - s, k) for k, s, e in segments(course(np.arange(200), label))]
    )
    assert np.array_equal(told, label)


def test_times_are_those_of_the_video_at_any_rate() -> None:
    """Frames 25 apart at 25 a second are seconds, and what begins late is drawn late."""
    frame = 25 * np.arange(60, 80)
    run = phases(frame, [0] * 10 + [1] * 10, [0] * 20, 25.0)
    found = build_report(find("phase-strict"), System("m", [run]), samples=2)["ribbons"]
    (item,) = found["items"]
    assert found["step"] * item["steps"] == 80
    bars = [(k, s * found["step"], e * found["step"]) for k, s, e in segments(item["truth"])]
    assert bars == [(0, 60, 70), (1, 70, 80)]


def test_every_video_has_a_ribbon_of_truth_and_of_each_model() -> None:
    generator = np.random.default_rng(0)
    video, frame = np.repeat([f"v{k}" for k in range(15)], 400), np.tile(np.arange(400), 15)
    label = np.repeat(generator.integers(0, 3, 15 * 8), 50)

    def model(wrong: float) -> Predictions:
        found = np.where(generator.random(len(label)) < wrong, 0, label)
        return assemble(
            "m", video, frame, 0.1, decision=found, label=label, classes=("a", "b", "c")
        )

    protocol = find("phase-strict")
    systems = [System(name, [model(wrong)]) for name, wrong in (("ours", 0.01), ("base", 0.3))]
    text = page(build_report(protocol, systems[0], systems[1:], samples=2))
    assert text.count('class="course"') == 15 and text.count('class="ribbon"') == 15 * 3
    assert text.count(">Truth</span>") == text.count(">base</span>") == 15
    assert "The other 3 videos" in text and ">0:30</text>" in text and ">1:06:40</text>" in text
    # Of the colours that are used each has its gradient in the page.
    assert set(re.findall(r"url\(#(k\d+)\)", text)) == set(
        re.findall(r'Gradient id="(k\d+)"', text)
    )


def test_names_of_videos_and_classes_are_no_markup_in_ribbons() -> None:
    run = phases(np.arange(20), [0] * 10 + [1] * 10, [1] * 20, 1.0)
    report = build_report(find("phase-strict"), System("<i>m", [run]), samples=2)
    text = ribbon_section(report["ribbons"])
    assert "<v>" not in text and "<b>C" not in text and "Calot <b>" not in text
    assert "<i>m" not in text and "&lt;i&gt;m" in text and ">0:00:20</text>" in text


def test_several_labels_have_lanes_of_the_classes_that_occur() -> None:
    frame = np.arange(40)
    label = np.zeros((40, 3), np.uint8)
    label[10:20, 1] = 1
    score = np.full((40, 3), 0.1)
    score[15:25, 1], score[:5, 2] = 0.9, 0.8
    run = assemble(
        "p", np.full(40, "v"), frame, 1.0, score=score, label=label, classes=tuple("abc")
    )
    report = build_report(find("tool-presence"), System("m", [run]), samples=2)
    (item,) = report["ribbons"]["items"]
    assert item["lanes"] == [
        {"class": 1, "truth": "0*10 1*10 0*20", "systems": ["0*15 1*10 0*15"]},
        {"class": 2, "truth": "0*40", "systems": ["1*5 0*35"]},
    ]
    text = page(report)
    assert text.count('class="ribbon lane"') == 2 and '"M10 4h10"' in text and '"M15 12h10"' in text


def test_a_ribbon_that_changes_every_second_stays_light_and_true() -> None:
    frame = np.arange(20_000)
    label = np.random.default_rng(0).integers(0, 3, 20_000)
    label[9_000:12_000] = 1
    kept = np.delete(frame, np.arange(5_000, 6_000))
    bars = segments(course(kept, label[kept]))
    thinned = ribbon_page._thinned(bars, 20_000)
    assert len(thinned) <= 2000 < len(bars)
    assert all(a[2] <= b[1] for a, b in itertools.pairwise(thinned))
    for index, start, end in thinned:
        assert label[start + 5] == index and not 5_000 <= start < 6_000 < end
    assert any(start <= 9_000 and end >= 12_000 for index, start, end in thinned if index == 1)
    assert ribbon_page._thinned(bars[:9], 20_000) == bars[:9]


def test_clips_have_no_course() -> None:
    run = assemble(
        "p",
        np.array([f"clip{k}" for k in range(30)]),
        np.zeros(30, int),
        1.0,
        decision=np.zeros(30, int),
        label=np.zeros(30, int),
        classes=("a", "b"),
    )
    assert build_report(find("clips-single"), System("m", [run]), samples=2)["ribbons"] is None


def test_a_minute_beside_seconds_is_not_read_as_a_second():
    assert re.findall(r"[0-9:]+(?=</text>)", ribbon_page._axis(60))[:2] == ["0:00:00", "0:01:00"]
    assert re.findall(r"[0-9:]+(?=</text>)", ribbon_page._axis(7200))[:2] == ["0:00", "2:00"]
