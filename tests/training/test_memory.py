"""Is a step that cannot fit refused before anything is loaded, with the keys that would make it?"""

import dataclasses
import functools
import time

import jax
import jax.numpy as jnp
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.config import load_config
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.errors import UserError
from surgvista_jax.inference import batch_memory
from surgvista_jax.inference.batch_memory import check_batch
from surgvista_jax.models.layers import ComputeConfig, TransformerConfig
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.train import pretrain
from surgvista_jax.training import fits_devices, memory
from surgvista_jax.training.budget import BudgetConfig
from surgvista_jax.training.fits_devices import fits
from surgvista_jax.training.memory import Need, need_of
from surgvista_jax.training.partition import MeshConfig, make_mesh, replicated
from surgvista_jax.training.stacks import Stack, kept_by
from surgvista_jax.training.state import TrainState
from tests.support import device_memory, tiny_run

WIDTH, HIDDEN = 8, 32
LOOP = ComputeConfig(dtype="float32")


def mesh(devices=1, **axes):
    return make_mesh(MeshConfig(**axes), jax.devices()[:devices])


def loss(params, frozen, batch, key, average):
    hidden = jnp.tanh(jnp.tanh(jnp.tanh(batch["x"] @ params["first"])))
    return (hidden @ params["second"]).sum(), {}


def need(budget: BudgetConfig, place, remat=False, compute=LOOP) -> Need:
    def shape(*sides):
        return jax.ShapeDtypeStruct(sides, jnp.float32, sharding=replicated(place))

    params = {"first": shape(WIDTH, HIDDEN), "second": shape(HIDDEN, 1)}
    state = TrainState(shape(), params, (params, params))
    kept = jax.checkpoint(loss) if remat else loss

    def clips(count):
        return {"x": shape(count, WIDTH)}

    return need_of(kept, state, {}, clips, budget, place, compute)


def test_parameters_moments_gradients_and_activations_are_counted():
    found = need(BudgetConfig(batch_size=64, steps=1, accumulate=2), mesh())
    params = 4 * (WIDTH * HIDDEN + HIDDEN)
    assert found.state == 3 * params and found.gradients == 2 * params and found.clips == 32
    # What the backward pass reads: the input, and one or two arrays of the hidden width a tanh.
    assert 4 * (WIDTH + 3 * HIDDEN) <= found.per_clip <= 4 * (3 * WIDTH + 7 * HIDDEN)
    assert found.total == found.fixed + 32 * found.per_clip


def test_gradients_are_as_wide_as_products_where_no_loop_stacks_them_and_their_sum_as_parameters():
    budget = BudgetConfig(batch_size=64, steps=1)
    params = 4 * (WIDTH * HIDDEN + HIDDEN)
    unrolled = ComputeConfig(dtype="bfloat16", unroll=True)
    assert need(budget, mesh(), compute=unrolled).gradients == params / 2
    anew = dataclasses.replace(unrolled, remat="full")  # beside rounded kernels
    assert need(budget, mesh(), compute=anew).gradients == params
    summed = dataclasses.replace(budget, accumulate=2)
    assert need(summed, mesh(), compute=unrolled).gradients == 1.5 * params
    for wide in (LOOP, ComputeConfig(dtype="bfloat16")):
        assert need(budget, mesh(), compute=wide).gradients == params


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
    with pytest.raises(UserError) as error:
        fits(SMALL, 12e9, BUDGET, mesh(), "none")
    said = str(error.value)
    assert "config.budget.accumulate=4" in said and "\n" not in said  # 4 + 1 + 4 GB
    assert "config.compute.remat=full" in said and "config.budget.batch_size=5" in said
    assert "fsdp" not in said
    with pytest.raises(UserError) as error:
        fits(SMALL, 2e9, BUDGET, mesh(4, data=4), "full")
    said = str(error.value)
    assert "remat" not in said and "accumulate" not in said and "config.mesh.fsdp=4" in said
    assert "a smaller model, or more devices" in said


def test_a_clip_keeps_a_little_less_where_blocks_are_unrolled(tmp_path, monkeypatch):
    config = tiny_run.make_config(tmp_path / "config.py", tiny_run.make_dataset(tmp_path / "data"))
    found = []
    monkeypatch.setattr(memory, "_working", lambda *_: 0.0)  # of so small a model the most
    monkeypatch.setattr(fits_devices, "device_memory", lambda mesh: 1e5)
    monkeypatch.setattr(fits_devices, "fits", lambda need, *others: found.append(need))
    monkeypatch.setattr("surgvista_jax.tasks.pretraining.train.start", None)  # ends the run there
    for unroll in (False, True):
        words = [f"--config.compute.unroll={unroll}", "--config.model.encoder.depth=24"]
        values = load_config(str(config), PretrainConfig, words)
        with pytest.raises(TypeError):
            pretrain(values, tmp_path / "run")
    scanned, unrolled = found
    assert unrolled.fixed == scanned.fixed
    assert 0.8 * scanned.per_clip < unrolled.per_clip < scanned.per_clip


def test_clips_that_slide_are_advised_by_whole_stretches():
    with pytest.raises(UserError) as error:
        fits(SMALL, 12e9, BUDGET, mesh(), "none", together=4)
    said = str(error.value)
    assert "config.budget.accumulate=4" in said and "config.budget.batch_size=4" in said
    with pytest.raises(UserError) as error:
        fits(SMALL, 12e9, BUDGET, mesh(), "none", together=8)
    said = str(error.value)
    assert "config.clip.slide=5, whose clips are computed at a time" in said
    assert "accumulate" not in said and "batch_size=5" not in said


