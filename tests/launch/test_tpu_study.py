"""Does launch/tpu/study.sh have several TPUs do a study, one stage after the other?"""

import os
import shlex
import signal
import time

import pytest

from tests.launch.test_tpu import NOTHING, TPU
from tests.support.launch_place import TRAINING, parsed

ONE_HOST = TPU | {"TPU_TYPE": "v5litepod-8"}
# A study of the repository, which is all that the hosts get.
STUDY = ["configs/studies/tiny.py", "/a study", "--config.root=my data $HOME"]
STAGES = ("data", "pretrain", "features", "cells")
# Plays Google's service: TPUs are there. A stage ends by $ENDS, "HOST STAGE STATUS" (else 0).
GCLOUD = """#!/usr/bin/env bash
words="$*"
case $words in
  *host.sh\\ start*)
    stage=${words##*start study } stage=${stage%% *}
    echo "$stage" >"stage of $5"
    echo "$5 start $stage" >>asked
    ;;
  *host.sh\\ follow*)
    stage=$(cat "stage of $5")
    echo "$5 follow $stage" >>asked
    if [[ ${ENDS:-} == never ]]; then echo $$ >"$5 follows" && exec tail -f /dev/null; fi
    [[ "$5 $stage" != "${ENDS% *}" ]] || exit "${ENDS##* }"
    ;;
  *' list '*) echo ACTIVE ;;
  *) echo "$5 $4" >>asked ;;
esac
"""
WRONG = {
    "several hosts": ({"TPU_TYPE": "v5litepod-16"}, STUDY, "v5litepod-16: has several hosts"),
    "slices": ({"TPU_SLICES": "2"}, STUDY, "TPU_SLICES=2: N says how many"),
    "here alone": ({}, [STUDY[0], "my study"], "DIR my study: as the hosts see it"),
    "a bucket": ({}, [STUDY[0], "gs://b/study"], "DIR gs://b/study: as the hosts see it"),
    "not committed": ({}, ["/my.py", "/a"], "STUDY.py /my.py: a file of the repository"),
    "an option": ({}, [*STUDY, "--only=1/2"], "--only=1/2: is said for each element"),
}


def element(stage, number, count):
    return ["study", stage, f"{number}/{count}", *STUDY]


def asked_of(place, status, *words, **variables):
    place.program("gcloud", text=GCLOUD)
    place.program("sleep", text=NOTHING)
    words = [*words, 2, *STUDY]
    place.run("tpu/study.sh", "--stages=pretrain,cells", *words, status=status, **variables)
    return (place.folder / "asked").read_text().splitlines()


@pytest.mark.parametrize(("ends", "status"), [("", 0), ("surgvista-2 pretrain 1", 1)])
def test_a_stage_begins_when_all_have_ended_though_some_failed(ends, status, place):
    asked = asked_of(place, status, **ONE_HOST, ENDS=ends)
    both = [f"surgvista-{number}" for number in (1, 2)]
    for begin, stage in ((0, "pretrain"), (4, "cells")):
        wanted = {f"{host} {what} {stage}" for host in both for what in ("start", "follow")}
        assert set(asked[begin : begin + 4]) == wanted
    assert asked[8:] == [f"{host} delete" for host in both]


def test_what_was_told_to_stop_begins_no_other_stage(place):
    asked = asked_of(place, 143, "--keep", **ONE_HOST, ENDS="surgvista-1 pretrain 143")
    assert len(asked) == 4 and not any("cells" in line for line in asked)


def test_a_run_that_always_stands_still_does_not_have_the_tpus_for_ever(place):
    asked = asked_of(place, 75, **ONE_HOST, ENDS="surgvista-1 pretrain 75")
    assert asked.count("surgvista-1 start pretrain") == 10
    assert asked[-2:] == ["surgvista-1 delete", "surgvista-2 delete"]


def test_a_dry_run_quotes_for_the_shell_here_and_the_shell_there(place):
    out, _ = place.run("tpu/study.sh", "--dry-run", 4, *STUDY, **ONE_HOST)
    create, state, *_, delete = parsed(out)
    assert "--node-id=surgvista-1" in create and "list" in state and "surgvista-1" in delete
    there = [
        shlex.split(word.removeprefix("--command="))
        for words in parsed(out)
        for word in words
        if "host.sh start" in word
    ]
    command = ["bash", "surgvista/launch/tpu/host.sh", "start"]
    assert there == [[*command, *element(stage, 1, 4)] for stage in STAGES]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whoever_ends_it_leaves_the_runs_alone_and_nothing_here(number, place):
    place.program("gcloud", text=GCLOUD)
    script = place.start("tpu/study.sh", 2, *STUDY, **ONE_HOST, ENDS="never")
    files = [place.folder / f"surgvista-{number} follows" for number in (1, 2)]
    while not all(file.exists() and file.read_text().strip() for file in files):
        assert script.poll() is None
        time.sleep(0.02)
    script.send_signal(number)
    _, said = script.communicate(timeout=30)
    assert script.returncode == 128 + number
    assert "the runs go on; TPU_NAME=surgvista-I launch/tpu/slice.sh stop" in said
    for file in files:
        with pytest.raises(ProcessLookupError):
            for _ in range(100):
                os.kill(int(file.read_text()), 0)
                time.sleep(0.05)


@pytest.mark.parametrize(("variables", "words", "said"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_done_is_one_line(variables, words, said, place):
    place.program("gcloud")
    _, (line,) = place.run("tpu/study.sh", 2, *words, status=2, **(ONE_HOST | variables))
    assert said in line and place.calls("gcloud") == []


def test_a_host_does_its_part_of_a_stage(place):
    place.run("tpu/host.sh", "start", *element("cells", 2, 4))
    place.run("tpu/host.sh", "follow")
    words = ["study", "run", STUDY[0], f"--out={STUDY[1]}", "--stage=cells", "--only=2/4", STUDY[2]]
    assert place.calls("surgvista") == [words]


def test_a_study_that_is_followed_again_may_be_at_a_later_stage(place):
    place.program("surgvista", text=TRAINING)
    place.run("tpu/host.sh", "start", *element("cells", 2, 4))
    _, (line,) = place.run("tpu/host.sh", "start", *element("data", 2, 4))
    assert "a run is here already" in line
    _, (line,) = place.run("tpu/host.sh", "start", *element("data", 1, 4), status=2)
    assert "another run is here" in line
