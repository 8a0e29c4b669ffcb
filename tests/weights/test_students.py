"""A student starts from any encoder of its sizes; what is fitted keeps what it computes."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.models.layers import ComputeConfig, TransformerConfig
from surgvista_jax.models.masked_autoencoder import MaskedAutoencoder, MaskedAutoencoderConfig
from surgvista_jax.models.patches import patchify
from surgvista_jax.models.video_vit import EncoderConfig, VideoEncoder
from surgvista_jax.weights import tables
from surgvista_jax.weights.for_pretraining import load_student
from surgvista_jax.weights.kinds import encoder_of
from surgvista_jax.weights.loading import encoder_params, load
from tests.support.weight_files import GRID, HEADS, random_arrays, tiny_config, write

COMPUTE = ComputeConfig(dtype="float32")
SIZES = TransformerConfig(32, 3, 2, mlp_ratio=2.0, attention_bias="qv")
SCALED = dataclasses.replace(SIZES, layer_scale=0.1)
DECODER = TransformerConfig(16, 2, 1, mlp_ratio=2.0)
RNG = np.random.default_rng(0)


def student(encoder: TransformerConfig = SIZES, **changes) -> MaskedAutoencoderConfig:
    return MaskedAutoencoderConfig(encoder, DECODER, DECODER, **{"patch": 4, **changes})


def file_of(name: str, folder, bias: str = "qv") -> str:
    table = tables.find(name)
    arrays = random_arrays(table.entries(tiny_config(table, bias)))
    # As large as trained ones, so that float32 leaves the differences of 1e-5 to be seen.
    write(folder / "x.npz", {k: 0.3 * array for k, array in arrays.items()})
    return f"{name}:{folder / 'x.npz'}"


def encoded(config: EncoderConfig, params: dict, video: np.ndarray) -> np.ndarray:
    patches = patchify(jnp.asarray(video), config.tubelet, config.patch)
    grid = (video.shape[1] // config.tubelet, *GRID)
    model = VideoEncoder(config, COMPUTE, grid)
    return np.asarray(model.apply({"params": params}, patches, None, False))


def normed(x: np.ndarray) -> np.ndarray:
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)


@pytest.mark.parametrize("class_token", [False, True])
@pytest.mark.parametrize("positions", ["separable", "flat"])
@pytest.mark.parametrize("name", ["vit", "vit_hf", "endovit", "endossl"])
def test_a_standing_clip_is_encoded_as_its_images_are(name, positions, class_token, tmp_path):
    """With the table of positions that the student has; its frames attend to each other."""
    spec = file_of(name, tmp_path)
    model = student(SCALED, positions=positions, class_token=class_token)
    loaded = load_student(spec, model)
    # Its own, whatever ran before: of some images float32 leaves 2e-5 where no norm is the last.
    images = np.random.default_rng(0).standard_normal((2, 3, 8, 8, 3)).astype(np.float32)
    ours = encoded(model.video_encoder, loaded.params["encoder"], np.repeat(images, 2, axis=1))

    theirs = load(spec, heads=HEADS)
    config, params = encoder_of(theirs.config), dict(encoder_params(theirs))
    del params["positions"]
    changes = {"positions": positions}
    if not class_token:
        changes |= {"class_token": False, "class_position": False}
        params = {k: v for k, v in params.items() if not k.startswith("class_")}
    assert config.transformer.attention_bias == "qkv"  # of which the student keeps two
    wanted = encoded(dataclasses.replace(config, **changes), params, images)
    wanted = wanted if config.norm else normed(wanted)
    assert np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(ours, wanted, rtol=1e-5, atol=1e-5)

    told = "\n".join(loaded.notes)
    assert "inflated to 2 frames" in told and f"fixed ones ({positions})" in told
    assert ("class token is dropped" in told) == (not class_token)
    assert "biases of the keys are dropped" in told
    assert ("starts at ones and zeros" in told) == (name == "endossl")
    assert ("normalised as ImageNet's" in told) == (name == "endovit")
    assert loaded.config == model.video_encoder and loaded.kind == "encoder"


@pytest.mark.parametrize("name", ["surgvista_finetuned", "videomae_finetuned", "videomae2"])
def test_an_encoder_without_a_norm_gets_one_that_changes_nothing_learned(name, tmp_path):
    spec = file_of(name, tmp_path, bias="qkv")
    theirs = load(spec, heads=HEADS)
    encoder = encoder_of(theirs.config)
    model = student(SCALED, positions=encoder.positions)
    loaded = load_student(spec, model)
    video = RNG.standard_normal((2, 4, 8, 8, 3)).astype(np.float32)
    ours = encoded(model.video_encoder, loaded.params["encoder"], video)
    wanted = normed(encoded(encoder, encoder_params(theirs), video))
    np.testing.assert_allclose(ours, wanted, rtol=1e-5, atol=1e-5)
    assert "starts at ones and zeros" in " ".join(loaded.notes)
    of_classifier = "only the backbone is taken, not head, norm" in " ".join(loaded.notes)
    assert of_classifier == name.endswith("finetuned")
    assert not any("WARNING" in note for note in loaded.notes)


def test_biases_of_keys_change_no_prediction_of_a_whole_student(tmp_path):
    spec = file_of("surgvista", tmp_path, bias="qkv")
    theirs = load(spec, heads=HEADS)
    parts = ("encoder", "pixel_decoder", "feature_decoder")
    without = {
        part: dataclasses.replace(getattr(theirs.config.model, part), attention_bias="qv")
        for part in parts
    }
    model = dataclasses.replace(theirs.config.model, **without)
    loaded = load_student(spec, model)
    assert loaded.kind == "student" and loaded.config.feature_width == 24
    clip = jnp.asarray(RNG.integers(0, 256, (1, 4, 8, 8, 3), np.uint8))
    ids = jnp.arange(4)[None, None]

    def predicted(config, params):
        module = MaskedAutoencoder(config, COMPUTE, (2, *GRID), 24)
        return module.apply({"params": params}, patchify(clip, 2, 4), ids, ids + 4, False)

    ours = predicted(model, loaded.params)
    wanted = predicted(theirs.config.model, theirs.params)
    assert float(jnp.abs(wanted.pixels).max()) > 0.1
    np.testing.assert_allclose(ours.pixels, wanted.pixels, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours.features, wanted.features, rtol=1e-5, atol=1e-5)
    sizes = theirs.params["encoder"]["transformer"]["blocks"]["attention"]
    assert "k_bias" in sizes  # what was read is left as it is


@pytest.mark.parametrize("name", ["surgvista", "mvd"])
def test_the_other_form_of_positions_is_warned_of(name, tmp_path):
    model = tiny_config(tables.find("surgvista")).model
    spec = file_of(name, tmp_path)
    same = load_student(spec, model)
    other = load_student(spec, dataclasses.replace(model, positions="flat"))
    assert not same.notes
    assert other.notes == (
        "WARNING: it was trained with separable positions, and the student has flat ones"
        " (config.model.positions)",
    )
    assert other.params.keys() == same.params.keys()


def test_patches_of_single_frames_in_a_video_model_are_inflated_too(tmp_path):
    spec = file_of("umt", tmp_path)
    loaded = load_student(spec, student(positions="flat"))
    assert loaded.params["encoder"]["patch_embedding"]["kernel"].shape == (96, 32)
    assert len(loaded.notes) == 1 and "inflated to 2 frames" in loaded.notes[0]


MISTAKES = {
    "a wider student": (student(dataclasses.replace(SCALED, width=64)), "width 32.*not.*width 64"),
    "a deeper one": (student(dataclasses.replace(SCALED, depth=4)), "depth 3.*not.*depth 4"),
    "one without scales": (student(SIZES), "transformer.layer_scale=1.0 instead of 0.0"),
    "other patches": (student(SCALED, patch=8), "1x4x4 tokens.*not.*1x8x8 tokens"),
    "no biases": (
        student(dataclasses.replace(SCALED, attention_bias="none")),
        "attention_bias=qkv instead of none",
    ),
}


@pytest.mark.parametrize(("model", "said"), MISTAKES.values(), ids=MISTAKES)
def test_other_sizes_are_refused(model, said, tmp_path):
    with pytest.raises(UserError, match=said):
        load_student(file_of("vit", tmp_path), model)


def test_a_class_token_that_a_student_has_must_be_in_the_file(tmp_path):
    with pytest.raises(UserError, match="class_token=False instead of True"):
        load_student(file_of("mvd", tmp_path), student(class_token=True))


def test_names_that_both_forms_of_positions_have_are_not_chosen_between(tmp_path):
    spec = file_of("videomae_finetuned", tmp_path)
    with pytest.raises(UserError, match="several tables fit.*videomae_finetuned"):
        load_student(spec.partition(":")[2], student())
