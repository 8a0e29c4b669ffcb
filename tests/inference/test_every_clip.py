"""Is a function applied to every clip of a dataset once, however they are batched?"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import multihost_utils

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.batches.samples import every_sample, labelled_samples
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.inference import every_clip, own_rows
from surgvista_jax.inference.clip_batches import blank_batch
from surgvista_jax.inference.every_clip import EveryClip
from surgvista_jax.training.partition import MeshConfig, batch_sharding, make_mesh, to_global
from surgvista_jax.training.standstill import Standstill
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


class Gathers:
    """Takes the place of a second process, which has computed the same rows, and of the network."""

    def __init__(self):
        self.rows = []

    def __call__(self, arrays):
        self.rows.append(len(arrays["weight"]))
        return {name: np.stack([rows, rows]) for name, rows in arrays.items()}


@pytest.fixture(scope="module")
def gathers():
    return Gathers()


@pytest.fixture(scope="module", params=["alone", "one of two processes"])
def run(mesh, gathers, request):
    """Runs over a dataset, with what differs from the usual."""
    made = {}
    with pytest.MonkeyPatch.context() as patched:
        if request.param != "alone":
            patched.setattr(jax, "process_count", lambda: 2)
            patched.setattr(multihost_utils, "process_allgather", gathers)
        yield lambda *given, **more: _run(made, mesh, *given, **more)


def _run(
    made,
    mesh,
    dataset,
    *,
    clip=CLIP,
    loader=LOADER,
    batch_size=8,
    limit=USUAL_LIMIT,
    unlabelled=False,
):
    settings = clip, loader, mesh, batch_size, limit
    every_clip = made.setdefault(settings, EveryClip(colours, *settings))
    return every_clip(jnp.zeros(3), dataset, unlabelled=unlabelled)


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


def test_several_processes_gather_once_and_not_for_each_batch(dataset, mesh, gathers, monkeypatch):
    """Elsewhere two real ones give what one gives, to the bit."""
    alone = EveryClip(colours, CLIP, LOADER, mesh, 8)(jnp.zeros(3), dataset)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(multihost_utils, "process_allgather", gathers)
    every_clip = EveryClip(colours, CLIP, LOADER, mesh, 8)
    gathers.rows.clear()
    found = every_clip(jnp.zeros(3), dataset)
    assert gathers.rows == [24]  # three batches of 8
    jax.tree.map(np.testing.assert_array_equal, found, alone)
    batch = to_global(mesh, blank_batch(CLIP, 8))
    text = every_clip.program.lower(jnp.zeros(3), batch).compile().as_text()
    assert "all-gather" not in text and "all-reduce" not in text
    monkeypatch.setattr(own_rows, "_AT_ONCE", 500)  # bytes, as of features of many videos
    jax.tree.map(np.testing.assert_array_equal, every_clip(jnp.zeros(3), dataset), alone)
    assert len(gathers.rows) > 2 and sum(gathers.rows[1:]) == 24


@pytest.mark.parametrize("gone", [True, False], ids=["dataset gone", "video damaged"])
def test_one_of_several_processes_tells_a_lost_dataset_from_a_damaged_video(
    tmp_path, mesh, monkeypatch, gone
):
    """It has half of each batch, and reads no frame of them."""
    dataset = read_dataset(make_dataset(tmp_path / "data")).split("test")
    if gone:
        (tmp_path / "data" / "frames").rename(tmp_path / "gone")
    read = []

    def halves(self, variables, batches, number, title):
        batches.close()
        for batch in range(number):
            read.append(batch)
            half = {key: np.zeros(4, np.int32) for key in ("video_index", "frame", "label")}
            half |= {"values": np.zeros((4, 3)), "weight": np.ones(4)}
            yield half | {"unreadable": np.full(4, CLIP.num_frames)}

    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(every_clip, "process_rows", lambda sharding, size: np.arange(size // 2))
    monkeypatch.setattr(EveryClip, "_padded", halves)
    said = "8 frames of 4 clips .* nor any" if gone else "16 frames of a batch of 8 clips"
    with pytest.raises(TooManyUnreadable, match=f"none of the {said}.*is the dataset still there"):
        EveryClip(colours, CLIP, LOADER, mesh, 8)(jnp.zeros(3), dataset)
    assert read == ([0] if gone else [0, 1])


def test_compiling_is_not_counted_as_a_standstill(dataset, mesh, tmp_path):
    """A function is traced when it is compiled, which takes minutes where models are large."""
    counted = []

    def traced(bias, video):
        counted.append(still.counts)
        return colours(bias, video)

    with Standstill(60, "end", tmp_path) as still:
        still.ended()
        EveryClip(traced, CLIP, LOADER, mesh, 8)(jnp.zeros(3), dataset)
        assert counted and not any(counted) and still.counts


def test_rows_that_devices_share_are_taken_once():
    """As where the model axis spans processes."""
    mesh = make_mesh(MeshConfig(data=2, fsdp=2, model=2))
    rows = np.arange(24, dtype=np.int32).reshape(8, 3)
    found = own_rows.own_rows({"rows": jax.device_put(rows, batch_sharding(mesh))})
    np.testing.assert_array_equal(found["rows"], rows)


def test_processes_wait_for_the_last_one_before_they_compute_across_each_other(monkeypatch):
    """Gloo gives up connecting after 30 s, and a slow disk makes one of them later than that."""
    told = []

    def barrier(key, timeout_ms):
        told.append((key, timeout_ms > 3_600_000))

    def gather(arrays):
        told.append("gather")
        return {name: np.stack([rows, rows]) for name, rows in arrays.items()}

    monkeypatch.setattr(own_rows.processes, "watched", object)
    monkeypatch.setattr(own_rows.ocp.multihost, "get_barrier_sync_fn", lambda: barrier)
    monkeypatch.setattr(multihost_utils, "process_allgather", gather)
    for _ in range(2):
        own_rows.gathered({"rows": np.zeros((2, 3))}, np.arange(2, dtype=np.int32))
    (first, is_long), *rest = told
    second, is_long_too = rest[1]
    assert rest == ["gather", (second, True), "gather"] and is_long and is_long_too
    assert first != second  # a name of a barrier is used up
