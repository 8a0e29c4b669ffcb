"""A features folder gives back what was written, and names what does not fit its dataset."""

import dataclasses
import json

import numpy as np
import pytest

from surgvista_jax.data.batches.sequences import pad_sequence, read_sequences
from surgvista_jax.data.storage.feature_folder import create_features, open_features
from surgvista_jax.errors import UserError
from tests.support import feature_run
from tests.support.bit_flips import flip_bit
from tests.support.killed_writer import leave_half_written


@pytest.fixture
def dataset(tmp_path):
    return feature_run.make_dataset(tmp_path / "dataset")


@pytest.fixture
def features(tmp_path, dataset):
    return feature_run.make_features(tmp_path / "features", dataset)


def test_rows_come_back_bit_for_bit(tmp_path, dataset):
    folder = create_features(tmp_path / "new", feature_run.header())
    video = dataset.videos[0]
    rows = np.random.default_rng(0).normal(size=(video.num_frames, 8)).astype(np.float32)
    assert not folder.holds(video)
    folder.write(video, rows)
    assert folder.holds(video) and not folder.holds(dataset.videos[1])
    again = open_features(tmp_path / "new")
    assert again.header == feature_run.header()
    np.testing.assert_array_equal(again.read(video), rows)
    assert sorted(path.name for path in folder.folder.iterdir()) == ["features.json", "video0.npy"]


def test_a_folder_that_nothing_came_of_is_withdrawn_and_one_with_rows_stays(tmp_path, features):
    create_features(tmp_path / "new", feature_run.header()).withdraw()
    assert not (tmp_path / "new").exists()
    features.withdraw()
    assert (features.folder / "features.json").exists()


def test_the_same_features_go_on_and_others_do_not(features):
    assert create_features(features.folder, features.header).holds
    other = dataclasses.replace(features.header, weights="f" * 64, size=64)
    with pytest.raises(UserError, match=r"features.json.*weights was.*size was 32, is 64"):
        create_features(features.folder, other)


def test_what_killed_writers_left_is_removed_unless_the_features_are_others(features, dataset):
    left = leave_half_written(features.path(dataset.videos[0]))
    with pytest.raises(UserError):
        create_features(features.folder, dataclasses.replace(features.header, size=64))
    assert left.exists()
    create_features(features.folder, features.header)
    assert not left.exists() and (features.folder / "video0.npy").exists()


def test_rows_that_somebody_else_wrote_are_named_and_stay(tmp_path, dataset):
    """Though they look as ours would; and so are those of another shape, in a folder of ours."""
    header, videos = feature_run.header(), dataset.videos
    path = tmp_path / "out" / f"{videos[1].video}.npy"
    path.parent.mkdir()
    np.save(path, np.ones((videos[1].num_frames, header.width), np.float32))
    theirs = path.read_bytes()
    (path.parent / "other.npy").write_bytes(theirs)
    with pytest.raises(UserError, match=rf"{path}: is there already .*--overwrite"):
        create_features(path.parent, header, videos)
    assert path.read_bytes() == theirs and not (path.parent / "features.json").exists()
    folder = create_features(path.parent, header, videos, overwrite=True)
    assert not any(map(folder.holds, videos))  # all are computed
    assert (path.parent / "other.npy").read_bytes() == theirs

    path.write_bytes(b"notes")
    with pytest.raises(UserError, match="is there already"):
        create_features(path.parent, header, videos)
    assert path.read_bytes() == b"notes"
    create_features(path.parent, header, videos, overwrite=True)
    folder.write(videos[1], np.ones((videos[1].num_frames, header.width)))
    assert create_features(path.parent, header, videos).holds(videos[1])

    path.unlink()
    path.symlink_to(path.parent / "other.npy")
    (path.parent / "features.json").unlink()
    create_features(path.parent, header, videos, overwrite=True)
    assert not path.is_symlink() and (path.parent / "other.npy").read_bytes() == theirs


def test_an_id_that_no_file_can_have_is_named_before_anything_is_written(tmp_path, dataset):
    long = dataclasses.replace(dataset.videos[0], video="x" * 252)
    with pytest.raises(UserError, match="is too long for a file name"):
        create_features(tmp_path / "out", feature_run.header(), [*dataset.videos, long])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("shape", [(3, 8), (None, 7)])
def test_rows_of_another_shape_are_not_written(features, dataset, shape):
    video = dataset.videos[0]
    with pytest.raises(ValueError, match="features"):
        features.write(video, np.zeros((shape[0] or video.num_frames, shape[1]), np.float32))
    with pytest.raises(UserError, match="not finite"):
        features.write(video, np.full((video.num_frames, 8), np.inf, np.float32))


def test_a_missing_video_is_named(features, dataset):
    features.path(dataset.videos[3]).unlink()
    with pytest.raises(UserError, match="no features of 1 of 10 videos: video3"):
        features.check(dataset)
    with pytest.raises(UserError, match="video3.npy: missing"):
        features.read(dataset.videos[3])


def test_a_video_of_another_length_is_named(features, dataset):
    video = dataset.videos[2]
    longer = dataclasses.replace(video, num_frames=video.num_frames + 1, labels=(*video.labels, 0))
    changed = dataclasses.replace(dataset, videos=(*dataset.videos[:2], longer))
    with pytest.raises(UserError, match=rf"video2.npy.*{longer.num_frames} frames"):
        features.check(changed)
    assert not features.holds(longer)


@pytest.mark.parametrize("change", [{"name": "others"}, {"fps": 5.0}])
def test_features_of_another_dataset(features, dataset, change):
    with pytest.raises(UserError, match="'phases' at 1 frames a second"):
        features.check(dataclasses.replace(dataset, **change))


