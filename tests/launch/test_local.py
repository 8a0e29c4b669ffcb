"""Does launch/local start what it says, give signals on, and end as the run does?"""

import os
import re
import signal

import pytest

from tests.support.launch_place import RUN, TRAINING, parsed, run_words

GPUS = """#!/usr/bin/env bash
echo 'GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-5e1)'
echo '  MIG 1g.10gb     Device  0: (UUID: MIG-bb2)'
echo 'GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-7c3)'
"""
# Process I ends with the status that stands at place I of STATUSES.
ENDS = """#!/usr/bin/env bash
read -ra all <<<"$STATUSES"
for word; do [[ $word == --process-id=* ]] && exit "${all[${word#*=}]}"; done
"""


def one_of(words: list[str]) -> dict[str, str]:
    """The last value of each option of a command, and what is put before it."""
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def test_one_process_has_all_devices_and_paths_keep_their_blanks(place):
    (words,), _ = place.run("local/train.sh", "--dry-run", *RUN, "--config.seed=3")
    (words,) = parsed([words])
    workers = f"--config.loader.workers={len(os.sched_getaffinity(0))}"
    assert words == [str(place.bin / "surgvista"), *run_words(workers, "--config.seed=3")]
    assert place.calls("surgvista") == []
    place.run("local/train.sh", *RUN, "--config.seed=3")
    assert place.calls("surgvista") == [words[1:]]


@pytest.mark.parametrize(
    ("processes", "pinned"),
    [("gpus", ["4", "GPU-5e1", "6", "7"]), ("2", ["4,GPU-5e1", "6,7"])],
)
def test_each_process_has_its_own_gpus(place, processes, pinned):
    chosen = {"CUDA_VISIBLE_DEVICES": "4,GPU-5e1,6,7"}
    out, _ = place.run("local/train.sh", "--dry-run", f"--processes={processes}", *RUN, **chosen)
    commands = [one_of(words) for words in parsed(out)]
    assert [command["CUDA_VISIBLE_DEVICES"] for command in commands] == pinned
    assert [command["--process-id"] for command in commands] == [str(i) for i in range(len(pinned))]
    assert {command["--num-processes"] for command in commands} == {str(len(pinned))}
    (address,) = {command["--coordinator"] for command in commands}
    assert re.fullmatch(r"localhost:2\d{4}", address)


def test_gpus_are_counted_and_not_their_parts(place):
    place.program("nvidia-smi", text=GPUS)
    out, _ = place.run("local/train.sh", "--dry-run", "--processes=gpus", *RUN)
    assert [one_of(words)["CUDA_VISIBLE_DEVICES"] for words in parsed(out)] == ["0", "1"]
    _, (line,) = place.run("local/train.sh", "--processes=3", *RUN, status=1)
    assert "--processes=3: should divide the 2 GPUs here" in line
    _, (line,) = place.run(
        "local/train.sh", "--processes=gpus", *RUN, status=1, CUDA_VISIBLE_DEVICES=""
    )
    assert "--processes=gpus: no GPU is here" in line


@pytest.mark.parametrize(
    ("statuses", "status"), [("0 0", 0), ("0 143", 143), ("143 1", 1), ("137 1", 137)]
)
def test_what_went_wrong_says_more_than_that_the_run_was_stopped(
    place,
    statuses,
    status,
):
    place.program("surgvista", text=ENDS)
    place.run("local/train.sh", "--processes=2", *RUN, status=status, STATUSES=statuses)


def start_two(place, text=TRAINING):
    place.program("surgvista", text=text)
    process = place.start("local/train.sh", "--processes=2", *RUN)
    assert [process.stdout.readline() for _ in range(2)] == ["ready\n"] * 2
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_has_all_processes_save(place, number):
    process = start_two(place)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 143


def test_a_second_ctrl_c_kills(place):
    process = start_two(place, TRAINING.replace("exit 143", "echo told"))
    process.send_signal(signal.SIGINT)
    assert [process.stdout.readline() for _ in range(2)] == ["told\n"] * 2
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGKILL
