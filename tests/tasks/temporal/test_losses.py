"""The losses of whole videos and the class weights follow their definitions."""

import jax
import numpy as np
import pytest

from surgvista_jax.tasks.temporal.losses import (
    frame_cross_entropy,
    median_frequency_weights,
    smoothing_loss,
    temporal_loss,
)


@pytest.fixture
def video():
    """Logits [1, 12, 4] whose log probabilities also jump by more than 4, and labels [1, 12]."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 5, (1, 12, 4)).astype(np.float32)
    labels = rng.integers(0, 4, (1, 12)).astype(np.int32)
    labels[0, [0, 5, 11]] = -1
    return logits, labels


def log_probabilities(logits):
    logits = logits.astype(np.float64)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def test_cross_entropy_is_the_mean_over_labelled_frames(video):
    logits, labels = video
    rows = log_probabilities(logits)[0]
    costs = [-rows[i, k] for i, k in enumerate(labels[0]) if k >= 0]
    np.testing.assert_allclose(frame_cross_entropy(logits, labels), np.mean(costs), rtol=1e-6)


def test_class_weights_weigh_the_mean(video):
    logits, labels = video
    weights = np.array([0.5, 2, 0, 1], np.float32)
    rows = log_probabilities(logits)[0]
    found = [(weights[k], -rows[i, k]) for i, k in enumerate(labels[0]) if k >= 0]
    expected = sum(w * c for w, c in found) / sum(w for w, _ in found)
    np.testing.assert_allclose(frame_cross_entropy(logits, labels, weights), expected, rtol=1e-6)


def test_smoothing_is_the_truncated_mean_square_of_neighbours(video):
    logits, labels = video
    rows = log_probabilities(logits)[0]
    pairs = [i for i in range(1, 12) if labels[0, i] >= 0 and labels[0, i - 1] >= 0]
    squares = np.array([(rows[i] - rows[i - 1]) ** 2 for i in pairs])
    assert (squares > 16).any() and (squares < 16).any()
    expected = np.minimum(squares, 16).mean()
    np.testing.assert_allclose(smoothing_loss(logits, labels), expected, rtol=1e-5)


def test_smoothing_pulls_the_later_frame_only():
    logits = np.array([[[2.0, 0], [0, 0]]], np.float32)
    grad = jax.grad(smoothing_loss)(logits, np.zeros((1, 2), np.int32))
    assert (np.asarray(grad[0, 0]) == 0).all() and (np.asarray(grad[0, 1]) != 0).all()


def test_a_jump_beyond_4_is_not_pulled_any_more():
    logits = np.array([[[50.0, 0], [0, 50]]], np.float32)
    loss, grad = jax.value_and_grad(smoothing_loss)(logits, np.zeros((1, 2), np.int32))
    assert loss == 16 and (np.asarray(grad) == 0).all()


def test_steady_predictions_cost_no_smoothing():
    logits = np.tile(np.array([1.0, 2, 3], np.float32), (1, 9, 1))
    assert smoothing_loss(logits, np.zeros((1, 9), np.int32)) == 0


def test_losses_without_a_labelled_frame_are_0():
    logits, labels = np.ones((1, 5, 3), np.float32), np.full((1, 5), -1, np.int32)
    assert frame_cross_entropy(logits, labels) == 0 and smoothing_loss(logits, labels) == 0
    weights = np.zeros(3, np.float32)
    assert frame_cross_entropy(logits, np.zeros((1, 5), np.int32), weights) == 0


def test_unlabelled_frames_at_the_end_change_neither_loss_nor_gradient(video):
    logits, labels = video
    longer = np.pad(logits, ((0, 0), (0, 6), (0, 0)), constant_values=9)[None]
    more = np.pad(labels, ((0, 0), (0, 6)), constant_values=-1)
    step = jax.value_and_grad(lambda x, y: temporal_loss(x, y, None, 0.15))
    loss, grad = step(logits[None], labels)
    padded_loss, padded_grad = step(longer, more)
    np.testing.assert_allclose(padded_loss, loss, rtol=1e-6)
    np.testing.assert_allclose(padded_grad[:, :, :12], grad, atol=1e-7)
    assert (np.asarray(padded_grad[:, :, 12:]) == 0).all()


def test_stages_are_summed(video):
    logits, labels = video
    stages = np.stack([logits, logits[:, ::-1], -logits])
    expected = sum(
        frame_cross_entropy(stage, labels) + 0.3 * smoothing_loss(stage, labels) for stage in stages
    )
    np.testing.assert_allclose(temporal_loss(stages, labels, None, 0.3), expected, rtol=1e-6)


def test_median_frequency_weights():
    labels = np.repeat([0, 1, 3, -1], [10, 40, 20, 99])
    expected = [2, 0.5, 0, 1]  # counts 10, 40, 0, 20; the median of those that occur is 20
    np.testing.assert_allclose(median_frequency_weights(labels, 4), expected)
