"""MS-TCN agrees with the reference, sees no future where it must not, and no padding at all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.models.flops import mstcn_flops
from surgvista_jax.models.mstcn import MsTcn, MsTcnConfig
from tests.support import mstcn_golden

FORMS = ("mstcn_causal", "mstcn_acausal")


@pytest.fixture(params=FORMS)
def golden(request):
    return mstcn_golden.load(request.param)


def run(config, params, features, mask=None, **random):
    num_classes = params["stage0"]["head"]["bias"].shape[0]
    mask = np.ones(features.shape[:2], bool) if mask is None else mask
    apply = MsTcn(config, num_classes).apply
    return np.asarray(apply({"params": params}, features, mask, bool(random), **random))


def test_every_stage_agrees_with_the_reference(golden):
    arrays, config, params = golden
    logits = run(config, params, arrays["features"][None])[:, 0]
    np.testing.assert_allclose(logits, arrays["stage_logits"], rtol=1e-5, atol=1e-6)


def test_parameters_are_those_of_the_reference(golden):
    arrays, config, params = golden
    model = MsTcn(config, params["stage0"]["head"]["bias"].shape[0])
    features, mask = arrays["features"][None], np.ones((1, len(arrays["features"])), bool)
    made = jax.eval_shape(lambda: model.init(jax.random.key(0), features, mask, False)["params"])
    assert jax.tree.map(jnp.shape, made) == jax.tree.map(jnp.shape, params)


def test_counted_operations_are_those_of_each_kernel_at_each_frame(golden):
    arrays, config, params = golden
    kernels = [leaf.size for leaf in jax.tree.leaves(params) if leaf.ndim == 2]
    width, num_classes = arrays["features"].shape[-1], arrays["stage_logits"].shape[-1]
    assert mstcn_flops(config, width, num_classes) == 2 * sum(kernels)


@pytest.mark.parametrize("frame", [1, 20, 49])
def test_causal_predictions_are_the_same_bits_whatever_comes_later(frame):
    arrays, config, params = mstcn_golden.load("mstcn_causal")
    features = arrays["features"][None]
    changed = features.copy()
    changed[:, frame:] += 7.0
    before, after = run(config, params, features), run(config, params, changed)
    np.testing.assert_array_equal(before[:, :, :frame], after[:, :, :frame])
    assert (before[:, :, frame] != after[:, :, frame]).all()


def test_acausal_predictions_see_both_sides_alike_far():
    arrays, config, params = mstcn_golden.load("mstcn_acausal")
    features, at = arrays["features"][None], 18

    def first_stage(features):
        mask = np.ones(features.shape[:2], bool)
        return MsTcn(config, 5).apply({"params": params}, features, mask, False)[0, 0, at].sum()

    seen = np.flatnonzero(np.abs(jax.grad(first_stage)(jnp.asarray(features))[0]).sum(-1))
    reach = sum(2**i for i in range(config.layers))
    assert (seen.min(), seen.max()) == (at - reach, at + reach)


def test_padding_does_not_touch_the_frames_and_gives_zeros(golden):
    arrays, config, params = golden
    features = arrays["features"][None]
    length = features.shape[1]
    padded = np.full((1, length + 30, features.shape[2]), np.nan, np.float32)
    padded[:, :length] = features
    mask = np.arange(length + 30)[None] < length
    logits = run(config, params, padded, mask)
    # The same sums, but matrix products of another size may add in another order.
    np.testing.assert_allclose(logits[:, :, :length], run(config, params, features), atol=1e-6)
    assert (logits[:, :, length:] == 0).all()
    padded[:, length:] = 1e6
    np.testing.assert_array_equal(run(config, params, padded, mask), logits)


def test_padding_gets_no_gradient(golden):
    arrays, config, params = golden
    features = jnp.pad(jnp.asarray(arrays["features"])[None], ((0, 0), (0, 9), (0, 0)))
    mask = np.arange(features.shape[1])[None] < len(arrays["features"])
    model = MsTcn(config, params["stage0"]["head"]["bias"].shape[0])
    grad = jax.grad(lambda x: model.apply({"params": params}, x, mask, False).sum())(features)[0]
    assert (np.asarray(grad[-9:]) == 0).all() and np.abs(grad[:-9]).sum(-1).all()


def test_videos_of_a_batch_do_not_see_each_other(golden):
    arrays, config, params = golden
    one = arrays["features"][None]
    both = np.concatenate([one, one[:, ::-1]])
    together = run(config, params, both)
    alone = np.concatenate([run(config, params, one), run(config, params, one[:, ::-1])], axis=1)
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_dropout_is_drawn_in_training_only(golden):
    arrays, config, params = golden
    features = arrays["features"][None]
    drawn = [
        run(config, params, features, rngs={"dropout": jax.random.key(seed)}) for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any() and (drawn[0] != run(config, params, features)).any()


@pytest.mark.parametrize(
    "wrong", [{"stages": 0}, {"dropout": 1.0}, {"causal": False, "kernel_size": 4}]
)
def test_sizes_that_make_no_model(wrong):
    with pytest.raises(ValueError, match=list(wrong)[-1]):
        MsTcnConfig(**wrong)
