"""Files in memory: what a dead process left is removed, what a living one has is not."""

import os
import subprocess
import sys

import pytest

from surgvista_jax.data.batches import shared_names
from surgvista_jax.data.batches.shared_names import claim_prefix, owner_path, remove_left
from surgvista_jax.errors import UserError

CLAIM = """
import sys
from pathlib import Path
from surgvista_jax.data.batches import shared_names

shared_names.MEMORY = Path(sys.argv[1])
prefix = shared_names.claim_prefix().prefix
Path(prefix + "0-0").write_bytes(bytes(20_000_000))
print(prefix, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def memory(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_names, "MEMORY", tmp_path)
    return tmp_path


@pytest.mark.parametrize("place", ["MEMORY", "tempdir"])
def test_what_a_dead_process_left_is_removed_and_nothing_else(place, memory, capsys, monkeypatch):
    if place == "tempdir":
        monkeypatch.setattr(shared_names, "MEMORY", memory / "none")
        monkeypatch.setattr("tempfile.gettempdir", lambda: str(memory))
    others = ["surgvista-1-abc-0-0", "sem.x", ".surgvista-notes", "surgvista"]
    for name in others:
        (memory / name).touch()
    mine = claim_prefix()
    words = [sys.executable, "-c", CLAIM, str(memory)]
    with subprocess.Popen(words, stdin=-1, stdout=-1, text=True) as process:
        prefix = process.stdout.readline().strip()
        remove_left()
        assert os.path.exists(prefix + "0-0") and owner_path(prefix).exists()
        process.kill()
        process.wait()
    assert os.path.exists(prefix + "0-0")
    assert "removed" not in capsys.readouterr().err
    remove_left()
    left = {path.name for path in memory.iterdir()}
    assert left == {*others, owner_path(mine.prefix).name}
    assert "removed 0.02 GB that killed runs left" in capsys.readouterr().err
    mine.release()
    remove_left()
    assert {path.name for path in memory.iterdir()} == set(others)


def test_a_claim_that_was_taken_for_a_left_one_is_made_anew(memory, monkeypatch):
    lock, seen = shared_names.try_lock, []

    def seen_by_another(file):
        seen.append(file)
        if len(seen) == 1:
            for path in memory.iterdir():
                path.unlink()
        return lock(file)

    monkeypatch.setattr(shared_names, "try_lock", seen_by_another)
    claim = claim_prefix()
    assert len(seen) == 2 and owner_path(claim.prefix).exists()
    claim.release()


def test_memory_that_cannot_be_written_is_told_with_what_there_is_instead(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(shared_names, "MEMORY", tmp_path / "none")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    claim = claim_prefix()
    assert claim.prefix.startswith(f"{tmp_path}/surgvista-{os.getpid()}-")
    claim.release()
    said = capsys.readouterr().err
    assert "none cannot be written" in said and "GB are free" in said and "workers=0" in said

    def nowhere():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    with pytest.raises(UserError, match="neither .* can be written.*loader.workers=0"):
        claim_prefix()


def test_memory_without_room_for_a_file_is_one_line(memory, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.open", full)
    with pytest.raises(UserError, match="No space left on device; .* free.*loader.workers=0"):
        claim_prefix()
