"""Do files of every layout become the same predictions, and faulty ones one clear line?"""

import gzip
from pathlib import Path

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.facts.phases import CHOLEC80
from surgvista_jax.metrics.named_protocols import find
from surgvista_jax.predictions.frames import assemble, at_rate, join, natural_order
from surgvista_jax.predictions.npz import read_npz, write_npz
from surgvista_jax.predictions.reading import ReadingOptions, digest, read_one, read_runs
from surgvista_jax.predictions.text_folder import read_folder
from surgvista_jax.predictions.truth import with_truth

META = {"task": "phase", "classes": ["a", "b", "c"], "fps": 1}
STRICT = find("phase-strict")


def arrays(seed: int = 0, videos: tuple = ("v9", "v10"), frames: int = 20) -> dict:
    generator = np.random.default_rng(seed)
    score = generator.dirichlet(np.ones(3), size=frames * len(videos)).astype(np.float32)
    return {
        "video": np.repeat(videos, frames),
        "frame": np.tile(np.arange(frames), len(videos)),
        "score": score,
        "label": generator.integers(0, 3, frames * len(videos)).astype(np.int32),
        "meta": META,
    }


def text_folder(folder: Path, name: str, step: int = 1, scale: int = 1) -> Path:
    """video41 with 5 minutes of preparation, then dissection; `scale` lines a second."""
    target = folder / name
    target.mkdir()
    phases = np.repeat([0, 1], [300 * scale, 300 * scale])[::step]
    lines = [f"{k * step}\t{CHOLEC80[p]}" for k, p in enumerate(phases)]
    (target / "video41-phase.txt").write_text("Frame\tPhase\n" + "\n".join(lines) + "\n")
    return target


def test_npz_round_trip_in_natural_order(tmp_path: Path) -> None:
    written = arrays()
    shuffled = np.random.default_rng(1).permutation(40)
    write_npz(
        tmp_path / "p.npz",
        **{k: v if k == "meta" else v[shuffled] for k, v in written.items()},
    )
    found = read_npz(tmp_path / "p.npz", "p.npz")
    assert found.videos == ("v9", "v10") and found.fps == 1 and found.classes == ("a", "b", "c")
    np.testing.assert_array_equal(found.frame, written["frame"])
    np.testing.assert_allclose(found.score, written["score"])
    np.testing.assert_array_equal(found.label, written["label"])
    assert found.rows(1) == slice(20, 40)
    assert sorted(["v10", "v9", "v1"], key=natural_order) == ["v1", "v9", "v10"]


def faults() -> list[tuple[str, dict, str]]:
    plain = arrays()
    nan = plain["score"].copy()
    nan[7, 1] = np.nan
    return [
        ("missing", {"score": None}, "array 'score' is missing"),
        ("nan", {"score": nan}, "1 scores are NaN or infinite, the first at row 7, class 1"),
        ("short", {"label": plain["label"][:-1]}, "columns differ in length .*label 39"),
        ("classes", {"score": plain["score"][:, :2]}, "2 columns but meta names 3 classes"),
        ("fps", {"meta": '{"classes": []}'}, "meta key 'fps' is None"),
        ("json", {"meta": "{"}, "meta is not JSON"),
        ("frames", {"frame": plain["frame"] - 1}, "frame -1; frame numbers start at 0"),
        ("float", {"frame": plain["frame"] / 2}, "`frame` must hold whole numbers"),
        ("share", {"label": plain["label"] + 0.5}, "label of row 0 is .*whole numbers"),
        ("nan label", {"label": np.full((40, 3), np.nan)}, "label of row 0 is .*finite numbers"),
        ("text label", {"label": plain["video"]}, "`label` must hold numbers"),
        ("object", {"video": plain["video"].astype(object)}, "holds Python objects"),
    ]


