"""A teacher whose products are those of 8-bit floats: its scales are found once, and kept."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.commands.bench_pretrain import random_batch
from surgvista_jax.config import build, load_config
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.models import float8
from surgvista_jax.tasks.pretraining import float8_scales
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.float8_scales import (
    FILE,
    add_scales,
    check_program,
)
from surgvista_jax.tasks.pretraining.reconstruction import figure_batch
from surgvista_jax.tasks.pretraining.task import Pretraining, make_pretraining
from surgvista_jax.tasks.pretraining.train import settings_of
from surgvista_jax.training import xla_options
from surgvista_jax.training.partition import make_mesh
from surgvista_jax.training.run import Loaded
from surgvista_jax.training.run_files import ownership
from surgvista_jax.training.state import create_filled
from tests.support.tiny_run import make_config, make_dataset


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    folder = tmp_path_factory.mktemp("float8")
    data = make_dataset(folder / "data")
    make_config(folder / "config.py", data)
    values = load_config(
        str(folder / "config.py"), PretrainConfig, ["--config.teacher.precision=float8"]
    )
    task = make_pretraining(build(PretrainConfig, values))
    return task, read_dataset(data), make_mesh(task.config.mesh)


def add(setting, workdir, teacher="random"):
    task, dataset, mesh = setting
    workdir.mkdir(exist_ok=True)
    loaded = Loaded()
    with jax.set_mesh(mesh):
        owned = ownership(workdir, False)
        kept = add_scales(task, loaded, dataset, workdir, mesh, owned, {"teacher": teacher})
    assert len(kept) == 1
    return loaded.frozen[float8.COLLECTION]


def test_a_processor_is_told_that_it_cannot(setting, tmp_path):
    with pytest.raises(UserError, match="precision=float8: .* does not multiply 8-bit floats"):
        add(setting, tmp_path)
    assert not list(tmp_path.iterdir())


def test_scales_are_found_on_frames_kept_and_taken_again(setting, tmp_path, monkeypatch):
    monkeypatch.setattr(float8, "is_fast_on", lambda device: True)
    found = add(setting, tmp_path)
    monkeypatch.setattr(float8_scales, "_find", None)  # they are not sought a second time
    again = add(setting, tmp_path)
    jax.tree.map(np.testing.assert_array_equal, found, again)
    assert all(np.any(leaf) for leaf in jax.tree.leaves(found))


def test_the_teacher_says_nearly_the_same_with_them(setting, tmp_path, monkeypatch):
    monkeypatch.setattr(float8, "is_fast_on", lambda device: True)
    task, dataset, mesh = setting
    with jax.set_mesh(mesh):
        frozen = create_filled(task.init_frozen, {float8.COLLECTION: add(setting, tmp_path)}, mesh)
    exact = dataclasses.replace(task.config.teacher, precision="compute")
    plain = make_pretraining(dataclasses.replace(task.config, teacher=exact))
    batch = figure_batch(dataset, task, clips=2, seed=0)
    params = {name: part for name, part in frozen.items() if name != float8.COLLECTION}
    given, expected = task.features(frozen, batch), plain.features(params, batch)
    off = np.linalg.norm(given - expected) / np.linalg.norm(expected)
    assert 1e-4 < off < 0.05


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.update(other=np.ones(1, np.float32)),
        lambda arrays: arrays.update({min(arrays): np.ones((2, 16), np.float32)}),
        lambda arrays: arrays.update({min(arrays): arrays[min(arrays)].astype(np.float64)}),
        lambda arrays: arrays.update({min(arrays): np.full_like(arrays[min(arrays)], np.inf)}),
    ],
)
def test_a_file_of_something_else_is_refused(setting, tmp_path, monkeypatch, change):
    monkeypatch.setattr(float8, "is_fast_on", lambda device: True)
    add(setting, tmp_path)
    with np.load(tmp_path / FILE) as file:
        arrays = dict(file)
    arrays = {name: arrays[name] for name in sorted(arrays, key=lambda name: name == "source")}
    change(arrays)
    np.savez(tmp_path / FILE, **arrays)
    with pytest.raises(UserError, match=f"{FILE}: does not hold the scales"):
        add(setting, tmp_path)


def test_scales_of_another_teacher_are_found_anew(setting, tmp_path, monkeypatch):
    monkeypatch.setattr(float8, "is_fast_on", lambda device: True)
    add(setting, tmp_path, "first")
    found, find = [], float8_scales._find
    monkeypatch.setattr(float8_scales, "_find", lambda *args: found.append(1) or find(*args))
    add(setting, tmp_path, "second")
    add(setting, tmp_path, "second")
    assert found == [1]


def test_a_file_that_the_run_did_not_write_stays(setting, tmp_path, monkeypatch):
    monkeypatch.setattr(float8, "is_fast_on", lambda device: True)
    np.savez(tmp_path / FILE, mine=np.ones(3))
    with pytest.raises(UserError, match=f"{FILE}: is there already and was not written by"):
        add(setting, tmp_path)
    assert list(np.load(tmp_path / FILE)) == ["mine"]


def test_a_damaged_file_is_refused(setting, tmp_path, monkeypatch):
    monkeypatch.setattr(float8, "is_fast_on", lambda device: True)
    add(setting, tmp_path)
    content = bytearray((tmp_path / FILE).read_bytes())
    content[200] ^= 1
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(UserError, match=f"{FILE}: cannot be read"):
        add(setting, tmp_path)


def test_a_step_without_such_products_is_refused():
    product = 'custom_call_target="__cublas$lt$matmul$f8"\n'
    check_program(144 * product, blocks=24)
    for text in ("", "custom_call_target=__cublas$lt$matmul", 6 * product, 138 * product):
        with pytest.raises(UserError, match="of the compiled step's products are those of 8-bit"):
            check_program(text, blocks=24)


def test_products_that_share_their_input_stay_apart(setting, monkeypatch):
    apart = {"xla_gpu_dot_merger_threshold_mb": 0}
    given = xla_options._TABLE["gpu", "pretraining with float8"]
    assert given == xla_options._TABLE["gpu", "pretraining"] | apart
    monkeypatch.setattr(xla_options, "_TABLE", {("cpu", "pretraining with float8"): apart})
    config = setting[0].config
    assert settings_of(config).options == apart
    teacher = dataclasses.replace(config.teacher, precision="compute")
    assert not settings_of(dataclasses.replace(config, teacher=teacher)).options


def test_empty_images_that_spare_padding_change_nothing(setting, tmp_path, monkeypatch):
    monkeypatch.setattr(float8, "is_fast_on", lambda device: True)
    task, _, mesh = setting
    tokens = 1 + task.grid[1] * task.grid[2]
    assert tokens % 2  # an even number of images is wanted, and images of one clip are even
    assert not task._spare_images(16, task.grid[0])
    clip = dataclasses.replace(task.config.clip, slide=8)
    slides = make_pretraining(dataclasses.replace(task.config, clip=clip))
    images = slides.grid[0] + 7
    spare = next(n for n in range(16) if 8 * (images + n) * tokens % 16 == 0)
    assert slides._spare_images(8, images) == spare > 0
    rng = np.random.default_rng(0)
    with jax.set_mesh(mesh):
        frozen = create_filled(task.init_frozen, {float8.COLLECTION: add(setting, tmp_path)}, mesh)
        batch = jax.tree.map(jnp.asarray, random_batch(slides, rng, 8))
        given = slides.features(frozen, batch)
    monkeypatch.setattr(Pretraining, "_spare_images", lambda *_: 0)
    np.testing.assert_array_equal(given, slides.features(frozen, batch))
