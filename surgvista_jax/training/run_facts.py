"""What goes along with a tracked run: its configuration, versions, state of git, hardware."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax

import surgvista_jax
from surgvista_jax.cores import available_cores
from surgvista_jax.host_memory import free_memory
from surgvista_jax.training.agreement import facts_of_code, flat
from surgvista_jax.training.trackers import Facts

_PATIENCE = 20  # s, for git
_GIB = 2**30


class Sources(NamedTuple):
    """The tree of git that the package is imported from: its commit, and whether it is changed."""

    commit: str
    dirty: bool


def facts_of_run(config: Mapping[str, Any]) -> Facts:
    """The facts of a run of this configuration (nested mappings), on the devices that are here."""
    sources = sources_in(Path(surgvista_jax.__file__).parents[1])
    about: dict[str, Any] = {f"versions.{name}": said for name, said in facts_of_code().items()}
    if sources is not None:
        about |= {"git.commit": sources.commit, "git.dirty": sources.dirty}
    device, memory = jax.devices()[0], free_memory()
    about |= {
        "hardware.devices": f"{jax.device_count()} x {device.device_kind}",
        "hardware.processes": jax.process_count(),
        "hardware.cores": available_cores(),
    }
    if memory is not None:
        about["hardware.free_memory_gib"] = round(memory / _GIB, 1)
    return Facts(flat(config), about, "" if sources is None else sources.commit)


def sources_in(folder: Path) -> Sources | None:
    """The state of a folder that is the top of a tree of git; None of one that is installed.

    A folder somewhere inside another project's tree says nothing of our sources.
    """
    if not (folder / ".git").exists():
        return None

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *words],
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},  # it writes nothing
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=True,
        ).stdout.strip()

    try:
        return Sources(git("rev-parse", "HEAD"), bool(git("status", "--porcelain")))
    except (OSError, subprocess.SubprocessError):  # no git here, or no commit yet
        return None
