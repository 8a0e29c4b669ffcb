"""Is a finetuning run the same on whatever it is computed, and by whatever it is cut off?"""

import contextlib
import io
import json
import signal
import socket
import sys

import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.samples import labelled_samples
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.tasks.selection import Selection, read_evaluations
from surgvista_jax.training.checkpoint import save_params
from surgvista_jax.training.watch import Place
from tests.support import device_memory
from tests.support.fake_trackers import FakeMlflow
from tests.support.finetune_run import make_config, make_dataset, predictions, result, run
from tests.support.one_device import on_one_device
from tests.support.tiny_run import finish_all, lines, start
from tests.support.watched_places import watched_places

TRACKED = "tracking=mlflow"
SPEED = ("clips_per_second", "data_wait_share", "mfu")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finetune")
    return make_config(folder / "config.py", make_dataset(folder / "data"))


def assert_bit_for_bit(workdir, expected):
    ours, theirs = (
        {step: {k: v for k, v in row.items() if k not in SPEED} for step, row in lines(w).items()}
        for w in (workdir, expected)
    )
    assert ours == theirs and set(ours) == {2, 4, 6, 8}
    assert read_evaluations(workdir) == read_evaluations(expected)
    assert result(workdir) == result(expected)
    ours, theirs = predictions(workdir), predictions(expected)
    assert ours.keys() == theirs.keys() and len(ours["frame"]) == 18
    for name, values in theirs.items():
        np.testing.assert_array_equal(ours[name], values, err_msg=name)


def assert_same_run(workdir, expected):
    """Sums come in another order, so the last digits differ; eight updates let them grow."""
    ours, theirs = lines(workdir), lines(expected)
    assert ours.keys() == theirs.keys()
    for step, row in theirs.items():
        for key in ("loss", "grad_norm", "learning_rate"):
            np.testing.assert_allclose(ours[step][key], row[key], rtol=1e-4, err_msg=key)
    ours, theirs = predictions(workdir), predictions(expected)
    for key in ("video", "frame", "label"):
        np.testing.assert_array_equal(ours[key], theirs[key])
    np.testing.assert_allclose(ours["score"], theirs["score"], rtol=1e-4)


@pytest.fixture(scope="module")
def one_device(config, tmp_path_factory):
    """The run that all others must equal."""
    workdir = tmp_path_factory.mktemp("one") / "run"
    with on_one_device():
        assert run(config, workdir)
    return workdir


@pytest.fixture(scope="module")
def eight_devices(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("eight") / "run"
    with device_memory.known(), contextlib.redirect_stderr(io.StringIO()) as said:
        assert run(config, workdir)
    assert "train on 5 videos, select on 2 (val), test on 2" in said.getvalue()
    return workdir


def test_eight_devices_equal_one(eight_devices, one_device):
    assert_same_run(eight_devices, one_device)


def test_sharded_parameters_change_nothing(config, one_device, tmp_path):
    with watched_places() as places:
        assert run(config, tmp_path / "run", "mesh.fsdp=2", "mesh.model=2", "evaluation.protocol=")
    assert_same_run(tmp_path / "run", one_device)
    # Two batches of 16 clips: of selection after the last step, and of the test videos at the end.
    assert Place(8, "busy with evaluating after step 8", 2) in places
    assert places[-1] == Place(8, "evaluating the test videos", 2)


def test_two_processes_evaluate_every_frame_once(config, one_device, tmp_path):
    """On a mesh of 2,2,1: the batch is shared out between them, the parameters within each."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    workdir = tmp_path / "run"
    words = [f"--config={config}", f"--workdir={workdir}"]
    words += ["--config.mesh.data=2", "--config.mesh.fsdp=2"]
    group = [f"--coordinator={address}", "--num-processes=2"]
    both = [
        start("finetune", *words, *group, f"--process-id={number}", devices=2)
        for number in range(2)
    ]
    finish_all(both)
    assert_same_run(workdir, one_device)
    found = predictions(workdir)
    dataset = read_dataset(config.parent / "data").split("test")
    samples = labelled_samples(dataset, ClipConfig(4, 1, 32))
    assert len(samples) == 18
    names = [dataset.videos[number].video for number in samples.video]
    pairs = list(zip(found["video"].tolist(), found["frame"].tolist(), strict=True))
    assert pairs == list(zip(names, samples.frame.tolist(), strict=True))


def test_whatever_cuts_a_run_off_it_ends_as_if_nothing_had(
    config, eight_devices, tmp_path, monkeypatch, capsys
):
    """On purpose, by a signal, by a kill while the best parameters are saved; tracked meanwhile."""
    workdir, tracker = tmp_path / "run", FakeMlflow()
    monkeypatch.setitem(sys.modules, "mlflow", tracker)
    assert not run(config, workdir, "loop.stop_after=3", TRACKED)
    assert max(lines(workdir)) == 2 and not (workdir / "result.json").exists()

    with monkeypatch.context() as patched:
        patched.setattr(Selection, "add", signalled(4))
        words = ["finetune", f"--config={config}", f"--workdir={workdir}", f"--config.{TRACKED}"]
        assert main(words) == 128 + signal.SIGTERM
    assert "told to stop" in capsys.readouterr().err
    assert [line["step"] for line in read_evaluations(workdir)] == [2, 4]

    with monkeypatch.context() as patched:
        patched.setattr(Selection, "add", killed(6))
        with pytest.raises(Killed):  # what it had trained is saved, though nothing is due
            run(config, workdir, "checkpoint.save_every=100", TRACKED)
    assert max(lines(workdir)) == 6 and (workdir / "checkpoints" / "6").is_dir()
    assert [line["step"] for line in read_evaluations(workdir)] == [2, 4]

    assert run(config, workdir, "loader.workers=1", TRACKED)
    assert_bit_for_bit(workdir, eight_devices)
    (tracked,) = tracker.runs()
    assert tracked.info.status == "FINISHED"
    losses = [(point.step, point.value) for point in tracked.data.points if point.key == "loss"]
    assert losses == [(step, row["loss"]) for step, row in lines(workdir).items()]
    key = "selection_accuracy"
    scores = [(point.step, point.value) for point in tracked.data.points if point.key == key]
    assert scores == [(line["step"], line["score"]) for line in read_evaluations(workdir)]


def signalled(at):
    """An evaluation during which the process is told to stop."""
    real = Selection.add

    def add(self, step, *arguments):
        if step == at:
            signal.raise_signal(signal.SIGTERM)
        return real(self, step, *arguments)

    return add


class Killed(Exception):
    pass


def killed(at):
    """An evaluation that dies when the parameters are saved and its line is not written."""
    real = Selection.add

    def add(self, step, value, params, meta):
        if step != at:
            return real(self, step, value, params, meta)
        save_params(self.folder, step, params, meta, keep=2)
        raise Killed

    return add


def test_a_run_goes_on_with_its_own_configuration_and_data_alone(
    config, eight_devices, one_device, tmp_path, capsys
):
    program = ["finetune", f"--config={config}", f"--workdir={eight_devices}"]
    assert main([*program, "--config.optim.learning_rate=1e-2"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "optim.learning_rate" in line

    folder = make_dataset(tmp_path / "data")
    head = json.loads((folder / "dataset.json").read_text())
    head["splits"]["train"].pop()
    (folder / "dataset.json").write_text(json.dumps(head))
    assert main([*program, f"--config.data.folder={folder}"]) == 1
    assert "was trained with another data" in capsys.readouterr().err.splitlines()[-1]
    assert main([*program, f"--config.init={one_device}"]) == 1
    assert "was trained with another init" in capsys.readouterr().err.splitlines()[-1]
