"""One pretraining step agrees with the reference, and nothing hidden leaks into it."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from surgvista_jax.data.batches.masking import MaskConfig
from surgvista_jax.errors import UserError
from surgvista_jax.models.patches import gather_tokens
from surgvista_jax.tasks.pretraining.losses import normalise_features, pixel_targets
from surgvista_jax.training.budget import BudgetConfig
from surgvista_jax.training.optim import OptimConfig, make_optimizer
from surgvista_jax.training.state import initial_state
from surgvista_jax.training.step import make_train_step
from tests.support import golden as golden_steps
from tests.support.golden import PRETRAINING, load, pretraining


@pytest.fixture(scope="module", params=PRETRAINING)
def golden(request):
    return load(request.param)


@pytest.fixture(scope="module")
def tube():
    return load(PRETRAINING[0])


@pytest.fixture(scope="module")
def predict(tube):
    return jax.jit(pretraining(tube).predict)


def close(actual, expected, tolerance):
    """Within `tolerance` of the largest expected value."""
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, atol=tolerance * scale, rtol=0)


def test_outputs_and_targets_agree_with_the_reference(golden):
    task = pretraining(golden)
    hidden_patches, predictions = jax.jit(task.predict)(golden.params, golden.batch)
    arrays = golden.arrays
    close(predictions.pixels, arrays["video_decoder_output"], 1e-5)
    close(predictions.features, arrays["image_decoder_output"], 1e-5)
    close(pixel_targets(hidden_patches), arrays["pixel_target"], 1e-5)
    features = jax.jit(task.features)(golden.teacher_params, golden.batch)
    if golden.objective.normalise_features:
        features = normalise_features(features)
    hidden = golden.batch["hidden_ids"][:, None]
    close(features, gather_tokens(arrays["teacher_features"], hidden), 1e-5)


def test_the_update_agrees_with_the_reference(golden):
    """Our AdamW maps the parameters before to those after, from the reference's gradients.

    The parameters before are recovered by the same formula; that they are the right ones is what
    the outputs above show.
    """
    settings = golden.settings["optimizer"]
    optimizer = make_optimizer(OptimConfig(weight_decay=settings["weight_decay"]))

    @jax.jit
    def updates_of(grads, params):
        return optimizer.update(grads, optimizer.init(params), params)[0]

    updates = jax.device_get(updates_of(golden.grads, golden.params))
    stepped = jax.tree.map(lambda p, u: p - settings["lr"] * u, golden.params, updates)
    jax.tree.map(lambda a, b: close(a, b, 1e-5), stepped, golden.stepped)


def test_a_whole_training_step_agrees_with_the_reference(golden):
    """Losses, gradients (of which Adam's first moment is a part) and the parameters after it.

    Where |gradient| is near Adam's epsilon, its own rounding decides the sign of the update, so
    those few entries are held to a tenth of a step only.
    """
    settings = golden.settings["optimizer"]
    optim = OptimConfig(weight_decay=settings["weight_decay"])
    optimizer = make_optimizer(optim)
    task = pretraining(golden)
    step = make_train_step(
        task.loss, optimizer, lambda _: jnp.float32(settings["lr"]), accumulate=1, seed=0
    )

    @jax.jit
    def first(params, teacher_params, batch):
        return step(initial_state(params, optimizer), teacher_params, batch)

    state, metrics = jax.device_get(first(golden.params, golden.teacher_params, golden.batch))
    assert int(state.step) == 1 and metrics["finite"] == 1
    named = {"loss": "loss", "pixel_loss": "loss_video", "feature_loss": "loss_image"}
    for ours, theirs in named.items():
        np.testing.assert_allclose(metrics[ours], golden.arrays[theirs], rtol=1e-5)
    np.testing.assert_allclose(metrics["grad_norm"], optax.tree.norm(golden.grads), rtol=1e-4)
    grads = jax.tree.map(lambda moment: moment / (1 - optim.beta1), state.opt_state[0].mu)
    jax.tree.map(lambda a, b: close(a, b, 1e-4), grads, golden.grads)

    def compare(ours, theirs, grad):
        clear = np.abs(grad) > 1e-6
        bound = np.where(clear, 1e-5 * np.abs(theirs).max(), settings["lr"] / 10)
        assert (np.abs(ours - theirs) <= bound).all()

    jax.tree.map(compare, state.params, golden.stepped, golden.grads)


def with_changed_tokens(golden, ids):
    """The golden batch with every pixel of some tokens of its first clip inverted."""
    chosen = np.zeros(np.prod(pretraining(golden).grid), bool)
    chosen[ids] = True
    pixels = chosen.reshape(pretraining(golden).grid).repeat(2, 0).repeat(16, 1).repeat(16, 2)
    video = golden.batch["video"].copy()
    video[0][pixels] = 255 - video[0][pixels]
    return golden.batch | {"video": video}


def test_nothing_of_a_hidden_token_reaches_the_predictions(tube, predict):
    """Other pixels under the mask change targets, and not a bit of what is predicted."""
    targets, before = predict(tube.params, tube.batch)
    batch = with_changed_tokens(tube, tube.batch["hidden_ids"][0])
    other_targets, after = predict(tube.params, batch)
    jax.tree.map(np.testing.assert_array_equal, after, before)
    assert (other_targets[0] != targets[0]).all()


def test_each_visible_token_reaches_every_prediction(tube, predict):
    """The counterpart: the mask hides what it should, not everything."""
    _, before = predict(tube.params, tube.batch)
    for token in tube.batch["visible_ids"][0]:
        _, after = predict(tube.params, with_changed_tokens(tube, [token]))
        assert (after.pixels[0] != before.pixels[0]).any(-1).all()
        assert (after.features[0] != before.features[0]).any(-1).all()
        np.testing.assert_array_equal(after.pixels[1], before.pixels[1])  # another clip


def test_masks_of_one_clip_equal_the_same_clip_given_twice(tube):
    """K masks share what is decoded and the teacher; the predictions are those of K clips."""
    one = {key: value[:1] for key, value in tube.batch.items()}
    both = {key: value[None] for key, value in tube.batch.items() if key != "video"}
    both["video"] = one["video"]
    twice = tube.batch | {"video": one["video"].repeat(2, 0)}
    task = pretraining(tube)
    shared = pretraining(tube, mask=MaskConfig("tube", 0.75, masks_per_clip=2))
    ours = jax.jit(shared.loss)(tube.params, tube.teacher_params, both, None)
    expected = jax.jit(task.loss)(tube.params, tube.teacher_params, twice, None)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), ours, expected)


def test_without_a_teacher_there_is_neither_teacher_nor_feature_decoder(tube):
    task = pretraining(tube, teacher=None)
    params = nn.unbox(jax.eval_shape(task.init_trained))
    assert set(params) == {"encoder", "pixel_decoder"}
    assert task.init_frozen() == {} and task.teacher_flops_per_clip == 0
    _, parts = jax.eval_shape(lambda: task.loss(tube.params, {}, tube.batch, None))
    assert set(parts) == {"pixel_loss"}


def test_initial_parameters_have_the_golden_shapes(tube):
    task = pretraining(tube)
    for init, expected in (
        (task.init_trained, tube.params),
        (task.init_frozen, tube.teacher_params),
    ):
        shapes = nn.unbox(jax.eval_shape(init))
        jax.tree.map(lambda a, b: np.testing.assert_equal(a.shape, b.shape), shapes, expected)


def test_the_loss_of_a_batch_is_the_mean_of_its_clips(tube):
    """So that gradients of parts of a batch average to the batch's (`training/test_step.py`)."""
    loss = jax.jit(pretraining(tube).loss)
    together = loss(tube.params, tube.teacher_params, tube.batch, None)
    clips = [
        loss(
            tube.params,
            tube.teacher_params,
            {key: value[k : k + 1] for key, value in tube.batch.items()},
            None,
        )
        for k in range(2)
    ]
    jax.tree.map(
        lambda whole, *each: np.testing.assert_allclose(whole, np.mean(each), rtol=1e-5),
        together,
        *clips,
    )


def test_a_random_teacher_is_asked_for_by_name(tube):
    nameless = dataclasses.replace(tube.teacher, weights="")
    with pytest.raises(UserError, match="config.teacher.weights=''.*=random"):
        pretraining(tube, teacher=nameless)


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("mask", {"ratio": 1.0}, "mask.ratio=1.0"),
        ("mask", {"ratio": 0.01}, "mask.ratio=0.01"),
        ("clip", {"num_frames": 5}, "config.clip.num_frames=5: should be divisible"),
        ("clip", {"size": 60}, "config.clip.size=60: should be divisible"),
        ("teacher", {"patch": 8}, "config.teacher.patch=8: should equal"),
    ],
)
def test_parts_that_do_not_fit_together(tube, part, change, said):
    changed = dataclasses.replace(getattr(pretraining(tube).config, part), **change)
    with pytest.raises(UserError, match=said):
        pretraining(tube, **{part: changed})


def test_budget_is_given_once():
    with pytest.raises(ValueError, match="either epochs or steps"):
        BudgetConfig(batch_size=2, epochs=1.0, steps=3)


def test_the_golden_parameters_are_those_before_the_step(tube, predict):
    """Guards the recovery in golden.py: with the stored ones the outputs are far off."""
    stored = predict(tube.stepped, tube.batch)[1]
    assert np.abs(stored.pixels - tube.arrays["video_decoder_output"]).max() > 0.01
    assert golden_steps.GOLDEN.is_dir()
