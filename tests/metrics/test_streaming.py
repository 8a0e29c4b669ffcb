"""Do the training loop's running scores equal the evaluation afterwards?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surgvista_jax.errors import UserError
from surgvista_jax.metrics import phase
from surgvista_jax.metrics.classification import one_vs_rest_average_precisions
from surgvista_jax.metrics.streaming import FrameBuffer, merge_repeats


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 9))
def test_padded_shuffled_repeated_batches_equal_offline(seed: int, batch: int) -> None:
    generator = np.random.default_rng(seed)
    video = np.repeat([0, 1, 2], [7, 1, 12])
    frame = np.concatenate([np.arange(7), [0], np.arange(12)])
    label = generator.integers(0, 4, 20)
    score = generator.random((20, 4))
    # A sampler shuffles, repeats some rows to fill up processes, and pads the last batch.
    order = generator.permutation(20)
    rows = np.concatenate([order, order[:3]])
    buffers = [FrameBuffer(), FrameBuffer()]
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        pad = batch - len(part)
        weight = np.repeat([1.0, 0.0], [len(part), pad])
        part = np.concatenate([part, np.zeros(pad, int)])
        padded = score[part].copy()
        padded[weight == 0] = np.nan
        process = (start // batch) % 2
        buffers[process].update(padded, label[part], video[part], frame[part], weight)
    buffers[0].merge(buffers[1])
    frames = buffers[0].result()
    assert frames.repeats == 3
    np.testing.assert_array_equal(frames.frame, frame)
    np.testing.assert_allclose(frames.score, score)
    offline = phase.confusion_matrices(
        [(label[video == v], score[video == v].argmax(1)) for v in range(3)], 4
    )
    np.testing.assert_array_equal(
        phase.confusion_matrices([(y, s.argmax(1)) for y, s in frames.videos()], 4), offline
    )
    np.testing.assert_allclose(
        one_vs_rest_average_precisions(frames.label, frames.score),
        one_vs_rest_average_precisions(label, score),
    )


def test_views_of_a_frame_are_averaged() -> None:
    frames = merge_repeats(
        np.zeros(3, int),
        np.array([1, 0, 1]),
        np.array([[0.2, 0.8], [1, 0], [0.6, 0.4]]),
        np.array([1, 0, 1]),
    )
    np.testing.assert_allclose(frames.score, [[1, 0], [0.4, 0.6]])
    assert frames.repeats == 1 and frames.label.tolist() == [0, 1]


def test_repeats_with_different_labels_are_refused() -> None:
    with pytest.raises(UserError, match="video 0, frame 5: the frame occurs more than once"):
        merge_repeats(np.zeros(2, int), np.array([5, 5]), np.zeros((2, 2)), np.array([0, 1]))


def test_nan_scores_and_empty_buffers_are_refused() -> None:
    buffer = FrameBuffer()
    with pytest.raises(UserError, match="no frames were collected"):
        buffer.result()
    buffer.update(np.array([[np.nan, 1]]), np.array([0]), np.array([0]), np.array([0]))
    with pytest.raises(UserError, match="NaN"):
        buffer.result()
