"""The choices for own data make sense, can be run, and give way to what is told."""

import dataclasses
import json

import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.config import build, load_config
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.storage.manifest import write_dataset
from surgvista_jax.inference.seen import Seen
from surgvista_jax.tasks import programs
from surgvista_jax.tasks.choosing.choice import Choosing
from surgvista_jax.tasks.choosing.facts import DataFacts, DeviceFacts, facts_of_data
from surgvista_jax.tasks.choosing.fitting import Fitting
from surgvista_jax.tasks.choosing.rules import thinning
from surgvista_jax.tasks.finetuning import own as finetuning
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.finetuning.probe import sweep_settings
from surgvista_jax.tasks.pretraining import own as pretraining
from surgvista_jax.tasks.pretraining.config import PretrainConfig

LAPTOP = DeviceFacts("cpu", 1, 8e9, 1)
GPU_24, GPU_80, GPUS = (
    DeviceFacts("gpu", 1, 18e9, 16),
    DeviceFacts("gpu", 1, 60e9, 16),
    DeviceFacts("gpu", 8, 60e9, 128),
)
DEVICES = {"laptop": LAPTOP, "24 GB": GPU_24, "80 GB": GPU_80, "8 GPUs": GPUS}
PHASES = tuple(f"phase {number}" for number in range(7))

ONE_VIDEO = DataFacts(
    "phase", "single", 1.0, (300,), (100, 100, 100), (100, 200) + (0,) * 5, patients=1
)
THREE_CLIPS = DataFacts("action", "single", 1.0, (5, 5, 5), (5, 5, 5), (5, 10), True, 3)
HOURS = DataFacts(
    "phase", "single", 1.0, (10_800,) * 40, (600,) * 280, (60_000,) * 6 + (500,), patients=40
)
ACTIONS = DataFacts("action", "single", 25.0, (60,) * 400, (60,) * 400, (6000,) * 4, True, 400)
TRIPLETS = DataFacts("triplet", "multi", 1.0, (2000,) * 45, (4,) * 9000, (500,) * 100, patients=45)
SKILL = DataFacts("cvs", "multi", 1.0, (600,) * 50, (90,) * 300, (400, 900, 300), patients=50)
DATA = {
    "one video": ONE_VIDEO,
    "three clips": THREE_CLIPS,
    "hours": HOURS,
    "actions": ACTIONS,
    "triplets": TRIPLETS,
    "skill": SKILL,
}


