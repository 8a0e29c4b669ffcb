"""Can classes be told apart by colour, by the colour-blind, and in grey?"""

import itertools

import numpy as np

from surgvista_jax.figures.palette import COLOURS, lightness, look

# Linear RGB as it is seen without one kind of cone, by Machado et al. 2009 at full severity.
SEEN = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]
    ),
    "deuteranopia": np.array(
        [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]
    ),
    "tritanopia": np.array(
        [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]]
    ),
}
TO_XYZ = np.array([[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0177, 0.1095, 0.8728]])


def lab(colour: str, seen: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of a colour of sRGB."""
    shares = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(np.maximum(TO_XYZ @ np.clip(seen @ linear, 0, 1), 0.009))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_no_two_colours_look_alike_to_anybody() -> None:
    for name, seen in SEEN.items():
        points = [lab(colour, seen) for colour in COLOURS]
        for a, b in itertools.combinations(points, 2):
            assert np.linalg.norm(a - b) > 10, name  # 2.3 is just to be seen


def test_neighbours_differ_in_grey_and_forty_classes_look_different() -> None:
    looks = [look(k) for k in range(40)]
    assert len(set(looks)) == 40 and look(40) == looks[0]
    for one, next_one in itertools.pairwise(looks):
        assert abs(lightness(one.colour) - lightness(next_one.colour)) > 0.15
        assert one.bands != next_one.bands
    # In grey a class is its bands and its lightness: those of eight phases are eight.
    for a, b in itertools.combinations(looks[:8], 2):
        alike = a.bands == b.bands
        assert not alike or abs(lightness(a.colour) - lightness(b.colour)) > 0.15


def test_stops_paint_the_bands_in_ink() -> None:
    for k in range(10):
        found = look(k)
        offsets = [offset for offset, _ in found.stops]
        assert offsets == sorted(offsets) and (offsets[0], offsets[-1]) == (0, 1)
        inked = [offset for offset, colour in found.stops if colour == found.ink]
        assert inked == [edge for band in found.bands for edge in band]
        assert abs(lightness(found.ink) - lightness(found.colour)) > 0.35
