"""Are record shards whole, repeatable and resumable, and do they give the batches of the frames?"""

import dataclasses
import json
import os
import resource
import shutil

import cv2
import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.data.batches.masked import LoaderConfig
from surgvista_jax.data.dataset import Video, fingerprint
from surgvista_jax.data.storage import records
from surgvista_jax.data.storage.manifest import read_dataset, write_dataset
from surgvista_jax.data.storage.open import FrameFolder, open_frames
from surgvista_jax.data.storage.packing import Unreadable, pack, plan_shards
from surgvista_jax.data.storage.records import RecordFrames, read_index, shard_faults
from surgvista_jax.errors import UserError
from surgvista_jax.writing import CannotWrite
from tests.support.killed_writer import leave_half_written
from tests.support.masked_batches import NUM_CLIPS, assert_same, batches, make_dataset
from tests.test_locking import holding

ALL = np.arange(13)


@pytest.fixture
def folder(tmp_path):
    """A dataset folder: videos of 9, 1 and 13 frames; shards of 10 take the first two."""
    dataset = make_dataset(tmp_path / "data")
    write_dataset(dataclasses.replace(dataset, classes=("background",)))
    return tmp_path / "data"


def packed(folder, **options):
    return pack(read_dataset(folder), frames_per_shard=10, num_workers=1, **options)


def shards(folder):
    paths = (folder / "records").glob("*.array_record")
    return {path.name: path.read_bytes() for path in sorted(paths)}


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def test_videos_are_divided_in_their_order_and_never_cut():
    videos = tuple(Video(str(n), str(n), 1.0, n) for n in (4, 5, 2, 30, 1, 9, 1))
    counts = [[video.num_frames for video in shard] for shard in plan_shards(videos, 10)]
    assert counts == [[4, 5], [2], [30], [1, 9], [1]]


def test_records_are_the_frames_byte_for_byte(folder):
    dataset = read_dataset(folder)
    before = [open_frames(folder, video) for video in dataset.videos]
    packing = packed(folder)
    assert [shard.num_frames for shard in packing.shards] == [10, 13]
    for frames, video in zip(before, dataset.videos, strict=True):
        record_frames = open_frames(folder, video)
        assert isinstance(frames, FrameFolder) and isinstance(record_frames, RecordFrames)
        ids = list(range(video.num_frames))
        assert list(record_frames.encoded(ids)) == list(frames.encoded(ids))
        assert list(record_frames.encoded(ids[::-3])) == list(frames.encoded(ids[::-3]))


def test_batches_are_the_same_from_records_and_frames(folder):
    dataset = read_dataset(folder)
    whole = batches(dataset, steps=5, batch_size=8)
    packed(folder)
    assert fingerprint(read_dataset(folder)) == fingerprint(dataset)  # a run may go on
    shutil.rmtree(folder / "frames")  # the records alone are enough
    dataset = read_dataset(folder)
    for workers in (0, 1, 2, 4):
        loader = LoaderConfig(workers=workers, threads=2, buffer=1)
        assert_same(batches(dataset, steps=5, batch_size=8, loader=loader), whole)
    for hosts in (2, 4):
        for host in range(hosts):
            rows = np.arange(8)[host::hosts]
            parts = batches(dataset, steps=5, batch_size=8, rows=rows)
            share = [{key: value[rows] for key, value in batch.items()} for batch in whole]
            assert_same(parts, share)


def test_packing_again_gives_the_same_bytes(folder):
    assert packed(folder).num_packed == 2
    first, index = shards(folder), (folder / "records/index.json").read_bytes()
    assert packed(folder).num_packed == 0
    shutil.rmtree(folder / "records")
    packed(folder)
    assert shards(folder) == first and len(first) == 2
    assert (folder / "records/index.json").read_bytes() == index


