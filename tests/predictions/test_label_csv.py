"""Are the labels that `data convert` reads the truth, or the predictions, that evaluate scores?"""

import json
from pathlib import Path

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.metrics.named_protocols import find
from surgvista_jax.predictions.npz import write_npz
from surgvista_jax.predictions.reading import ReadingOptions, read_one, read_runs

STRICT, CLIPS, TOOLS = find("phase-strict"), find("clips-single"), find("tool-presence")
NAMES = ["cut", "sew", "tie"]


def predicted(path: Path, videos=("a", "day 1/b"), frames=100, fps=1, label=None, task="phase"):
    """Predictions without labels: of each video, "cut" for a half and then "sew"."""
    score = np.repeat(np.eye(3, dtype=np.float32)[[0, 1]], frames // 2, axis=0)
    write_npz(
        path,
        video=np.repeat(videos, frames),
        frame=np.tile(np.arange(frames), len(videos)),
        score=np.tile(score, (len(videos), 1)),
        label=label,
        meta={"task": task, "classes": NAMES, "fps": fps},
    )
    return str(path)


def read(path, truth, protocol=STRICT, **options):
    return read_one(str(path), protocol, ReadingOptions(truth=truth, **options))


def table(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


SECONDS = [f"{video},{k},{'Sew' if k >= 40 else 'cut'}" for video in "ab" for k in range(100)]
LAYOUTS = {
    "seconds": ["video,second,label", *SECONDS],
    "intervals": ["video,start,end,phase", *(f"{v},0,40,cut\n{v},0:40,1:40,SEW" for v in "ab")],
    "frames": ["video,frame,second,label"]
    + [f"{v},{k},{k / 2:.1f},{'sew' if k >= 80 else 'cut'}" for v in "ab" for k in range(200)],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("fps", [1, 5])
def test_every_layout_is_the_truth_at_any_rate(tmp_path, layout, fps):
    truth = table(tmp_path / "truth.csv", *LAYOUTS[layout])
    found = read(predicted(tmp_path / "p.npz", frames=100 * fps, fps=fps), truth)
    assert found.videos == ("a", "day 1/b") and found.classes == tuple(NAMES)
    wanted = np.repeat([0, 1], [40 * fps, 60 * fps])
    np.testing.assert_array_equal(found.label, np.tile(wanted, 2))
    assert not found.notes
    assert [name for name, _ in found.files] == [str(tmp_path / "p.npz"), str(truth)]


def test_a_folder_of_files_in_folders_is_the_truth(tmp_path):
    for video in ("a", "day 1/b", "day 2/not predicted"):
        rows = [f"{k},{k},tie,0.5" for k in range(100)]  # as `predict` writes them
        table(tmp_path / "truth" / f"{video}.csv", "frame,second,label,cut", *rows)
    found = read(predicted(tmp_path / "p.npz"), tmp_path / "truth")
    assert found.videos == ("a", "day 1/b") and set(found.label) == {2}
    assert "1 video (day 2/not predicted)" in found.notes[0]


def test_unlabelled_moments_are_left_out_and_told(tmp_path):
    lines = [f"a,{k},{'-1' if k < 10 else 'nan' if k < 20 else 'cut'}" for k in range(90)]
    truth = table(tmp_path / "truth.csv", "video,second,label", *lines)
    found = read(predicted(tmp_path / "p.npz", ("a",)), truth)
    assert len(found.label) == 70 and found.frame[0] == 20
    assert any("the last 10.0 s have no label" in note for note in found.notes)
    assert any("30 unlabelled frames" in note for note in found.notes)


@pytest.mark.parametrize("header", ["path,label", "video,label"])
def test_labels_of_whole_clips_hold_for_the_frame_that_was_predicted(tmp_path, header):
    score = np.eye(3, dtype=np.float32)[[0, 1]]
    about = {"task": "action", "classes": NAMES, "fps": 25}
    arrays = {"video": np.array(["x", "day 1/y"]), "frame": np.array([99, 120]), "score": score}
    write_npz(tmp_path / "p.npz", **arrays, label=None, meta=about)
    truth = table(tmp_path / "t.csv", header, "videos/x.mp4,Cut", "day 1/y.mp4,tie")
    found = read(tmp_path / "p.npz", truth, CLIPS)
    assert found.videos == ("day 1/y", "x")
    np.testing.assert_array_equal(found.label, [2, 0])
    both = read(truth, truth, CLIPS, classes=tuple(NAMES))
    np.testing.assert_array_equal(both.decision, [2, 0])


def test_several_labels_a_frame(tmp_path):
    lines = [f"a,{k},{'' if k < 10 else 'cut;tie' if k < 50 else '-1'}" for k in range(100)]
    truth = table(tmp_path / "truth.csv", "video,second,tools", *lines)
    found = read(predicted(tmp_path / "p.npz", ("a",), task="tool"), truth, TOOLS)
    np.testing.assert_array_equal(found.label, [[0, 0, 0]] * 10 + [[1, 0, 1]] * 40)
    with pytest.raises(UserError, match="needs scores of several labels"):
        read(truth, truth, TOOLS)


def test_label_files_are_predictions_too(tmp_path):
    guess = table(tmp_path / "guess.csv", *LAYOUTS["seconds"])
    truth = table(tmp_path / "truth.csv", *LAYOUTS["intervals"])
    found = read(guess, truth, classes=tuple(NAMES))
    np.testing.assert_array_equal(found.decision, found.label)
    with pytest.raises(UserError, match="holds no labels; give --truth"):
        read(guess, None, classes=tuple(NAMES))
    with pytest.raises(UserError, match="give --classes"):
        read(guess, truth)


def test_classes_may_be_numbers(tmp_path):
    lines = [f"a,{k},{k // 40}.0" for k in range(100)]
    truth = table(tmp_path / "truth.csv", "video,second,label", *lines)
    found = read(predicted(tmp_path / "p.npz", ("a",)), truth)
    np.testing.assert_array_equal(found.label, np.arange(100) // 40)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ["vidoe,second,label", "a,0,cut"],
            "no column 'video' or 'path'; did you mean 'vidoe'",
        ),
        (["paht,label", "a,cut"], "no column 'video' or 'path'; did you mean 'paht'"),
        (["video,second,lable", "a,0,cut"], r"\('label'\); did you mean 'lable'"),
        (["video,secnd,label", "a,0,cut"], "line 2: .*did you mean 'secnd'"),
        (["video,second,label", *(f"a,{k},scrub" for k in range(99))], "unknown phase 'scrub'"),
        (["video,second,label", "c,0,cut"], "no ground truth for a"),
        (["video,second,label", *(f"a,{k},cut" for k in range(999))], "9.99 times as long"),
    ],
)
def test_faults_are_one_line_each(tmp_path, lines, said):
    truth = table(tmp_path / "truth.csv", *lines)
    with pytest.raises(UserError, match=said) as error:
        read(predicted(tmp_path / "p.npz"), truth)
    assert "\n" not in str(error.value)


def test_a_run_and_what_predict_wrote_are_read(tmp_path):
    run, seeds = tmp_path / "run", tmp_path / "seeds"
    for folder in (run, seeds / "seed0", seeds / "seed1"):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"kind": "finetuning"}))
    label = np.zeros(200, np.int32)
    with pytest.raises(UserError, match="the run in this folder has no predictions.npz"):
        read(run, None)
    predicted(run / "predictions.npz", label=label)
    assert read(run, None).source == str(run)
    for number in (0, 1):
        predicted(seeds / f"seed{number}" / "predictions.npz", label=label)
    assert len(read_runs([str(seeds)], STRICT, ReadingOptions())) == 2
    wrote = tmp_path / "wrote"
    wrote.mkdir()
    predicted(wrote / "predictions.npz", label=label)
    table(wrote / "a.csv", "frame,second,label,cut", "0,0.000,cut,1.0")
    assert read(wrote, None).score is not None
