"""What does launch/tpu ask Google's service for, and what do the hosts do?"""

import argparse
import math
import os
import shlex
import signal

import pytest
import yaml

from surgvista_jax.commands import pretrain
from surgvista_jax.config import load_config
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from tests.support.launch_place import RECORD, RUN, TRAINING, parsed, run_words
from tests.support.places import ROOT

TPU = {
    "TPU_NAME": "surgvista",
    "TPU_ZONE": "us-west4-a",
    "TPU_TYPE": "v5litepod-16",
    "TPU_RUNTIME": "v2-alpha-tpuv5-lite",
}
HOSTS = ("pretrain", "configs/demo.py", "/my data", "/runs/a run")
# Plays Google's service: what each kind of request answers stands in a file of its own, a line for
# each time; what is asked for goes into the file `asked`.
GCLOUD = """#!/usr/bin/env bash
words="$*"
case $words in
  *host.sh\\ start*) kind=start ;;
  *host.sh\\ follow*) kind=follow ;;
  *host.sh\\ install*) kind=install ;;
  *) kind=$4 ;;
esac
[[ $kind == list ]] || echo "$kind" >>asked
answer=$(sed -n 1p "$kind" 2>/dev/null)
[[ ! -e $kind ]] || sed -i 1d "$kind"
[[ $answer != unreachable ]] || exit 1
if [[ $kind == list ]]; then echo "$answer"; else exit "${answer:-0}"; fi
"""
NOTHING = "#!/usr/bin/env bash\n"


def asked_of(place, status: int, *words: str, **answers: str) -> list[str]:
    """What a run asks of Google's service, that answers so; it ends with `status`."""
    place.program("gcloud", text=GCLOUD)
    for name in ("sleep", "git"):
        place.program(name, text=NOTHING)
    (place.folder / "asked").write_text("")
    for kind, lines in answers.items():
        (place.folder / kind).write_text("".join(f"{line}\n" for line in lines.split(" ")))
    place.run("tpu/train.sh", *words, *HOSTS, status=status, **TPU)
    return (place.folder / "asked").read_text().split()


def test_a_run_is_brought_from_the_queue_to_its_end(place):
    states = " WAITING_FOR_RESOURCES PROVISIONING ACTIVE ACTIVE"
    asked = asked_of(place, 0, list=states, start="127 0", follow="0")
    assert asked == ["create", "start", "scp", "install", "start", "follow", "delete"]


@pytest.mark.parametrize("status", ["255", "75", "1"])
def test_tpus_that_are_taken_away_are_asked_for_again(place, status):
    """The connection is lost, the host is told to stop, or another host is gone first."""
    states = "ACTIVE SUSPENDED SUSPENDED  ACTIVE"
    if status != "1":  # these two need no second look
        states = "ACTIVE SUSPENDED  ACTIVE"
    asked = asked_of(place, 0, "--keep", list=states, start="0 0", follow=f"{status} 0")
    assert asked == ["start", "follow", "delete", "create", "start", "follow"]


@pytest.mark.parametrize("status", [1, 137, 143])
def test_a_run_that_fails_or_was_stopped_leaves_the_tpus(place, status):
    asked = asked_of(place, status, list="ACTIVE ACTIVE", start="0", follow=str(status))
    assert asked == ["start", "follow"]


def test_a_service_that_fails_for_moments_is_waited_for(place):
    states = "unreachable WAITING_FOR_RESOURCES " * 12 + "ACTIVE"
    assert asked_of(place, 0, "--keep", list=states, start="0", follow="0") == ["start", "follow"]


def test_requests_that_fail_end_in_the_end(place):
    assert asked_of(place, 1, list=" ".join(["unreachable"] * 15)) == []
    assert asked_of(place, 1, list="FAILED", create="0") == []
    assert set(asked_of(place, 1, list=" ".join([""] * 15), create=" ".join("1" * 15))) == {
        "create"
    }


def test_a_dry_run_quotes_for_the_shell_here_and_the_shell_there(place):
    words = ["--config.init=a 'file' $HOME", "--config.x=*"]
    slices = TPU | {"TPU_SLICES": "2", "TPU_SPOT": "true"}
    out, _ = place.run("tpu/train.sh", "--dry-run", *HOSTS, *words, **slices)
    create, state, _, scp, install, start, follow, delete, last = parsed(out)
    assert {"--node-count=2", "--node-prefix=surgvista", "--spot"} <= set(create)
    assert not any(word.startswith("--node-id") for word in create)
    for everywhere in (scp, install, start):
        assert {"--node=all", "--worker=all", "--zone=us-west4-a"} <= set(everywhere)
    assert {"--node=0", "--worker=0"} <= set(follow) and delete == last
    assert "--force" in delete and "list" in state
    (remote,) = (word for word in start if word.startswith("--command="))
    (there,) = parsed([remote.removeprefix("--command=")])
    assert there == ["bash", "surgvista/launch/tpu/host.sh", "start", *HOSTS, *words]


