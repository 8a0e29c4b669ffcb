"""What the runs of a test said of where they stand, in case they stand still."""

from collections.abc import Generator
from contextlib import contextmanager

import pytest

from surgvista_jax.training.standstill import Standstill
from surgvista_jax.training.watch import Place


@contextmanager
def watched_places() -> Generator[list[Place], None, None]:
    """Within, the places of runs under way are noted, one after the other, but for their parts."""
    places, real = [], Standstill._stand

    def noted(self, place):
        places.append(place._replace(part=0))
        real(self, place)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Standstill, "_stand", noted)
        yield places
