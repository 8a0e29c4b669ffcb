"""Do two spellings mean one class exactly where nobody would mean two?"""

import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import is_unlabelled, listed_classes, same_class


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Clipping", " clipping "),
        ("Pr\u00e4p", "Pra\u0308p"),
        ("cystic duct", "cystic\u00a0duct"),
        ("Calot Triangle Dissection", "CalotTriangleDissection"),
        ("calot_triangle-dissection", "Calot  triangle \u2010 dissection"),
        ("clip", "cl\u00adip\ufeff"),
        ("1", "1.0"),
        ("01", "1"),
        ("\uff11", "1"),
        ("1.000e+00", "1"),
        ("1,0", "1"),
        ("- 2", "-2"),
        ("\u22122", "-2"),
        ("\u20132.0", "-2"),
        ("-0", "0"),
        ("phase_3", "Phase 3"),
        ("STRASSE", "stra\u00dfe"),
    ],
)
def test_spellings_of_one_class(one, other):
    assert same_class(one) == same_class(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "10"),
        ("1.0", "10"),
        ("1.5", "15"),
        ("1,5", "15"),
        ("1,000", "1"),
        ("9e99", "9"),
        ("9" * 400 + ".0", "9"),
        ("step 1-1", "step 11"),
        ("step 1 1", "step 11"),
        ("step 1.1", "step 11"),
        ("A+", "A-"),
        ("A", "A-"),
        ("1", "-1"),
        ("P\u00e4", "Pa"),
    ],
)
def test_names_that_stay_apart(one, other):
    assert same_class(one) != same_class(other)


@pytest.mark.parametrize(
    "text",
    ["", " ", "-1", "-1.0", "-100", "nan", "NaN", "None", "NULL", "n/a", "<NA>", "NA", "#N/A"]
    + ["-nan", " -1", "- 1", "\u22121", "-1.0e+00"],
)
def test_no_label(text):
    assert is_unlabelled(text)


@pytest.mark.parametrize("text", ["0", "1", "-2", "100", "idle", "no tool", "nano"])
def test_a_label(text):
    assert not is_unlabelled(text)


@pytest.mark.parametrize("text", ["A,A,B", "A,B, a", "1,2,1.0", "A,,B", "A,", "A\0,B", "A,B\ud800"])
def test_a_list_of_classes_names_each_once(text):
    with pytest.raises(UserError, match="--classes: ") as caught:
        listed_classes("--classes", text.split(","))
    assert "\n" not in str(caught.value)
    assert listed_classes("x", [" A", "B "]) == ("A", "B")
