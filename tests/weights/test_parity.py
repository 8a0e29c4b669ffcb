"""The same numbers as the models of transformers and timm, whose files come in through our tables.

Random weights, float32, outputs to 1e-4. It runs where the extra `parity` is installed.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
timm = pytest.importorskip("timm")

from surgvista_jax.models.layers import ComputeConfig  # noqa: E402
from surgvista_jax.models.masked_autoencoder import MaskedAutoencoder  # noqa: E402
from surgvista_jax.models.patches import IMAGENET_MEAN, IMAGENET_STD, patchify  # noqa: E402
from surgvista_jax.models.video_vit import VideoEncoder  # noqa: E402
from surgvista_jax.weights.files.write import save  # noqa: E402
from surgvista_jax.weights.loading import Loaded, load  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")
COMPUTE = ComputeConfig(dtype="float32")
HEADS = {"encoder": 4, "pixel_decoder": 2}
SIZES = {
    "tiny": {
        "hidden_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "image_size": 32,
        "patch_size": 8,
    },
    "base": {"image_size": 64},
}
DECODER = {
    "decoder_hidden_size": 32,
    "decoder_num_hidden_layers": 2,
    "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 64,
}


def randomise(model) -> None:
    """Gives every parameter a part in the result: fresh models hold many zeros and ones."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise * (0.1 if parameter.ndim < 2 else 0.02))
    model.eval()


def through_file(model, table: str, folder, how: str) -> Loaded:
    """The model's parameters by way of its own file."""
    tiny = getattr(getattr(model, "config", None), "hidden_size", None) == 64
    heads = HEADS if tiny else None  # base sizes tell their heads
    if how == "hub":
        model.save_pretrained(folder)
        return load(f"{table}:{folder / 'model.safetensors'}", heads=heads)
    torch.save(model.state_dict(), folder / "x.pth")
    return load(f"{table}:{folder / 'x.pth'}", heads=heads)