def fit_of(devices):
    """Memory as of a model that needs 2 GB, and 0.4 GB a clip; 1,000 GFLOP a clip."""

    def fit(config):
        small = config.clip.size < 224
        clips = None if devices.platform == "cpu" else int((0.75 * devices.memory - 2e9) // 0.4e9)
        return Fitting(clips, 0.5 if small else 1000.0)

    return fit


def chosen(task, data, devices, told=(), seen=None, selection=None):
    program, cls = (
        (pretraining, PretrainConfig) if task == "pretrain" else (finetuning, FinetuneConfig)
    )
    words = [f"--config.{word}" for word in told]
    config = load_config(f"configs/{task}/own.py", cls, words)
    choosing = Choosing(config, {word.partition("=")[0] for word in told})
    fit = fit_of(devices)
    if task == "pretrain":
        program.choose(choosing, data, devices, fit)
    else:
        program.choose_parts(choosing, data)
        classes = tuple(f"class {number}" for number in range(len(data.counts)))
        program.choose(choosing, data, devices, fit, classes, seen, selection)
    return build(cls, choosing.config), choosing


@pytest.mark.parametrize("devices", DEVICES.values(), ids=DEVICES)
@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
@pytest.mark.parametrize("task", ["pretrain", "finetune"])
def test_what_is_chosen_is_a_configuration_that_fits_data_and_devices(task, data, devices):
    config, choosing = chosen(task, data, devices)
    assert not config.choose
    clip, budget = config.clip, config.budget
    assert clip.num_frames % 2 == 0  # tokens span two frames
    if clip.sampling == "past":
        assert (clip.num_frames - 1) * clip.stride < max(data.lengths)
    assert budget.batch_size % (budget.accumulate * devices.count) == 0
    fits = fit_of(devices)(choosing.config).clips
    assert fits is None or budget.batch_size // budget.accumulate // devices.count <= fits
    assert budget.steps >= 10 and budget.epochs is None
    for line in choosing.lines:
        assert ": " in line and "\n" not in line and len(line) < 200, line


@pytest.mark.parametrize("task", ["pretrain", "finetune"])
def test_what_is_told_stays_and_is_not_argued_with(task):
    told = ["clip.stride=7", "budget.batch_size=24", "budget.epochs=3", "model.tubelet=2"]
    told = told if task == "pretrain" else told[:3]
    config, choosing = chosen(task, HOURS, GPU_24, told)
    assert config.clip.stride == 7
    assert config.budget.batch_size == 24
    assert (config.budget.epochs, config.budget.steps) == (3, None)
    assert any("clip.stride" in line and line.endswith(": as you say") for line in choosing.lines)
    assert 24 % config.budget.accumulate == 0
    config, _ = chosen(task, HOURS, LAPTOP, ["budget.steps=12"])
    assert (config.budget.epochs, config.budget.steps) == (None, 12)


@pytest.mark.parametrize("task", ["pretrain", "finetune"])
def test_what_is_told_is_what_runs(task, tmp_path, capsys):
    (tmp_path / "none").mkdir()
    videos = tuple(Video(f"v{k}", "none", 1.0, 100, (0, 1) * 50) for k in range(10))
    write_dataset(
        Dataset(tmp_path, "d", "phase", ("x", "y"), "single", 1.0, {}, "", "", "", "", videos)
    )
    words = ["data.folder=" + str(tmp_path), "budget.steps=12", "budget.batch_size=24"]
    words = [f"--config.{word}" for word in words]
    assert main([task, f"--config=configs/{task}/own.py", *words, "--print-config"]) == 0
    budget = json.loads(capsys.readouterr().out)["budget"]
    assert (budget["steps"], budget["epochs"], budget["batch_size"]) == (12, None, 24)
    assert 24 % budget["accumulate"] == 0


def test_clips_span_no_more_than_labels_last_and_than_a_part_of_a_video():
    long, _ = chosen("finetune", HOURS, GPU_80)
    assert (long.clip.num_frames, long.clip.stride) == (16, 4)  # 64 s, as published
    short, _ = chosen("finetune", dataclasses.replace(HOURS, runs=(16,) * 280), GPU_80)
    assert (short.clip.num_frames, short.clip.stride) == (16, 1)
    fast, _ = chosen("finetune", dataclasses.replace(HOURS, fps=25.0), GPU_80)
    assert fast.clip.stride * 16 / 25 <= 600 / 25
    whole, _ = chosen("finetune", ACTIONS, GPU_80)
    assert whole.clip.sampling == "uniform"
    tiny, _ = chosen("finetune", THREE_CLIPS, LAPTOP)
    assert (tiny.clip.sampling, tiny.clip.num_frames) == ("uniform", 4)


def test_the_size_of_the_student_follows_device_and_data():
    width = {
        name: chosen("pretrain", HOURS, d)[0].model.encoder.width for name, d in DEVICES.items()
    }
    assert width == {"laptop": 96, "24 GB": 768, "80 GB": 768, "8 GPUs": 768}
    assert chosen("pretrain", SKILL, GPU_80)[0].model.encoder.width == 384
    tight = dataclasses.replace(GPU_24, memory=6e9)
    config, _ = chosen("pretrain", HOURS, tight)
    assert config.model.encoder.width == 384 and config.compute.remat == "full"


@pytest.mark.parametrize(
    ("data", "score", "protocol"),
    [
        (HOURS, "accuracy", "phase-strict"),
        (ACTIONS, "mean_ap", "clips-single"),
        (TRIPLETS, "mean_ap", "tool-presence"),
        (dataclasses.replace(SKILL, task="tool"), "mean_ap", "tool-presence"),
    ],
)
def test_score_and_protocol_fit_the_labels(data, score, protocol):
    config, _ = chosen("finetune", data, GPU_80)
    assert (config.evaluation.score, config.evaluation.protocol) == (score, protocol)


@pytest.mark.parametrize("devices", [LAPTOP, GPU_80], ids=["laptop", "80 GB"])
def test_evaluation_of_very_many_frames_takes_no_longer_than_training(devices):
    """An evaluated clip takes a third of the time; once at least, and often where there is time."""
    videos = dataclasses.replace(HOURS, lengths=(875,) * 4000, runs=(100,) * 35_000)
    for selection, least in ((ONE_VIDEO, 14), (HOURS, 1), (videos, 1)):
        config, choosing = chosen("finetune", videos, devices, selection=selection)
        budget, clips = config.budget, sum(selection.runs)
        an_epoch = budget.steps_per_epoch(sum(videos.runs))
        times = budget.steps / (config.evaluation.every_epochs * an_epoch)
        assert least - 0.01 < times < 15.01
        assert times < 1.01 or times * clips <= 1.01 * 3 * budget.steps * budget.batch_size
    (line,) = (line for line in choosing.lines if line.startswith("evaluation.every_epochs"))
    assert "3,500,000 clips are evaluated " in line


@pytest.mark.parametrize(("steps", "times"), [(1, 1), (8, 1), (39, 1), (60, 3), (900, 15)])
def test_a_short_trial_is_not_evaluated_after_every_few_updates(steps, times):
    config, _ = chosen("finetune", HOURS, GPU_80, [f"budget.steps={steps}"], selection=ONE_VIDEO)
    an_epoch = config.budget.steps_per_epoch(sum(HOURS.runs))
    every = max(1, round(config.evaluation.every_epochs * an_epoch))
    assert steps // every == times and (times == 1 or every >= 20)


def test_frames_that_clips_skip_are_advised_against():
    fast = dataclasses.replace(HOURS, fps=25.0, lengths=(270_000,) * 40)
    assert "--fps 1`" in thinning(fast, 100) and "10,800,000 frames" in thinning(fast, 100)
    assert not thinning(fast, 4) and not thinning(HOURS, 100)


def test_a_processor_tells_how_long_the_features_of_a_probe_take():
    _, choosing = chosen("finetune", HOURS, LAPTOP, ["init=WEIGHTS"])
    clips = sum(HOURS.runs)
    days = 1000 / 3 * clips / 10 / 86_400  # 1,000 GFLOP a clip, a third of it forward, 10 a second
    (line,) = (line for line in choosing.lines if line.startswith("mode = "))
    assert line.endswith(f"its features take about {days:.3g} days")


def test_rare_classes_count_more_and_several_labels_are_not_mixed():
    assert chosen("finetune", HOURS, GPU_80)[0].class_weights == "balanced"
    assert chosen("finetune", ACTIONS, GPU_80)[0].class_weights == "none"
    triplets, _ = chosen("finetune", TRIPLETS, GPU_80)
    assert triplets.class_weights == "none"
    assert not (triplets.mix.mixup or triplets.mix.cutmix or triplets.mix.smoothing)


@pytest.mark.parametrize(
    ("splits", "patients", "select_on", "test", "train"),
    [
        ({}, 40, "val", "test", "train"),
        ({}, 2, "val", "", "train"),
        ({}, 1, "last", "", "train"),
        ({"train": 1}, 1, "last", "", "train"),
        ({"train": 30, "test": 10}, 40, "val", "test", "train"),
        ({"train": 1, "test": 1}, 2, "last", "test", "train"),
        ({"train": 30, "val": 10}, 40, "val", "", "train"),
        ({"rdv/train": 30, "rdv/val": 5, "rdv/test": 5}, 40, "val", "rdv/test", "rdv/train"),
    ],
)
def test_parts_are_made_of_what_there_is(splits, patients, select_on, test, train):
    data = dataclasses.replace(HOURS, splits=splits, patients=patients)
    config, _ = chosen("finetune", data, GPU_80)
    assert (config.select_on, config.data.test, config.data.train) == (select_on, test, train)


def test_weights_bring_their_clip_and_a_processor_probes_large_ones():
    seen = Seen(ClipConfig(num_frames=8, stride=2, size=112), 2.0)
    config, choosing = chosen("finetune", HOURS, LAPTOP, ["init=WEIGHTS"], seen)
    assert (config.clip.num_frames, config.clip.stride, config.clip.size) == (8, 1, 112)
    assert any(line.startswith("clip.stride = 1: the weights saw") for line in choosing.lines)
    assert config.init == "WEIGHTS" and config.model is None
    big, _ = chosen("finetune", HOURS, LAPTOP, ["init=WEIGHTS"])
    assert big.mode == "linear"
    assert chosen("finetune", HOURS, GPU_80, ["init=WEIGHTS"])[0].mode == "full"
    few, _ = chosen("finetune", ONE_VIDEO, GPU_80, ["init=WEIGHTS"])
    assert few.mode == "linear" and few.select_on == "last"
    assert len(sweep_settings(few.probe)) == 1  # no videos are left to choose among several by
    tight = dataclasses.replace(GPU_24, memory=4e9)
    assert chosen("finetune", HOURS, tight, ["init=WEIGHTS"])[0].mode == "lora"


def test_facts_are_those_of_the_training_videos(tmp_path):
    videos = (
        Video("a", "a", 1.0, 4, (0, 0, 1, -1), "P"),
        Video("b", "b", 1.0, 3, (1, 1, 1), "p"),
        Video("c", "c", 1.0, 2, (0, 0), None),
    )
    dataset = Dataset(
        tmp_path, "d", "phase", ("x", "y"), "single", 1.0,
        {"train": ("a", "b"), "test": ("c",)}, "", "", "", "", videos,
    )  # fmt: skip
    facts = facts_of_data(dataset)
    assert facts.lengths == (4, 3) and facts.runs == (2, 1, 3) and facts.counts == (2, 4)
    assert not facts.whole and facts.patients == 2 and facts.splits == {"train": 1, "test": 1}


def test_steps_are_counted_on_the_videos_that_are_trained_on(tmp_path, capsys):
    """Without splits, two fifths of the videos select and test."""
    (tmp_path / "none").mkdir()
    videos = tuple(Video(f"v{k}", "none", 1.0, 100, (0, 1) * 50) for k in range(10))
    write_dataset(
        Dataset(tmp_path, "d", "phase", ("x", "y"), "single", 1.0, {}, "", "", "", "", videos)
    )
    words = ["--config=configs/finetune/own.py", f"--config.data.folder={tmp_path}"]
    assert main(["finetune", *words, "--print-config"]) == 0
    assert "50 epochs of 18 updates" in capsys.readouterr().err  # of 32 of 600 clips


def test_memory_is_estimated_of_the_model_by_its_shapes():
    words = ["width=32", "depth=1", "heads=2"]
    told = [f"model.{part}.{word}" for part in ("encoder", "pixel_decoder") for word in words]
    config, _ = chosen("pretrain", SKILL, GPU_24, told)
    assert (config.model.encoder.width, config.model.encoder.depth) == (32, 1)
    values = load_config("configs/pretrain/own.py", PretrainConfig, [f"--config.{w}" for w in told])
    assert 20 < pretraining._fit_of(GPU_24)(values).clips < 20_000
    assert pretraining._fit_of(LAPTOP)(values).clips is None


def test_a_run_that_goes_on_keeps_what_it_began_with(tmp_path):
    """Also on another device; what is told stays, for the run's folder to judge."""
    config, choosing = chosen("finetune", HOURS, GPU_24)
    values = choosing.config.to_dict()
    (tmp_path / "config.json").write_text(json.dumps({"kind": "finetuning", **values}))
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    again = load_config("configs/finetune/own.py", FinetuneConfig)
    assert programs.resolved(again, (), tmp_path).to_dict() == values
    told = load_config("configs/finetune/own.py", FinetuneConfig, ["--config.clip.stride=9"])
    resolved = programs.resolved(told, {"clip.stride"}, tmp_path).to_dict()
    assert resolved["clip"] == {**values["clip"], "stride": 9}
    assert build(FinetuneConfig, resolved).budget == config.budget


@pytest.mark.parametrize("words", [("bench", "pretrain"), ("bench", "finetune")])
def test_programs_without_data_say_how_to_write_the_choices_down(words, capsys):
    task = words[1]
    assert main([*words, f"--config=configs/{task}/own.py"]) == 1
    assert "--print-config" in capsys.readouterr().err
