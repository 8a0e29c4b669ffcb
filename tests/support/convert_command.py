"""How do tests run `data convert videos` and look at its folder and its messages?"""

import re
import sys
from pathlib import Path

from surgvista_jax.__main__ import main

COMMAND = [sys.executable, "-m", "surgvista_jax", "data", "convert", "videos"]


def convert(source: Path, out: Path, *options, fps="5", workers="2") -> int:
    words = ["--source", source, "--out", out, "--fps", fps, "--workers", workers, *options]
    return main(["data", "convert", "videos", *map(str, words)])


def files(out: Path) -> dict[str, bytes]:
    """Every file of a dataset folder but the journal, whose order is that of finishing."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and ".convert" not in path.parts
    }


def problems(capfd) -> list[str]:
    """The lines on stderr without the progress bar, and without the one on clips and videos."""
    lines = capfd.readouterr().err.replace("\r", "\n").split("\n")
    others = "video/s|s/video|^WARNING: clips of 16 x 4 at"
    return [line for line in lines if line.strip() and not re.search(others, line)]
