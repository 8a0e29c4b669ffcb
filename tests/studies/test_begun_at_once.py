"""Does a study survive what comes while it begins: others that begin it too, and Ctrl-C?"""

import signal
import subprocess
import sys
import threading
import time

import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.commands import study_run
from surgvista_jax.locking import NAME as LOCK
from surgvista_jax.locking import try_lock
from surgvista_jax.ownership import in_folder
from surgvista_jax.studies.plan import plan
from surgvista_jax.studies.running import run_jobs
from surgvista_jax.studies.states import note_definition
from surgvista_jax.writing import write_json
from tests.studies.test_plan import configs
from tests.studies.test_running import GIVEN, HERE, PARENT, STUDY, TOY, cells_of
from tests.support.places import ROOT


@pytest.mark.parametrize("other", ["the same", "another"])
def test_of_elements_that_begin_at_once_one_writes_what_the_study_is(
    other, tmp_path, monkeypatch, capsys
):
    """The other one's file comes between the look whether there is one and the own file."""
    file, out, there = tmp_path / "mine.py", tmp_path / "study", tmp_path / "first"
    file.write_text(STUDY)
    words = ["study", str(file), "--commands"]
    assert main([*words, f"--out={there}"]) == 0
    theirs = (there / "study.json").read_text()
    # Definitions say no folder of the study: both are the same but for what the test changes.
    theirs = theirs if other == "the same" else theirs.replace('"given"', '"others"')

    def in_the_midst(folder, overwrite):
        def guard(path, aside):
            in_folder(folder, overwrite)(path, aside)
            path.write_text(theirs)

        return guard

    monkeypatch.setattr(study_run, "in_folder", in_the_midst)
    assert main([*words, f"--out={out}"]) == (0 if other == "the same" else 1)
    said = capsys.readouterr().err
    assert ("study.json: cannot be written" in said) == (other == "another")
    assert (out / "study.json").read_text() == theirs


def finish(out, run):
    note_definition(out, run)
    write_json(out / run.folder / "result.json", {"score": "accuracy"})
    write_json(out / run.folder / "config.json", {})


def test_what_others_did_meanwhile_is_not_run_again(tmp_path, toy):
    out, cells, told = tmp_path / "study", cells_of([GIVEN], ["full"]), []
    jobs = plan(cells, out, configs)
    (last,) = jobs[1].runs

    def tell(line):
        told.append(line)
        if len(told) == 1:  # the first begins, and elsewhere the last has ended
            finish(out, last)

    outcome = run_jobs(jobs, jobs, out, HERE, tell, TOY)
    assert [row[0] for row in toy()] == [jobs[0].name]
    assert outcome.done == [jobs[0].name, last.folder] and not outcome.failed
    assert told[-1] == f"{last.folder}: was done elsewhere; 0 to go"


def test_what_another_process_was_at_is_waited_for_and_not_run_again(tmp_path, toy):
    """Nor is the next run of that job, which it has done too."""
    out, told = tmp_path / "study", []
    (job,) = jobs = plan(cells_of([GIVEN], ["linear"]), out, configs)
    lock = out / job.runs[0].folder / LOCK
    lock.parent.mkdir(parents=True)
    note_definition(out, job.runs[0])

    def end():
        for run in job.runs:
            finish(out, run)
        held.close()

    with open(lock, "w") as held:
        assert try_lock(held.fileno())
        other = threading.Timer(0.5, end)
        other.start()
        outcome = run_jobs(jobs, jobs, out, HERE, told.append, TOY)
    assert toy() == [] and outcome.done == [run.folder for run in job.runs]
    assert [line.partition(": ")[2] for line in told] == [
        "begins",
        "was done elsewhere; 1 to go",
        "begins",
        "was done elsewhere; 0 to go",
    ]


def test_ctrl_c_while_a_process_imports_what_it_runs_is_no_traceback(tmp_path, monkeypatch):
    imports = tmp_path / "imports"
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "begun"))
    monkeypatch.setenv("TOY_IMPORT", str(imports))
    words = [sys.executable, "-c", PARENT, str(tmp_path / "study")]
    parent = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while not imports.exists():
        assert parent.poll() is None
        time.sleep(0.02)
    parent.send_signal(signal.SIGINT)
    _, said = parent.communicate(timeout=60)
    assert (parent.returncode, said) == (143, "what a library says on import\n")
