"""Is a step that cannot fit refused before anything is loaded, with the keys that would make it?"""

import jax
import jax.numpy as jnp
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.config import load_config
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.train import pretrain
from surgvista_jax.training import memory
from surgvista_jax.training.budget import BudgetConfig
from surgvista_jax.training.memory import Need, fits, need_of
from surgvista_jax.training.partition import MeshConfig, make_mesh, replicated
from surgvista_jax.training.state import TrainState
from tests.support import tiny_run

WIDTH, HIDDEN = 8, 32


def mesh(devices=1, **axes):
    return make_mesh(MeshConfig(**axes), jax.devices()[:devices])


def loss(params, frozen, batch, key, average):
    hidden = jnp.tanh(batch["x"] @ params["first"])
    return (hidden @ params["second"]).sum(), {}


def need(budget: BudgetConfig, place, remat=False) -> Need:
    def shape(*sides):
        return jax.ShapeDtypeStruct(sides, jnp.float32, sharding=replicated(place))

    params = {"first": shape(WIDTH, HIDDEN), "second": shape(HIDDEN, 1)}
    state = TrainState(shape(), params, (params, params))
    kept = jax.checkpoint(loss) if remat else loss
    return need_of(kept, state, {}, lambda clips: {"x": shape(clips, WIDTH)}, budget, place)


def test_parameters_moments_gradients_and_activations_are_counted():
    found = need(BudgetConfig(batch_size=64, steps=1, accumulate=2), mesh())
    params = 4 * (WIDTH * HIDDEN + HIDDEN)
    assert found.state == 3 * params and found.gradients == 2 * params and found.clips == 32
    # What the backward pass reads: the input, and one or two arrays of the hidden width.
    assert 4 * (WIDTH + HIDDEN) <= found.per_clip <= 4 * (3 * WIDTH + 3 * HIDDEN)
    assert found.total == found.fixed + 32 * found.per_clip


def test_devices_share_the_clips_and_remat_keeps_less():
    budget = BudgetConfig(batch_size=64, steps=1)
    alone, shared = need(budget, mesh()), need(budget, mesh(4))
    assert shared.clips == 16 and shared.per_clip == alone.per_clip
    assert need(budget, mesh(), remat=True).per_clip < alone.per_clip


SMALL = Need(state=3e9, gradients=1e9, frozen=0, per_clip=1e9, clips=16)
BUDGET = BudgetConfig(batch_size=16, steps=1)


def test_what_fits_is_not_spoken_of_and_what_may_not_is_a_warning():
    assert fits(SMALL, 30e9, BUDGET, mesh(), "none") is None
    text = fits(SMALL, 20e9, BUDGET, mesh(), "none")
    assert "needs about 20 GB on each device, which has 20 GB" in text


def test_what_cannot_fit_is_one_line_with_the_keys_that_would_make_it():
    with pytest.raises(memory.UserError) as error:
        fits(SMALL, 12e9, BUDGET, mesh(), "none")
    said = str(error.value)
    assert "config.budget.accumulate=4" in said and "\n" not in said  # 4 + 1 + 4 GB
    assert "config.compute.remat=full" in said and "config.budget.batch_size=5" in said
    assert "fsdp" not in said
    with pytest.raises(memory.UserError) as error:
        fits(SMALL, 2e9, BUDGET, mesh(4, data=4), "full")
    said = str(error.value)
    assert "remat" not in said and "accumulate" not in said and "config.mesh.fsdp=4" in said
    assert "a smaller model, or more devices" in said


def test_a_clip_keeps_less_where_blocks_are_unrolled(tmp_path, monkeypatch):
    config = tiny_run.make_config(tmp_path / "config.py", tiny_run.make_dataset(tmp_path / "data"))
    found = []
    monkeypatch.setattr(memory, "device_memory", lambda mesh: 1e5)
    monkeypatch.setattr(memory, "fits", lambda need, *others: found.append(need))
    monkeypatch.setattr("surgvista_jax.tasks.pretraining.train.start", None)  # ends the run there
    for unroll in (False, True):
        values = load_config(str(config), PretrainConfig, [f"--config.compute.unroll={unroll}"])
        with pytest.raises(TypeError):
            pretrain(values, tmp_path / "run")
    scanned, unrolled = found
    assert unrolled.fixed == scanned.fixed
    assert 0.5 * scanned.per_clip < unrolled.per_clip < 0.7 * scanned.per_clip


def test_a_run_stops_before_it_loads_anything(tmp_path, monkeypatch, capsys):
    config = tiny_run.make_config(tmp_path / "config.py", tiny_run.make_dataset(tmp_path / "data"))
    monkeypatch.setattr(memory, "device_memory", lambda mesh: 1e5)
    monkeypatch.setattr("surgvista_jax.tasks.pretraining.train.start", None)  # reads the weights
    words = ["pretrain", f"--config={config}", f"--workdir={tmp_path / 'run'}"]
    assert main(words) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("surgvista: config.budget.batch_size=") and "needs about 0.0" in said
    assert not (tmp_path / "run").exists()


def test_this_machine_tells_its_memory():
    free = memory.device_memory(mesh(2, data=2))
    assert free is None or 1e7 < free < 1e14