def test_an_interrupted_packing_goes_on_and_ends_the_same(folder, monkeypatch):
    packed(folder)
    first, index = shards(folder), (folder / "records/index.json").read_bytes()
    # As a kill leaves it: one shard is done, the other half written, there is no index.
    (folder / "records/index.json").unlink()
    name = "frames-00001-of-00002"
    (folder / f"records/.pack/{name}.json").unlink()
    (folder / f"records/{name}.array_record").unlink()
    leave_half_written(folder / f"records/{name}.array_record")
    (folder / f"records/.{name}.array_record.7.partial").write_bytes(b"of an earlier version")
    assert isinstance(open_frames(folder, read_dataset(folder).videos[2]), FrameFolder)
    assert packed(folder).num_packed == 1
    assert shards(folder) == first
    assert (folder / "records/index.json").read_bytes() == index
    assert sorted(path.name for path in (folder / "records").iterdir()) == [
        ".pack",
        "frames-00000-of-00002.array_record",
        "frames-00001-of-00002.array_record",
        "index.json",
    ]


@pytest.mark.parametrize("name", ["frames-00001-of-00002.json", "written.jsonl"])
@pytest.mark.parametrize("how", ["their file", "a link"])
def test_what_somebody_keeps_where_packing_notes_something_stays(how, name, folder, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.write_text("mine\n")
    place = folder / "records" / ".pack" / name
    place.parent.mkdir(parents=True)
    if how == "a link":
        place.symlink_to(theirs)
    else:
        theirs.rename(place)
    with pytest.raises(UserError, match=name):
        packed(folder)
    assert place.read_text() == "mine\n" and os.listdir(folder / "records") == [".pack"]
    assert os.listdir(place.parent) == [name]


def test_the_states_of_an_earlier_version_are_those_that_say_what_a_shard_is(folder):
    packed(folder)
    whole, record = shards(folder), folder / "records/.pack/written.jsonl"
    lines = [line for line in record.read_text().splitlines() if ".pack/" not in line]
    record.write_text("\n".join(lines) + "\n")
    (folder / "records/frames-00001-of-00002.array_record").unlink()
    assert packed(folder).num_packed == 1
    assert shards(folder) == whole


def test_a_full_disk_is_one_line_and_keeps_finished_shards(folder):
    packed(folder)
    whole, name = shards(folder), "frames-00001-of-00002.array_record"
    (folder / "records" / name).unlink()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(UserError) as caught:
            packed(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    said = str(caught.value)
    assert said.startswith(f"{folder / 'records' / name}: cannot be written (")
    assert "File too large); finished shards are kept: solve that" in said and "\n" not in said
    assert len(list((folder / "records").iterdir())) == 2  # the other shard, and its state
    assert packed(folder).num_packed == 1 and shards(folder) == whole


@pytest.mark.parametrize("fault", [OSError(5, "Input/output error"), RuntimeError("a loop")])
def test_a_source_that_cannot_be_read_is_named(folder, monkeypatch, fault):
    def failing(self, frame_ids):
        yield b"a frame"
        raise fault

    monkeypatch.setattr(FrameFolder, "encoded", failing)
    # In this process: a worker would not have the fault.
    monkeypatch.setattr(
        "surgvista_jax.data.workers.run_each",
        lambda run, jobs, *_: [(0, run(jobs[0], lambda count: None))],
    )
    with pytest.raises(UserError) as caught:
        packed(folder)
    said = f"{folder / 'frames/video 0'}: cannot be read ({fault.args[-1]})"
    assert str(caught.value).startswith(f"{said}; finished shards are kept")


def test_a_disk_full_at_the_index_is_one_line(folder, monkeypatch):
    def full(*unused):
        raise CannotWrite(folder / "records/index.json", "No space left on device")

    monkeypatch.setattr("surgvista_jax.data.storage.packing.write_index", full)
    with pytest.raises(UserError, match="index.json: cannot be written .*finished shards are kept"):
        packed(folder)


def test_two_packings_do_not_mix(folder):
    packed(folder)
    with holding(folder), pytest.raises(UserError, match="another process is at work here"):
        packed(folder)
    assert packed(folder).num_packed == 0


def test_changed_frames_are_packed_anew(folder):
    packed(folder)
    picture = cv2.imencode(".jpg", np.full((48, 64, 3), 9, np.uint8))[1].tobytes()
    (folder / "frames/video 2/000003.jpg").write_bytes(picture)
    assert packed(folder).num_packed == 1
    frames = open_frames(folder, read_dataset(folder).videos[2])
    assert list(frames.encoded([3])) == [picture]


def test_another_plan_replaces_the_shards(folder):
    packed(folder)
    assert pack(read_dataset(folder), frames_per_shard=100, num_workers=1).num_packed == 1
    assert list(shards(folder)) == ["frames-00000-of-00001.array_record"]


@pytest.mark.parametrize("known", ["by its record", "as an earlier version left it"])
def test_shards_that_no_packing_wrote_are_named_and_stay(folder, known):
    packed(folder)
    name, other = "frames-00001-of-00002.array_record", "frames-00000-of-00009.array_record"
    if known != "by its record":
        (folder / "records/.pack/written.jsonl").unlink()
    ours = (folder / "records" / name).read_bytes()
    picture = cv2.imencode(".jpg", np.full((48, 64, 3), 9, np.uint8))[1].tobytes()
    (folder / "frames/video 2/000003.jpg").write_bytes(picture)  # so that it is packed anew
    theirs = ours[:-1] + bytes([ours[-1] ^ 1])
    for path in (folder / "records" / name, folder / "records" / other):
        path.write_bytes(theirs)
    index = (folder / "records/index.json").read_bytes()
    with pytest.raises(UserError, match=f"{name}: is there already .*--overwrite"):
        packed(folder)
    assert (folder / "records" / name).read_bytes() == theirs
    assert (folder / "records/index.json").read_bytes() == index
    (folder / "records" / name).write_bytes(ours)
    assert packed(folder).num_packed == 1
    pack(read_dataset(folder), frames_per_shard=100, num_workers=1)
    assert (folder / "records" / other).read_bytes() == theirs
    assert not (folder / "records" / name).exists()

    (folder / "records/frames-00000-of-00002.array_record").write_bytes(theirs)
    assert pack(read_dataset(folder), 10, 1, overwrite=True).num_packed == 2


def test_frames_may_go_after_packing_but_not_before(folder):
    packed(folder)
    shutil.rmtree(folder / "frames")
    assert packed(folder).num_packed == 0
    (folder / "records/frames-00000-of-00002.array_record").unlink()
    with pytest.raises(UserError, match=r"video 0: missing, but needed: .*00000-of-00002"):
        packed(folder)
    assert read_index(folder)  # what there is can still be read


def test_unreadable_frames_are_named_and_stay_so(folder):
    (folder / "frames/video 0/000002.jpg").unlink()
    (folder / "frames/video 2/000004.jpg").write_bytes(b"no picture")
    (folder / "frames/video 2/000005.jpg").write_bytes(
        (folder / "frames/video 2/000006.jpg").read_bytes()[:-300]  # cut short
    )
    dataset = read_dataset(folder)
    whole = batches(dataset, steps=5, batch_size=8)
    packing = packed(folder)
    assert packing.unreadable == [
        Unreadable("video 0", 2, True),
        Unreadable("video 2", 4, False),
        Unreadable("video 2", 5, False),
    ]
    assert_same(batches(dataset, steps=5, batch_size=8), whole)
    assert any(batch["unreadable"].any() for batch in whole)


def test_frames_cut_short_before_their_end_marker_are_named(folder):
    path = folder / "frames/video 0/000001.jpg"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 4] + b"\xff\xd9")
    (entry,) = packed(folder).unreadable
    assert str(entry) == ("video 'video 0': frame 1 is cut short; what its data lack stays grey")
    assert packed(folder).unreadable == [entry]  # of a shard that was finished before


