"""Position tables agree with the reference's."""

import numpy as np
import pytest

from surgvista_jax.models.positions import TABLES, flat_sine, separable_sine
from tests.support.places import GOLDEN


@pytest.fixture(scope="module")
def tables():
    with np.load(GOLDEN / "positions.npz") as file:
        return dict(file)


def test_separable(tables):
    small = separable_sine((2, 4, 4), 48)
    np.testing.assert_allclose(small, tables["separable_2x4x4x48"], atol=1e-6)
    large = separable_sine((8, 14, 14), 768)[tables["rows"]]
    np.testing.assert_allclose(large, tables["separable_8x14x14x768_rows"], atol=1e-6)


def test_flat(tables):
    large = flat_sine((8, 14, 14), 768)[tables["rows"]]
    np.testing.assert_allclose(large, tables["flat_1568x768_rows"], atol=1e-6)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_token_has_its_own_position(table):
    positions = table((4, 3, 5), 32)
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    assert positions.dtype == np.float32
    assert distances[~np.eye(len(positions), dtype=bool)].min() > 0.1


def test_widths_that_do_not_divide():
    with pytest.raises(ValueError, match="divisible by 16"):
        separable_sine((2, 2, 2), 24)
    with pytest.raises(ValueError, match="even"):
        flat_sine((2, 2, 2), 3)