def frames(batch: int, t: int, size: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((batch, t, size, size, 3), np.float32)


def encoded(loaded: Loaded, video: np.ndarray) -> np.ndarray:
    config = loaded.config
    _, t, height, width, _ = video.shape
    grid = (t // config.tubelet, height // config.patch, width // config.patch)
    patches = patchify(jnp.asarray(video), config.tubelet, config.patch)
    model = VideoEncoder(config, COMPUTE, grid)
    return jax.jit(lambda p, x: model.apply({"params": p}, x, None, False))(loaded.params, patches)


def torch_video(video: np.ndarray):
    return torch.from_numpy(video.transpose(0, 1, 4, 2, 3).copy())


def agree(ours, theirs) -> None:
    theirs = theirs.numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())


@pytest.mark.parametrize("how", ["hub", "state_dict"])
@pytest.mark.parametrize("size", SIZES)
def test_videomae_model(size, how, tmp_path):
    config = transformers.VideoMAEConfig(**SIZES[size], num_frames=4, use_mean_pooling=False)
    model = transformers.VideoMAEModel(config)
    randomise(model)
    loaded = through_file(model, "videomae_hf_encoder", tmp_path, how)
    video = frames(2, 4, config.image_size)
    with torch.no_grad():
        wanted = model(torch_video(video)).last_hidden_state
    agree(encoded(loaded, video), wanted)


@pytest.mark.parametrize("how", ["hub", "state_dict"])
@pytest.mark.parametrize("size", SIZES)
def test_videomae_for_pretraining(size, how, tmp_path):
    decoder = DECODER if size == "tiny" else {}
    config = transformers.VideoMAEConfig(
        **SIZES[size], **decoder, num_frames=4, use_mean_pooling=False
    )
    model = transformers.VideoMAEForPreTraining(config)
    randomise(model)
    loaded = through_file(model, "videomae_hf", tmp_path, how)
    assert loaded.config.feature_width == 0
    side = config.image_size // config.patch_size
    hidden = np.zeros(2 * side**2, bool)
    hidden[np.random.default_rng(2).permutation(hidden.size)[: hidden.size // 2]] = True
    # Their head needs pixels that were normalised as ours normalises bytes.
    video = np.random.default_rng(3).integers(
        0, 256, (1, 4, config.image_size, config.image_size, 3), np.uint8
    )
    pixels = (video.astype(np.float32) / 255 - IMAGENET_MEAN) / IMAGENET_STD
    with torch.no_grad():
        wanted = model(torch_video(pixels), bool_masked_pos=torch.from_numpy(hidden)[None]).logits
    patches = patchify(jnp.asarray(video), 2, config.patch_size)
    ids = [np.flatnonzero(hidden == side)[None, None] for side in (False, True)]
    ours = MaskedAutoencoder(loaded.config.model, COMPUTE, (2, side, side))
    predictions = ours.apply({"params": loaded.params}, patches, *ids, False)
    agree(predictions.pixels, wanted)

    # And back into theirs.
    save(loaded.params, loaded.table, loaded.config, tmp_path / "back.pth")
    fresh = transformers.VideoMAEForPreTraining(config).eval()
    state = torch.load(tmp_path / "back.pth", weights_only=True)
    if how == "state_dict":
        renamed = {_as_now(k, fresh.state_dict()): v for k, v in state.items()}
        fresh.load_state_dict(renamed)
        with torch.no_grad():
            again = fresh(torch_video(pixels), bool_masked_pos=torch.from_numpy(hidden)[None])
        np.testing.assert_array_equal(again.logits, wanted)


def _as_now(name: str, known: dict) -> str:
    """The name that this version of transformers gives the two biases."""
    for old, new in (("q_bias", "query.bias"), ("v_bias", "value.bias")):
        if name not in known:
            name = name.replace(old, new)
    return name


def test_videomae_for_classification(tmp_path):
    config = transformers.VideoMAEConfig(**SIZES["tiny"], num_frames=4, num_labels=5)
    model = transformers.VideoMAEForVideoClassification(config)
    randomise(model)
    loaded = through_file(model, "videomae_hf_finetuned", tmp_path, "hub")
    video = frames(2, 4, 32)
    with torch.no_grad():
        wanted = model(torch_video(video)).logits
    backbone = dataclasses.replace(
        loaded, config=loaded.config.encoder, params=loaded.params["backbone"]
    )
    x = np.asarray(encoded(backbone, video)).mean(1)
    epsilon = loaded.config.encoder.transformer.last_epsilon
    x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + epsilon)
    x = x * loaded.params["norm"]["scale"] + loaded.params["norm"]["bias"]
    agree(x @ loaded.params["head"]["kernel"] + loaded.params["head"]["bias"], wanted)


@pytest.mark.parametrize("how", ["hub", "state_dict"])
@pytest.mark.parametrize("size", SIZES)
def test_vit_model(size, how, tmp_path):
    config = transformers.ViTConfig(**SIZES[size])
    model = transformers.ViTModel(config)
    randomise(model)
    loaded = through_file(model, "vit_hf", tmp_path, how)
    video = frames(2, 1, config.image_size)
    with torch.no_grad():
        wanted = model(torch_video(video)[:, 0]).last_hidden_state
    agree(encoded(loaded, video), wanted)


@pytest.mark.parametrize("how", ["hub", "state_dict"])
@pytest.mark.parametrize("pretraining", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_vit_mae(size, pretraining, how, tmp_path):
    decoder = DECODER if size == "tiny" else {}
    config = transformers.ViTMAEConfig(**SIZES[size], **decoder, mask_ratio=0.0)
    kind = transformers.ViTMAEForPreTraining if pretraining else transformers.ViTMAEModel
    model = kind(config)
    randomise(model)
    loaded = through_file(model, "mae_hf", tmp_path, how)
    video = frames(2, 1, config.image_size)
    inner = model.vit if pretraining else model
    count = (config.image_size // config.patch_size) ** 2
    order = torch.arange(count).float().expand(2, count)  # their shuffle, in order
    with torch.no_grad():
        wanted = inner(torch_video(video)[:, 0], noise=order).last_hidden_state
    agree(encoded(loaded, video), wanted)


@pytest.mark.parametrize(
    "name",
    ["vit_base_patch16_224", "vit_base_patch16_224.dino", "vit_base_patch16_224.mae"],
)
def test_timm_vit(name, tmp_path):
    model = timm.create_model(name, pretrained=False)
    randomise(model)
    loaded = through_file(model, "vit", tmp_path, "state_dict")
    video = frames(1, 1, 224)
    with torch.no_grad():
        wanted = model.forward_features(torch_video(video)[:, 0])
    agree(encoded(loaded, video), wanted)
