"""What a finetuning run chose can start everything that takes weights."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.config import load_config
from surgvista_jax.models.backbones import make_backbone
from surgvista_jax.models.image_vit import ImageEncoder, TeacherConfig
from surgvista_jax.models.layers import ComputeConfig, TransformerConfig
from surgvista_jax.models.patches import normalise
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.finetuning.start import starting_point
from surgvista_jax.training.checkpoint import restore_params
from surgvista_jax.weights.for_pretraining import load_teacher
from surgvista_jax.weights.loading import load, load_backbone
from tests.support import finetune_run
from tests.tasks.pretraining.test_run_init import assert_same, begin, runs  # noqa: F401  (fixtures)

PATCHES = (8, 16)
IMAGE = (
    *("model.encoder.transformer.width=16", "model.encoder.transformer.depth=1"),
    *("model.encoder.transformer.attention_bias=qkv", "model.encoder.tubelet=1"),
    *("model.encoder.positions=learned", "model.encoder.class_token=true"),
    *("model.encoder.class_position=true", "model.encoder.norm=true", "head.pool=class"),
    *("adapt.positions=learned", "budget.steps=2", "evaluation.protocol="),
)


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory):
    """Image ViTs, finetuned on clips by their class token, by the size of their patches."""
    folder = tmp_path_factory.mktemp("finetuned")
    text = finetune_run.CONFIG.replace('"heads": 2}, ', '"heads": 2, "attention_bias": "qv"}, ')
    data = finetune_run.make_dataset(folder / "data")
    config = folder / "config.py"
    sizes = '"tubelet": 2, "patch": 16, "positions": "separable", "class_token": False,'
    sizes += ' "class_position": False, "norm": False'
    config.write_text(text.replace('"norm": False', sizes).replace("FOLDER", repr(str(data))))
    for patch in PATCHES:
        words = [*IMAGE, f"model.encoder.patch={patch}"]
        assert finetune_run.run(config, folder / f"patch{patch}", *words)
    return folder


@pytest.mark.parametrize("inside", ["", "best", "best/checkpoints"])
@pytest.mark.parametrize("patch", PATCHES)
def test_the_best_parameters_are_a_backbone(patch, inside, finetuned):
    run = finetuned / f"patch{patch}"
    chosen = restore_params(run / "best")
    model, variables, loaded = load_backbone(run / inside)
    assert loaded.kind == "classifier" and model.encoder.patch == patch
    assert_same(variables["params"], chosen["backbone"])
    encoder = model.encoder
    assert encoder.class_token and encoder.tubelet == 1 and encoder.positions == "learned"
    make_backbone(model, ComputeConfig(), model.grid(4, 32, 32)).apply(
        variables, jnp.zeros((1, 4, 32, 32, 3)), False
    )
    if patch == 8 and not inside:
        with pytest.raises(Exception, match="chose lie in .*best"):
            load(run / "checkpoints")


@pytest.mark.parametrize("patch", PATCHES)
def test_finetuning_starts_from_it(patch, finetuned, capsys):
    run = finetuned / f"patch{patch}"
    words = [*IMAGE, f"model.encoder.patch={patch}", f"init={run}"]
    values = load_config(
        str(finetuned / "config.py"), FinetuneConfig, [f"--config.{word}" for word in words]
    )
    from surgvista_jax.config import build

    start = starting_point(build(FinetuneConfig, values))
    assert_same(start.variables["backbone"], restore_params(run / "best")["backbone"])
    assert f"{run}: our classifier" in capsys.readouterr().err
    assert finetune_run.run(finetuned / "config.py", finetuned / f"again{patch}", *words)
    found = restore_params(finetuned / f"again{patch}" / "best")["backbone"]["patch_embedding"]
    assert found["kernel"].shape == (patch**2 * 3, 16)
    about = finetune_run.meta(finetuned / f"again{patch}")
    assert [source["what"] for source in about["sources"]] == [
        "data: colours (5 videos, 50 frames at 1 a second)",
        f"init: a finetuning run, patch{patch}",
        "init > data: colours (5 videos, 50 frames at 1 a second)",
    ]


@pytest.mark.parametrize("patch", PATCHES)
def test_features_are_taken_of_it(patch, finetuned):
    run, out = finetuned / f"patch{patch}", finetuned / f"features{patch}"
    words = f"features --init={run} --dataset={finetuned / 'data'} --out={out} --split=test"
    assert main(f"{words} --size=32 --pool=class --batch-size=8 --dtype=float32".split()) == 0
    rows = {path.stem: np.load(path) for path in out.glob("*.npy")}
    assert len(rows) == 2 and all(array.shape == (10, 16) for array in rows.values())
    assert all(np.isfinite(array).all() and array.std(0).any() for array in rows.values())


@pytest.mark.parametrize("patch", PATCHES)
def test_it_teaches_with_the_tokens_of_its_last_block(patch, finetuned):
    run = finetuned / f"patch{patch}"
    transformer = TransformerConfig(16, 1, 2, attention_bias="qkv")
    teacher = TeacherConfig(transformer, str(run), patch)
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


@pytest.mark.parametrize("patch", PATCHES)
def test_pretraining_starts_from_it_and_learns_from_it(patch, finetuned, begin, capsys):  # noqa: F811
    run = finetuned / f"patch{patch}"
    params, teacher = begin(
        *(f"init={run}", f"teacher.weights={run}"),
        *(f"teacher.patch={patch}", f"model.patch={patch}"),
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
