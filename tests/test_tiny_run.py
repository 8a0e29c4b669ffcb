"""Processes that tests start never keep the suite waiting."""

import re
import time
from pathlib import Path

import pytest

from tests.support.tiny_run import finish, finish_all, start, wait_until

SLEEPS = "import time; time.sleep(600)"
# It starts another, which holds the same pipes open.
STUCK = f"""
import subprocess, sys
print("child", subprocess.Popen([sys.executable, "-c", "{SLEEPS}"]).pid, flush=True)
{SLEEPS}
"""


def is_gone(pid: int) -> bool:
    """Whether a process has ended, though nobody may have asked how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_one_that_does_not_end_is_killed_with_those_below_it_and_told():
    process, began = start(program=["-c", STUCK]), time.monotonic()
    with pytest.raises(AssertionError, match="killed, for it still ran after 2 s\nchild ") as error:
        finish(process, seconds=2)
    assert time.monotonic() - began < 15 and process.returncode == -9
    child = re.search(r"child (\d+)", str(error.value))
    while not is_gone(int(child[1])):
        assert time.monotonic() - began < 15
        time.sleep(0.01)


def test_of_several_none_is_left_when_one_fails():
    both = [start(program=["-c", code]) for code in ("raise SystemExit(3)", SLEEPS)]
    with pytest.raises(AssertionError, match="exit code 3"):
        finish_all(both)
    assert both[1].returncode == -9


def test_one_that_ends_before_what_is_waited_for_fails_by_its_words():
    process = start(program=["-c", "raise SystemExit('no such thing')"])
    with pytest.raises(AssertionError, match="did not happen within 120 s\nno such thing"):
        wait_until(process, lambda: False)
