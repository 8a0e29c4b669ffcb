"""Does a process that cannot join the others end by one line?"""

import argparse
import os
import subprocess
import sys

import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.training import processes

WRONG = {
    "no port": (["--coordinator=node1"], "--coordinator=node1: should be HOST:PORT"),
    "no number": (["--coordinator=node1:http"], "--coordinator=node1:http: should be HOST:PORT"),
    "no host": (["--coordinator=:123"], "--coordinator=:123: should be HOST:PORT"),
    "no processes": (["--num-processes=0"], "--num-processes=0: at least 1"),
    "rank too high": (["--process-id=2"], "--process-id=2: should be from 0 to 1"),
    "negative rank": (["--process-id=-1"], "--process-id=-1: should be from 0 to 1"),
}


@pytest.mark.parametrize(("words", "said"), WRONG.values(), ids=WRONG)
def test_wrong_options_are_one_line(words, said):
    parser = argparse.ArgumentParser()
    processes.add_arguments(parser)
    good = ["--coordinator=node1:1234", "--num-processes=2", "--process-id=0"]
    with pytest.raises(UserError) as error:
        processes.join(parser.parse_args([*good, *words]))
    assert said in str(error.value)


WAIT = """
from argparse import Namespace
from surgvista_jax.training import processes

processes._PATIENCE_HERE, processes._QUIET = 1.5, 1
processes.join(
    Namespace(coordinator=None, num_processes=None, process_id=None, distributed=False)
)
"""


def test_others_that_do_not_come_are_one_line_and_no_abort():
    """As in `srun -n 2 --pty` under a program that hides the terminal."""
    told = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_NTASKS": "2", "SLURM_PROCID": "0"}
    told |= {"SLURM_LOCALID": "0", "SLURM_STEP_NODELIST": "localhost"}
    run = subprocess.run(
        [sys.executable, "-c", WAIT],
        env=os.environ | told,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        start_new_session=True,  # without a terminal, as srun starts processes
    )
    assert run.returncode == 1
    waiting, gave_up = run.stderr.splitlines()
    assert waiting.startswith("surgvista: SLURM_NTASKS=2: waiting for the other processes; start")
    assert "did not come within 1.5 s" in gave_up and "SLURM_NTASKS=1" in gave_up
