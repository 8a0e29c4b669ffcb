"""Is a function applied to every clip of a dataset once, however they are batched?"""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.batches.samples import every_sample, labelled_samples
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.inference.every_clip import EveryClip
from surgvista_jax.training.partition import MeshConfig, make_mesh
from surgvista_jax.training.unreadable import USUAL_LIMIT, TooManyUnreadable, UnreadableLimit
from tests.support.finetune_run import make_dataset

CLIP = ClipConfig(num_frames=2, stride=1, size=16)
LOADER = LoaderConfig()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return read_dataset(make_dataset(tmp_path_factory.mktemp("colours") / "data")).split("test")


@pytest.fixture(scope="module")
def mesh():
    return make_mesh(MeshConfig())


def colours(bias, video):
    """Adds a bias to the mean colour of a clip: [B, T, H, W, 3] -> [B, 3]."""
    return video.astype(jnp.float32).mean((1, 2, 3)) + bias[None]


@pytest.fixture(scope="module")
def run(mesh):
    """Runs over a dataset, with what differs from the usual."""
    made = {}

    def run(
        dataset, *, clip=CLIP, loader=LOADER, batch_size=8, limit=USUAL_LIMIT, unlabelled=False
    ):
        settings = clip, loader, mesh, batch_size, limit
        every_clip = made.setdefault(settings, EveryClip(colours, *settings))
        return every_clip(jnp.zeros(3), dataset, unlabelled=unlabelled)

    return run


@pytest.mark.parametrize("batch_size", [8, 16, 24])
def test_every_labelled_clip_once_in_order(run, dataset, batch_size):
    """18 clips: batches that do not divide them, and one that is larger."""
    found = run(dataset, batch_size=batch_size)
    samples = labelled_samples(dataset, CLIP)
    assert len(samples) == 18
    np.testing.assert_array_equal(found.video_index, samples.video)
    np.testing.assert_array_equal(found.frame, samples.frame)
    np.testing.assert_array_equal(found.label, samples.label)
    assert found.values.shape == (18, 3) and found.values.dtype == np.float32
    assert not found.unreadable.any()


def test_values_belong_to_their_clips(run, dataset):
    """A video's colour is its class: RGB here, where red is class 0."""
    found = run(dataset, clip=dataclasses.replace(CLIP, num_frames=1))
    np.testing.assert_array_equal(found.values.argmax(1), found.label)


def test_every_frame_where_labels_do_not_matter(run, dataset):
    found = run(dataset, unlabelled=True)
    samples = every_sample(dataset, CLIP)
    assert len(samples) == 20
    np.testing.assert_array_equal(found.frame, samples.frame)
    np.testing.assert_array_equal(found.video_index, samples.video)
    assert (found.label == -1).all()
    labelled = run(dataset)
    rows = np.flatnonzero(found.frame != 5)  # the frame of each video that has no label
    np.testing.assert_array_equal(found.values[rows], labelled.values)
    unknown = dataclasses.replace(
        dataset, videos=tuple(dataclasses.replace(v, labels=None) for v in dataset.videos)
    )
    np.testing.assert_array_equal(run(unknown, unlabelled=True)[3], found.values)


def test_batches_and_workers_change_nothing(run, dataset):
    wanted = run(dataset, batch_size=8)
    for other in ({"batch_size": 24}, {"loader": LoaderConfig(workers=1)}):
        np.testing.assert_allclose(run(dataset, **other).values, wanted.values, rtol=1e-6)


def test_frames_that_cannot_be_read_are_counted_and_named(run, tmp_path, capsys):
    dataset = read_dataset(make_dataset(tmp_path / "data")).split("test")
    (tmp_path / "data" / dataset.videos[0].source / "000003.jpg").write_bytes(b"no picture")
    found = run(dataset)
    assert found.unreadable.sum() == 2  # in the clips that end there and one later
    said = capsys.readouterr().err
    assert f"2 of {18 * CLIP.num_frames} frames" in said and dataset.videos[0].video in said
    assert len(found.frame) == 18


def test_nothing_is_said_of_a_batch_without_a_readable_frame(run, tmp_path):
    """As where a disk is gone since the last evaluation: black frames choose no parameters."""
    dataset = read_dataset(make_dataset(tmp_path / "data")).split("test")
    (tmp_path / "data" / "frames").rename(tmp_path / "gone")
    with pytest.raises(TooManyUnreadable, match="none of the 16 frames of a batch of 8 clips"):
        run(dataset)
    with pytest.raises(TooManyUnreadable, match="none of the 36 frames of a batch of 18 clips"):
        run(dataset, batch_size=24)  # padding is no frame that can be read


def test_too_large_a_share_of_unreadable_frames_is_an_error(run, tmp_path):
    dataset = read_dataset(make_dataset(tmp_path / "data")).split("test")
    (tmp_path / "data" / dataset.videos[0].source / "000003.jpg").write_bytes(b"no picture")
    words = f"2 of .*, in {dataset.videos[0].video}; more than 5.0%"
    with pytest.raises(TooManyUnreadable, match=words):
        run(dataset, limit=UnreadableLimit(0.05, min_frames=36))
    run(dataset, limit=UnreadableLimit(0.06, min_frames=36))
