"""What a user meets at the command line: one clear line for each mistake, and nothing lost."""

import os
import resource
import shutil
import subprocess
import sys
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from surgvista_jax.__main__ import COMMANDS, main
from surgvista_jax.config import build, load_config
from surgvista_jax.errors import TOLD_TO_STOP, UserError
from surgvista_jax.models.video_vit import SIZES
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.task import make_pretraining
from surgvista_jax.training.checkpoint import restore_params
from surgvista_jax.training.partition import unboxed_shapes
from tests.support.one_device import on_one_device
from tests.support.tiny_run import finish, make_config, make_dataset, start


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("command line")
    return make_config(folder / "config.py", make_dataset(folder / "dataset"))


def without_teacher(config, workdir, *words) -> list[str]:
    """Of a run for which none of what a teacher adds to compile matters."""
    overrides = [f"--config.{word}" for word in words]
    return ["pretrain", f"--config={config}:none", f"--workdir={workdir}", *overrides]


@pytest.fixture(scope="module")
def finished(config):
    """A run of six steps, a checkpoint each two."""
    workdir = config.parent / "finished"
    with on_one_device():
        assert main(without_teacher(config, workdir, "budget.steps=6")) == 0
    return workdir


def commands(table=COMMANDS, path=()):
    for name, entry in table.items():
        if isinstance(entry, dict):
            yield from commands(entry, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_explains_itself(words, capsys):
    with pytest.raises(SystemExit) as left:
        main([*words, "--help"])
    assert left.value.code == 0
    assert "usage: surgvista " + " ".join(words) in capsys.readouterr().out


@pytest.mark.parametrize("group", ["", *(n for n, c in COMMANDS.items() if isinstance(c, dict))])
def test_without_a_command_all_there_are_stand_in_a_line_each(group, capsys):
    words = [group] if group else []
    assert main(words) == 2
    listed, error = capsys.readouterr()
    assert not error
    lines = listed.splitlines()
    assert max(map(len, lines)) <= 80
    for path in commands(COMMANDS[group] if group else COMMANDS, tuple(words)):
        (line,) = (line for line in lines if line.startswith(f"  {' '.join(path)}  "))
        help_of = COMMANDS[path[0]] if len(path) == 1 else COMMANDS[path[0]][path[1]]
        assert line.endswith(f"  {help_of}")
    with pytest.raises(SystemExit) as left:
        main([*words, "--help"])
    assert left.value.code == 0 and capsys.readouterr().out == listed


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "x.npz", "--protocol=phase-strict", "--samples"],
        ["features", "x", "--data=d", "--out=o", "--batch-size"],
    ],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("number", ["9" * 400, "-" + "9" * 19, "9" * 5000], ids=len)
def test_a_whole_number_is_one_that_can_be_computed_with(words, number, capsys):
    with pytest.raises(SystemExit) as end:
        main([*words[:-1], f"{words[-1]}={number}"])
    assert end.value.code == 2
    assert f"argument {words[-1]}: invalid int value" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--samples=0", f"--samples={10**17}", "--seed=-1"])
def test_resampling_that_cannot_be_done_is_one_line(option, capsys):
    assert main(["evaluate", "x.npz", "--protocol=phase-strict", option]) == 1
    assert capsys.readouterr().err.startswith(f"surgvista: {option.partition('=')[0]} ")


