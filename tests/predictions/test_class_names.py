"""Do names and numbers of classes mean what the file meant?"""

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.metrics.named_protocols import CHOLEC80, find
from surgvista_jax.predictions.class_names import check_shared, class_ids, column_order
from surgvista_jax.predictions.reading import ReadingOptions, read_one


def test_numbers_may_start_at_one_and_names_need_an_order() -> None:
    assert class_ids(np.array(["1", "7"]), CHOLEC80, "p").tolist() == [0, 6]
    assert class_ids(np.array(["0", "6"]), CHOLEC80, "p").tolist() == [0, 6]
    with pytest.raises(UserError, match="give --classes FILE"):
        class_ids(np.array(["x"]), (), "p")


def test_numbers_that_may_count_from_0_or_1_are_asked_about(tmp_path: Path) -> None:
    numbers = np.array(["1", "6"])
    with pytest.raises(UserError, match="numbered 1 to 6, which of 7 may .*--first-class"):
        class_ids(numbers, CHOLEC80, "p")
    assert class_ids(numbers, CHOLEC80, "p", first=0).tolist() == [1, 6]
    assert class_ids(numbers, CHOLEC80, "p", first=1).tolist() == [0, 5]
    with pytest.raises(UserError, match="class 0, but --first-class is 1"):
        class_ids(np.array(["0", "6"]), CHOLEC80, "p", first=1)
    (tmp_path / "p.csv").write_text("video,frame,label,prediction\nv,0,1,1\nv,1,7,6\n")
    options = ReadingOptions(fps=1, classes=CHOLEC80, first_class=1)
    found = read_one(str(tmp_path / "p.csv"), find("phase-strict"), options)
    assert found.label.tolist() == [0, 6] and found.decision.tolist() == [0, 5]


def test_classes_that_are_called_by_numbers_are_found_by_their_names() -> None:
    assert class_ids(np.array(["2", "1.0", "2"]), ("2", "1"), "p").tolist() == [0, 1, 0]
    assert class_ids(np.array(["-1", "-2", "0"]), ("-2", "0"), "p").tolist() == [-1, 0, 1]
    assert class_ids(np.array(["none", "cut"]), ("None", "cut"), "p").tolist() == [0, 1]


def test_texts_that_say_that_there_is_no_label_are_below_zero() -> None:
    marks = np.array([" -1", "-1.0", "-100", "nan", "", "None", "0"])
    assert class_ids(marks, ("a",), "p").tolist() == [-1] * 6 + [0]
    assert class_ids(np.array(["", "-1"]), (), "p").tolist() == [-1, -1]
    for text, said in (("-2", "is below 0"), ("0.5", "not a whole"), ("0,5", "not a whole")):
        with pytest.raises(UserError, match=f"line 7: class '{text}' {said}|{said}"):
            class_ids(np.array(["0", text]), ("a",), "p", where=lambda k: f"line {6 + k}")


def test_columns_are_ordered_by_their_names() -> None:
    assert column_order(["c", "a", "b"], ["A", "B", "C"], "p").tolist() == [1, 2, 0]
    assert column_order(["0", "1", "10", "2"], ["a", "b", "c", "d"], "p").tolist() == [0, 1, 3, 2]
    assert column_order(["x", "y", "z"], ["a", "b", "c"], "p").tolist() == [0, 1, 2]
    assert column_order(["a", "y", "c"], ["a", "b", "c"], "p").tolist() == [0, 1, 2]
    with pytest.raises(UserError, match="p: score 0 is called 'b', which is class 1 of a, b, c"):
        column_order(["b", "y", "c"], ["a", "b", "c"], "p")


def test_columns_are_ordered_whatever_the_unicode_form_of_their_names() -> None:
    """One with a digit would be taken by its place, in silence."""
    classes = ("Prép 1", "Clôture", "Pre-op")
    names = [unicodedata.normalize("NFD", name) for name in (classes[1], "Pre\u2010op", classes[0])]
    assert column_order(names, classes, "p").tolist() == [2, 0, 1]
    assert check_shared(names[:2], classes[1:], "p", "the protocol") == ""
