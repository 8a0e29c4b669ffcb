"""Is a file that a protocol does not score refused by what it says of itself?"""

from pathlib import Path

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.metrics.named_protocols import find
from surgvista_jax.predictions.npz import write_npz
from surgvista_jax.predictions.reading import ReadingOptions, read_one

META = {"task": "phase", "classes": ["a", "b", "c"], "fps": 1}
STRICT = find("phase-strict")


def arrays(*, several: bool = False, **meta) -> dict:
    """Predictions of two videos of 20 seconds."""
    generator = np.random.default_rng(0)
    label = generator.integers(0, 3, 40).astype(np.int32)
    return {
        "video": np.repeat(["v9", "v10"], 20),
        "frame": np.tile(np.arange(20), 2),
        "score": generator.dirichlet(np.ones(3), size=40).astype(np.float32),
        "label": np.eye(3, dtype=np.uint8)[label] if several else label,
        "meta": META | meta,
    }


@pytest.mark.parametrize(
    ("protocol", "several", "meta", "said"),
    [
        ("cholec80-tool", False, {}, "holds one class a frame, cholec80-tool scores several"),
        ("tool-presence", False, {"task": ""}, "holds one class a frame, tool-presence scores sev"),
        ("phase-strict", True, {}, "holds several classes a frame, phase-strict scores one class"),
        ("phase-strict", False, {"label_kind": "multi"}, "holds several classes a frame"),
        ("phase-strict", False, {"task": "tool"}, "of task tool, phase-strict of task phase"),
        ("phase-strict", False, {"task": "action"}, "of task action, phase-strict of task phase"),
        ("cholec80-tool", True, {"task": "triplet"}, "of task triplet, cholec80-tool of task tool"),
        ("endoscapes-cvs50", True, {"task": "tool"}, "of task tool, endoscapes-cvs50 of task cvs"),
        ("phase-strict", False, {"task": 5}, "meta key 'task' is 5; not text"),
        ("phase-strict", False, {"label_kind": "many"}, "'label_kind' is 'many'; it is one of"),
        ("cholec80-strict", False, {}, r"has 3 classes \(a, b, c\), cholec80-strict has 7"),
        ("cholec80-strict", False, {"classes": ["x", "y"]}, "score has 3 columns but meta names 2"),
    ],
)
def test_what_a_file_says_of_itself_must_fit(tmp_path, protocol, several, meta, said) -> None:
    write_npz(tmp_path / "p.npz", **arrays(several=several, **meta))
    truth = tmp_path / "truth.csv"  # whose names the protocol does not know either
    truth.write_text("video,second,label\n" + "".join(f"v9,{k},a\n" for k in range(20)))
    for options in (ReadingOptions(), ReadingOptions(truth=truth)):
        with pytest.raises(UserError, match=said) as error:
            read_one(str(tmp_path / "p.npz"), find(protocol), options)
        assert str(error.value).startswith(str(tmp_path / "p.npz")) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("protocol", "several", "meta"),
    [
        ("clips-single", False, {}),  # scores any single labels
        ("clips-single", False, {"task": "cvs", "label_kind": "single"}),
        ("clips-single", False, {"task": "single"}),  # what reports call it
        ("tool-presence", True, {"task": "triplet"}),
        ("endoscapes-cvs50", True, {"task": "criteria", "label_kind": "multi"}),
        ("phase-strict", False, {"task": "my phases", "label_kind": None}),
        ("phase-strict", False, {"task": None}),
    ],
)
def test_what_a_protocol_can_score_is_scored(tmp_path, protocol, several, meta) -> None:
    write_npz(tmp_path / "p.npz", **arrays(several=several, **meta))
    assert len(read_one(str(tmp_path / "p.npz"), find(protocol), ReadingOptions()).frame) == 40


def test_classes_of_another_dataset_are_not_taken_by_their_order(tmp_path) -> None:
    options = ReadingOptions(classes=("Vorbereitung", "Schnitt", "Naht"))
    write_npz(tmp_path / "p.npz", **arrays(classes=["cut", "sew", "tie"]))
    with pytest.raises(UserError, match="its classes cut, sew, tie are none of .*--classes FILE"):
        read_one(str(tmp_path / "p.npz"), STRICT, options)
    write_npz(tmp_path / "p.npz", **arrays(classes=["Vorbereitung", "cut", "naht"]))
    found = read_one(str(tmp_path / "p.npz"), STRICT, options)
    assert "taken by their order: 'cut' for 'Schnitt'" in found.notes[0]
    write_npz(tmp_path / "p.npz", **arrays(classes=["class 0", "class 1", "class 2"]))
    assert not read_one(str(tmp_path / "p.npz"), STRICT, options).notes
    table = tmp_path / "p.csv"
    table.write_text("video,frame,label,score_cut,score_sew,score_tie\nv,0,0,1,0,0\n")
    with pytest.raises(UserError, match="its classes cut, sew, tie are none of the protocol's"):
        read_one(str(table), STRICT, ReadingOptions(fps=1, classes=options.classes))


def test_rows_of_several_labels_that_are_unlabelled_are_left_out(tmp_path) -> None:
    whole = arrays(several=True, task="tool")
    whole["label"] = whole["label"].astype(np.int8)
    whole["label"][:5] = -1
    write_npz(tmp_path / "p.npz", **whole)
    found = read_one(str(tmp_path / "p.npz"), find("tool-presence"), ReadingOptions())
    assert len(found.frame) == 35 and "5 unlabelled frames were left out" in found.notes[0]


def test_protocol_and_file_must_fit(tmp_path: Path) -> None:
    write_npz(tmp_path / "p.npz", **arrays())
    path = str(tmp_path / "p.npz")
    with pytest.raises(
        UserError,
        match=r"p.npz: has 3 classes \(a, b, c\), cholec80-strict has 7 .*; phase-strict scores",
    ):
        read_one(path, find("cholec80-strict"), ReadingOptions())
    with pytest.raises(
        UserError, match="holds one class a frame, cholect50-rdv scores several classes"
    ):
        read_one(path, find("cholect50-rdv"), ReadingOptions())
    with pytest.raises(UserError, match="no such file"):
        read_one(str(tmp_path / "q.npz"), STRICT, ReadingOptions())
    write_npz(tmp_path / "p.npz", **{**arrays(), "label": None})
    with pytest.raises(UserError, match="holds no labels; give --truth, a folder or a CSV"):
        read_one(path, STRICT, ReadingOptions())
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="--fps is needed"):
        read_one(str(tmp_path / "folder"), STRICT, ReadingOptions())
    write_npz(tmp_path / "p.npz", **{**arrays(), "score": 3 * arrays()["score"]})
    assert "not probabilities" in read_one(path, STRICT, ReadingOptions()).notes[0]