def test_one_slice_has_one_node(place):
    out, _ = place.run("tpu/slice.sh", "--dry-run", "create", **TPU)
    (create,) = parsed(out)
    assert create[:6] == [*"gcloud compute tpus queued-resources create surgvista".split()]
    assert {"--node-id=surgvista", "--accelerator-type=v5litepod-16"} <= set(create)
    assert not {"--spot", "--node-count=1"} & set(create)


def test_a_host_starts_one_run_that_lives_on_and_saves_when_told(place):
    place.program("surgvista", text=TRAINING)
    place.run("tpu/host.sh", "start", *RUN)
    _, (line,) = place.run("tpu/host.sh", "start", *RUN)
    assert "a run is here already" in line
    _, (line,) = place.run("tpu/host.sh", "start", *RUN, "--config.seed=3", status=2)
    assert "another run is here" in line and shlex.split(line)[-len(RUN) :] == [*RUN]
    follows = place.start("tpu/host.sh", "follow")
    assert follows.stdout.readline() == "ready\n"
    place.run("tpu/host.sh", "stop")
    follows.communicate(timeout=30)
    assert follows.returncode == 143
    _, (line,) = place.run("tpu/host.sh", "stop", status=1)
    assert "no run is here" in line


def test_a_host_that_is_taken_away_is_no_run_that_was_stopped(place):
    place.program("surgvista", text=TRAINING)
    place.run("tpu/host.sh", "start", *RUN)
    os.kill(int((place.folder / ".surgvista" / "pid").read_text()), signal.SIGTERM)
    place.run("tpu/host.sh", "follow", status=75)


def test_the_words_of_a_run_arrive_on_a_host_and_its_status_comes_back(place):
    place.program("surgvista", text=f"{RECORD}echo some line\nexit 3\n")
    place.run("tpu/host.sh", "start", *RUN, "--config.init=a 'file'")
    out, _ = place.run("tpu/host.sh", "follow", status=3)
    assert out == ["some line"]
    ((program, *words),) = place.calls("surgvista")
    assert (program, words.pop(0)) == ("pretrain", "--distributed")
    workers = f"--config.loader.workers={(len(os.sched_getaffinity(0)) + 1) // 2}"
    assert [program, *words] == run_words(workers, "--config.init=a 'file'")


@pytest.mark.skipif((ROOT / ".venv/bin/surgvista").exists(), reason="it is installed here")
def test_a_host_without_an_installation_says_so_as_one_without_the_script_does(place):
    (place.bin / "surgvista").unlink()
    place.run("tpu/host.sh", "start", *RUN, status=127)


def test_the_manifest_is_of_whole_slices_that_start_again_together():
    manifest = yaml.safe_load((ROOT / "launch/tpu/jobset.yaml").read_text(encoding="utf-8"))
    assert (manifest["apiVersion"], manifest["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    assert manifest["spec"]["failurePolicy"]["maxRestarts"] > 0
    (slices,) = manifest["spec"]["replicatedJobs"]
    job = slices["template"]["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    chips = container["resources"]["limits"]["google.com/tpu"]
    topology = pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"]
    sizes = [int(size) for size in topology.split("x")]
    assert job["parallelism"] == job["completions"] == math.prod(sizes) // chips
    assert (job["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
    assert container["resources"]["requests"] == container["resources"]["limits"]
    assert pod["terminationGracePeriodSeconds"] >= 120
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts.keys() == {volume["name"] for volume in pod["volumes"]}
    assert mounts["memory"] == "/dev/shm"


def test_the_manifests_command_is_one_that_there_is():
    manifest = yaml.safe_load((ROOT / "launch/tpu/jobset.yaml").read_text(encoding="utf-8"))
    job = manifest["spec"]["replicatedJobs"][0]["template"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    command, *words = container["args"]
    parser = argparse.ArgumentParser(allow_abbrev=False)
    pretrain.add_arguments(parser)
    known, overrides = parser.parse_known_args(words)
    assert command == "pretrain" and known.distributed
    config = load_config(known.config, PretrainConfig, overrides)
    assert config.loader.workers > 0
    root = container["volumeMounts"][0]["mountPath"]
    for path in (config.data.folder, str(known.workdir)):
        assert path.startswith(f"{root}/")
