"""Are names that nearly agree told from names that differ?"""

import pytest

from surgvista_jax.data.datasets import registry
from surgvista_jax.data.labels.names import ClassNames, near_equal
from surgvista_jax.errors import UserError


@pytest.mark.parametrize(
    "names",
    [
        ("Prep", "Prep.", "Pr\u00e9p"),
        ("dissection", "disection"),
        ("Clipping and cutting", "Cliping and cutting"),
        ("Bile duct", "bile-duct?"),
        ("clip (1)", "clip 1"),
    ],
)
def test_accents_punctuation_and_a_letter(names):
    assert all(repr(name) in near_equal(("other", *names)) for name in names)


@pytest.mark.parametrize(
    "names",
    [
        ("step 1", "step 2"),
        ("step 1-1", "step 11"),
        ("A+", "A-"),
        ("Anastomosis A", "Anastomosis B"),
        ("cut", "cup"),
        ("suction", "section"),
        ("grasper left", "grasper right"),
    ],
)
def test_names_that_differ(names):
    assert near_equal(names) == ""


def test_no_published_classes_are_nearly_equal():
    assert not [name for name, dataset in registry().items() if near_equal(dataset.classes)]


@pytest.mark.parametrize("text", ["-1", "- 2", "\u22122", "\u20131.0"])
def test_a_number_below_0_is_no_class_that_is_called_by_its_digits(text):
    with pytest.raises(UserError, match="unknown class"):
        ClassNames(("1", "2")).id_of(text, "line 1")
