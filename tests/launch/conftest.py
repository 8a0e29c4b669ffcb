"""Where the launch scripts of a test run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.launch_place import Place, make_place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = make_place(tmp_path / "a place")
    yield made
    made.end_run()  # a test that fails in the midst of it leaves none
