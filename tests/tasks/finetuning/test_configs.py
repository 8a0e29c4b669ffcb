"""Do the shipped configurations say what was published, and does each run on a set of its kind?"""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.config import build, load_config
from surgvista_jax.data.batches.randaugment import RandAugmentConfig
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.datasets import registry
from surgvista_jax.data.storage.manifest import write_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.metrics.named_protocols import PROTOCOLS
from surgvista_jax.predictions.npz import write_npz
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.finetuning.train import finetune
from tests.support.one_device import all_on_one_device  # noqa: F401
from tests.support.places import ROOT

CONFIGS = ROOT / "configs"
OTHERS = {"recipe", "small", "frames", "mstcn", "synthetic", "own", "demo"}  # of configs/finetune

# What was published of each: clip and, for image models, frames x stride (of Endoscapes' rated
# frames 4, which are 20 of its frames), learning rate, epochs, warm-up, clips an update. Nothing is
# of instruments: they are held to what is of triplets.
PHASES = (16, 4, 8, 8, 5e-4, 50, 5, 64)
CLIPS = (16, None, 8, None, 5e-4, 500, 50, 64)
TRIPLETS = (16, 4, 8, 8, 5e-4, 20, 5, 64)
PUBLISHED = {
    "autolaparo": PHASES,
    "cataract101": PHASES,
    "cataract21": PHASES,
    "cataracts": PHASES,
    "cholec80": PHASES,
    "cholec80_cvs": CLIPS,
    "cholec80_tool": TRIPLETS,
    "cholect50": TRIPLETS,
    "cholect50_tool": TRIPLETS,
    "endoscapes": (8, 20, 8, 20, 5e-5, 20, 2, 32),
    "esd57": PHASES,
    "m2cai16": (16, 4, 8, 8, 1e-4, 50, 5, 64),
    "m2cai16_tool": TRIPLETS,
    "pmlr50": (16, 4, 8, 4, 5e-4, 50, 5, 64),
    "prostatd": TRIPLETS,
    "surgicalactions160": CLIPS,
}
# A configuration with its argument -> the dataset that it is for.
DATASETS = {
    **{f"{name}:": name for name in PUBLISHED},
    "cholec80:usual": "cholec80",
    "cholec80:authors": "cholec80",
    "cholec80_cvs:": "cholec80-cvs",
    "cholect50:challenge": "cholect50",
    "cholect50:rdv": "cholect50",
    "cholect50_tool:challenge": "cholect50_tool",
    "cholect50_tool:rdv": "cholect50_tool",
    "endoscapes:": "endoscapes-count",
    "endoscapes:count": "endoscapes-count",
    "endoscapes:criteria": "endoscapes",
}


def load(kind: str, spec: str, *words: str):
    name, _, argument = spec.partition(":")
    file = f"{CONFIGS / kind / name}.py" + (f":{argument}" if argument else "")
    return load_config(file, FinetuneConfig, [f"--config.{word}" for word in words])


def test_the_small_model_is_the_recipe_on_a_small_student():
    small, recipe = (
        build(FinetuneConfig, load("finetune", name, "init=random"))
        for name in ("small:", "recipe:")
    )
    transformer = small.model.encoder.transformer
    assert (transformer.width, transformer.depth, transformer.heads) == (384, 12, 6)
    assert (small.clip, small.optim, small.mix) == (recipe.clip, recipe.optim, recipe.mix)


@pytest.mark.parametrize("key", ["clip", "image_clip"])
def test_clips_slide_in_pretraining_alone(key):
    values = load("finetune", "recipe:phases", f"{key}.slide=8", "init=random")
    with pytest.raises(UserError, match=f"config.{key}.slide=8: slides in pretraining alone"):
        build(FinetuneConfig, values)


def test_there_are_sixteen_of_each():
    found = {
        kind: {path.stem for path in (CONFIGS / kind).glob("*.py")}
        for kind in ("finetune", "probe")
    }
    assert found == {"finetune": PUBLISHED.keys() | OTHERS, "probe": set(PUBLISHED)}
    assert len(PUBLISHED) == 16


