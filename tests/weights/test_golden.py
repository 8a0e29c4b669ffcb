"""The reference's numbers, from parameters that came in through the tables of names."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.models.layers import ComputeConfig, TransformerConfig
from surgvista_jax.models.patches import normalise, patchify, token_grid
from surgvista_jax.models.video_vit import EncoderConfig, VideoEncoder
from surgvista_jax.weights import tables
from surgvista_jax.weights.files.write import flat, to_theirs
from surgvista_jax.weights.kinds import ClassifierConfig, StudentConfig
from tests.support.golden import PRETRAINING, imported, load, part
from tests.support.places import GOLDEN

FINETUNED = {
    "finetune_3d": "surgvista_finetuned",
    "finetune_flat": "videomae_finetuned",
    "finetune_2d": "frames_finetuned",
}


def _finetuned(name: str) -> tuple[dict, dict, ClassifierConfig]:
    with np.load(GOLDEN / f"{name}.npz") as file:
        arrays = dict(file)
    settings = json.loads(str(arrays["config_json"]))
    weight = arrays["param/patch_embed.proj.weight"]
    encoder = EncoderConfig(
        TransformerConfig(
            settings["dim"],
            settings["depth"],
            settings["heads"],
            attention_bias="qkv" if settings["attention_bias"].startswith("qkv") else "qv",
        ),
        tubelet=weight.shape[2] if weight.ndim == 5 else 1,
        patch=settings["patch_size"],
        positions=settings["position"].split("_")[0],
        norm=False,
    )
    return arrays, settings, ClassifierConfig(encoder, settings["num_classes"])


@pytest.mark.parametrize("name", FINETUNED)
def test_finetuned_models_agree_in_features_logits_loss_and_gradients(name):
    arrays, settings, config = _finetuned(name)
    params = imported(part(arrays, "param/"), FINETUNED[name], config)
    frames = jnp.asarray(arrays["frames_uint8"])
    grid = token_grid(*frames.shape[1:4], config.encoder.tubelet, config.encoder.patch)
    model = VideoEncoder(config.encoder, ComputeConfig(dtype="float32"), grid)
    target = jax.nn.one_hot(arrays["label"], config.classes) * 0.9 + 0.1 / config.classes

    def forward(params):
        patches = patchify(frames, config.encoder.tubelet, config.encoder.patch)
        tokens = model.apply(
            {"params": params["backbone"]}, normalise(patches, jnp.float32), None, False
        )
        x = tokens.mean(1)
        x = x - x.mean(1, keepdims=True)
        x = x / jnp.sqrt((x**2).mean(1, keepdims=True) + 1e-6)
        features = x * params["norm"]["scale"][None] + params["norm"]["bias"][None]
        logits = features @ params["head"]["kernel"] + params["head"]["bias"][None]
        loss = -(target * jax.nn.log_softmax(logits)).sum(1).mean()
        return loss, (features, logits)

    (loss, (features, logits)), grads = jax.value_and_grad(forward, has_aux=True)(params)
    np.testing.assert_allclose(features, arrays["features"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(logits, arrays["logits"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(loss, arrays["loss_label_smoothing_0p1"], rtol=1e-5)
    ours = to_theirs(flat(grads), tables.find(FINETUNED[name]), config)
    theirs = part(arrays, "grad/")
    assert ours.keys() == theirs.keys()
    for key, wanted in theirs.items():
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(ours[key], wanted, rtol=1e-4, atol=1e-4 * scale, err_msg=key)


@pytest.mark.parametrize("name", PRETRAINING)
def test_the_students_and_teachers_arrays_come_out_as_they_went_in(name):
    golden = load(name)
    width = golden.teacher.transformer.width
    student = StudentConfig(golden.model, width)
    for prefix, tree, table, config in (
        ("student/", golden.stepped, "surgvista", student),
        ("teacher/", golden.teacher_params, "endossl", golden.teacher.encoder),
    ):
        theirs = part(golden.arrays, prefix)
        back = to_theirs(flat(tree), tables.find(table), config)
        unused = theirs.keys() - back.keys()
        assert all(key.startswith("norm.") and prefix == "teacher/" for key in unused)
        for key, array in back.items():
            np.testing.assert_array_equal(array, theirs[key], err_msg=key)
