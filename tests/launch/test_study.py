"""Does launch/slurm/study.sh hand in the stages of a study, one after the other?"""

import pytest

from tests.launch.test_slurm import ENDS, STATE
from tests.support.launch_place import parsed
from tests.support.places import ROOT

STAGES = ("data", "pretrain", "features", "cells")
STUDY = ["my config.py", "my study", "--config.root=my data $HOME"]
# As Slurm does, runs a copy of the script for each element of the array, and says its number.
SBATCH = """#!/usr/bin/env bash
echo "$*" >>submitted
while [[ $1 == -* ]]; do
  case $1 in --array=*) indices=${1#*=} ;; esac
  shift
done
mkdir -p spool && cat "$1" >spool/slurm_script
for ((i = ${indices%%-*}; i <= ${indices##*-}; i++)); do
  SLURM_ARRAY_JOB_ID=71 SLURM_ARRAY_TASK_ID=$i bash spool/slurm_script "${@:2}" >&2 || true
done
echo "71;cluster"
"""
SRUN = """#!/usr/bin/env bash
while [[ $1 == -* ]]; do shift; done
exec "$@"
"""
WRONG = {
    "few words": (["4", *STUDY[:1]], "N, STUDY.py and DIR are needed"),
    "no number": (["x", *STUDY], "'x' should be a number of elements"),
    "an array": (["--array=1-4", "4", *STUDY], "the jobs are the array"),
    "a stage": (["4", *STUDY, "--stage=cells"], "--stage=cells: is said for each element"),
    "no stage": (["--stages=cell", "4", *STUDY], "'cell' is none of"),
}


def element(stage, number, count):
    words = [f"--out={STUDY[1]}", f"--stage={stage}", f"--only={number}/{count}", STUDY[2]]
    return ["study", "run", STUDY[0], *words]


def test_a_dry_run_shows_an_array_for_each_stage_after_the_one_before(place):
    out, err = place.run("slurm/study.sh", "--dry-run", "--partition=a b", "--array=%8", 40, *STUDY)
    assert len(err) == 1 and "sbatch: no such command here" in err[0]
    *arrays, last = parsed(out)
    surgvista = str(place.bin / "surgvista")
    for stage, array in zip(STAGES, arrays, strict=True):
        assert array[0] == "sbatch" and {"--array=1-40%8", "--partition=a b"} <= {*array}
        handed = [str(ROOT / "launch"), stage, "40", surgvista, *STUDY]
        assert array[array.index("--job") + 1 :] == handed
    assert "--dependency=afterany:JOB_features" in arrays[-1]
    assert not any(word.startswith("--dependency") for word in arrays[0])
    assert last[last.index(surgvista) + 1 :] == element("cells", 1, 40)


def test_words_arrive_through_sbatch_and_srun(place):
    place.program("sbatch", text=SBATCH)
    place.program("srun", text=SRUN)
    place.run("slurm/study.sh", "--stages=pretrain,cells", 2, *STUDY)
    asked = [(stage, number) for stage in ("pretrain", "cells") for number in (1, 2)]
    assert place.calls("surgvista") == [element(stage, number, 2) for stage, number in asked]
    submitted = (place.folder / "submitted").read_text().splitlines()
    assert "--dependency=afterany:71 " in submitted[1] and "--signal=TERM@120" in submitted[0]


@pytest.mark.parametrize(("status", "words"), [("143", ["requeue", "71_1"]), ("1", None)])
def test_an_element_that_saved_goes_back_into_the_queue_alone(status, words, place):
    place.program("sbatch", text=SBATCH)
    place.program("srun", text=ENDS)
    place.program("squeue", text=STATE)
    place.program("scontrol")
    place.run("slurm/study.sh", "--stages=cells", 1, *STUDY, STATUS=status, STATE="RUNNING")
    assert place.calls("scontrol") == ([] if words is None else [words])


@pytest.mark.parametrize(("words", "said"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_handed_in_is_one_line(words, said, place):
    _, err = place.run("slurm/study.sh", *words, status=2)
    assert said in err[-1]
