"""What a finetuning run chose can start everything that takes weights."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.config import build, load_config
from surgvista_jax.models.backbones import make_backbone
from surgvista_jax.models.image_vit import ImageEncoder, TeacherConfig
from surgvista_jax.models.layers import ComputeConfig, TransformerConfig
from surgvista_jax.models.patches import normalise
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.finetuning.start import starting_point
from surgvista_jax.training.checkpoint import restore_params
from surgvista_jax.weights.for_pretraining import load_teacher
from surgvista_jax.weights.loading import load, load_backbone
from tests.support import finetune_run, pretrain_start, tiny_run
from tests.support.one_device import all_on_one_device  # noqa: F401
from tests.support.pretrain_start import assert_same

PATCH = 8  # not the default, so that it must have been read
IMAGE = (
    *("model.encoder.transformer.width=16", "model.encoder.transformer.depth=1"),
    *("model.encoder.transformer.attention_bias=qkv", "model.encoder.tubelet=1"),
    *("model.encoder.positions=learned", "model.encoder.class_token=true"),
    f"model.encoder.patch={PATCH}",
    *("model.encoder.class_position=true", "model.encoder.norm=true", "head.pool=class"),
    *("adapt.positions=learned", "budget.steps=2", "evaluation.protocol="),
)


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory):
    """An image ViT, finetuned on clips by its class token."""
    folder = tmp_path_factory.mktemp("finetuned")
    text = finetune_run.CONFIG.replace('"heads": 2}, ', '"heads": 2, "attention_bias": "qv"}, ')
    data = finetune_run.make_dataset(folder / "data")
    config = folder / "config.py"
    sizes = '"tubelet": 2, "patch": 16, "positions": "separable", "class_token": False,'
    sizes += ' "class_position": False, "norm": False'
    config.write_text(text.replace('"norm": False', sizes).replace("FOLDER", repr(str(data))))
    assert finetune_run.run(config, folder / "run", *IMAGE)
    return folder


@pytest.mark.parametrize("inside", ["", "best", "best/checkpoints"])
def test_the_best_parameters_are_a_backbone(inside, finetuned):
    run = finetuned / "run"
    chosen = restore_params(run / "best")
    model, variables, loaded = load_backbone(run / inside)
    assert loaded.kind == "classifier" and model.encoder.patch == PATCH
    assert_same(variables["params"], chosen["backbone"])
    encoder = model.encoder
    assert encoder.class_token and encoder.tubelet == 1 and encoder.positions == "learned"
    if not inside:
        backbone = make_backbone(model, ComputeConfig(), model.grid(4, 32, 32))
        backbone.apply(variables, jnp.zeros((1, 4, 32, 32, 3)), False)
        with pytest.raises(Exception, match="chose lie in .*best"):
            load(run / "checkpoints")


def test_finetuning_starts_from_it(finetuned, capsys):
    run = finetuned / "run"
    words = [*IMAGE, f"init={run}"]
    values = load_config(
        str(finetuned / "config.py"), FinetuneConfig, [f"--config.{word}" for word in words]
    )
    start = starting_point(build(FinetuneConfig, values))
    assert_same(start.variables["backbone"], restore_params(run / "best")["backbone"])
    assert f"{run}: our classifier" in capsys.readouterr().err
    assert finetune_run.run(finetuned / "config.py", finetuned / "again", *words)
    found = restore_params(finetuned / "again" / "best")["backbone"]["patch_embedding"]
    assert found["kernel"].shape == (PATCH**2 * 3, 16)
    about = finetune_run.meta(finetuned / "again")
    assert [source["what"] for source in about["sources"]] == [
        "data: colours (5 videos, 50 frames at 1 a second)",
        "init: a finetuning run, run",
        "init > data: colours (5 videos, 50 frames at 1 a second)",
    ]


def test_features_are_taken_of_it(finetuned):
    run, out = finetuned / "run", finetuned / "features"
    words = f"features --init={run} --dataset={finetuned / 'data'} --out={out} --split=test"
    assert main(f"{words} --size=32 --pool=class --batch-size=8 --dtype=float32".split()) == 0
    rows = {path.stem: np.load(path) for path in out.glob("*.npy")}
    assert len(rows) == 2 and all(array.shape == (10, 16) for array in rows.values())
    assert all(np.isfinite(array).all() and array.std(0).any() for array in rows.values())


def test_it_teaches_with_the_tokens_of_its_last_block(finetuned):
    run = finetuned / "run"
    transformer = TransformerConfig(16, 1, 2, attention_bias="qkv")
    teacher = TeacherConfig(transformer, str(run), PATCH)
    loaded = load_teacher(str(run), teacher)
    assert "its final norm is left out" in loaded.notes
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    compute = ComputeConfig(dtype="float32")
    ours = ImageEncoder(teacher, compute).apply({"params": loaded.params}, images)

    model, variables, _ = load_backbone(run)
    model = dataclasses.replace(model, encoder=dataclasses.replace(model.encoder, norm=False))
    params = {k: v for k, v in variables["params"].items() if k != "norm"}
    pixels = normalise(jnp.asarray(images)[:, None], jnp.float32)
    backbone = make_backbone(model, compute, model.grid(1, 32, 32))
    wanted = jax.jit(lambda x: backbone.apply({"params": params}, x, False))(pixels)[:, 1:]
    np.testing.assert_allclose(ours, wanted, rtol=1e-5, atol=1e-5)


def test_pretraining_starts_from_it_and_learns_from_it(finetuned, tmp_path, monkeypatch, capsys):
    run = finetuned / "run"
    config = tiny_run.make_config(tmp_path / "config.py", tiny_run.make_dataset(tmp_path / "data"))
    params, teacher = pretrain_start.begin(
        *(config, tmp_path, monkeypatch),
        *(f"init={run}", f"teacher.weights={run}"),
        *(f"teacher.patch={PATCH}", f"model.patch={PATCH}"),
        *("model.encoder.width=16", "model.encoder.depth=1"),
    )
    chosen = restore_params(run / "best")["backbone"]
    kernel = chosen["patch_embedding"]["kernel"]
    found = np.asarray(params["encoder"]["patch_embedding"]["kernel"])
    np.testing.assert_array_equal(found, np.concatenate([kernel / 2] * 2))
    assert_same(params["encoder"]["norm"], chosen["norm"])
    token = chosen["class_token"] + chosen["class_position"]
    np.testing.assert_array_equal(teacher["encoder"]["class_token"], token)
    said = capsys.readouterr().err
    for words in (
        "init: its patches of images are inflated to 2 frames",
        "init: its learned positions are replaced by fixed ones (separable)",
        "init: its class token is dropped",
        "init: its biases of the keys are dropped",
        "random: pixel_decoder, feature_decoder",
        "teacher: its final norm is left out",
    ):
        assert words in said, words
