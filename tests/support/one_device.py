"""Runs of tests on one device: for eight they compile for longer, and those of whole runs
(`test_run_sharded`, `finetuning/test_run`) show that they compute the same."""

from collections.abc import Generator
from contextlib import contextmanager

import jax
import pytest

_EVERY = jax.devices


@contextmanager
def on_one_device() -> Generator[None, None, None]:
    """Within, or in a function that it decorates, runs find one of the devices."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(jax, "devices", lambda *asked: _EVERY(*asked)[:1])
        yield


@contextmanager
def on_all_devices() -> Generator[None, None, None]:
    """The contrary, for a test of a file that is on one."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(jax, "devices", _EVERY)
        yield


@pytest.fixture(autouse=True, scope="module")
def all_on_one_device():
    """For a file that imports it."""
    with on_one_device():
        yield
