"""Is a function applied to every clip of a dataset once, however they are batched?"""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.batches.samples import every_sample, labelled_samples
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.inference.every_clip import make_apply, over_dataset
from surgvista_jax.training.partition import MeshConfig, make_mesh
from tests.support.finetune_run import make_dataset

CLIP = ClipConfig(num_frames=2, stride=1, size=16)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return read_dataset(make_dataset(tmp_path_factory.mktemp("colours") / "data")).split("test")


@pytest.fixture(scope="module")
def mesh():
    return make_mesh(MeshConfig())


@pytest.fixture(scope="module")
def colours(mesh):
    """Adds a bias to the mean colour of a clip: [B, T, H, W, 3] -> [B, 3]."""

    def mean(bias, video):
        return video.astype(jnp.float32).mean((1, 2, 3)) + bias[None]

    return make_apply(mean, mesh)


def run(colours, dataset, mesh, **settings):
    given = {"batch_size": 8, "clip": CLIP, "loader": LoaderConfig()} | settings
    clip, loader = given.pop("clip"), given.pop("loader")
    return over_dataset(colours, jnp.zeros(3), dataset, clip, loader, mesh=mesh, **given)


@pytest.mark.parametrize("batch_size", [8, 16, 24])
def test_every_labelled_clip_once_in_order(colours, dataset, mesh, batch_size):
    """18 clips: batches that do not divide them, and one that is larger."""
    found = run(colours, dataset, mesh, batch_size=batch_size)
    samples = labelled_samples(dataset, CLIP)
    assert len(samples) == 18
    np.testing.assert_array_equal(found.video_index, samples.video)
    np.testing.assert_array_equal(found.frame, samples.frame)
    np.testing.assert_array_equal(found.label, samples.label)
    assert found.values.shape == (18, 3) and found.values.dtype == np.float32
    assert not found.unreadable.any()


def test_values_belong_to_their_clips(colours, dataset, mesh):
    """A video's colour is its class: RGB here, where red is class 0."""
    found = run(colours, dataset, mesh, clip=dataclasses.replace(CLIP, num_frames=1))
    np.testing.assert_array_equal(found.values.argmax(1), found.label)


def test_every_frame_where_labels_do_not_matter(colours, dataset, mesh):
    found = run(colours, dataset, mesh, unlabelled=True)
    samples = every_sample(dataset, CLIP)
    assert len(samples) == 20
    np.testing.assert_array_equal(found.frame, samples.frame)
    np.testing.assert_array_equal(found.video_index, samples.video)
    assert (found.label == -1).all()
    labelled = run(colours, dataset, mesh)
    rows = np.flatnonzero(found.frame != 5)  # the frame of each video that has no label
    np.testing.assert_array_equal(found.values[rows], labelled.values)
    unknown = dataclasses.replace(
        dataset, videos=tuple(dataclasses.replace(v, labels=None) for v in dataset.videos)
    )
    np.testing.assert_array_equal(run(colours, unknown, mesh, unlabelled=True)[3], found.values)


def test_batches_and_workers_change_nothing(colours, dataset, mesh):
    wanted = run(colours, dataset, mesh, batch_size=8)
    for other in ({"batch_size": 24}, {"loader": LoaderConfig(workers=1)}):
        np.testing.assert_allclose(
            run(colours, dataset, mesh, **other).values, wanted.values, rtol=1e-6
        )


def test_frames_that_cannot_be_read_are_counted_and_named(colours, mesh, tmp_path, capsys):
    dataset = read_dataset(make_dataset(tmp_path / "data")).split("test")
    (tmp_path / "data" / dataset.videos[0].source / "000003.jpg").write_bytes(b"no picture")
    found = run(colours, dataset, mesh)
    assert found.unreadable.sum() == 2  # in the clips that end there and one later
    said = capsys.readouterr().err
    assert f"2 of {18 * CLIP.num_frames} frames" in said and dataset.videos[0].video in said
    assert len(found.frame) == 18
