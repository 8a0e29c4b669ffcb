"""Are labelled batches functions of seed and step, and is every frame evaluated exactly once?"""

import dataclasses

import cv2
import numpy as np
import pytest

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.crop import AugmentConfig, augment_clip, resize_clip
from surgvista_jax.data.batches.labelled import evaluation_batches, finetune_batches
from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.batches.masked import describe_clip
from surgvista_jax.data.batches.samples import labelled_samples, sample_frame_ids
from surgvista_jax.data.batches.share import Share
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.storage.open import open_frames
from surgvista_jax.errors import UserError

CLIP = ClipConfig(num_frames=4, stride=2, size=32)
AUGMENT = AugmentConfig()
THREADS = LoaderConfig(threads=2, buffer=1)
LABELS = (
    (0, 0, 1, 1, -1, 2, 2, 2, 2),
    (1,),
    (-1, -1, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, -1),
)
NUM_SAMPLES = sum(label >= 0 for labels in LABELS for label in labels)


def make_dataset(folder, labels=LABELS, kind="single") -> Dataset:
    rng = np.random.default_rng(0)
    videos = []
    for number, of_video in enumerate(labels):
        source = folder / "frames" / f"video {number}"
        source.mkdir(parents=True)
        for frame in range(len(of_video)):
            noise = rng.integers(0, 255, (6, 8, 3), np.uint8)
            picture = cv2.resize(noise, (64, 48), interpolation=cv2.INTER_LINEAR)
            (source / f"{frame:06d}.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
        path = f"frames/{source.name}"
        videos.append(Video(source.name, path, 1.0, len(of_video), tuple(of_video)))
    texts = dict.fromkeys(("name", "procedure", "licence", "citation", "source_format"), "")
    return Dataset(
        folder=folder,
        task="phase",
        classes=("a", "b", "c"),
        label_kind=kind,
        fps=1.0,
        splits={},
        videos=tuple(videos),
        **texts,
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("dataset"))


def train(dataset, *, steps=4, start=0, batch_size=4, rows=None, seed=7, **other):
    settings = {"clip": CLIP, "augment": AUGMENT, "loader": THREADS, **other}
    rows = np.arange(batch_size) if rows is None else np.asarray(rows)
    with finetune_batches(
        dataset,
        settings["clip"],
        settings["augment"],
        settings["loader"],
        Share(batch_size, rows, start, steps),
        seed=seed,
        balanced=settings.get("balanced", False),
    ) as loader:
        return list(loader)


def evaluate(dataset, *, batch_size=4, rows=None, clip=CLIP, loader=THREADS):
    rows = np.arange(batch_size) if rows is None else np.asarray(rows)
    with evaluation_batches(dataset, clip, loader, batch_size=batch_size, rows=rows) as batches:
        return list(batches)


def assert_same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.keys() == b.keys()
        for key in a:
            assert a[key].dtype == b[key].dtype
            np.testing.assert_array_equal(a[key], b[key], err_msg=key)


def joined(run, batch_size, hosts, interleaved):
    """The global batches, put together from the rows of each host."""
    whole = None
    for host in range(hosts):
        every = np.arange(batch_size)
        rows = every[host::hosts] if interleaved else np.split(every, hosts)[host]
        parts = run(rows)
        if whole is None:
            shapes = [
                {key: (batch_size, *v.shape[1:]) for key, v in part.items()} for part in parts
            ]
            whole = [
                {key: np.empty(shape, part[key].dtype) for key, shape in shaped.items()}
                for part, shaped in zip(parts, shapes, strict=True)
            ]
        for batch, part in zip(whole, parts, strict=True):
            for key in batch:
                batch[key][rows] = part[key]
    return whole


@pytest.mark.parametrize("run", [train, evaluate])
def test_keys_shapes_and_types(dataset, run):
    batch = run(dataset)[0]
    assert {key: (value.shape, value.dtype) for key, value in batch.items()} == {
        "video": ((4, 4, 32, 32, 3), np.uint8),
        "label": ((4,), np.int32),
        "video_index": ((4,), np.int32),
        "frame": ((4,), np.int32),
        "weight": ((4,), np.float32),
        "index": ((4,), np.int64),
        "unreadable": ((4, 4), np.bool_),
    }


def test_labels_and_names_belong_to_the_clip(dataset):
    for batch in [*train(dataset), *evaluate(dataset)]:
        for row in np.flatnonzero(batch["weight"]):
            number, frame = batch["video_index"][row], batch["frame"][row]
            assert batch["label"][row] == LABELS[number][frame] >= 0
            assert describe_clip(dataset, batch["index"][row]) == (f"video {number}", frame)


def test_the_weights_of_training_are_1(dataset):
    assert all((batch["weight"] == 1).all() for batch in train(dataset, steps=20))


def test_evaluation_shows_whole_frames_of_the_clip_rule(dataset):
    batch = evaluate(dataset, batch_size=NUM_SAMPLES)[0]
    for row, (number, frame) in enumerate(zip(batch["video_index"], batch["frame"], strict=True)):
        video = dataset.videos[number]
        frames, _ = open_frames(dataset.folder, video).read(sample_frame_ids(CLIP, video, frame))
        expected = np.empty((4, 32, 32, 3), np.uint8)
        resize_clip(frames, expected)
        np.testing.assert_array_equal(batch["video"][row], expected)


def test_training_shows_an_augmentation_of_the_clip(dataset):
    """Without randomness in operations, crop and flip it is the test view."""
    plain = AugmentConfig(
        randaugment=dataclasses.replace(AUGMENT.randaugment, operations=0),
        min_area=1.0,
        min_aspect=4 / 3,
        flip=0.0,
    )
    views = evaluate(dataset, batch_size=NUM_SAMPLES)[0]
    by_index = dict(zip(views["index"], views["video"], strict=True))
    for batch in train(dataset, augment=plain):
        for index, video in zip(batch["index"], batch["video"], strict=True):
            np.testing.assert_array_equal(video, by_index[index])
    augmented = train(dataset)
    changed = [
        (video != by_index[index]).any()
        for batch in augmented
        for index, video in zip(batch["index"], batch["video"], strict=True)
    ]
    assert np.mean(changed) > 0.9


def test_each_epoch_visits_every_sample_once_augmented_anew(dataset):
    epochs = train(dataset, steps=4, batch_size=NUM_SAMPLES)
    everything = labelled_samples(dataset, CLIP).index.tolist()
    orders = [batch["index"].tolist() for batch in epochs]
    assert all(sorted(order) == everything and order != everything for order in orders)
    assert len(set(map(tuple, orders))) == 4
    videos = [batch["video"][np.argsort(batch["index"])] for batch in epochs]
    for later in videos[1:]:
        assert (later != videos[0]).any(axis=(1, 2, 3, 4)).mean() > 0.9


def test_balanced_sampling_draws_classes_alike_and_clips_within_them(tmp_path):
    data = make_dataset(tmp_path, labels=((0,) * 3 + (1,) * 9, (2,) * 27))
    small = {"clip": dataclasses.replace(CLIP, num_frames=1, size=8), "batch_size": 12}
    drawn = train(data, steps=50, balanced=True, **small)
    label, index = (np.concatenate([batch[key] for batch in drawn]) for key in ("label", "index"))
    np.testing.assert_allclose(np.bincount(label) / 600, 1 / 3, atol=0.06)
    assert np.bincount(index[label == 0]).min() > 40 and len(np.unique(index)) == 39
    assert_same(train(data, steps=50, start=48, balanced=True, **small), drawn[48:])


def test_another_seed_is_another_run(dataset):
    one, other = (train(dataset, batch_size=NUM_SAMPLES, steps=1, seed=seed) for seed in (7, 8))
    assert one[0]["index"].tolist() != other[0]["index"].tolist()


@pytest.mark.parametrize("start", [0, 3])
def test_workers_and_restarts_change_nothing(dataset, start):
    whole = train(dataset, steps=5)
    assert_same(train(dataset, steps=5, start=start), whole[start:])
    loader = LoaderConfig(workers=2, buffer=1)
    assert_same(train(dataset, steps=5, start=start, loader=loader), whole[start:])


def test_workers_evaluate_the_same(dataset):
    assert_same(evaluate(dataset, loader=LoaderConfig(workers=2, buffer=1)), evaluate(dataset))


@pytest.mark.parametrize("hosts", [2, 4])
@pytest.mark.parametrize("interleaved", [False, True])
def test_hosts_share_the_same_global_batch(dataset, hosts, interleaved):
    def training(rows):
        return train(dataset, steps=2, batch_size=8, rows=rows)

    def evaluation(rows):
        return evaluate(dataset, batch_size=8, rows=rows)

    for run in (training, evaluation):
        assert_same(joined(run, 8, hosts, interleaved), run(np.arange(8)))


@pytest.mark.parametrize("batch_size", [1, 4, NUM_SAMPLES, 64])
def test_every_sample_is_evaluated_once_in_order(dataset, batch_size):
    found = evaluate(dataset, batch_size=batch_size)
    assert len(found) == -(-NUM_SAMPLES // batch_size)
    whole = {key: np.concatenate([batch[key] for batch in found]) for key in found[0]}
    kept = whole["weight"] > 0
    samples = labelled_samples(dataset, CLIP)
    np.testing.assert_array_equal(whole["index"][kept], samples.index)
    np.testing.assert_array_equal(whole["label"][kept], samples.label)
    assert kept[:NUM_SAMPLES].all() and (whole["weight"][kept] == 1).all()
    for key, value in {"video": 0, "label": 0, "video_index": -1, "frame": -1, "index": -1}.items():
        assert (whole[key][~kept] == value).all()
    assert not whole["unreadable"].any()


def test_a_host_may_get_nothing_but_padding(dataset):
    found = evaluate(dataset, batch_size=64, rows=np.arange(60, 64))
    assert len(found) == 1 and not found[0]["weight"].any()


def test_several_classes_a_frame(tmp_path):
    data = make_dataset(tmp_path, labels=(((0, 2), (), -1, (1,)),), kind="multi")
    batch = evaluate(data)[0]
    assert batch["label"].dtype == np.float32
    np.testing.assert_array_equal(batch["label"], [[1, 0, 1], [0, 0, 0], [0, 1, 0], [0, 0, 0]])
    assert batch["weight"].tolist() == [1, 1, 1, 0]
    assert train(data)[0]["label"].shape == (4, 3)


def test_a_set_of_clips(tmp_path):
    data = make_dataset(tmp_path, labels=((2,) * 9, (0,), (1,) * 6))
    clip = dataclasses.replace(CLIP, sampling="uniform")
    batch = evaluate(data, clip=clip)[0]
    assert batch["label"].tolist() == [2, 0, 1, 0] and batch["weight"].tolist() == [1, 1, 1, 0]
    frames, _ = open_frames(tmp_path, data.videos[0]).read(np.array([0, 2, 4, 6]))
    expected = np.empty((4, 32, 32, 3), np.uint8)
    resize_clip(frames, expected)
    np.testing.assert_array_equal(batch["video"][0], expected)
    assert (batch["video"][1] == batch["video"][1][0]).all()  # one frame, four times
    assert sorted(train(data, clip=clip, batch_size=3)[0]["label"]) == [0, 1, 2]


def test_an_unreadable_frame_is_flagged_and_replaced(tmp_path):
    data = make_dataset(tmp_path, labels=((0, 1, 2, 0, 1, 2),))
    whole = evaluate(data, batch_size=6)[0]
    (tmp_path / "frames/video 0/000002.jpg").write_bytes(b"no picture")
    damaged = evaluate(data, batch_size=6)[0]
    video = data.videos[0]
    ids = np.stack([sample_frame_ids(CLIP, video, frame) for frame in range(6)])
    np.testing.assert_array_equal(damaged["unreadable"], ids == 2)
    np.testing.assert_array_equal(damaged["video"][ids != 2], whole["video"][ids != 2])
    (trained,) = train(data, batch_size=6, steps=1)
    np.testing.assert_array_equal(trained["unreadable"], ids[trained["frame"]] == 2)


def test_a_clip_of_which_nothing_can_be_read_is_augmented_all_the_same():
    out = np.empty((4, 32, 32, 3), np.uint8)
    for seed in range(10):
        frames = np.zeros((4, 256, 256, 3), np.uint8)
        augment_clip(np.random.default_rng(seed), frames, AUGMENT, out)


@pytest.mark.parametrize("rows", [[0, 4], [-1, 2]])
def test_rows_lie_in_the_batch(dataset, rows):
    for run in (train, evaluate):
        with pytest.raises(ValueError, match="of a batch of 4"):
            run(dataset, rows=rows)


def test_settings_that_do_not_fit_are_refused_before_anything_is_read(dataset):
    unlabelled = dataclasses.replace(dataset.videos[0], labels=None)
    with pytest.raises(UserError, match="no labels"):
        evaluate(dataclasses.replace(dataset, videos=(unlabelled,)))
