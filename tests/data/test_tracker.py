"""Does the tracker of semaphores outlive a signal that its program outlives?"""

import os
import subprocess
import sys

from tests.support.places import ROOT

PROGRAM = """
import os, signal, time
from multiprocessing import get_context
from operator import is_not
from surgvista_jax.data.workers import run_each

blocked = {signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
assert list(run_each(is_not, ["x"], 1)) == [(0, True)]
assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == blocked
lock = get_context("spawn").Lock()
signal.signal(signal.SIGHUP, lambda *told: print("told"))
os.killpg(0, signal.SIGHUP)
time.sleep(0.2)
del lock
another = get_context("spawn").Lock()
"""


def test_a_closed_terminal_ends_no_tracker_of_a_program_that_goes_on():
    """Whose semaphores another would not know; what was blocked stays so, and no worker hangs."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
        start_new_session=True,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "told\n", "")