@pytest.mark.parametrize(("name", "change", "message"), faults(), ids=lambda v: str(v)[:8])
def test_faulty_npz_is_one_line(tmp_path: Path, name: str, change: dict, message: str) -> None:
    import json

    content = {**arrays(), "meta": json.dumps(META), **change}
    np.savez(tmp_path / "p.npz", **{k: v for k, v in content.items() if v is not None})
    with pytest.raises(UserError, match=message) as caught:
        read_npz(tmp_path / "p.npz", "p.npz")
    assert str(caught.value).startswith("p.npz: ") and "\n" not in str(caught.value)


def test_not_a_zip_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "p.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(UserError, match="not a readable .npz file"):
        read_npz(tmp_path / "p.npz", "p.npz")


def test_repeats_are_averaged_and_counted() -> None:
    found = assemble(
        "p",
        np.array(["v", "v", "v"]),
        np.array([0, 1, 1]),
        1.0,
        score=np.array([[1, 0], [0.2, 0.8], [0.6, 0.4]]),
        label=np.array([0, 1, 1]),
    )
    np.testing.assert_allclose(found.score, [[1, 0], [0.4, 0.6]])
    assert "1 repeated frame was merged" in found.notes[0]
    with pytest.raises(UserError, match="p: video 0, frame 1: the frame occurs more than once"):
        assemble("p", np.array(["v", "v"]), np.array([1, 1]), 1.0, decision=np.array([0, 1]))


@pytest.mark.parametrize(("step", "fps"), [(1, 25), (25, 25)])
def test_truth_at_25_fps_meets_predictions_at_1(tmp_path: Path, step: int, fps: int) -> None:
    truth = read_folder(text_folder(tmp_path, "truth", step, 25), "truth", fps, CHOLEC80)
    predictions = read_folder(text_folder(tmp_path, "pred"), "pred", 1, CHOLEC80)
    found = with_truth(predictions, truth, 1.0, "error")
    assert len(found.label) == 600
    np.testing.assert_array_equal(found.label, found.decision)


def test_wrong_fps_is_seen_in_the_durations(tmp_path: Path) -> None:
    truth = read_folder(text_folder(tmp_path, "truth", 1, 25), "truth", 25, CHOLEC80)
    predictions = read_folder(text_folder(tmp_path, "pred"), "pred", 25, CHOLEC80)
    with pytest.raises(
        UserError, match="at fps 25 the predictions last 24 s, at fps 25 the ground"
    ):
        with_truth(predictions, truth, 1.0, "error")
    # Both taken for 25 fps although both hold one line a second: too short for an operation.
    one = text_folder(tmp_path, "one")
    options = ReadingOptions(fps=25, truth=one)
    with pytest.raises(UserError, match="the median video lasts 2. s, too short.*is fps 1 meant"):
        read_one(str(tmp_path / "pred"), find("cholec80-strict"), options)
    # Numbered 0, 25, 50, ... but taken for 1 fps.
    sparse = read_folder(text_folder(tmp_path, "sparse", 25, 25), "sparse", 1, CHOLEC80)
    with pytest.raises(UserError, match="25 s apart at fps 1, too sparse"):
        at_rate(sparse, 1.0)


def test_length_mismatch_is_an_error_unless_dropped(tmp_path: Path) -> None:
    truth = read_folder(text_folder(tmp_path, "truth"), "truth", 1, CHOLEC80)
    predictions = read_folder(text_folder(tmp_path, "pred"), "pred", 1, CHOLEC80)
    short = predictions.take(np.arange(595))
    with pytest.raises(UserError, match="video41: 595 predicted frames but 600 .*--missing=drop"):
        with_truth(short, truth, 1.0, "error")
    found = with_truth(short, truth, 1.0, "drop")
    assert len(found.label) == 595 and "5 frames were left out" in found.notes[-1]
    with pytest.raises(UserError, match="no ground truth for video42"):
        other = text_folder(tmp_path, "other")
        (other / "video41-phase.txt").rename(other / "video42-phase.txt")
        with_truth(read_folder(other, "other", 1, CHOLEC80), truth, 1.0, "error")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Frame\tPhase\n0\tPreparation\n0\tPreparation\n", "frame 0 comes after frame 0"),
        ("Frame\tPhase\n0\tPreparing\n", "unknown phase 'Preparing'; known: Preparation, Calot"),
        ("Frame\tPhase\n", "no frames in this file"),
    ],
)
def test_faulty_text_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "video41.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        read_folder(tmp_path, "pred", 1, CHOLEC80)


