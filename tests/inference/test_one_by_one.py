"""On processors no clip's numbers depend on those beside it, and every row keeps its place."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.inference.clip_batches import blank_batch
from surgvista_jax.inference.every_clip import EveryClip, joined
from surgvista_jax.inference.one_by_one import LEFT, Pieces, rejoined
from surgvista_jax.training.partition import RULES, MeshConfig, make_mesh

CLIP = ClipConfig(num_frames=2, stride=1, size=16)
NUM_CLIPS = 11
VIDEO = np.random.default_rng(0).integers(0, 256, (NUM_CLIPS, 2, 16, 16, 3), np.uint8)


class Given:
    """The clips in batches, the last of which is padded; closed or not."""

    closed = False

    def __init__(self, batch_size):
        self._batches = self._made(batch_size)

    def _made(self, batch_size):
        for first in range(0, NUM_CLIPS, batch_size):
            batch, rows = blank_batch(CLIP, batch_size), VIDEO[first : first + batch_size]
            batch["video"][:] = 0
            batch["video"][: len(rows)], batch["weight"][: len(rows)] = rows, 1
            batch["frame"][: len(rows)] = np.arange(first, first + len(rows))
            yield batch

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._batches)

    def close(self):
        self.closed = True


def mesh(devices):
    return make_mesh(MeshConfig(), jax.devices()[:devices])


def project(weights, video):
    return nn.gelu(video.reshape(len(video), -1).astype(jnp.float32) @ weights) @ weights[:64]


@pytest.fixture(scope="module")
def weights():
    return np.random.default_rng(1).normal(0, 0.01, (VIDEO[0].size, 64)).astype(np.float32)


def outputs(weights, batch_size, devices):
    on = mesh(devices)
    every_clip = EveryClip(project, CLIP, LoaderConfig(), on, batch_size)
    with jax.set_mesh(on), nn.logical_axis_rules(RULES):
        return joined(list(every_clip.over(weights, Given(batch_size))))


@pytest.mark.parametrize(("batch_size", "devices"), [(3, 1), (8, 1), (4, 2), (16, 2)])
def test_numbers_do_not_follow_the_batch_size(weights, batch_size, devices):
    wanted = outputs(weights, devices, devices)
    found = outputs(weights, batch_size, devices)
    np.testing.assert_array_equal(found.frame, np.arange(NUM_CLIPS))
    np.testing.assert_array_equal(found.values, wanted.values)
    together = np.asarray(jax.jit(project)(weights, VIDEO))
    np.testing.assert_allclose(found.values, together, rtol=1e-4, atol=1e-4)
    assert (found.values != together).any()  # what batches would do


def test_a_batch_is_cut_into_rows_of_each_share_and_padding_is_left_out():
    given = Given(8)
    pieces = Pieces(given, mesh(2))
    cut = list(pieces)
    rows = [piece["frame"].tolist() for piece in cut]
    assert rows == [[0, 4], [1, 5], [2, 6], [3, 7], [8, -1], [9, -1], [10, -1]]
    assert [int(piece.pop(LEFT)) for piece in cut] == [3, 2, 1, 0, 2, 1, 0]
    assert rejoined(cut[:4])["frame"].tolist() == list(range(8))
    np.testing.assert_array_equal(rejoined(cut[:4])["video"], VIDEO[:8])
    pieces.close()
    assert given.closed
