"""Image models see clips: what must not change, does not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.core import meta

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.errors import UserError
from surgvista_jax.inference.starting_point import StartingPoint, fit_to_clips, say
from surgvista_jax.models.backbones import BackboneConfig
from surgvista_jax.models.layers import ComputeConfig, TransformerConfig
from surgvista_jax.models.patches import patchify
from surgvista_jax.models.positions import interpolate_positions
from surgvista_jax.models.video_vit import EncoderConfig, VideoEncoder
from surgvista_jax.weights.adapt import AdaptConfig, adapt_encoder, changes, inflate_patches

SIZES = TransformerConfig(32, 2, 2, mlp_ratio=2.0, attention_bias="qkv")
IMAGE = EncoderConfig(
    SIZES, tubelet=1, patch=4, positions="learned", class_token=True, class_position=True
)
COMPUTE = ComputeConfig(dtype="float32")
RNG = np.random.default_rng(0)


def _params(config: EncoderConfig, grid: tuple[int, int, int]) -> dict:
    tokens = jnp.zeros((1, grid[0] * grid[1] * grid[2], config.patch_values))
    tree = VideoEncoder(config, COMPUTE, grid).init(jax.random.key(0), tokens, None, False)
    rng = np.random.default_rng(1)
    return jax.tree.map(
        lambda x: rng.normal(0, 0.3, x.shape).astype(np.float32), meta.unbox(tree)["params"]
    )


def _encode(config: EncoderConfig, params: dict, video: np.ndarray) -> np.ndarray:
    patches = patchify(jnp.asarray(video), config.tubelet, config.patch)
    _, t, height, width, _ = video.shape
    grid = (t // config.tubelet, height // config.patch, width // config.patch)
    return np.asarray(
        VideoEncoder(config, COMPUTE, grid).apply({"params": params}, patches, None, False)
    )


def _adapted(how: str, positions: str, frames: int, size: int = 8, class_token: bool = True):
    return adapt_encoder(
        IMAGE,
        _params(IMAGE, (1, 2, 2)),
        clip=(frames, size, size),
        adapt=AdaptConfig(how, positions),
        keep_class_token=class_token,
        keep_norm=True,
    )


@pytest.mark.parametrize("how", ["average", "centre"])
def test_an_inflated_model_sees_a_standing_clip_as_the_image(how):
    params = _params(IMAGE, (1, 2, 2))
    image = RNG.standard_normal((2, 1, 8, 8, 3)).astype(np.float32)
    wanted = _encode(IMAGE, params, image)
    config, adapted = _adapted(how, "learned", 2)
    assert config.tubelet == 2 and config.positions == "learned"
    clip = np.repeat(image, 2, axis=1)
    np.testing.assert_allclose(_encode(config, adapted, clip), wanted, rtol=1e-5, atol=1e-5)
    moving = clip.copy()
    moving[:, 0] += 1.0
    assert (np.abs(_encode(config, adapted, moving) - wanted).max() > 1e-3) == (how == "average")


def test_patches_of_frames_are_the_images():
    params = _params(IMAGE, (1, 2, 2))
    config, adapted = _adapted("frames", "learned", 4)
    assert config == IMAGE
    for name, leaf in params.items():
        np.testing.assert_equal(adapted[name], leaf)


@pytest.mark.parametrize("positions", ["flat", "separable"])
def test_a_learned_table_gives_way_to_a_fixed_one(positions):
    config, adapted = _adapted("frames", positions, 4, class_token=False)
    assert config.positions == positions and not config.class_token
    assert not adapted.keys() & {"positions", "class_token", "class_position"}
    video = RNG.standard_normal((1, 4, 8, 8, 3)).astype(np.float32)
    tokens = _encode(config, adapted, video)  # flax refuses parameters that lack or do not fit
    assert tokens.shape == (1, 16, 32)


def test_what_is_not_needed_is_dropped_and_the_source_stays():
    params = _params(IMAGE, (1, 2, 2))
    names = set(params)
    config, adapted = adapt_encoder(
        IMAGE,
        params,
        clip=(2, 16, 16),
        adapt=AdaptConfig(positions="learned"),
        keep_class_token=False,
        keep_norm=False,
    )
    assert not (config.class_token or config.class_position or config.norm)
    assert set(adapted) == {"patch_embedding", "positions", "transformer"}
    assert adapted["positions"].shape == (16, 32)
    assert set(params) == names and params["positions"].shape == (4, 32)
    alone, nothing = adapt_encoder(
        IMAGE,
        None,
        clip=(2, 16, 16),
        adapt=AdaptConfig(positions="learned"),
        keep_class_token=False,
        keep_norm=False,
    )
    assert alone == config and nothing is None


def test_a_video_model_keeps_its_tokens_and_positions():
    video = EncoderConfig(SIZES, tubelet=2, patch=4)
    params = _params(video, (2, 2, 2))
    config, adapted = adapt_encoder(
        video,
        params,
        clip=(8, 16, 16),
        adapt=AdaptConfig("average", "flat"),
        keep_class_token=False,
        keep_norm=True,
    )
    assert config == video
    assert adapted == params


def test_interpolation_to_the_same_size_is_the_identity_bit_for_bit():
    table = RNG.standard_normal((6, 5)).astype(np.float32)
    np.testing.assert_array_equal(interpolate_positions(table, (2, 3), (2, 3)), table)


@pytest.mark.parametrize("new", [(1, 1), (3, 7), (14, 9), (24, 24)])
def test_interpolation_keeps_a_constant(new):
    table = np.full((14 * 14, 3), 0.7, np.float32)
    resized = interpolate_positions(table, (14, 14), new)
    assert resized.shape == (new[0] * new[1], 3) and resized.dtype == np.float32
    np.testing.assert_allclose(resized, 0.7, rtol=1e-6)


def test_interpolation_follows_rows_and_columns():
    ramp = np.add.outer(np.arange(8.0) * 10, np.arange(8.0)).reshape(64, 1)
    resized = interpolate_positions(ramp, (8, 8), (4, 16)).reshape(4, 16)
    wanted = np.add.outer((np.arange(4) * 2 + 0.5) * 10, (np.arange(16) + 0.5) / 2 - 0.5)
    # With a = -0.75 a ramp is followed, not reproduced; rows are ten times as steep as columns.
    np.testing.assert_allclose(resized[1:-1, 4:-4], wanted[1:-1, 4:-4], atol=0.1)


def test_interpolation_agrees_with_torch():
    torch = pytest.importorskip("torch")
    table = RNG.standard_normal((14 * 14, 8)).astype(np.float32)
    grid = torch.from_numpy(table.reshape(1, 14, 14, 8)).permute(0, 3, 1, 2)
    for new in ((7, 7), (16, 20), (24, 24)):
        wanted = torch.nn.functional.interpolate(grid, new, mode="bicubic", align_corners=False)
        ours = interpolate_positions(table, (14, 14), new)
        theirs = wanted[0].permute(1, 2, 0).reshape(-1, 8).numpy()
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("adapt", "frames", "size", "keep", "told"),
    [
        (AdaptConfig("frames", "learned"), 1, 8, True, []),
        (AdaptConfig("frames", "learned"), 1, 16, True, ["its 4 learned positions", "to 16"]),
        (AdaptConfig("average", "flat"), 2, 8, True, ["inflated to 2 frames", "fixed ones (flat)"]),
        (AdaptConfig("frames", "learned"), 1, 8, False, ["class token", "final norm is dropped"]),
    ],
)
def test_what_was_fitted_is_said_in_words(adapt, frames, size, keep, told):
    params = _params(IMAGE, (1, 2, 2))
    clip = (frames, size, size)
    config, adapted = adapt_encoder(
        IMAGE, params, clip=clip, adapt=adapt, keep_class_token=keep, keep_norm=keep
    )
    notes = changes(params, IMAGE, adapted, config)
    assert all(words in "\n".join(notes) for words in told)
    same = jax.tree.map(np.array_equal, params, adapted) if params.keys() == adapted.keys() else {}
    assert bool(notes) != (bool(same) and all(jax.tree.leaves(same)))


def test_a_run_says_what_it_fitted_to_its_clips(capsys):
    """Every change of the loaded parameters is a line on the screen, and of random ones none."""
    model = BackboneConfig("vit", IMAGE)
    variables = {"backbone": _params(IMAGE, (1, 2, 2))}
    clip = ClipConfig(num_frames=4, size=8)
    for loaded in (variables, None):
        start = StartingPoint(model, clip, loaded, "digest")
        fitted = fit_to_clips(start, AdaptConfig("average"), pool="mean", keep_norm=False)
        assert len(fitted.notes) == (4 if loaded else 0)
        say(fitted.notes)
    said = capsys.readouterr().err.splitlines()
    assert said == [f"init: {note}" for note in changes(variables["backbone"], IMAGE, *_new())]


def _new():
    clip = {"clip": (4, 8, 8), "adapt": AdaptConfig("average")}
    config, params = adapt_encoder(
        IMAGE, _params(IMAGE, (1, 2, 2)), **clip, keep_class_token=False, keep_norm=False
    )
    return params, config


def test_what_does_not_fit_is_told():
    with pytest.raises(UserError, match="^config.clip: 3x8x8 video does not divide"):
        _adapted("average", "learned", 3)
    odd = EncoderConfig(TransformerConfig(8, 1, 1), 1, 4, "learned")
    kept = {"keep_class_token": False, "keep_norm": False}
    with pytest.raises(UserError, match="^config.adapt.positions='separable': .* divisible by 16"):
        adapt_encoder(odd, None, clip=(1, 8, 8), adapt=AdaptConfig(positions="separable"), **kept)
    start = StartingPoint(
        BackboneConfig("vit", IMAGE), ClipConfig(1, 1, 9), None, "", clip_key="config.image_clip"
    )
    with pytest.raises(UserError, match="^config.image_clip: 1x9x9 video does not divide"):
        fit_to_clips(start, AdaptConfig(), pool="mean", keep_norm=False)
    with pytest.raises(UserError, match="do not form a square"):
        adapt_encoder(
            IMAGE,
            _params(IMAGE, (1, 2, 3)),
            clip=(1, 8, 8),
            adapt=AdaptConfig(positions="learned"),
            keep_class_token=True,
            keep_norm=True,
        )
    with pytest.raises(ValueError, match="inflated"):
        inflate_patches(np.zeros((12, 4)), 2, "frames")
    with pytest.raises(ValueError, match="patches"):
        AdaptConfig("sum")
