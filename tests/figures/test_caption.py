"""What is drawn into annotated pictures: where it is, and what it leaves alone."""

import numpy as np
import pytest

from surgvista_jax.figures import caption
from surgvista_jax.figures.lettering import lettering, undrawable


def test_a_ribbon_shows_each_moment_for_as_long_as_it_counts():
    held = np.eye(2, dtype=bool)[[0, 1, 1]]
    held[2] = False
    drawn = caption.ribbon(held, np.array([0.5, 0.75, 1.0]), 8, 10)
    first, second = (caption.bgr(k) for k in (0, 1))
    assert [tuple(colour) for colour in drawn[0, [0, 3, 4, 5]]] == [first, first, second, second]
    assert len({tuple(colour) for colour in drawn[0, 6:]} & {first, second}) == 0  # no label


def test_classes_that_hold_together_have_a_row_each_the_most_frequent_first():
    held = np.array([[1, 1, 0], [0, 1, 0]], bool)
    drawn = caption.ribbon(held, np.array([0.5, 1.0]), 4, 6)
    assert tuple(drawn[0, 0]) == tuple(drawn[0, 3]) == caption.bgr(1)
    assert tuple(drawn[5, 0]) == caption.bgr(0) != tuple(drawn[5, 3])


@pytest.mark.parametrize("size", [(64, 96), (720, 1280), (12, 16)])
def test_drawing_keeps_to_the_lower_edge(size):
    picture = np.full((*size, 3), 90, np.uint8)
    height = caption.bar_height(*size)
    bar = caption.bar(
        "Calot triangle dissection of a very long name", "83 %", (3,), size[1], height
    )
    ribbon = np.zeros((max(1, height // 3), size[1], 3), np.uint8)
    caption.draw(picture, bar, ribbon, 1.0)
    drawn = height + len(ribbon)
    assert (picture[: size[0] - drawn] == 90).all() and drawn <= size[0] / 2
    if size[0] > 20:
        assert picture[-drawn : -len(ribbon), size[1] // 2 :].max() > 200  # the confidence
    before = picture.copy()
    caption.draw(picture, None, ribbon, 0.0)
    np.testing.assert_array_equal(picture[: -len(ribbon)], before[: -len(ribbon)])


def test_text_is_fitted_and_what_no_font_has_is_told():
    assert lettering("Präparation <b> Рука", 500, 24).max() > 200
    assert lettering("long " * 40, 80, 24).shape[1] <= 80
    assert lettering("x", 1, 24).shape == (24, 1)
    assert undrawable("Präparation Рука \U0010ffff\U0010ffff") == "\U0010ffff"