def test_a_torn_file_is_named_and_not_taken_for_done(features, dataset):
    path = features.path(dataset.videos[0])
    path.write_bytes(path.read_bytes()[:-100])
    assert not features.holds(dataset.videos[0])
    with pytest.raises(UserError, match="video0.npy: not a readable"):
        features.check(dataset)


def test_a_header_that_is_no_python_is_named(features, dataset):
    path = features.path(dataset.videos[0])
    path.write_bytes(path.read_bytes().replace(b"}", b"(", 1))
    with pytest.raises(UserError, match="not a readable .npy file"):
        features.check(dataset)


def test_rows_that_are_not_finite_are_named(features, dataset):
    path = features.path(dataset.videos[0])
    rows = np.load(path)
    rows[7, 2] = np.nan
    np.save(path, rows)
    with pytest.raises(UserError, match="video0.npy: row 7 is not finite"):
        features.read(dataset.videos[0])


def test_a_flipped_bit_is_named_and_the_rows_are_computed_again(features, dataset):
    video, rng = dataset.videos[0], np.random.default_rng(0)
    path, rows = features.path(video), np.array(features.read(video))
    assert np.array_equal(np.load(path), rows)  # others read the file as ever
    for bit in rng.integers(8 * path.stat().st_size, size=60):
        flip_bit(path, int(bit))
        assert not features.holds(video)
        with pytest.raises(UserError, match="video0.npy: "):
            features.read(video)
        flip_bit(path, int(bit))
    path.write_bytes(path.read_bytes()[: -len("crc32 01234567")])  # as an earlier version wrote it
    assert features.holds(video) and np.array_equal(features.read(video), rows)


def test_videos_in_folders_have_their_rows_in_folders(features, dataset):
    """Of two ids none has the other's file, and what killed writers left there goes too."""
    video = dataset.videos[0]
    rows = {
        name: np.full((video.num_frames, 8), k, np.float32)
        for k, name in enumerate(("b", "a/b", "a/b/c", "a", "day 1/\u00e4.mp4"))
    }
    for name, values in rows.items():
        features.write(dataclasses.replace(video, video=name), values)
    left = leave_half_written(features.folder / "a" / "b" / "x.npy")
    again = create_features(features.folder, features.header)
    assert not left.exists()
    for name, values in rows.items():
        np.testing.assert_array_equal(again.read(dataclasses.replace(video, video=name)), values)
    assert (features.folder / "day 1" / "\u00e4.mp4.npy").is_file()


@pytest.mark.parametrize("name", ["../x", "a/../b", "/a", "a//b", "a/", "./a", ".", "", "a\nb"])
def test_an_id_that_no_file_can_have(features, dataset, name):
    with pytest.raises(UserError, match="cannot be a file name; mend it in videos.jsonl"):
        features.path(dataclasses.replace(dataset.videos[0], video=name))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("width", 0, "'width' must be a whole number"),
        ("width", 8.0, "'width' must be a whole number"),
        ("width", True, "'width' must be a whole number"),
        ("fps", "1", "'fps' must be a number above 0"),
        ("model", None, "'model' must be text"),
        ("views", 3, "with the keys dataset, fps"),
    ],
)
def test_a_wrong_header_is_named(features, key, value, message):
    path = features.folder / "features.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(UserError, match=message):
        open_features(features.folder)


def test_a_header_that_has_changed_since_is_refused_unless_its_checksum_is_dropped(features):
    path = features.folder / "features.json"
    values = json.loads(path.read_text()) | {"clip_stride": 2}
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match="features.json: damaged, .* drop its key 'crc32'"):
        open_features(features.folder)
    del values["crc32"]  # as earlier versions wrote it
    path.write_text(json.dumps(values))
    assert open_features(features.folder).header.clip_stride == 2


def test_a_folder_without_a_header(tmp_path):
    with pytest.raises(UserError, match="features.json: missing; `surgvista features`"):
        open_features(tmp_path)
    (tmp_path / "features.json").write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        open_features(tmp_path)
    (tmp_path / "features.json").write_text("[]")
    with pytest.raises(UserError, match="JSON object"):
        open_features(tmp_path)


def test_sequences_hold_features_and_labels_of_whole_videos(features, dataset):
    sequences = read_sequences(features, dataset.split("val"))
    assert [sequence.video for sequence in sequences] == ["video6", "video7"]
    assert tuple(sequences[0].labels) == dataset.videos[6].labels
    np.testing.assert_array_equal(sequences[0].features, features.read(dataset.videos[6]))


def test_sequences_need_one_label_a_frame(features, dataset):
    with pytest.raises(UserError, match="label_kind 'multi'"):
        read_sequences(features, dataclasses.replace(dataset, label_kind="multi"))
    for labels in (None, (-1,) * dataset.videos[0].num_frames):
        bare = dataclasses.replace(dataset.videos[0], labels=labels)
        with pytest.raises(UserError, match="'video0' has no labels"):
            read_sequences(features, dataclasses.replace(dataset, videos=(bare,)))


@pytest.mark.parametrize("multiple", [1, 16, 1000])
def test_padding_adds_unlabelled_masked_frames_only(features, dataset, multiple):
    (sequence,) = read_sequences(features, dataclasses.replace(dataset, videos=dataset.videos[:1]))
    batch, length = pad_sequence(sequence, multiple), len(sequence.labels)
    padded = batch["mask"].shape[1]
    assert padded % multiple == 0 and length <= padded < length + multiple
    assert batch["mask"].sum() == length and batch["mask"][0, :length].all()
    np.testing.assert_array_equal(batch["features"][0, :length], sequence.features)
    np.testing.assert_array_equal(batch["labels"][0, :length], sequence.labels)
    assert (batch["labels"][0, length:] == -1).all() and not batch["features"][0, length:].any()