def test_text_variants_mean_the_same(tmp_path: Path) -> None:
    (tmp_path / "video1.txt").write_text("0 preparation\n1 calot_triangle_dissection\n")
    (tmp_path / "video2_pred.txt").write_text("Preparation\nCalotTriangleDissection\n")
    (tmp_path / "video3-phase.txt.gz").write_bytes(
        gzip.compress(b"Frame,Phase\r\n0,Preparation\r\n1,Calot Triangle Dissection\r\n")
    )
    found = read_folder(tmp_path, "pred", 1, CHOLEC80)
    assert found.videos == ("video1", "video2", "video3")
    assert found.decision.tolist() == [0, 1] * 3
    with pytest.raises(UserError, match="no .txt files"):
        (tmp_path / "empty").mkdir()
        read_folder(tmp_path / "empty", "empty", 1, CHOLEC80)


def test_frames_numbered_from_one_start_at_second_zero(tmp_path: Path) -> None:
    (tmp_path / "01.txt").write_text("Frame\tPhase\n1\t1\n2\t7\n")
    found = read_folder(tmp_path, "labels", 1, CHOLEC80)
    assert found.frame.tolist() == [0, 1] and found.decision.tolist() == [0, 6]
    assert "numbered from 1" in found.notes[0]


def test_classes_in_another_order_mean_the_same(tmp_path: Path) -> None:
    straight, turned = arrays(), arrays()
    order = np.array([2, 0, 1])  # columns of the turned file
    turned["score"] = straight["score"][:, order]
    turned["label"] = np.argsort(order)[straight["label"]]
    turned["meta"] = {**META, "classes": ["c", "a", "b"]}
    write_npz(tmp_path / "p.npz", **straight)
    write_npz(tmp_path / "q.npz", **turned)
    options = ReadingOptions(classes=("a", "b", "c"))
    p, q = (read_one(str(tmp_path / name), STRICT, options) for name in ("p.npz", "q.npz"))
    np.testing.assert_array_equal(p.score, q.score)
    np.testing.assert_array_equal(p.label, q.label)
    assert not p.notes and "brought into the protocol's order" in q.notes[0]
    table = tmp_path / "p.csv"
    table.write_text("video,frame,label,score_c,score_a,score_b\nv,0,a,0.1,0.7,0.2\n")
    found = read_one(str(table), STRICT, ReadingOptions(fps=1, classes=("a", "b", "c")))
    assert found.score.tolist() == [[0.7, 0.2, 0.1]] and found.label.tolist() == [0]
    several = {**turned, "label": np.eye(3, dtype=np.uint8)[turned["label"]]}
    several["meta"] = several["meta"] | {"task": "cvs"}
    write_npz(tmp_path / "r.npz", **several)
    found = read_one(str(tmp_path / "r.npz"), find("endoscapes-cvs50"), options)
    np.testing.assert_array_equal(found.label.argmax(1), p.label)


def test_the_rate_of_an_npz_file_is_its_own(tmp_path: Path) -> None:
    write_npz(tmp_path / "p.npz", **arrays())
    found = read_one(str(tmp_path / "p.npz"), STRICT, ReadingOptions(fps=25))
    assert found.fps == 1 and "its own fps 1 was used" in found.notes[0]
    # 25 frames a second taken for 1: each of 15,000 frames becomes a second.
    long = text_folder(tmp_path, "long", 1, 25)
    (long / "video42-phase.txt").write_text("".join(f"{k}\tPreparation\n" for k in range(40_000)))
    options = ReadingOptions(fps=1, truth=long)
    with pytest.raises(UserError, match="median video lasts .* h, too long .*is fps 25 meant"):
        read_one(str(long), find("cholec80-strict"), options)
    read_one(str(long), find("cholec80-strict"), ReadingOptions(fps=25, truth=long))


