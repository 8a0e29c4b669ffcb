"""What does launch/slurm hand in, and when does a job go back into the queue?"""

import signal
import time

import pytest

from tests.support.launch_place import RUN, parsed, run_words
from tests.support.places import ROOT

JOB = ROOT / "launch" / "slurm" / "job.sh"
# As Slurm does, runs a copy of the script, with what the job was given.
SBATCH = """#!/usr/bin/env bash
while [[ $1 == -* ]]; do echo "$1" >>options && shift; done
mkdir -p spool && cat "$1" >spool/slurm_script
export SLURM_JOB_ID=71 SLURM_CPUS_PER_TASK=6
bash spool/slurm_script "${@:2}"
"""
# Starts what it is told, once; a job of two processes would have two.
SRUN = """#!/usr/bin/env bash
while [[ $1 == -* ]]; do shift; done
exec "$@"
"""
ENDS = """#!/usr/bin/env bash
exit $STATUS
"""
SAVES = """#!/usr/bin/env bash
echo saving
until [[ -e saved ]]; do sleep 0.02; done
exit 143
"""
STATE = """#!/usr/bin/env bash
echo "$STATE"
"""


def job_words(place):
    return ["slurm/job.sh", ROOT / "launch", place.bin / "surgvista", *RUN]


def test_a_dry_run_shows_submission_step_and_requeue(place):
    options = ["--nodes=2", "--gpus-per-node=8", "--cpus-per-task=48"]
    out, err = place.run("slurm/train.sh", "--dry-run", *options, *RUN, "--config.init=a file")
    assert any("sbatch: no such command here" in line for line in err)  # a laptop shows it, too
    submit, step, requeue = parsed(out)
    surgvista = str(place.bin / "surgvista")
    handed = [str(JOB), str(ROOT / "launch"), surgvista, *RUN, "--config.init=a file"]
    assert submit == ["sbatch", *options, *handed]
    training = run_words("--config.loader.workers=48", "--config.init=a file")
    assert step[0] == "srun" and step[step.index(surgvista) + 1 :] == training
    # Since Slurm 22.05 srun gives a process one core unless it is told.
    assert "--cpus-per-task=48" in step
    assert requeue == ["scontrol", "requeue", "JOB"]


@pytest.mark.parametrize("indices", ["3-7%2", "3", "3,8", "3-9:2"])
def test_the_index_of_an_array_is_the_seed(place, indices):
    out, _ = place.run("slurm/train.sh", "--dry-run", f"--array={indices}", *RUN)
    submit, step, requeue = parsed(out)
    assert f"--array={indices}" in submit
    assert (
        "--cpus-per-task=16" in step
    )  # those that job.sh asks for where nobody says another number
    assert "--config.seed=3" in step and "--workdir=runs/a run/seed3" in step
    # The number of the first element is that of the array, of which all would be queued again.
    assert requeue == ["scontrol", "requeue", "JOB_3"]


def test_words_arrive_through_sbatch_and_srun(place):
    place.program("sbatch", text=SBATCH)
    place.program("srun", text=SRUN)
    words = ["--config.init=a 'file' $HOME", "--config.x=*"]
    # A shell within a step of another job: what it hands down is not taken for the new job's.
    outer = {"SLURM_STEP_NODELIST": "n1"}
    place.run("slurm/train.sh", "--partition=gpu", "--time=1:00:00", *RUN, *words, **outer)
    assert place.calls("surgvista") == [run_words("--config.loader.workers=6", *words)]
    assert (place.folder / "options").read_text().split() == ["--partition=gpu", "--time=1:00:00"]


def test_the_job_asks_for_the_signal_and_a_place_in_the_queue():
    asked = [line.split()[1] for line in JOB.read_text().splitlines() if line.startswith("#SBATCH")]
    # Without "B:": the signal is for the processes, and not for the shell.
    assert {"--requeue", "--open-mode=append", "--signal=TERM@120"} <= set(asked)


QUEUED = {
    "saved": (143, "RUNNING", "0", ["requeue", "71"]),
    "stood still": (75, "RUNNING", "0", ["requeue", "71"]),
    "done": (0, "RUNNING", "0", None),
    "failed": (1, "RUNNING", "0", None),
    "killed": (137, "RUNNING", "0", None),
    "cancelled": (143, "COMPLETING", "0", None),
    "unknown": (143, "", "0", None),
    "too often": (143, "RUNNING", "100", None),
}


@pytest.mark.parametrize(("status", "state", "restarts", "words"), QUEUED.values(), ids=QUEUED)
def test_only_a_run_that_saved_in_time_or_stood_still_is_queued_again(
    place,
    status,
    state,
    restarts,
    words,
):
    place.program("srun", text=ENDS)
    place.program("squeue", text=STATE)
    place.program("scontrol")
    given = {"STATUS": str(status), "STATE": state, "SLURM_RESTART_COUNT": restarts}
    _, err = place.run(*job_words(place), status=status, SLURM_JOB_ID="71", **given)
    assert place.calls("scontrol") == ([] if words is None else [words])
    assert len(err) == (status in (75, 143))


def test_an_element_of_an_array_queues_itself_alone(place):
    place.program("srun", text=ENDS)
    place.program("squeue", text=STATE)
    place.program("scontrol")
    array = {"SLURM_JOB_ID": "71", "SLURM_ARRAY_JOB_ID": "71", "SLURM_ARRAY_TASK_ID": "4"}
    place.run(*job_words(place), status=143, STATUS="143", STATE="RUNNING", **array)
    assert place.calls("scontrol") == [["requeue", "71_4"]]


def test_a_signal_to_the_shell_waits_for_the_processes(place):
    """`scancel` tells both; the shell must not be gone before they have saved."""
    place.program("srun", text=SAVES)
    place.program("squeue", text=STATE)
    process = place.start(*job_words(place), SLURM_JOB_ID="71", STATE="COMPLETING")
    assert process.stdout.readline() == "saving\n"
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    assert process.poll() is None
    (place.folder / "saved").touch()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 143 and "not queued again, as the job is COMPLETING" in err


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "SLURM_JOB_ID is not set"),
        ({"SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "n1"}, "srun started this script"),
    ],
)
def test_a_job_that_sbatch_did_not_start_is_one_line(place, variables, said):
    place.program("srun")
    _, (line,) = place.run(*job_words(place), status=1, **variables)
    assert said in line and "launch/slurm/train.sh" in line
    assert place.calls("srun") == []


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("train", RUN),
        ("study", (2, "my config.py", "my study")),
        ("prepare", (2, "data", "check", "my data")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_step_of_another_job_says_is_not_handed_in(script, words, place):
    place.program("sbatch", text="#!/usr/bin/env bash\nenv >>handed\necho 71\n")
    place.run(f"slurm/{script}.sh", *words, SLURM_STEP_NUM_TASKS="2", SLURM_CONF="kept")
    handed = (place.folder / "handed").read_text()
    assert "SLURM_CONF=kept" in handed and "SLURM_STEP" not in handed
