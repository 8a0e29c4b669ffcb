"""Does the benchmark of a dataset folder measure what it says?"""

import dataclasses
import json
import mmap

import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.commands import data_bench
from surgvista_jax.data.batches import labelled
from surgvista_jax.data.batches.crop import AugmentConfig
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.process_tree import held_mib, used_seconds
from surgvista_jax.data.storage.manifest import read_dataset, write_dataset
from tests.support import footage
from tests.support.masked_batches import LENGTHS, make_dataset

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
    assert main(["data", "bench", str(folder), *SMALL, "--workers=0", "--slide=2"]) == 0
    table = capsys.readouterr().out
    assert "clips of 4x32x32 that slide by 2, batches of 4" in table
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


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_finetuning_is_measured_on_any_dataset(folder, kind, capsys):
    """Also where videos have no labels; beside what is measured of pretraining anyway."""
    dataset = read_dataset(folder)
    first, *others = dataset.videos
    labels = tuple(() if kind == "multi" else 0 for _ in range(first.num_frames))
    videos = (
        dataclasses.replace(first, labels=labels),
        *(dataclasses.replace(video, labels=None) for video in others),
    )
    write_dataset(dataclasses.replace(dataset, label_kind=kind, videos=videos))
    options = [*SMALL, "--workers", "0", "1", "--finetune"]
    assert main(["data", "bench", str(folder), *options, "--json"]) == 0
    rates = {rate["name"]: rate for rate in json.loads(capsys.readouterr().out)["rates"]}
    kinds = [name.split(",")[0] for name in rates]
    assert kinds[3:] == [
        *("masks", "augment (finetuning)", "floor: decode"),
        *("loader", "loader", "finetuning", "finetuning"),
    ]
    one = rates["finetuning, 1 worker"]
    floor = rates["floor: decode, crop, resize"]["clips_per_second"]
    assert one["of_floor"] == pytest.approx(one["clips_per_second"] / floor)
    assert one["frames_per_second"] == pytest.approx(4 * one["clips_per_second"])
    assert rates["augment (finetuning)"]["clips_per_second"] > one["clips_per_second"] / 3


def test_finetuning_is_augmented_in_full(folder, monkeypatch):
    """What is measured are the recipe's batches: operations, crop and flip for every clip."""
    augmented, asked = [], []

    def augment_clip(rng, frames, config, out):
        augmented.append(config)
        out[:] = 0

    def finetune_batches(dataset, *arguments, **keywords):
        asked.append(dataset)
        return labelled.finetune_batches(dataset, *arguments, **keywords)

    monkeypatch.setattr(labelled, "augment_clip", augment_clip)
    monkeypatch.setattr(data_bench, "finetune_batches", finetune_batches)
    assert main(["data", "bench", str(folder), *SMALL, "--workers=0", "--finetune"]) == 0
    assert len(augmented) >= 32 and set(augmented) == {AugmentConfig()}
    assert AugmentConfig().randaugment.operations == 4
    (dataset,) = asked
    assert [len(video.labels) for video in dataset.videos] == list(LENGTHS)


def test_mistakes_are_one_line(folder, capsys):
    assert main(["data", "bench", str(folder), "--workers=-1"]) == 1
    assert main(["data", "bench", str(folder), "--split=nothing"]) == 1
    assert main(["data", "bench", str(folder / "nothing")]) == 1
    assert main(["data", "bench", str(folder), "--num-frames=0"]) == 1
    assert main(["data", "bench", str(folder), "--slide=5"]) == 1
    assert main(["data", "bench", str(folder), "--slide=2", "--finetune"]) == 1
    errors = capsys.readouterr().err.strip().split("\n")
    assert len(errors) == 6 and "no split 'nothing'" in errors[1]
    assert "surgvista: --num-frames=0: should be a whole number of at least 1" == errors[3]
    assert "--batch-size 32: should be a multiple of --slide 5" in errors[4]
    assert "--slide 2: slides in pretraining alone: leave out --finetune" in errors[5]


def test_the_process_tree_tells_memory_and_processor_time():
    before, used = held_mib(), used_seconds()
    # Of the kernel: the allocator may give what this process has held before.
    block = np.frombuffer(mmap.mmap(-1, 64 << 20), np.uint8)
    block[:] = 1
    assert held_mib() - before == pytest.approx(64, abs=16)
    while used_seconds() < used + 0.05:
        block[:100000].sum()
