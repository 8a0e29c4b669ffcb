"""Sheets of rebuilt clips show what was there, what was seen and what was predicted, no more."""

import numpy as np
import pytest

from surgvista_jax.figures import printed
from surgvista_jax.figures.denormalise import STATISTICS
from surgvista_jax.figures.distillation_sheet import Rebuilt, draw_distillation
from surgvista_jax.figures.reconstruction_sheet import DPI, ERROR_SCALE, Caption, draw
from tests.support.drawn_text import check_texts, texts
from tests.support.masked_clips import GRID, PATCH, TUBELET, make_batch, targets


def page(batch, predicted, videos=("one", "two"), statistics=("visible",), **changes):
    frame_ids = np.arange(8).reshape(2, 4)
    caption = {"dataset": "set", "step": 7, "mask": "tube", "ratio": 0.75}
    caption = Caption(**{**caption, **changes}, videos=videos, frame_ids=frame_ids)
    return draw(batch, predicted, caption, tubelet=TUBELET, patch=PATCH, statistics=statistics)


def holds(image, colour):
    """The share of an image's pixels of about one colour."""
    return (np.abs(image.astype(int) - np.array(colour)).max(-1) <= 2).mean()


def test_the_page_shows_the_clip_its_hidden_patches_and_the_error():
    batch = make_batch()
    batch["video"][:] = (200, 30, 40)
    right, wrong = np.zeros_like(targets(batch)), np.full_like(targets(batch), 1e9)
    shown = page(batch, right, statistics=("target",))
    assert shown.dtype == np.uint8 and shown.shape[-1] == 3
    frame = 1.2 * 1.2 * DPI**2 / shown[..., 0].size * 8  # all frames of one stage
    # The original and the reconstruction whole, of the input a quarter.
    assert holds(shown, (200, 30, 40)) == pytest.approx(2.25 * frame, rel=0.05)
    assert holds(shown, (140, 140, 140)) == pytest.approx(0.75 * frame, rel=0.05)
    darkest, brightest = (0, 0, 4), (252, 255, 164)  # ends of the colour map
    assert holds(shown, darkest) == pytest.approx(0.75 * frame, rel=0.05)
    assert holds(page(batch, wrong), brightest) == pytest.approx(0.75 * frame, rel=0.05)
    assert 0 < ERROR_SCALE < 1


def test_each_statistics_gets_its_rows():
    batch = make_batch()
    one, both = (page(batch, targets(batch), statistics=s) for s in (("visible",), STATISTICS))
    rows = (both.shape[0] - one.shape[0]) / DPI / (1.2 + 0.04)
    assert one.shape[1] == both.shape[1] and round(rows) == 2 * 2


def test_nothing_is_cut_off_whatever_the_names():
    batch = make_batch()
    names = ("VIDEO_" * 30, "Operation $\\frac$ 手術 №1"), "W" * 200
    image = page(batch, targets(batch), videos=names[0], dataset=names[1])
    for edge in (image[:6], image[-6:], image[:, :6], image[:, -6:]):
        assert (edge == 255).all()


LONG = "without teacher, 40 epochs"


@pytest.mark.parametrize("width", ["single", "double"])
def test_no_texts_of_the_figure_of_distillation_run_into_each_other(width):
    batch = {key: values[:1] for key, values in make_batch().items()}
    right = targets(batch)
    students = [
        Rebuilt("with teacher", right, "target"),
        Rebuilt(LONG, 0 * right, "visible"),
    ]
    sheet = draw_distillation(
        batch,
        students,
        GRID,
        "A note. " * 20,
        tubelet=TUBELET,
        patch=PATCH,
        frame_ids=[1000, 1004, 1008, 1012],
        width=width,
    )
    sheet.set_dpi(100)
    check_texts(sheet)
    written = [text for text, _ in texts(sheet)]
    lines = {"single": ["without teacher,", "40 epochs"], "double": [LONG]}[width]
    assert [text for text in written if text in lines] == lines  # wrapped, not cut
    assert "mean 0.000" in written and "MSE 0.000" in written and "1012" in written
    # In print without colours, too, no error looks like what was not hidden.
    maps = [axes for axes in sheet.axes if axes.images and axes.images[0].get_array().ndim == 2]
    assert maps and {axes.patch.get_hatch() for axes in maps} == {2 * printed.HATCH}
