"""The programs that stand for ours in tests of a study's runs."""

import json

import pytest

from tests.support.places import ROOT


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """What the toy does, and which runs began."""
    log = tmp_path / "begun"
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TOY_LOG", str(log))

    def begun(**does):
        monkeypatch.setenv("TOY", json.dumps(does))
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        rows = [line.rsplit(" ", 3) for line in lines]
        return [(row[0].partition("/study/")[2], *row[1:]) for row in rows]

    begun()
    return begun
