"""Does a process that cannot join the others, or loses one, end by one line?"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.training import processes

GOOD = ["--coordinator=node1:1234", "--num-processes=2", "--process-id=0"]
WRONG = {
    "no port": (["--coordinator=node1"], ": should be HOST:PORT"),
    "no number": (["--coordinator=node1:http"], ": should be HOST:PORT"),
    "port 0": (["--coordinator=node1:0"], "a port is a number from 1 to 65535"),
    "port too high": (["--coordinator=node1:99999"], "a port is a number from 1 to 65535"),
    "endless port": ([f"--coordinator=node1:{'1' * 5000}"], "a port is a number from 1 to 65535"),
    "no host": (["--coordinator=:123"], ": should be HOST:PORT"),
    "no processes": (["--num-processes=0"], "--num-processes=0: should be from 1"),
    "too many": (["--num-processes=1000000"], "--num-processes=1000000: should be from 1 to 65536"),
    "rank too high": (["--process-id=2"], "--process-id=2: should be from 0 to 1"),
    "negative rank": (["--process-id=-1"], "--process-id=-1: should be from 0 to 1"),
    "no name": (["--coordinator=no\nde1:123"], "should be HOST:PORT"),
    "endless name": ([f"--coordinator={'n' * 300}:123"], "should be HOST:PORT"),
    "no time": (["--join-timeout=0"], "--join-timeout=0: should be from 1 to 604800 s"),
    "too much time": ([f"--join-timeout={10**30}"], "should be from 1 to 604800 s"),
    "told and found": (["--distributed"], "--distributed: finds the processes itself"),
}


def parsed(*words):
    parser = argparse.ArgumentParser()
    processes.add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(("words", "said"), WRONG.values(), ids=WRONG)
def test_wrong_options_are_one_line(words, said):
    with pytest.raises(UserError) as error, processes.joined(parsed(*GOOD, *words), {}):
        pass
    assert said in str(error.value) and "\n" not in str(error.value)


def test_nothing_to_join_is_one_line():
    with pytest.raises(UserError, match="no TPU pod, Kubernetes job"):
        with processes.joined(parsed("--distributed"), {}):
            pass


def test_half_of_the_options_is_one_line():
    with pytest.raises(UserError, match="go together"):
        with processes.joined(parsed("--num-processes=2"), {}):
            pass


WAIT = """
from argparse import Namespace
from surgvista_jax.training import processes, rendezvous, started

started._PATIENCE_DOUBTFUL, rendezvous._QUIET = 2, 1
alone = dict(coordinator=None, num_processes=None, process_id=None, join_timeout=None)
with processes.joined(Namespace(**alone, distributed=False), {}):
    pass
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
    waiting, *_, gave_up = run.stderr.splitlines()
    assert waiting.startswith("surgvista: SLURM_NTASKS=2: waiting up to 2 s for process 1 of 2;")
    assert "process 1 of 2 did not come within 2 s" in gave_up and "SLURM_NTASKS=1" in gave_up


RUN = """
import argparse, pathlib, sys, time
import numpy as np
from surgvista_jax.training import processes
from surgvista_jax.training.preemption import Preemption

parser = argparse.ArgumentParser()
processes.add_arguments(parser)
with processes.joined(parser.parse_args(), {"config.seed": "1"}):
    processes.agree({"data": "the same"})
    processes.agree_on_file(pathlib.Path(sys.executable))
    step = 0
    with Preemption() as preemption:
        print("together", flush=True)
        while not preemption.reached(step):
            step += 1
            processes.on_all_processes(np.array([True]))
            time.sleep(0.05)
    print("told before step", step, flush=True)
    while True:
        processes.on_all_processes(np.array([True]))
        time.sleep(0.1)
"""


def said(process, beginning):
    """The next line of a process that begins so; JAX's libraries print lines of their own."""
    return next(line for line in process.stdout if line.startswith(beginning))


def test_ctrl_c_on_one_stops_all_at_one_step_and_a_kill_of_one_ends_all_by_one_line():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    words = [sys.executable, "-c", RUN, f"--coordinator={address}", "--num-processes=2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([*words, f"--process-id={number}"], **pipes) for number in range(2)]
    try:
        first, second = both
        for process in both:
            said(process, "together")
        second.send_signal(signal.SIGINT)
        assert said(first, "told before step ") == said(second, "told before step ")
        second.send_signal(signal.SIGKILL)
        began = time.monotonic()
        _, errors = first.communicate(timeout=60)
        assert time.monotonic() - began < 30
    finally:
        for process in both:
            process.kill()
            process.communicate()
    assert first.returncode == 1
    (line,) = (line for line in errors.splitlines() if line.startswith("surgvista: "))
    assert f"process 1 ({socket.gethostname()}, pid {second.pid}) ended without a word" in line
    assert "Traceback" not in errors and "***" not in errors
