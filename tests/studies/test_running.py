"""Do the runs of a study come to their end, whatever happens to some of them or to the parent?"""

import functools
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.commands import study_run
from surgvista_jax.errors import STANDS_STILL, UserError
from surgvista_jax.json_object import read_object
from surgvista_jax.locking import NAME as LOCK
from surgvista_jax.locking import try_lock
from surgvista_jax.studies.cells import Backbone, Pretraining, grid
from surgvista_jax.studies.places import Place, gpus_here, places_of
from surgvista_jax.studies.plan import plan
from surgvista_jax.studies.running import run_jobs
from surgvista_jax.studies.states import move_stale, state_of
from tests.studies.test_plan import configs, data
from tests.support.places import ROOT

TOY = "tests.support.toy_programs"
GIVEN = Backbone(name="given", start="mvd:w.pth")


def made(**changes):
    start = Pretraining(name="made", config="configs/pretrain/minutes.py", changes=changes)
    return Backbone(name="made", start=start)


def cells_of(backbones=None, modes=("full", "linear")):
    return grid(backbones or [made(), GIVEN], [data()], modes, seeds=2)


HERE = (Place(),)


def run(out, cells, places=HERE):
    jobs, told = plan(cells, out, configs), []
    return run_jobs(jobs, jobs, out, places, told.append, TOY), told


def test_each_runs_once_after_what_it_needs_and_nothing_is_run_again(tmp_path, toy):
    out, cells = tmp_path / "study", cells_of()
    outcome, told = run(out, cells)
    begun = toy()
    folders = [row[0] for row in begun]
    assert folders[0] == "pretrain/made" and len({row[1] for row in begun}) == 1  # one process
    assert sorted(folders[1:]) == sorted(f"cells/{cell.name}" for cell in cells)
    assert sorted(outcome.done) == sorted(folders) and not outcome.failed
    assert "0 to go" in told[-1]
    outcome, told = run(out, cells)
    assert len(outcome.done) == 9 and told == [] and toy() == []


def test_what_fails_or_crashes_is_named_and_stops_nothing_else(tmp_path, toy):
    out, cells = tmp_path / "study", cells_of()
    toy(fails=["given/one/full/seed1"], crashes=["given/one/linear/seed0"])
    outcome, _ = run(out, cells)
    one, two = "cells/given/one/full/seed1", "cells/given/one/linear/seed0"
    assert set(outcome.failed) == {one, two}
    assert outcome.failed[one] == (
        f"failed (status 1): surgvista: config.init: no such file; logs/{one}.log says more"
    )
    assert outcome.failed[two].startswith("was killed (SIGKILL")
    assert len(outcome.done) == 7  # the second seed of the crashed job, too
    toy()
    outcome, _ = run(out, cells)
    assert [row[0] for row in toy()] == [one, two] and len(outcome.done) == 9


def test_what_needs_a_run_that_failed_waits_and_says_so(tmp_path, toy):
    out = tmp_path / "study"
    toy(fails=["pretrain/"])
    outcome, _ = run(out, cells_of([made()], ("full", "temporal")))
    assert set(outcome.failed) == {"pretrain/made"}
    # Temporal heads wait for features, which wait for the pretraining: that is what is wanting.
    of_made = {name: why for name, why in outcome.waiting.items() if "/made/" in name}
    assert len(of_made) == 5 and set(of_made.values()) == {"pretrain/made (failed)"}
    assert [row[0] for row in toy() if "made/" in row[0]] == []


def test_a_thread_that_never_ends_keeps_nobody_waiting(tmp_path):
    toy_log = {"TOY": '{"sticks": ["cells"]}', "TOY_LOG": str(tmp_path / "begun")}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **toy_log}
    words = [sys.executable, "-m", "surgvista_jax.studies.worker", TOY]
    folder = tmp_path / "cells"
    told = {"words": ["finetune", f"--workdir={folder}"], "folder": str(folder)}
    told["log"] = str(tmp_path / "log")
    ended = subprocess.run(
        words, input=json.dumps(told), env=environment, capture_output=True, text=True, timeout=20
    )
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["code"] == 0  # and nothing of what was printed on import


