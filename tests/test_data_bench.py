"""Does the benchmark of a dataset folder measure what it says?"""

import dataclasses
import json

import footage
import pytest
from test_pipeline import make_dataset

from surgvista_jax.__main__ import main
from surgvista_jax.data.manifest import Dataset, Video, write_dataset
from surgvista_jax.data.process_tree import held_mib, used_seconds

SMALL = ["--num-frames=4", "--stride=2", "--size=32", "--batch-size=4", "--seconds=0.2"]


@pytest.fixture
def folder(tmp_path):
    dataset = make_dataset(tmp_path / "data")
    write_dataset(dataclasses.replace(dataset, classes=("background",)))
    return tmp_path / "data"


def test_one_json_object_with_every_stage_and_loader(folder, capsys):
    assert main(["data", "bench", str(folder), *SMALL, "--workers", "0", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    rates = {rate["name"]: rate for rate in result["rates"]}
    floor = rates["floor: decode, crop, resize"]["clips_per_second"]
    assert [name.split(",")[0] for name in rates] == [
        *("read", "decode", "crop and resize", "masks"),
        *("floor: decode", "loader", "loader"),
    ]
    assert result["appetite"] == 400 and result["source"] == "FrameFolder"
    one = rates["loader, 1 worker"]
    assert one["of_floor"] == pytest.approx(one["clips_per_second"] / floor)
    assert one["frames_per_second"] == pytest.approx(4 * one["clips_per_second"])
    assert one["memory_mib"] > 50 and one["clips_per_core_second"] > 0
    # A stage alone is no slower than all of them, give or take what else the machine does.
    assert rates["masks"]["clips_per_second"] > one["clips_per_second"] / 3


def test_table_of_records_and_of_video_files(folder, tmp_path, capsys):
    assert main(["data", "pack", str(folder), "--workers=1"]) == 0
    assert main(["data", "bench", str(folder), *SMALL, "--workers=0"]) == 0
    table = capsys.readouterr().out
    assert "RecordFrames" in table and "appetite of one H200" in table and "threads" in table
    footage.write_video(tmp_path / "films/v.mp4", 50)
    empty = dict.fromkeys(("procedure", "licence", "citation", "source_format"), "")
    video = Video("v", "v.mp4", 25.0, 50)
    write_dataset(
        Dataset(
            folder=tmp_path / "films",
            name="films",
            task="none",
            classes=(),
            label_kind="single",
            fps=25.0,
            splits={"train": ("v",)},
            videos=(video,),
            **empty,
        )
    )
    command = ["data", "bench", str(tmp_path / "films"), *SMALL, "--workers=0", "--split=train"]
    assert main(command) == 0
    table = capsys.readouterr().out
    assert "VideoFile" in table and "decode" in table


def test_mistakes_are_one_line(folder, capsys):
    assert main(["data", "bench", str(folder), "--workers=-1"]) == 1
    assert main(["data", "bench", str(folder), "--split=nothing"]) == 1
    assert main(["data", "bench", str(folder / "nothing")]) == 1
    errors = capsys.readouterr().err.strip().split("\n")
    assert len(errors) == 3 and "no split 'nothing'" in errors[1]


def test_the_process_tree_tells_memory_and_processor_time():
    before, used = held_mib(), used_seconds()
    block = bytearray(b"\1") * (64 << 20)
    assert held_mib() - before == pytest.approx(64, abs=16)
    while used_seconds() < used + 0.05:
        sum(block[:100000])
