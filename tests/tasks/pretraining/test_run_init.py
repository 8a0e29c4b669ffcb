"""A pretraining run that starts from a file, and one whose teacher does."""

import functools
import shutil
import sys

import jax
import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.config import build, load_config
from surgvista_jax.errors import UserError
from surgvista_jax.models.positions import interpolate_positions
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.task import make_pretraining
from surgvista_jax.training import state
from surgvista_jax.training.checkpoint import restore_params
from surgvista_jax.training.partition import MeshConfig, make_mesh
from surgvista_jax.weights.files.write import flat
from surgvista_jax.weights.runs import read_run
from tests.support import pretrain_start
from tests.support.fake_trackers import FakeMlflow
from tests.support.one_device import on_one_device
from tests.support.pretrain_start import assert_same, teacher_file
from tests.support.tiny_run import make_config, make_dataset


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A configuration, a tracked run of 2 steps, its student as a file, whole and in part."""
    folder = tmp_path_factory.mktemp("init")
    config = make_config(folder / "config.py", make_dataset(folder / "data"))
    words = [f"--config={config}", f"--workdir={folder / 'run'}", "--config.budget.steps=2"]
    tracker = FakeMlflow()
    with on_one_device(), pytest.MonkeyPatch.context() as patched:
        patched.setitem(sys.modules, "mlflow", tracker)
        assert main(["pretrain", *words, "--config.seed=9", "--config.tracking=mlflow"]) == 0
    (tracked,) = tracker.runs()
    assert tracked.info.status == "FINISHED" and tracked.data.params["seed"] == "9"
    assert [point.step for point in tracked.data.points if point.key == "loss"] == [2]
    for table, file in (("surgvista", "student.safetensors"), ("mvd", "encoder.npz")):
        out = f"--out={folder / file}"
        assert main(["weights", "export", str(folder / "run"), f"--as={table}", out]) == 0
    return folder


@pytest.fixture
def begin(runs, tmp_path, monkeypatch):
    return functools.partial(pretrain_start.begin, runs / "config.py", tmp_path, monkeypatch)


@pytest.mark.parametrize("where", ["student.safetensors", "run", "run/checkpoints/2"])
def test_a_run_starts_from_the_student_of_a_file_or_folder(where, runs, begin, capsys):
    params, _ = begin(f"init={runs / where}")
    assert_same(params, restore_params(runs / "run"))
    assert "random: nothing" in capsys.readouterr().err


@pytest.mark.parametrize("change", [('"heads": 2', '"heads": 4'), ('"size": 32', '"size": 33')])
def test_a_run_whose_configuration_has_changed_since_is_refused(change, runs, tmp_path):
    shutil.copytree(runs / "run", tmp_path / "run")
    config = tmp_path / "run" / "config.json"
    before, after = config.read_text(), config.read_text().replace(*change, 1)
    assert before != after
    config.write_text(after)
    for path in (tmp_path / "run", tmp_path / "run" / "checkpoints" / "2"):
        with pytest.raises(UserError, match="config.json: damaged or changed: its model and clip"):
            read_run(path)
    config.write_text(before.replace('"seed": 9', '"seed": 8'))  # of which no parameter depends
    read_run(tmp_path / "run")


def test_what_a_file_does_not_hold_stays_random_and_is_named(runs, begin, capsys):
    params, _ = begin(f"init=mvd:{runs / 'encoder.npz'}")
    said = capsys.readouterr().err
    assert "random: pixel_decoder, feature_decoder" in said and "matched, 0 missing" in said
    random, _ = begin("init=random")
    assert_same(params["encoder"], restore_params(runs / "run")["encoder"])
    for part in ("pixel_decoder", "feature_decoder"):
        assert_same(params[part], random[part])
    kernel = random["encoder"]["patch_embedding"]["kernel"]
    assert not np.array_equal(params["encoder"]["patch_embedding"]["kernel"], kernel)


def test_without_a_teacher_a_feature_decoder_is_left_unused(runs, begin, capsys):
    params, teacher = begin(f"init={runs / 'student.safetensors'}", "teacher=none")
    assert sorted(params) == ["encoder", "pixel_decoder"] and teacher == {}
    assert "unused: feature_decoder" in capsys.readouterr().err


@on_one_device()
def test_a_run_from_a_file_learns_and_goes_on_though_the_file_has_moved(runs, tmp_path, capsys):
    moved = tmp_path / "moved.safetensors"
    shutil.copy(runs / "student.safetensors", moved)
    words = ["pretrain", f"--config={runs / 'config.py'}", f"--workdir={tmp_path / 'run'}"]
    first = [f"--config.init={runs / 'student.safetensors'}", "--config.loop.stop_after=2"]
    assert main([*words, *first]) == 0
    changed = restore_params(tmp_path / "run")["encoder"]["norm"]["scale"]
    assert not np.array_equal(changed, restore_params(runs / "run")["encoder"]["norm"]["scale"])

    for other in ("random", f"mvd:{runs / 'encoder.npz'}"):
        capsys.readouterr()
        assert main([*words, f"--config.init={other}"]) == 1
        assert "step 2 was trained with another init" in capsys.readouterr().err
    assert main([*words, f"--config.init={moved}", "--config.loop.stop_after=4"]) == 0
    assert "continuing from step 2" in capsys.readouterr().err


def test_a_teacher_comes_from_a_file(begin, tmp_path, capsys):
    arrays = teacher_file(tmp_path / "teacher.npz")
    _, teacher = begin(f"teacher.weights=endossl:{tmp_path / 'teacher.npz'}")
    encoder = teacher["encoder"]
    np.testing.assert_array_equal(encoder["positions"], arrays["pos_embed"][0])
    np.testing.assert_array_equal(encoder["class_token"], arrays["cls_token"][0, 0])
    up = encoder["transformer"]["blocks"]["mlp"]["up"]["kernel"][0]
    np.testing.assert_array_equal(up, arrays["blocks.0.mlp.fc1.weight"].T)
    said = capsys.readouterr().err
    assert f"teacher: {tmp_path / 'teacher.npz'}: EndoSSL" in said and "(endossl)" in said


def test_a_teachers_positions_are_fitted_to_the_size_of_the_clips(begin, tmp_path, capsys):
    arrays = teacher_file(tmp_path / "teacher.npz", (3, 3))
    _, teacher = begin(f"teacher.weights={tmp_path / 'teacher.npz'}")
    wanted = interpolate_positions(arrays["pos_embed"][0], (3, 3), (2, 2))
    np.testing.assert_array_equal(teacher["encoder"]["positions"], wanted)
    assert "interpolated from 3x3 to 2x2 patches" in capsys.readouterr().err


@on_one_device()
def test_another_teacher_is_refused_on_resuming(runs, tmp_path, capsys):
    teacher_file(tmp_path / "teacher.npz")
    words = ["pretrain", f"--config={runs / 'config.py'}", f"--workdir={tmp_path / 'run'}"]
    first = [f"--config.teacher.weights={tmp_path / 'teacher.npz'}", "--config.budget.steps=2"]
    assert main([*words, *first]) == 0
    assert main([*words, *first[1:], "--config.teacher.weights=random"]) == 1
    assert "trained with another teacher" in capsys.readouterr().err


def test_no_device_is_ever_given_a_whole_sharded_array(runs, begin, tmp_path, monkeypatch):
    """On data=2, fsdp=4: each device is handed its shard, and holds nothing else of it."""
    teacher_file(tmp_path / "teacher.npz")
    handed = {}
    make = jax.make_array_from_callback

    def watched(shape, sharding, callback):
        def shard(index):
            piece = callback(index)
            handed.setdefault((shape, sharding), []).append(piece.shape)
            return piece

        return make(shape, sharding, shard)

    monkeypatch.setattr(state.jax, "make_array_from_callback", watched)
    params, teacher = begin(
        f"init={runs / 'student.safetensors'}",
        f"teacher.weights={tmp_path / 'teacher.npz'}",
        *("mesh.data=2", "mesh.fsdp=4", "mesh.model=1"),
    )
    assert_same(params, restore_params(runs / "run"))
    for name, leaf in flat({"student": params, "teacher": teacher}).items():
        shard = leaf.sharding.shard_shape(leaf.shape)
        assert all(part.data.shape == shard for part in leaf.addressable_shards), name
        assert set(handed[leaf.shape, leaf.sharding]) == {shard}, name
        if "kernel" in name:  # the rest is small and read everywhere
            assert 4 * np.prod(shard) == leaf.size, name


def test_a_loaded_part_of_another_shape_never_reaches_a_device(runs):
    config = build(PretrainConfig, load_config(str(runs / "config.py"), PretrainConfig))
    task = make_pretraining(config)
    mesh = make_mesh(MeshConfig())
    encoder = restore_params(runs / "run")["encoder"]
    encoder["norm"]["scale"] = np.ones(31, np.float32)
    with pytest.raises(ValueError, match=r"\(31,\)"):
        state.create_filled(task.init_trained, {"encoder": encoder}, mesh)


MISTAKES = {
    "no file": ("init=none.safetensors", "none.safetensors: there is no such file"),
    "no name": ("init=nothing:x.npz", "nothing: no such table"),
    "a teacher as student": ("init=teacher.npz", "teacher.npz"),
    "a deeper student": ("model.encoder.depth=3 init={student}", "depth 2"),
    "another patch": ("model.patch=8 teacher.patch=8 init={student}", "2x16x16 tokens"),
    "another decoder": (
        "model.pixel_decoder.depth=2 init={student}",
        "pixel_decoder.depth=1 instead of 2",
    ),
    "features of another width": (
        "teacher.transformer.width=32 init={student}",
        "its feature decoder predicts 16 values",
    ),
    "a student as teacher": ("teacher.weights={student}", "is of kind student"),
    "a wider teacher": ("teacher.transformer.width=32 teacher.weights=teacher.npz", "width 16"),
    "no such teacher": ("teacher.weights=none.pth", "none.pth: there is no such file"),
    "positions of no square": ("teacher.weights=oblong.npz", "5 positions do not form a square"),
}


@pytest.mark.parametrize(("words", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_before_anything_is_written(
    words, said, runs, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    teacher_file(tmp_path / "teacher.npz")
    teacher_file(tmp_path / "oblong.npz", (1, 5))
    words = words.format(student=runs / "student.safetensors").split()
    overrides = [f"--config.{word}" for word in words]
    assert main(["pretrain", f"--config={runs / 'config.py'}", "--workdir=run", *overrides]) == 1
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("surgvista:")]
    assert len(error) == 1 and said in error[0], error
    assert not (tmp_path / "run").exists()
