"""A folder in which launch scripts run: few programs beside them, some of them made up."""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.places import ROOT
from tests.support.tiny_run import kill

# What every Unix has, and the scripts use.
_TOOLS = (
    *("bash", "cat", "dirname", "env", "git", "grep", "id", "mkdir", "mktemp", "nohup", "nproc"),
    *("rm", "sed", "setsid", "sleep", "tail", "touch", "uname"),
)
# Writes its words, one a line, into the file of its name and the number of its call.
RECORD = """#!/usr/bin/env bash
set -euo pipefail
number=1
while [[ -e $CALLS/${0##*/}$number ]]; do number=$((number + 1)); done
printf '%s\\n' "$@" >"$CALLS/${0##*/}$number"
"""
# A run that goes on until it is told to stop, and saves then.
TRAINING = """#!/usr/bin/env bash
trap 'exit 143' TERM
echo ready
while :; do sleep 0.02; done
"""


@dataclass(frozen=True)
class Place:
    """A folder with data, a configuration and programs of its own.

    Attributes:
        folder: where scripts are started; it and what lies in it have blanks in their names.
        bin: all programs that are there.
    """

    folder: Path
    bin: Path

    def program(self, name: str, *, text: str = RECORD) -> Path:
        """Puts a program there; by default it records its words."""
        file = self.bin / name
        file.unlink(missing_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(0o755)
        return file

    def calls(self, name: str) -> list[list[str]]:
        """The words of each call of a program that records them, in order."""
        files = sorted(self.folder.glob(f"calls/{name}[0-9]*"), key=lambda f: (len(f.name), f.name))
        return [file.read_text(encoding="utf-8").splitlines() for file in files]

    def end_run(self) -> None:
        """Ends the run that host.sh started here, if it goes on."""
        with contextlib.suppress(OSError, ValueError):  # there is none, or it has ended
            pid = int((self.folder / ".surgvista" / "pid").read_text(encoding="utf-8"))
            if os.fsencode(self.bin) in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)

    def environment(self, **variables: str) -> dict[str, str]:
        home = {"HOME": str(self.folder), "CALLS": str(self.folder / "calls")}
        return {"PATH": str(self.bin), **home, **variables}

    def start(self, script: str, *words: str | Path, **variables: str) -> subprocess.Popen:
        return subprocess.Popen(
            [str(ROOT / "launch" / script), *map(str, words)],
            cwd=self.folder,
            env=self.environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, script: str, *words: str | Path, status: int = 0, **variables: str
    ) -> tuple[list[str], list[str]]:
        """The lines that a script prints and complains of; it must end with `status`."""
        process = self.start(script, *words, **variables)
        try:
            out, err = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"killed, for it still ran\n{kill(process)}") from None
        assert process.returncode == status, f"{process.returncode}\n{out}\n{err}"
        return out.splitlines(), err.splitlines()


def make_place(folder: Path) -> Place:
    """Makes it, with `my data/`, `my config.py`, and a `surgvista` that records its words."""
    for name in ("bin", "calls", "my data"):
        (folder / name).mkdir(parents=True)
    for tool in _TOOLS:
        if found := shutil.which(tool):
            os.symlink(found, folder / "bin" / tool)
    (folder / "my config.py").touch()
    there = Place(folder, folder / "bin")
    there.program("surgvista")
    return there


RUN = ("pretrain", "my config.py:base", "my data", "runs/a run")


def run_words(*more: str, workdir: str = "runs/a run") -> list[str]:
    """What surgvista is called with for RUN."""
    folder = ["--config=my config.py:base", f"--workdir={workdir}", "--config.data.folder=my data"]
    return ["pretrain", *folder, *more]


def parsed(lines: Sequence[str]) -> list[list[str]]:
    """Each line as a shell reads it; comments are left out."""
    return [shlex.split(line) for line in lines if not line.startswith("#")]