def test_an_override_needs_a_command_with_a_configuration(tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        main(["data", "convert", "videos", f"--source={tmp_path}", "--out=x", "--config.seed=1"])
    assert left.value.code != 0
    assert "takes no configuration: --config.seed=1" in capsys.readouterr().err


MISTAKES = {
    "unknown key": ("--config.optim.learning_rte=1", "did you mean learning_rate?"),
    "wrong type": ("--config.budget.steps=many", "config.budget.steps=many: should be of type int"),
    "no visible token": (
        "--config.mask.ratio=1.0",
        "config.mask.ratio=1.0: should hide at least 1",
    ),
    "odd frames": ("--config.clip.num_frames=5", "config.clip.num_frames=5: should be divisible"),
    "odd size": ("--config.clip.size=40", "config.clip.size=40: should be divisible"),
    "unshared batch": ("--config.budget.batch_size=12", "cannot be shared by data 8"),
    "unshared heads": ("--config.mesh.model=8", "config.mesh.model=8: should divide config."),
    "mesh too large": ("--config.mesh.data=3", "there are 8 devices here"),
    "no dataset": ("--config.data.folder=nowhere", "nowhere"),
    "no split": ("--config.data.split=test", "test"),
    "nameless teacher": ("--config.teacher.weights=", "=random"),
    "no steps": ("--config.budget.steps=0", "config.budget.steps=0: should be above 0"),
    "no heads": ("--config.model.encoder.heads=0", "config.model.encoder.heads=0: should be"),
    "no patch": ("--config.model.patch=0", "config.model.patch=0: should be"),
    "uncodable width": ("--config.model.encoder.width=40", "config.model.encoder.width=40: "),
    "wrong momentum": ("--config.optim.beta2=1.5", "config.optim.beta2=1.5: should be from 0"),
    "no reference": ("--config.optim.reference_batch=0", "config.optim.reference_batch=0: "),
    "no epochs": ("--config.budget.steps=none", "config.budget.epochs=None and steps=None: give"),
    "no teacher's patch": ("--config.teacher.patch=8", "config.teacher.patch=8: should equal"),
    "no part of a batch": ("--config.budget.accumulate=0", "config.budget.accumulate=0: should be"),
    "uneven parts": ("--config.budget.accumulate=3", "multiple of config.budget.accumulate=3"),
    "no clip": ("--config.clip.num_frames=0", "config.clip.num_frames=0: should be a whole"),
    "no loader": ("--config.loader.workers=-1", "config.loader.workers=-1: should be a whole"),
    "endless seed": (
        "--config.seed=12345678901234567890",
        "at most 18 digits",
    ),
    "no mask": ("--config.mask.kind=block", "config.mask.kind='block': should be one of tube"),
}


@pytest.mark.parametrize(("word", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_before_anything_is_written(config, tmp_path, capsys, word, said):
    workdir = tmp_path / "run"
    assert main(["pretrain", f"--config={config}", f"--workdir={workdir}", word]) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1, error
    assert not workdir.exists()


def test_a_workdir_of_another_configuration(config, finished, capsys):
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    words = without_teacher(config, finished, "budget.steps=6", "optim.weight_decay=0.1")
    assert main(words) == 1
    error = capsys.readouterr().err
    assert "optim.weight_decay was 0.05, is 0.1; take another --workdir" in error
    assert error.count("\n") == 1
    assert before == {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}


@on_one_device()
def test_a_moved_dataset_is_known_and_another_one_refused(config, finished, tmp_path, capsys):
    moved = shutil.copytree(config.parent / "dataset", tmp_path / "moved")
    run = shutil.copytree(finished, tmp_path / "run")
    words = without_teacher(config, run, "budget.steps=6", f"data.folder={moved}")
    assert main(words) == 0
    capsys.readouterr()
    manifest = moved / "videos.jsonl"
    manifest.write_text(manifest.read_text().replace('"num_frames": 20', '"num_frames": 19'))
    assert main(words) == 1
    assert "was trained with another data" in capsys.readouterr().err


@on_one_device()
def test_a_start_that_failed_does_not_claim_the_folder(config, tmp_path, capsys):
    words = without_teacher(config, tmp_path / "run", "budget.steps=6", "loop.stop_after=1")
    assert main([*words, "--config.seed=-1"]) == 1
    assert "seed=-1" in capsys.readouterr().err
    assert main(words) == 0


@pytest.mark.parametrize("size", ["small", "base", "large", "huge"])
@pytest.mark.parametrize("name", ["surgvista", "pixels_only"])
def test_shipped_configurations_are_the_recipe(name, size):
    words = ["--config.teacher.weights=random"] if name == "surgvista" else []
    values = load_config(f"configs/pretrain/{name}.py:{size}", PretrainConfig, words)
    task = make_pretraining(build(PretrainConfig, values))
    params = unboxed_shapes(jax.eval_shape(task.init_trained))
    with_teacher = name == "surgvista"
    hidden = 8 * (166 if with_teacher else 176)  # of 196 places, 85 % and 90 %
    assert (task.num_tokens, task.num_hidden) == (1568, hidden)
    assert ("feature_decoder" in params) == with_teacher
    blocks = params["encoder"]["transformer"]["blocks"]["mlp"]["up"]["kernel"]
    assert blocks.shape == tuple(SIZES[size][key] for key in ("depth", "width")) + (
        4 * SIZES[size]["width"],
    )


def test_a_wrong_argument_of_a_configuration_is_one_line(tmp_path, capsys):
    for config in ("configs/pretrain/surgvista.py:tiny", "configs/pretrain/cpu.py:large"):
        assert main(["pretrain", f"--config={config}", f"--workdir={tmp_path}"]) == 1
        assert "not an argument of it" in capsys.readouterr().err


@on_one_device()
def test_a_full_disk_while_saving_loses_nothing(config, finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    shutil.rmtree(run / "checkpoints" / "6")  # as if killed after its checkpoint of step 4
    words = without_teacher(config, run, "budget.steps=6")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))  # less than an array needs
    try:
        # What it compiles could not be kept either, of which JAX would warn.
        process = start(*words, JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="999")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    said = finish(process, code=1)
    assert "disk full" in said and "last complete checkpoint is step 4" in said
    assert "Traceback" not in said
    assert main(words) == 0
    jax.tree.map(np.testing.assert_array_equal, restore_params(run), restore_params(finished))


# What a command raises -> its exit code, and what the one line on the terminal says.
ENDINGS = {
    "mistake": (UserError("x: should be y"), 1, "surgvista: x: should be y"),
    "device memory": (
        jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.\nmore"),
        1,
        "surgvista: RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.: take a smaller batch or"
        " clips, budget.accumulate, compute.remat=full, or more devices",
    ),
    "memory": (MemoryError("Unable to allocate\nmore"), 1, "surgvista: out of memory (Unable to "),
    "memory, no words": (MemoryError(), 1, "surgvista: out of memory"),
    "Ctrl-C": (KeyboardInterrupt(), 130, "surgvista: interrupted"),
}


@pytest.mark.parametrize(("error", "code", "said"), ENDINGS.values(), ids=ENDINGS)
def test_what_is_no_fault_of_ours_is_one_line(error, code, said, monkeypatch, capsys):
    def fail(arguments):
        raise error

    monkeypatch.setattr("surgvista_jax.commands.data_list.main", fail)
    assert main(["data", "list"]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(said)


@pytest.mark.parametrize(
    "error", [ValueError("of ours"), RuntimeError("RESOURCE_EXHAUSTED"), OSError("which file?")]
)
def test_a_fault_of_ours_keeps_its_traceback(error, monkeypatch):
    def fail(arguments):
        raise error

    monkeypatch.setattr("surgvista_jax.commands.data_list.main", fail)
    with pytest.raises(type(error)):
        main(["data", "list"])


@pytest.mark.parametrize("command", ["pretrain", "finetune"])
def test_a_run_that_was_told_to_stop_ends_as_the_shell_says_it(command, config, monkeypatch):
    stopped = {"pretrain": SimpleNamespace(preempted=True), "run": False}
    name = "pretrain" if command == "pretrain" else "run"
    monkeypatch.setattr(f"surgvista_jax.commands.{command}.{name}", lambda *_: stopped[name])
    assert TOLD_TO_STOP == 143
    assert main([command, f"--config={config}", "--workdir=x"]) == 143


def test_a_reader_that_goes_away_is_no_traceback():
    """As `surgvista evaluate --list | head` does."""
    words = [sys.executable, "-m", "surgvista_jax", "evaluate", "--list"]
    read, write = os.pipe()
    os.close(read)
    run = subprocess.run(words, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (run.returncode, run.stderr) == (1, "")
