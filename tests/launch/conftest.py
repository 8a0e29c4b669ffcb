"""Where the launch scripts of a test run."""

from pathlib import Path

import pytest

from tests.support.launch_place import Place, make_place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path / "a place")