@pytest.mark.parametrize("workers", [0, 2])
def test_a_corrupt_record_costs_its_frame_alone(folder, workers):
    packed(folder)
    dataset = read_dataset(folder)
    path = folder / "records/frames-00001-of-00002.array_record"
    frames = open_frames(folder, dataset.videos[2])
    data = next(frames.encoded([6]))
    flip(path, path.read_bytes().index(data) + len(data) // 2)
    records._reader.cache_clear()
    _, unreadable = frames.read(ALL)
    assert unreadable.tolist() == [frame == 6 for frame in ALL]
    found = batches(dataset, steps=4, batch_size=8, loader=LoaderConfig(workers=workers, buffer=1))
    assert sum(batch["unreadable"].sum() for batch in found) > 0
    assert_same(batches(dataset, steps=4, batch_size=8), found)


@pytest.mark.parametrize("how", ["missing", "cut short", "empty", "no records"])
def test_a_missing_shard_is_named_and_its_videos_are_unreadable(folder, how):
    packed(folder)
    whole = batches(read_dataset(folder), steps=4, batch_size=8)
    assert shard_faults(folder) == []
    path = folder / "records/frames-00000-of-00002.array_record"
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes({"cut short": path.read_bytes()[:-9], "empty": b""}.get(how, bytes(99999)))
    records._reader.cache_clear()
    (fault,) = shard_faults(folder)
    assert path.name in fault and "10 frames of 'video 0', 'video 1'" in fault
    damaged = batches(read_dataset(folder), steps=4, batch_size=8)
    for before, after in zip(whole, damaged, strict=True):
        gone = after["index"] < 10
        np.testing.assert_array_equal(after["unreadable"], np.tile(gone[:, None], (1, 4)))
        np.testing.assert_array_equal(after["video"][~gone], before["video"][~gone])
        assert not after["video"][gone].any()


def test_records_of_another_version_of_a_video_are_refused(folder):
    packed(folder)
    with pytest.raises(UserError, match=r"index.json: has 9 frames of video 'video 0'.*pack"):
        open_frames(folder, Video("video 0", "frames/video 0", 1.0, 8))


def test_a_video_that_came_later_is_read_from_its_folder(folder):
    packed(folder)
    assert isinstance(open_frames(folder, Video("new", "frames/video 0", 1.0, 9)), FrameFolder)


def test_a_spoilt_index_is_one_line(folder):
    packed(folder)
    (folder / "records/index.json").write_text("{}")
    with pytest.raises(UserError, match="index.json: not an index"):
        read_dataset(folder)


def test_a_flipped_bit_in_the_index_is_named_or_without_effect(folder):
    packed(folder)
    index, shards_before = folder / "records/index.json", read_index(folder)
    whole = index.read_bytes()
    named = 0
    for bit in range(0, 8 * len(whole), 5):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        index.write_bytes(data)
        records._parse_index.cache_clear()
        try:
            assert read_index(folder) == shards_before
        except UserError as error:
            named += 1
            assert str(error).startswith(f"{index}: ")
    assert named > len(whole)
    # What the message advises.
    index.unlink()
    assert packed(folder).num_packed == 0 and index.read_bytes() == whole
    # Earlier versions wrote no checksum.
    index.write_bytes(whole[: whole.index(b'"crc32"')] + whole[whole.index(b'"shards"') :])
    assert read_index(folder) == shards_before


def test_command(folder, capsys):
    assert main(["data", "pack", str(folder), "--workers=1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["frames"] == NUM_CLIPS and report["shards"] == report["packed"] == 1
    assert main(["data", "pack", str(folder), "--verify"]) == 0
    path = folder / "records/frames-00000-of-00001.array_record"
    flip(path, 5000)
    assert main(["data", "pack", str(folder), "--verify"]) == 1
    assert f"{path}: not the bytes that were packed" in capsys.readouterr().out
    path.unlink()
    (folder / "frames/video 0/000002.jpg").unlink()
    assert main(["data", "pack", str(folder)]) == 1
    captured = capsys.readouterr()
    assert "video 'video 0': frame 2 is missing" in captured.err
    assert "23 frames in 1 shard" in captured.out and "1 unreadable" in captured.out
    assert main(["data", "pack", str(folder), "--workers=0"]) == 1
    assert main(["data", "pack", str(folder / "nothing")]) == 1
