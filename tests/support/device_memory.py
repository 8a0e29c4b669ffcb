"""Whether runs of tests estimate what memory they need; most do not, which is told by conftest."""

from collections.abc import Generator
from contextlib import contextmanager

import pytest

from surgvista_jax.training import fits_devices

_REAL = fits_devices.device_memory


def leave_unknown() -> None:
    """From here on no device tells its memory, so nothing is compared with it."""
    fits_devices.device_memory = lambda mesh: None


@contextmanager
def known() -> Generator[None, None, None]:
    """Within, devices tell their memory, and a run checks that its step fits."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fits_devices, "device_memory", _REAL)
        yield
