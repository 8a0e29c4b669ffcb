"""What holds for every launch script: shellcheck, strict mode, help, and needs told one a line."""

import os
import shutil
import subprocess

import pytest

from tests.support.launch_place import RUN
from tests.support.places import ROOT

SCRIPTS = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("launch/**/*.sh"))
# The others are called by these, and have no options.
TYPED = [
    script for script in SCRIPTS if "\ntake_options " in (ROOT / script).read_text(encoding="utf-8")
]
TPU = {"TPU_NAME": "a", "TPU_ZONE": "b", "TPU_TYPE": "c", "TPU_RUNTIME": "d"}
# Script -> its words, its variables, what is missing here and named.
LACKING = {
    "local": (["local/train.sh", *RUN], {}, ["surgvista"]),
    "slurm": (["slurm/train.sh", *RUN], {}, ["sbatch", "surgvista"]),
    "slice": (["tpu/slice.sh", "create"], {}, ["gcloud", *TPU]),
    "tpu": (
        ["tpu/train.sh", "pretrain", "configs/demo.py", "/data", "/run"],
        {},
        ["gcloud", *TPU],
    ),
    "wrong": (
        ["tpu/slice.sh", "create"],
        TPU | {"TPU_NAME": "My_TPU", "TPU_SLICES": "0", "TPU_SPOT": "yes"},
        ["gcloud", "TPU_NAME=My_TPU", "TPU_SLICES=0", "TPU_SPOT=yes"],
    ),
    "build": (["container/build.sh", "gpu"], {}, ["docker"]),
    "container": (["container/train.sh", "gpu", *RUN], {}, ["docker"]),
}
WRONG = {
    "no words": (["local/train.sh"], "PROGRAM, CONFIG, DATASET and WORKDIR are needed"),
    "no program": (["local/train.sh", *RUN[1:], "x"], "is no program: pretrain or finetune"),
    "no option": (["local/train.sh", "--gpus=2", *RUN], "--gpus=2 is no option"),
    "no number": (["local/train.sh", "--processes=0", *RUN], "--processes=0: should be a number"),
    "short": (["slurm/train.sh", "-N", "2", *RUN], "-N: sbatch's options go as --NAME=VALUE"),
    "apart": (["slurm/train.sh", "--nodes", "2", *RUN], "'2' is no program"),
    "by hand": (["slurm/job.sh"], "started by hand; launch/slurm/train.sh hands it in"),
    "no action": (["tpu/slice.sh", "remove"], "'remove' should be create, install, state, stop"),
    "no device": (["container/train.sh", *RUN], "gpu or tpu is needed"),
    "here alone": (["tpu/train.sh", *RUN[:3], "/run"], "my data: as the hosts see it, from /"),
}


def test_shellcheck_finds_nothing():
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    words = [shellcheck, "--external-sources", *SCRIPTS]
    found = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_strict_and_can_be_started(script):
    text = (ROOT / script).read_text(encoding="utf-8")
    if script in ("launch/needs.sh", "launch/tpu/until_done.sh"):  # their callers are
        return
    assert text.startswith("#!/usr/bin/env bash\n") and "\nset -euo pipefail\n" in text
    assert os.access(ROOT / script, os.X_OK)


def test_ten_scripts_take_options():
    assert len(TYPED) == 10


@pytest.mark.parametrize("script", TYPED)
def test_help_is_the_head_of_a_script(script, place):
    out, err = place.run(script.removeprefix("launch/"), "--help")
    assert not err and any(script in line for line in out)
    assert not any(line.startswith(("#", "set -")) for line in out)


@pytest.mark.parametrize(("words", "variables", "named"), LACKING.values(), ids=LACKING)
def test_what_is_missing_is_told_one_a_line_and_nothing_is_run(
    words,
    variables,
    named,
    place,
):
    (place.bin / "surgvista").unlink()
    if (ROOT / ".venv/bin/surgvista").exists():  # as the README installs it
        named = [name for name in named if name != "surgvista"]
    if words[1:] == list(RUN):
        (place.folder / "my data").rmdir()
        named = [*named, "DATASET my data: no such folder"]
    _, err = place.run(*words, status=1, **variables)
    assert len(err) == len(named), err
    for line, name in zip(err, named, strict=True):
        assert line.startswith(f"launch/{words[0]}: {name}"), err


@pytest.mark.parametrize(("words", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_word_is_one_line(words, said, place):
    place.program("sbatch")
    place.program("gcloud")
    place.program("docker")
    _, (line,) = place.run(*words, status=2, **TPU)
    assert said in line
    assert place.calls("sbatch") == place.calls("gcloud") == place.calls("docker") == []


def test_folders_and_files_that_are_not_there_are_named(place):
    (place.folder / "a file").touch()
    words = ["pretrain", "no config.py", "my data,no data", "a file/run"]
    _, err = place.run("local/train.sh", *words, status=1)
    assert [line.removeprefix("launch/local/train.sh: ") for line in err] == [
        "CONFIG no config.py: no such file",
        "DATASET no data: no such folder",
        "WORKDIR a file/run: a file is no folder to write into",
    ]
    assert place.calls("surgvista") == []