@pytest.mark.parametrize("name", PUBLISHED)
def test_values_are_the_published_ones(name):
    for spec in (spec for spec in DATASETS if spec.startswith(f"{name}:")):
        config = build(FinetuneConfig, load("finetune", spec))
        clip, image_clip, optim = config.clip, config.image_clip, config.optim
        uniform = clip.sampling == "uniform"
        assert image_clip.sampling == clip.sampling and clip.size == image_clip.size == 224
        found = (
            *(clip.num_frames, None if uniform else clip.stride),
            *(image_clip.num_frames, None if uniform else image_clip.stride),
            *(optim.learning_rate, config.budget.epochs, optim.warmup_epochs),
            config.budget.batch_size,
        )
        assert found == PUBLISHED[name]
        rest = (optim.beta1, optim.beta2, optim.weight_decay, optim.layer_decay)
        assert rest == (0.9, 0.999, 0.05, 0.75)
        assert (optim.final_learning_rate, optim.reference_batch) == (1e-6, 64)
        assert (config.drop_path, config.head.dropout, config.head.pool) == (0.1, 0.5, "mean")
        assert config.augment.randaugment == RandAugmentConfig(4, 7.0, 0.5, 0.5)
        assert config.mix.erase == 0.25
        several = registry()[DATASETS[spec]].label_kind == "multi"
        mixing = (config.mix.mixup, config.mix.cutmix, config.mix.smoothing)
        assert mixing == ((0, 0, 0) if several else (0.8, 1.0, 0.1))
        # Not published, and held to all the same.
        assert config.select_on == ("test" if spec == "cholec80:authors" else "val")
        assert config.mode == "full" and config.init == "" and config.ema == 0


@pytest.mark.parametrize("spec", DATASETS)
def test_a_probe_is_the_finetuning_in_another_mode(spec):
    finetuning, probe = (load(kind, spec).to_dict() for kind in ("finetune", "probe"))
    assert probe == finetuning | {"mode": "linear"}


@pytest.mark.parametrize("spec", DATASETS)
def test_splits_are_those_that_the_reader_writes(spec):
    data = build(FinetuneConfig, load("finetune", spec)).data
    published = registry()[DATASETS[spec]].published or {"train": None, "test": None}
    assert {data.train, data.test} | ({data.val} - {"val"}) <= published.keys()


@pytest.mark.parametrize(
    "spec", ["cholec80:author", "cholect50:test", "cholect50_tool:test", "endoscapes:counts"]
)
def test_a_mistyped_argument_is_refused(spec):
    for kind in ("finetune", "probe"):
        with pytest.raises(UserError, match="not an argument of it"):
            load(kind, spec)


# As long as an operation must be for the protocols that ask; its last six frames are labelled.
NUM_FRAMES = 121


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Eight videos of noise; every dataset takes them for its own."""
    folder, rng = tmp_path_factory.mktemp("frames"), np.random.default_rng(0)
    for video in range(8):
        (folder / f"video{video}").mkdir()
        for frame in range(NUM_FRAMES):
            noise = rng.integers(0, 255, (48, 48, 3), np.uint8)
            path = folder / f"video{video}" / f"{frame:06d}.jpg"
            path.write_bytes(cv2.imencode(".jpg", noise)[1].tobytes())
    return folder


def make_dataset(folder: Path, frames: Path, official, uniform: bool) -> Path:
    """A dataset with an official one's classes, labels, rate and splits, and eight videos."""
    rng, classes = np.random.default_rng(1), len(official.classes)

    def label():
        if official.label_kind == "multi":
            return tuple(sorted(rng.choice(classes, 2, replace=False).tolist()))
        return int(rng.integers(classes))

    videos = []
    for number in range(8):
        labels = (-1,) * (NUM_FRAMES - 6) + tuple(label() for _ in range(6))
        if uniform:
            labels = labels[-1:] * NUM_FRAMES
        source = str(frames / f"video{number}")
        rate = official.extract.fps
        videos.append(Video(f"video{number}", source, rate, NUM_FRAMES, labels))
    ids = [video.video for video in videos]
    of = {"train": tuple(ids[:5]), "val": tuple(ids[5:6]), "test": tuple(ids[6:])}
    names = official.published or ("train", "test")
    texts = dict.fromkeys(("procedure", "licence", "citation", "source_format"), "")
    write_dataset(
        Dataset(
            folder=folder,
            name=official.name,
            task=official.task,
            classes=official.classes,
            label_kind=official.label_kind,
            fps=official.extract.fps,
            splits={name: of[name.split("/")[-1]] for name in names},
            videos=tuple(videos),
            **texts,
        )
    )
    return folder


def tiny(kind: str, spec: str, folder: Path):
    """The configuration with a model and clips as small as they get, and two steps."""
    words = ["init=random", "budget.steps=2", "budget.epochs=none", "budget.batch_size=4"]
    words += ["clip.size=32", "image_clip.size=32", "evaluation.batch_size=4", "probe.epochs=2"]
    words += [f"data.folder={folder}", "loader.threads=1"]
    config = load(kind, spec, *words)
    with config.unlocked():
        transformer = {"width": 16, "depth": 1, "heads": 2}
        config.model = {"encoder": {"transformer": transformer, "norm": False}}
        if config.clip.num_frames == 1:
            config.model.encoder.update({"tubelet": 1, "positions": "learned"})
    return config


@pytest.mark.parametrize("spec", DATASETS)
def test_its_protocol_scores_the_classes_of_the_dataset(spec, tmp_path):
    """On invented scores; the runs below show that a run ends in such a report."""
    official, rng = registry()[DATASETS[spec]], np.random.default_rng(0)
    config = build(FinetuneConfig, load("finetune", spec))
    frames, classes = 300, len(official.classes)  # operations last minutes
    label = np.arange(frames) % classes
    if official.label_kind == "multi":
        label = rng.random((frames, classes)) < 0.5
    score = rng.random((frames, classes))
    meta = {"task": official.task, "classes": list(official.classes), "fps": official.extract.fps}
    path = tmp_path / "predictions.npz"
    write_npz(
        path,
        video=np.repeat(["video1", "video2"], frames // 2),
        frame=np.tile(np.arange(frames // 2), 2),
        score=score / score.sum(1, keepdims=True),
        label=label.astype(np.int32),
        meta=meta | {"model": "", "dataset": official.name, "split": config.data.test},
    )
    protocol = config.evaluation.protocol
    words = [f"--protocol={protocol}", "--samples=10", f"--out={tmp_path / 'report'}"]
    assert main(["evaluate", str(path), *words]) == 0
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    scores = {score["key"]: score["value"] for score in report["scores"]}
    assert all(scores[key] is not None for key in PROTOCOLS[protocol].primary)


# One of each kind of labels, sampling, score and argument; the others differ in classes alone. As
# finetuning those that differ in what a step computes; a probe, which compiles less, reads, scores
# and reports the same.
RUNS = [
    ("finetune", "cholec80:"),
    ("finetune", "surgicalactions160:"),
    ("finetune", "cholec80_tool:"),
    ("finetune", "frames:"),
    ("probe", "prostatd:"),
    ("probe", "endoscapes:"),
    ("probe", "endoscapes:criteria"),
    ("probe", "cholec80:authors"),
    ("probe", "cholect50:rdv"),
]


@pytest.mark.parametrize(("kind", "spec"), RUNS)
def test_each_runs_for_two_steps(kind, spec, frames, tmp_path):
    official = registry()[DATASETS.get(spec, "cholec80")]
    uniform = load(kind, spec).clip.sampling == "uniform"
    folder = make_dataset(tmp_path / "data", frames, official, uniform)
    config = tiny(kind, spec, folder)
    assert finetune(config, tmp_path / "run")

    with np.load(tmp_path / "run" / "predictions.npz") as file:
        assert file["score"].shape == (2 if uniform else 12, len(official.classes))
        assert np.isfinite(file["score"]).all()
        meta = json.loads(str(file["meta"]))
    assert meta["task"] == official.task and meta["split"] == config.data.test
    report = json.loads((tmp_path / "run" / "report" / "report.json").read_text())
    protocol = PROTOCOLS[config.evaluation.protocol]
    assert report["protocol"]["name"] == protocol.name
    scores = {score["key"]: score["value"] for score in report["scores"]}
    assert all(scores[key] is not None for key in protocol.primary)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["selected_on"] == config.select_on
    # What decides which parameters are kept is what the report says first.
    np.testing.assert_allclose(scores[protocol.primary[0]], result["test"], rtol=1e-5)