def test_a_clip_that_slides_needs_about_what_it_needs_alone(tmp_path, monkeypatch):
    config = tiny_run.make_config(tmp_path / "config.py", tiny_run.make_dataset(tmp_path / "data"))
    found = []
    monkeypatch.setattr(fits_devices, "device_memory", lambda mesh: 1e5)
    monkeypatch.setattr(fits_devices, "fits", lambda need, *others: found.append(need))
    monkeypatch.setattr("surgvista_jax.tasks.pretraining.train.start", None)  # ends the run there
    for slide in (1, 4):
        words = [f"--config.clip.slide={slide}", "--config.budget.batch_size=64"]
        with pytest.raises(TypeError):
            pretrain(load_config(str(config), PretrainConfig, words), tmp_path / "run")
    alone, sliding = found
    assert (sliding.fixed, sliding.clips) == (alone.fixed, alone.clips)
    assert 0.6 * alone.per_clip < sliding.per_clip <= alone.per_clip  # whose pixels are shared


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """A run that cannot fit and would fail when it reads weights: the words that start it."""
    config = tiny_run.make_config(tmp_path / "config.py", tiny_run.make_dataset(tmp_path / "data"))
    monkeypatch.setattr(fits_devices, "device_memory", lambda mesh: 1e5)
    monkeypatch.setattr("surgvista_jax.tasks.pretraining.train.start", None)  # reads the weights
    return ["pretrain", f"--config={config}", f"--workdir={tmp_path / 'run'}"]


def test_a_run_stops_before_it_loads_anything(refused, tmp_path, capsys):
    assert main(refused) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("surgvista: config.budget.batch_size=") and "needs about 0.0" in said
    assert said.endswith("; or config.compute.check_memory=false")
    assert not (tmp_path / "run").exists()


def test_the_check_can_be_switched_off(refused):
    with pytest.raises(TypeError):  # it goes on to the weights
        main([*refused, "--config.compute.check_memory=false"])


def test_a_run_that_goes_on_is_only_warned(refused, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text('{"kind": "pretraining"}')
    (tmp_path / "run" / "metrics.jsonl").write_text("{}\n")
    with pytest.raises(TypeError):
        main(refused)
    said = capsys.readouterr().err
    assert "WARNING: config.budget.batch_size=8: a step needs about" in said


def test_a_batch_of_a_hundred_million_is_refused_at_once(refused, capsys):
    began = time.monotonic()
    assert main([*refused, "--config.budget.batch_size=99999992"]) == 1
    assert "config.budget.batch_size=99999992: a step needs" in capsys.readouterr().err
    roomy = dataclasses.replace(SMALL, per_clip=1e5, clips=99_999_992)
    with pytest.raises(UserError, match="config.budget.accumulate="):
        fits(roomy, 8e10, BudgetConfig(batch_size=99_999_992, steps=1), mesh(), "none")
    assert time.monotonic() - began < 60  # alone a few seconds; to try every part takes minutes


def test_clips_that_cannot_fit_are_refused_before_weights_are_read(monkeypatch):
    monkeypatch.setattr(fits_devices, "device_memory", lambda mesh: 8e10)
    pixels = 3 * 16 * 224 * 224
    assert fits_devices.clips_fit(pixels, 64, mesh(), "config.budget.batch_size") is None
    with pytest.raises(UserError, match="config.budget.batch_size=99999999: needs about .* GB"):
        fits_devices.clips_fit(pixels, 99_999_999, mesh(), "config.budget.batch_size")


def test_a_pass_without_gradients_is_counted_by_its_largest_operation(monkeypatch):
    def function(variables, video):
        return (video.astype(jnp.float32).reshape(video.shape[0], -1) @ variables).sum(1)

    clip = ClipConfig(num_frames=2, stride=1, size=16)
    values = 2 * 16 * 16 * 3
    init = functools.partial(jnp.zeros, (values, 10))

    def check(batch_size, available, at_once=None):
        monkeypatch.setattr(batch_memory, "clips_at_once", lambda mesh, size: at_once or size)
        monkeypatch.setattr(fits_devices, "device_memory", lambda mesh: available)
        return check_batch(function, init, clip, batch_size, mesh(), "--batch-size")

    parameters, video = 4 * values * 10, values
    least = parameters + 100 * (4 * values + video)
    assert check(100, 4 * least) is None
    assert "--batch-size=100: needs about" in check(100, 2.4 * least)
    with pytest.raises(UserError, match="take --batch-size="):
        check(100, least)
    # Where clips are computed one by one, the others wait as bytes.
    assert check(100, least, at_once=1) is None
    with pytest.raises(UserError, match="take --batch-size="):
        check(10_000, 10_000 * video, at_once=1)


def test_what_blocks_keep_follows_from_how_they_are_computed():
    stack = Stack(TransformerConfig(32, 4, 2), tokens=16)
    whole = kept_by([stack], LOOP)
    assert whole.at_once == whole.traced > 0 == whole.recomputed
    again = kept_by([stack], dataclasses.replace(LOOP, remat="full"))
    assert again.at_once == pytest.approx(4 * 4 * 16 * 32, rel=0.3)  # the inputs of four blocks
    assert again.recomputed == pytest.approx(whole.at_once / 4)
    branch = dataclasses.replace(stack, branch=True)
    two = kept_by([stack, branch, branch], LOOP)  # of the two, one at a time
    assert two.traced == 3 * whole.traced and two.at_once == 2 * whole.traced


def test_this_machine_tells_its_memory():
    with device_memory.known():
        free = fits_devices.device_memory(mesh(2, data=2))
    assert free is None or 1e7 < free < 1e14
