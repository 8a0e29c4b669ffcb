"""Do launch/slurm and launch/tpu start every part of a preparation, and then the merge?"""

import shlex

import pytest

from tests.support.launch_place import parsed
from tests.support.places import ROOT

SCRIPT = str(ROOT / "launch" / "slurm" / "prepare.sh")
CONVERT = ["data", "convert", "videos", "--source", "my raw", "--out", "my data/x", "--fps=5 $HOME"]
# As Slurm does, runs a copy of the script for each element of the array, and says its number.
SBATCH = """#!/usr/bin/env bash
indices=
while [[ $1 == -* ]]; do
  echo "$1" >>options
  case $1 in --array=*) indices=${1#*=} ;; esac
  shift
done
mkdir -p spool && cat "$1" >spool/slurm_script
if [[ -z $indices ]]; then bash spool/slurm_script "${@:2}"; exit; fi
for ((i = ${indices%%-*}; i <= ${indices##*-}; i++)); do
  SLURM_ARRAY_TASK_ID=$i bash spool/slurm_script "${@:2}" >&2 || true
done
echo "71;cluster"
"""
# Several are called at once, each under its own number.
GCLOUD = """#!/usr/bin/env bash
printf '%s\\n' "$@" >"$CALLS/gcloud$$"
"""
TPU = {"TPU_NAME": "a", "TPU_ZONE": "b"}
# Command -> its words, and the folder in which it is merged.
FOLDERS = {
    "data convert": (CONVERT, "my data/x"),
    "data pack": (["data", "pack", "my data", "--workers=2"], "my data"),
    "data check": (["data", "check", "my data"], "my data"),
    "features": (["features", "my raw", "--init=w", "--out=f"], "f"),
    "predict": (["predict", "my raw", "--checkpoint=w", "--out", "p"], "p"),
}
WRONG = {
    "no number": (["x", *CONVERT], "'x' should be a number of parts"),
    "none": (["0", *CONVERT], "'0' should be a number of parts"),
    "no words": (["4"], "N and COMMAND are needed"),
    "no parts": (["4", "finetune", "x"], "'finetune x' has no parts"),
    "told": (["4", *CONVERT, "--part=1/4"], "--part=1/4: is given to each part"),
    "no out": (["4", *CONVERT[:5]], "'data convert' needs the folder that it writes to"),
    "no folder": (["4", "data", "pack"], "'data pack' needs the folder"),
    "late": (["4", "data", "pack", "--workers=2", "d"], "the folder comes right after 'data pack'"),
}


@pytest.mark.parametrize("command", FOLDERS)
def test_a_dry_run_shows_parts_and_merge(command, place):
    words, folder = FOLDERS[command]
    out, err = place.run(
        "slurm/prepare.sh", "--dry-run", "--partition=a b", "--array=%2", 8, *words
    )
    assert len(err) == 1 and "sbatch: no such command here" in err[0]
    parts, merge, part, last = parsed(out)
    surgvista = str(place.bin / "surgvista")
    assert parts[0] == "sbatch" and {"--array=1-8%2", "--partition=a b", "--ntasks=1"} <= {*parts}
    assert parts[parts.index(SCRIPT) + 1 :] == ["--job", "part", "8", surgvista, *words]
    assert "--dependency=afterany:JOB" in merge and "--partition=a b" in merge
    assert merge[merge.index(SCRIPT) + 1 :] == [
        *("--job", "merge", folder, surgvista),
        *command.split(),
    ]
    assert part == [surgvista, *words, "--part=1/8"]
    assert last == [surgvista, "merge", folder, f"--of={command}"]


def test_words_arrive_through_sbatch(place):
    place.program("sbatch", text=SBATCH)
    place.run("slurm/prepare.sh", "--cpus-per-task=4", 3, *CONVERT)
    *parts, merge = place.calls("surgvista")
    assert parts == [[*CONVERT, f"--part={number}/3"] for number in (1, 2, 3)]
    assert merge == ["merge", "my data/x", "--of=data convert"]
    options = (place.folder / "options").read_text().splitlines()
    assert "--array=1-3" in options and "--dependency=afterany:71" in options
    assert options.count("--cpus-per-task=4") == 2


def test_each_host_of_tpus_has_a_part_and_the_first_merges(place):
    place.program("gcloud", text=GCLOUD)
    place.run("tpu/prepare.sh", 3, *CONVERT, **TPU)
    calls = place.calls("gcloud")
    done = {}
    for words in calls:
        told = dict(word[2:].split("=", 1) for word in words if word.startswith("--"))
        assert words[:6] == ["compute", "tpus", "queued-resources", "ssh", "a", "--zone=b"]
        done.setdefault(told["worker"], []).append(shlex.split(told["command"])[1:])
    assert done.pop("0") == [
        [*CONVERT, "--part=1/3"],
        ["merge", "my data/x", "--of=data convert"],
    ]
    assert done == {str(n): [[*CONVERT, f"--part={n + 1}/3"]] for n in (1, 2)}
    out, _ = place.run("tpu/prepare.sh", "--dry-run", 3, *CONVERT, **TPU)
    assert [words[1:] for words in parsed(out)[-1:]] == [calls[-1]]


def test_what_needs_tpus_is_not_started_on_hosts_apart(place):
    place.program("gcloud")
    _, (line,) = place.run("tpu/prepare.sh", 3, *FOLDERS["features"][0], status=2, **TPU)
    assert "features: runs on the TPUs" in line and place.calls("gcloud") == []


@pytest.mark.parametrize("script", ["slurm/prepare.sh", "tpu/prepare.sh"])
@pytest.mark.parametrize(("words", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_word_is_one_line(script, words, said, place):
    place.program("sbatch")
    place.program("gcloud")
    _, (line,) = place.run(script, *words, status=2, **TPU)
    assert said in line
    assert place.calls("sbatch") == place.calls("gcloud") == []
