"""Are images held against the numbers of their labels, and nothing shifted in silence?"""

from pathlib import Path

import pytest

from surgvista_jax.data.labels.numbering import (
    Unnumbered,
    image_numbers,
    numbering_fault,
    place_fault,
)
from surgvista_jax.errors import UserError


def numbers(*names):
    return image_numbers([Path(name) for name in names])


def test_the_number_that_differs_counts_the_images():
    assert numbers("000000.png", "000025.png", "000050.png") == [0, 25, 50]
    assert numbers("VID01_0.png", "VID01_1.PNG", "vid01_10.jpg") == [0, 1, 10]
    assert numbers("img_3_256x256.png", "img_4_256x256.png") == [3, 4]
    assert numbers("2_14050.jpg") == [14050]
    for names in (("a.png", "b.png"), ("1_2.png", "3_4.png"), ("1a.png", "b2.png", "c.png")):
        with pytest.raises(Unnumbered):
            numbers(*names)


def test_copies_and_other_pictures_are_named():
    with pytest.raises(UserError, match=r"000003 \(1\).png: is not named as the other images"):
        numbers("000000.png", "000003.png", "000003 (1).png", "000004.png")
    with pytest.raises(UserError, match="cover.jpg: is not named as .* nor are 1 more"):
        numbers("1.png", "2.png", "3.png", "cover.jpg", "thumbnail.png")
    with pytest.raises(UserError, match="3.png: has the number 3, as 03.png; keep one"):
        numbers("01.png", "03.png", "3.png")
    with pytest.raises(UserError, match="3.png: has the number 3, as 3.jpg"):
        numbers("2.jpg", "3.jpg", "3.png")


SECONDS = range(100)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (range(0, 2500, 25), SECONDS),
        (SECONDS, range(0, 2500, 25)),
        (range(1, 101), SECONDS),
        (SECONDS, range(1, 101)),
        (range(0, 202, 2), range(101)),
        ((0, 25, 50), (0, 1, 2)),
        (range(14050, 14060), range(10)),
        (range(1, 102), SECONDS),
        (range(2500), SECONDS),  # each frame, labels a second
        (SECONDS, range(2500)),
    ],
)
def test_other_numbers_are_a_fault_that_says_both(images, labels):
    fault = numbering_fault(images, labels)
    assert f"numbered {min(images)}, " in fault and f"labels {min(labels)}, " in fault


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (SECONDS, SECONDS),
        (range(1, 100), SECONDS),  # the first image is missing
        (range(50), SECONDS),
        (SECONDS, range(0, 100, 5)),  # a label each five seconds
        ([n for n in SECONDS if n != 15], range(0, 100, 5)),
        (range(14050, 20050, 25), range(14050, 20050, 125)),
        ([0, 2, 3, 4], [0, 2, 3]),
        ([0, 7, 10], [0, 10]),
        ([0, 2, 3], [0, 1, 2]),
        (SECONDS, []),
    ],
)
def test_missing_images_and_sparse_labels_are_none(images, labels):
    assert numbering_fault(images, labels) == ""


def test_images_that_labels_count_by_their_order_leave_none_out():
    assert place_fault(range(0, 100, 25), from_start=True) == ""
    assert place_fault(range(1, 9), from_start=True) == ""
    assert "after 10 comes 12" in place_fault([*range(11), 12, 13], from_start=True)
    assert "begin with 5" in place_fault(range(5, 9), from_start=True)
    assert place_fault(range(5, 9), from_start=False) == ""