def test_videos_without_a_partner_are_named(tmp_path: Path) -> None:
    predictions, truth = (text_folder(tmp_path, name) for name in ("pred", "truth"))
    text = (truth / "video41-phase.txt").read_text()
    for number in (50, 51, 52):
        (truth / f"video{number}-phase.txt").write_text(text)
    options = ReadingOptions(fps=1, truth=truth)
    found = read_one(str(predictions), find("cholec80-strict"), options)
    assert found.videos == ("video41",)
    assert "3 videos (video50, … video52) of" in found.notes[0]
    for number in (41, 60):
        (predictions / f"video{number}-phase.txt").write_text(text)
    with pytest.raises(
        UserError,
        match=(
            "no ground truth for video60; .*expected is .*truth/video60.txt; --missing=drop leaves"
            r" 1 video \(video60\) out"
        ),
    ):
        read_one(str(predictions), find("cholec80-strict"), options)
    drop = ReadingOptions(fps=1, truth=truth, missing="drop")
    found = read_one(str(predictions), find("cholec80-strict"), drop)
    assert found.videos == ("video41",) and len(found.label) == 600
    assert "1 video (video60) left out: no ground truth" in found.notes[0]
    (predictions / "video41-phase.txt").unlink()
    with pytest.raises(UserError, match="no ground truth for video60"):
        read_one(str(predictions), find("cholec80-strict"), drop)


def test_folds_are_joined_and_seeds_kept_apart(tmp_path: Path) -> None:
    for name, seed, videos in (("a", 0, ("v1",)), ("b", 1, ("v2",)), ("c", 2, ("v1", "v2"))):
        write_npz(tmp_path / f"{name}.npz", **arrays(seed, videos))
    a, b, c = (str(tmp_path / f"{name}.npz") for name in "abc")
    folds = read_runs([a, b], STRICT, ReadingOptions())
    assert len(folds) == 1 and folds[0].videos == ("v1", "v2")
    assert len(read_runs([c, c], STRICT, ReadingOptions())) == 2
    with pytest.raises(UserError, match="share 1 video but not all"):
        read_runs([a, c], STRICT, ReadingOptions())
    with pytest.raises(UserError, match="differ in fps or classes"):
        write_npz(tmp_path / "b.npz", **{**arrays(1, ("v2",)), "meta": {**META, "fps": 2}})
        join([read_npz(tmp_path / "a.npz", "a"), read_npz(tmp_path / "b.npz", "b")])


def test_folders_of_text_files_belong_to_the_ids_of_videos(tmp_path: Path) -> None:
    lines = "".join(f"{k}\t{CHOLEC80[k // 300]}\n" for k in range(600))
    for part in ("predictions", "truth"):
        for name in ("day 1/b", "day 2/b", "a"):
            path = tmp_path / part / f"{name}-phase.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("Frame\tPhase\n" + lines)
    options = ReadingOptions(fps=1, truth=tmp_path / "truth", classes=CHOLEC80)
    found = read_one(str(tmp_path / "predictions"), STRICT, options)
    assert found.videos == ("a", "day 1/b", "day 2/b")
    before = digest(tmp_path / "truth")
    (tmp_path / "truth" / "day 1" / "b-phase.txt").write_text(lines)
    assert digest(tmp_path / "truth") != before
    (tmp_path / "predictions" / "old").mkdir()
    (tmp_path / "predictions" / "old" / "a-phase.txt").write_text(lines)
    with pytest.raises(UserError, match="old/a-phase.txt and a-phase.txt are both a; move"):
        read_one(str(tmp_path / "predictions"), STRICT, options)
