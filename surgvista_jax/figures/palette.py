"""How a class looks in every ribbon: a colour, and bands that tell it apart without colour.

The colours stay apart for the colour-blind (by Machado, Oliveira and Fernandes, "A physiologically
based model for simulation of color vision deficiency", IEEE TVCG 15(6), 2009) and alternate in
lightness, so that neighbouring classes differ in grey too. Bands are horizontal: they look the same
however far a time axis is stretched, and in the shortest segment.
"""

from dataclasses import dataclass

COLOURS = tuple("#0072b2 #f0e442 #d55e00 #a6d8f0 #007a59 #e69f00 #882255 #e0a0c8".split())
DARK_INK, LIGHT_INK = "#1c2430", "#ffffff"
# Parts of a ribbon's height from its top. As many as have no divisor in common with the colours, so
# that 40 classes look different.
BANDS: tuple[tuple[tuple[float, float], ...], ...] = (
    (),
    ((0.7, 0.82),),
    ((0.18, 0.3),),
    ((0.44, 0.56),),
    ((0.18, 0.3), (0.7, 0.82)),
)


@dataclass(frozen=True)
class Look:
    """How one class is painted.

    Attributes:
        colour: of the whole height, as #rrggbb.
        ink: of its bands, dark on light colours and light on dark ones.
        bands: (from, to) as parts of the height, from the top down.
    """

    colour: str
    ink: str
    bands: tuple[tuple[float, float], ...]

    @property
    def stops(self) -> list[tuple[float, str]]:
        """A vertical gradient with hard borders that paints it: (part of the height, colour)."""
        stops = [(0.0, self.colour)]
        for start, end in self.bands:
            stops += [(start, self.colour), (start, self.ink), (end, self.ink), (end, self.colour)]
        return [*stops, (1.0, self.colour)]


def look(index: int) -> Look:
    """The look of a class by its number, from 0; after 40 they begin anew."""
    colour = COLOURS[index % len(COLOURS)]
    ink = DARK_INK if lightness(colour) > 0.5 else LIGHT_INK
    return Look(colour, ink, BANDS[index % len(BANDS)])


def lightness(colour: str) -> float:
    """How light #rrggbb looks in grey, from 0 to 1: luma of ITU-R BT.601."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue
