"""What does a finetuning run leave in each mode, and what does it say of mistakes?"""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.linen import unbox

from surgvista_jax import __main__
from surgvista_jax.errors import UserError
from surgvista_jax.metrics.average_precision import average_precisions
from surgvista_jax.models.backbones import BackboneConfig, make_backbone
from surgvista_jax.models.layers import ComputeConfig, TransformerConfig
from surgvista_jax.models.video_vit import EncoderConfig
from surgvista_jax.tasks import programs
from surgvista_jax.training.checkpoint import restore_params
from surgvista_jax.weights.folder import Content, write
from surgvista_jax.weights.runs import find_run
from tests.support import tiny_run
from tests.support.finetune_run import (
    COLOURS,
    make_config,
    make_dataset,
    meta,
    predictions,
    result,
    run,
)
from tests.support.one_device import on_one_device


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finetune")
    return make_config(folder / "config.py", make_dataset(folder / "data"))


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A configuration of data with several labels a clip."""
    folder = tmp_path_factory.mktemp("several")
    return make_config(folder / "config.py", make_dataset(folder / "data", "multi"))


@on_one_device()
def test_three_seeds_of_a_probe_selected_on_test(config, tmp_path, capsys):
    words = ["mode=linear", "seed=0", "seeds=3", "select_on=test"]
    assert run(config, tmp_path, *words, program=programs.run)
    values = [result(tmp_path / f"seed{number}")["test"] for number in range(3)]
    assert min(values) > 0.9 and len(list(tmp_path.glob("seed*"))) == 3
    summary = result(tmp_path)
    assert summary["test"]["values"] == values and summary["selected_on"] == "test"
    np.testing.assert_allclose(summary["test"]["mean"], np.mean(values))
    np.testing.assert_allclose(summary["test"]["std"], np.std(values, ddof=1))
    said = capsys.readouterr().out
    assert f"test accuracy {np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}" in said

    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert len(report["system"]["runs"]) == 3
    pooled = next(score for score in report["scores"] if score["key"] == "accuracy")
    assert pooled["seeds"]["number"] == 3
    for folder in (tmp_path, tmp_path / "seed2"):
        assert "SELECTED ON TEST" in (folder / "report" / "report.md").read_text()
    assert meta(tmp_path / "seed2")["selected_on"] == "test"
    assert [meta(tmp_path / f"seed{number}")["seed"] for number in range(3)] == [0, 1, 2]


def test_adapters_and_a_running_mean_on_several_labels(several, tmp_path):
    words = ["mode=lora", "ema=0.5", "class_weights=balanced", "mix.mixup=0.0", "mix.cutmix=0.0"]
    words += ["evaluation.score=mean_ap", "evaluation.protocol=tool-presence"]
    words += ["optim.learning_rate=1e-1"]
    assert run(several, tmp_path, *words)
    found = predictions(tmp_path)
    assert found["score"].shape == found["label"].shape == (18, 4)
    assert not np.allclose(found["score"].sum(1), 1)
    np.testing.assert_allclose(
        result(tmp_path)["test"],
        average_precisions(found["label"], found["score"]).mean(),
        rtol=1e-6,
    )
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    score = next(score for score in report["scores"] if score["key"] == "mean_ap")
    np.testing.assert_allclose(score["value"], result(tmp_path)["test"], rtol=1e-6)
    assert "SELECTED ON TEST" not in (tmp_path / "report" / "report.md").read_text()

    # What is trained is saved with its moments, and what is evaluated is its running mean, whole.
    trained = restore_params(tmp_path, result(tmp_path)["step"])
    assert set(trained) == {"adapters", "norm", "head"}
    best = restore_params(tmp_path / "best", result(tmp_path)["step"])
    assert set(best) == {"backbone", "norm", "head"}
    assert (best["head"]["kernel"] != trained["head"]["kernel"]).any()


@on_one_device()
def test_an_attentive_probe_of_balanced_clips_without_a_validation_split(config, tmp_path, capsys):
    words = ["mode=attentive", "data.balanced=true", "data.val=", "evaluation.protocol="]
    assert run(config, tmp_path, *words)
    said = capsys.readouterr().err
    assert "train on 4 videos, select on 1 (held-out train), test on 2" in said
    assert "on 9 clips, held-out train" in said  # of the one video, and of no test video
    assert not (tmp_path / "report").exists()
    assert result(tmp_path)["clips"] == 18 and meta(tmp_path)["mode"] == "attentive"
    assert meta(tmp_path)["classes"] == list(COLOURS) and meta(tmp_path)["split"] == "test"
    assert "backbone" not in restore_params(tmp_path)


@on_one_device()
def test_without_a_test_split_the_selection_is_all_there_is(config, tmp_path):
    words = ["mode=linear", "data.test=", "evaluation.score=mean_ap"]
    assert run(config, tmp_path, *words)
    assert "test" not in result(tmp_path) and result(tmp_path)["selection"] > 0.5
    assert not (tmp_path / "predictions.npz").exists()


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["data.folder=nowhere"], "nowhere: no such folder"),
        (["data.folder="], "config.data.folder is empty"),
        (["init=nowhere.pth"], "nowhere.pth"),
        (
            ["data.train=fold1/train"],
            "no split 'fold1/train'; did you mean 'train'?; it has: train, val, test",
        ),
        (["data.test=train"], "'train' and 'train' share 5 videos"),
        (["select_on=test", "data.test="], "config.data.test must name the split"),
        (["evaluation.score=f1"], "config.evaluation.score='f1': should be one of accuracy"),
        (["evaluation.protocol=mine"], "config.evaluation.protocol='mine': should be one of"),
        (["evaluation.protocol=prostatd"], "prostatd scores several classes a frame"),
        (["evaluation.protocol=cholec80-strict"], "the dataset has 3 classes (red, green, blue)"),
        (["mode=attentive", "head.heads=5"], "config.head.heads=5: should divide"),
        (["budget.batch_size=12"], "config.budget.batch_size=12 cannot be shared"),
        (["evaluation.batch_size=12"], "config.evaluation.batch_size=12 cannot be shared"),
        (["budget.batch_size=8", "budget.accumulate=8"], "config.budget.batch_size=8: mixup and"),
        (["clip.num_frames=0"], "config.clip.num_frames=0: should be a whole number"),
        (
            ["class_weights=inverse"],
            "config.class_weights='inverse': should be one of none, balanced",
        ),
    ],
)
def test_a_mistake_is_one_line(config, tmp_path, capsys, overrides, said):
    assert_one_line(config, tmp_path / "run", overrides, said, capsys)
    assert not (tmp_path / "run").exists()


def assert_one_line(config, workdir, overrides, said, capsys):
    words = [f"--config={config}", f"--workdir={workdir}"]
    assert __main__.main(["finetune", *words, *(f"--config.{word}" for word in overrides)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match("surgvista: ", line) and said in line


def test_data_without_labels_is_one_line(config, tmp_path, capsys):
    folder = tiny_run.make_dataset(tmp_path / "noise")
    overrides = [f"data.folder={folder}", "data.val=", "data.test="]
    assert_one_line(config, tmp_path / "run", overrides, "choose a split of labelled", capsys)


def test_test_videos_without_labels_are_found_before_training(config, tmp_path, capsys):
    folder = make_dataset(tmp_path / "data")
    lines = (folder / "videos.jsonl").read_text().splitlines()
    last = json.loads(lines[-1]) | {"labels": None}
    (folder / "videos.jsonl").write_text("\n".join([*lines[:-1], json.dumps(last)]) + "\n")
    overrides = [f"data.folder={folder}"]
    assert_one_line(config, tmp_path / "run", overrides, "video 'video8' has no labels", capsys)
    assert not (tmp_path / "run").exists()


@on_one_device()
def test_the_last_parameters_where_nothing_is_to_choose(config, tmp_path, capsys):
    """All training videos train; a sweep, of which one would have to be chosen, is refused."""
    words = ["mode=linear", "select_on=last", "evaluation.protocol="]
    with pytest.raises(UserError, match="a sweep needs videos to choose on"):
        run(config, tmp_path / "sweep", *words)
    words += ["data.val=", "probe.learning_rates=1e-2", "probe.weight_decays=0"]
    assert run(config, tmp_path / "run", *words)
    assert "train on 5 videos" in capsys.readouterr().err
    assert result(tmp_path / "run")["step"] == 20  # epochs of the probe
    assert result(tmp_path / "run").get("selection") is None
    assert meta(tmp_path / "run")["selected_on"] == "last"


@pytest.fixture(scope="module")
def inflated(tmp_path_factory):
    """An image model, and a step that leaves it as it is; some frames are unreadable."""
    folder = tmp_path_factory.mktemp("inflated")
    data = make_dataset(folder / "data")
    for frame in range(4):
        for path in data.glob(f"frames/video?/{frame:06d}.jpg"):
            path.write_bytes(b"no picture")
    encoder = EncoderConfig(
        TransformerConfig(16, 1, 2), tubelet=1, positions="learned", class_token=True
    )
    backbone = make_backbone(BackboneConfig("vit", encoder), ComputeConfig("float32"), (1, 2, 2))
    image = unbox(backbone.init(jax.random.key(0), jnp.zeros((1, 1, 32, 32, 3)), False))["params"]
    image = jax.tree.map(np.asarray, image)
    write(folder / "image", Content("encoder", encoder, image))
    words = [f"init={folder / 'image'}", "model=none", "adapt.patches=average"]
    words += ["adapt.positions=separable", "budget.steps=1", "evaluation.protocol="]
    words += ["optim.learning_rate=0.0", "optim.final_learning_rate=0.0"]
    with on_one_device():
        assert run(make_config(folder / "config.py", data), folder / "run", *words)
    return image, folder / "run"


def test_an_image_model_becomes_one_of_tubelets(inflated):
    """By configuration: its patches are spread over two frames, its positions are sines."""
    image, workdir = inflated
    found = restore_params(workdir / "best")["backbone"]
    kernel = image["patch_embedding"]["kernel"]
    np.testing.assert_array_equal(
        found["patch_embedding"]["kernel"], np.concatenate([kernel / 2, kernel / 2])
    )
    assert found.keys() == image.keys() - {"positions", "class_token", "norm"}
    model = find_run(workdir).about["model"]["encoder"]
    assert (model["tubelet"], model["positions"]) == (2, "separable")


def test_frames_that_cannot_be_read_are_named_by_video_and_frame(inflated):
    lines = (inflated[1] / "unreadable_frames.jsonl").read_text().splitlines()
    assert lines
    for line in lines:
        assert re.fullmatch("video[0-4], frame [0-3]", json.loads(line)["frame"])


def test_one_seed_and_several_do_not_share_a_folder(config, tmp_path):
    single, several = tmp_path / "single", tmp_path / "several"
    single.mkdir()
    (single / "config.json").write_text("{}")
    with pytest.raises(UserError, match="single: holds a run of one seed; take another --workdir"):
        run(config, single, "mode=linear", "seeds=2", program=programs.run)
    (several / "seed0").mkdir(parents=True)
    (several / "seed0" / "config.json").write_text("{}")
    with pytest.raises(UserError, match="several: holds runs of several seeds"):
        run(config, several, "mode=linear", program=programs.run)


def test_a_dataset_folder_is_no_run_folder(config):
    with pytest.raises(UserError, match="is a dataset folder; take another --workdir"):
        run(config, config.parent / "data", "mode=linear")