def test_a_log_that_cannot_be_written_fails_its_run_alone(tmp_path, toy):
    out = tmp_path / "study"
    one = "cells/given/one/full/seed0"
    (out / "logs" / f"{one}.log").mkdir(parents=True)
    outcome, _ = run(out, cells_of([GIVEN], ["full"]))
    assert list(outcome.failed) == [one] and len(outcome.done) == 1
    assert outcome.failed[one].startswith(f"failed (status 1): {out}/logs/{one}.log: ")


def test_a_run_that_stood_still_is_told_by_the_status_of_the_study(
    tmp_path, toy, monkeypatch, capsys
):
    toy(stands=["seed1"])
    file, out = tmp_path / "mine.py", tmp_path / "study"
    file.write_text(STUDY)
    monkeypatch.setattr(study_run, "run_jobs", functools.partial(run_jobs, package=TOY))
    words = ["study", str(file), f"--out={out}"]
    assert main(words) == STANDS_STILL
    toy()
    assert main([*words, "--stage=data"]) == 0 and "next:" not in capsys.readouterr().err
    assert main(words) == 0
    assert capsys.readouterr().err.endswith(f"next: surgvista study report {out}\n")


def test_side_by_side_each_process_has_its_gpu_or_its_cores(tmp_path, toy):
    toy(meets=["full"])  # each waits until another has begun: alone it would wait for ever
    outcome, _ = run(tmp_path / "study", cells_of([GIVEN], ["full"]), places_of(2, ["4", "7"], []))
    begun = toy()
    assert len(outcome.done) == 2 and {row[2] for row in begun} == {"4", "7"}
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        run(tmp_path / "other" / "study", cells_of([GIVEN], ["full"]), places_of(2, [], cores))
        assert {int(row[3]) for row in toy()} <= {len(cores) // 2, (len(cores) + 1) // 2}


def test_a_gpu_gets_a_process_for_each_job(tmp_path, toy):
    run(tmp_path / "study", cells_of([GIVEN], ["full"]), places_of(1, ["0"], []))
    assert len({row[1] for row in toy()}) == 2


@pytest.mark.parametrize(
    ("count", "gpus", "said"), [(3, ["0", "1"], "2 GPUs are here"), (3, [], "2 cores are here")]
)
def test_more_at_a_time_than_there_are_places_is_one_line(count, gpus, said):
    with pytest.raises(UserError, match=f"--jobs=3: {said}"):
        places_of(count, gpus, [0, 1])


def test_gpus_are_those_that_the_environment_leaves(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H100'\necho 'GPU 1: NVIDIA H100'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert gpus_here({}) == ["0", "1"]
    assert gpus_here({"CUDA_VISIBLE_DEVICES": "3, GPU-ab"}) == ["3", "GPU-ab"]
    assert gpus_here({"CUDA_VISIBLE_DEVICES": ""}) == []
    assert gpus_here({"JAX_PLATFORMS": "cpu"}) == []


PARENT = """
import sys
from pathlib import Path
from tests.studies.test_running import *
outcome, told = run(Path(sys.argv[1]), cells_of())
sys.exit(143 if outcome.stopped else 0)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
def test_the_parent_is_killed_or_told_to_stop_and_the_same_command_goes_on(number, tmp_path, toy):
    out = tmp_path / "study"
    toy(hangs=["given/one/full/seed0"])
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(out)], cwd=ROOT)
    hanging = out / "cells" / "given" / "one" / "full" / "seed0" / "config.json"
    while not hanging.exists():
        assert parent.poll() is None
        time.sleep(0.05)
    parent.send_signal(number)
    assert parent.wait(60) == (143 if number == signal.SIGTERM else -signal.SIGKILL)
    before = toy()
    child = int(before[-1][1])
    deadline = time.monotonic() + 30
    while os.path.exists(f"/proc/{child}") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not os.path.exists(f"/proc/{child}")  # nobody computes on for nobody
    outcome, _ = run(out, cells_of())
    begun = [row[0] for row in toy()]
    assert begun[0] == "cells/given/one/full/seed0" and len(outcome.done) == 9
    assert not {row[0] for row in before[:-1]} & set(begun)


def test_a_changed_definition_is_stale_until_it_is_moved_away(tmp_path, toy):
    out = tmp_path / "study"
    run(out, cells_of())
    toy()
    changed = cells_of([made(**{"optim.learning_rate": 0.5}), GIVEN])
    outcome, told = run(out, changed)
    assert told == [] and toy() == [] and len(outcome.done) == 4  # of the given weights
    runs = {run.folder: run for job in plan(changed, out, configs) for run in job.runs}
    state = state_of(out, runs["pretrain/made"])
    assert state.name == "stale" and state.why == "optim.learning_rate was 0.001, is 0.5"
    cell = runs["cells/made/one/full/seed0"]
    assert state_of(out, cell).why == "pretrain/made is another one"
    lock = out / cell.folder / LOCK
    with open(lock, "w") as held:  # as a process has it that still trains there
        held.write('{"host": "a"}')
        held.flush()
        assert try_lock(held.fileno())
        with pytest.raises(UserError, match="another process is at work here"):
            move_stale(out, [cell])
    assert lock.is_file()
    moved = move_stale(out, runs.values())
    assert len(moved) == 5 and moved[0] == (
        f"pretrain/made: was stale; moved to {out}/stale/pretrain/made.1"
    )
    outcome, _ = run(out, changed)
    assert len(outcome.done) == 9 and len(toy()) == 5
    assert (out / "stale" / "cells/made/one/full/seed0.1" / "result.json").is_file()
    assert not list(out.rglob(LOCK))


def test_a_folder_that_the_study_did_not_begin_is_left_alone(tmp_path, toy):
    out = tmp_path / "study"
    theirs = out / "cells" / "given" / "one" / "full" / "seed0"
    theirs.mkdir(parents=True)
    outcome, _ = run(out, cells_of([GIVEN], ["full"]))
    assert len(outcome.done) == 1 and not list(theirs.iterdir())


STUDY = """
from surgvista_jax.studies.cells import Backbone, Data, grid
def study(config):
    one = Data(name="one", task="phase", config="configs/finetune/cholec80.py", folder="nowhere")
    return grid([Backbone(name="given", start="mvd:none.pth")], [one], ["full", "linear"], 2)
"""


def test_from_the_command_line_a_stage_can_be_divided_and_commands_be_printed(
    tmp_path, capfd, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    file, out = tmp_path / "mine.py", tmp_path / "study"
    file.write_text(STUDY)
    words = ["study", str(file), f"--out={out}"]
    assert main([*words, "--commands"]) == 0
    printed = capfd.readouterr().out.splitlines()
    assert len(read_object(out / "study.json")["cells"]) == 4  # for the report
    assert len(printed) == 4 and all(line.startswith("surgvista finetune ") for line in printed)
    (out / "cells/given/one/full/seed0").mkdir(parents=True)  # one that was begun there
    assert main([*words, "--commands"]) == 0
    assert capfd.readouterr().out.splitlines() == printed
    # One that is stale has no command, and it is said why, until it is moved away.
    (out / "cells/given/one/full/seed1").mkdir(parents=True)
    (out / "definitions/cells/given/one/full/seed1.json").unlink()
    assert main([*words, "--commands"]) == 0
    said = capfd.readouterr()
    assert said.out.splitlines() == [line for line in printed if "full/seed1" not in line]
    assert said.err.startswith("stale: cells/given/one/full/seed1: it does not say what it was")
    assert main([*words, "--commands", "--overwrite"]) == 0
    said = capfd.readouterr()
    assert said.out.splitlines() == printed and "was stale; moved to" in said.err
    # The programs themselves say what is wrong: there are no data.
    assert main([*words, "--stage=cells", "--only=2/3"]) == 1
    said = capfd.readouterr()
    one = "cells/given/one/full/seed1"
    assert f"failed: {one}: failed (status 1): surgvista: {tmp_path.cwd()}/nowhere: no such" in (
        said.err
    )
    assert said.out == f"{out}: 0 of 1 runs are done\n"
    assert [row["folder"] for row in read_object(out / "study.json")["cells"]][1] == one
    assert main([*words, "--only=1/3"]) == 1
    assert "--only: is of one stage" in capfd.readouterr().err
    file.rename(tmp_path / "other.py")
    assert main(["study", str(tmp_path / "other.py"), f"--out={out}", "--stage=data"]) == 1
    assert "study.json: is of the study 'mine'" in capfd.readouterr().err
