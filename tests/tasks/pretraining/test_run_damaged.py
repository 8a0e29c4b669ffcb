"""A run goes on over damaged records, and says what it lacked."""

import json

from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.data.storage.open import open_frames
from surgvista_jax.data.storage.packing import pack
from tests.support.tiny_run import finish, lines, make_config, make_dataset, start


def test_corrupt_record_missing_shard_and_truncated_jpeg(tmp_path):
    folder = make_dataset(tmp_path / "dataset")
    truncated = folder / "frames/video1/000003.jpg"
    truncated.write_bytes(truncated.read_bytes()[:-50])
    dataset = read_dataset(folder)
    assert len(pack(dataset, frames_per_shard=10, num_workers=1).shards) == 3
    shard = folder / "records/frames-00001-of-00003.array_record"
    data = shard.read_bytes()
    (record,) = open_frames(folder, dataset.videos[1]).encoded([7])
    at = data.index(record) + len(record) // 2
    shard.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
    (folder / "records/frames-00002-of-00003.array_record").unlink()

    config = make_config(tmp_path / "config.py", folder)
    workdir = tmp_path / "run"
    words = [f"--config={config}:none", f"--workdir={workdir}", "--config.loader.workers=2"]
    said = finish(start("pretrain", *words))
    assert len(lines(workdir)) == 4
    assert "frames-00002-of-00003.array_record: missing; it holds 11 frames" in said
    assert "WARNING: unreadable frame video1, frame 3, replaced by a neighbour" in said
    assert "frames could not be read and were replaced" in said
    text = (workdir / "unreadable_frames.jsonl").read_text().splitlines()
    named = {json.loads(line)["frame"] for line in text}
    of_video1 = {name for name in named if name.startswith("video1")}
    assert of_video1 == {"video1, frame 3", "video1, frame 7"}
    assert {name.split(",")[0] for name in named} == {"video1", "video2"}
