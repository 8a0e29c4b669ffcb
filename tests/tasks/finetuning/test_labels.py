"""Losses by definition, and classes that count alike."""

import jax.numpy as jnp
import numpy as np

from surgvista_jax.facts.triplets import TABLES
from surgvista_jax.tasks.finetuning.labels import Labels, class_weights


def test_balanced_weights_let_every_class_count_alike():
    label = np.array([0] * 6 + [2] * 2)
    weight = class_weights(label, 4)
    assert weight[1] == weight[3] == 0
    np.testing.assert_allclose(weight[label].mean(), 1)
    np.testing.assert_allclose(6 * weight[0], 2 * weight[2])
    several = np.array([[1, 0], [1, 0], [0, 0], [1, 1]], np.float32)
    np.testing.assert_allclose(class_weights(several, 2), [1 / 3, 3])


def test_losses_are_those_of_their_definitions():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4, 3)).astype(np.float32)
    target = rng.dirichlet(np.ones(3), 4).astype(np.float32)
    weight = np.array([0.5, 1, 2], np.float32)
    probability = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    wanted = -(target * weight * np.log(probability)).sum(1).mean()
    single = Labels(("a", "b", "c"), "single", weight)
    found, _ = single.loss(jnp.asarray(logits), None, jnp.asarray(target))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)

    target = rng.integers(0, 2, (4, 3)).astype(np.float32)
    probability = 1 / (1 + np.exp(-logits))
    wanted = -(target * np.log(probability) + (1 - target) * np.log(1 - probability)).mean()
    found, _ = Labels(("a", "b", "c"), "multi").loss(jnp.asarray(logits), None, jnp.asarray(target))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_components_learn_what_triplets_share():
    labels = Labels(("",) * 100, "multi", components="cholect50")
    assert labels.num_components == 6 + 10 + 15
    rng = np.random.default_rng(0)
    logits, components = (
        jnp.asarray(rng.normal(size=(2, n)).astype(np.float32)) for n in (100, 31)
    )
    target = jnp.zeros((2, 100)).at[:, 0].set(1)
    loss, parts = labels.loss(logits, components, target)
    np.testing.assert_allclose(loss, sum(parts.values()), rtol=1e-6)
    # Class 0 is an instrument, a verb and a target: one of each is present.
    perfect = jnp.full((2, 31), -30.0)
    for start, member in zip((0, 6, 16), TABLES["cholect50"].rows[0], strict=True):
        perfect = perfect.at[:, start + member].set(30.0)
    _, parts = labels.loss(logits, perfect, target)
    assert max(float(parts[f"{name}_loss"]) for name in "ivt") < 1e-6
