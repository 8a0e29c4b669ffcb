"""A run that an earlier version began goes on, and is told what is computed otherwise now."""

import dataclasses

import jax
import jax.numpy as jnp

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.dataset import Video
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.data.storage.open import reads_video_files
from surgvista_jax.inference.classifier import Backbone
from surgvista_jax.inference.computed import of_compute, of_data, of_encoder, sentences
from surgvista_jax.inference.features import TrainedBackbone
from surgvista_jax.models.backbones import VIT, BackboneConfig
from surgvista_jax.models.layers import ComputeConfig, TransformerConfig
from surgvista_jax.models.video_vit import EncoderConfig
from surgvista_jax.training.checkpoint import CheckpointConfig, Checkpoints
from surgvista_jax.training.run import restore_state
from surgvista_jax.training.state import TrainState
from tests.support.tiny_run import make_dataset

PLAIN = EncoderConfig(TransformerConfig(16, 1, 2), tubelet=1, patch=16)
OTHER = dataclasses.replace(
    PLAIN,
    transformer=TransformerConfig(16, 1, 2, norm_epsilon=1e-5),
    positions="stretched",
)


def test_what_no_version_ever_did_otherwise_is_not_spoken_of(tmp_path):
    assert not [*of_encoder("teacher", PLAIN), *of_encoder("teacher", None)]
    assert not [*of_compute(ComputeConfig("float32"))]
    assert not [*of_data(read_dataset(make_dataset(tmp_path / "frames")))]


def test_epsilons_positions_types_and_video_files_are(tmp_path):
    assert "GELU" in "".join(sentences(of_compute(ComputeConfig("bfloat16"))))
    told = "; ".join(sentences(of_encoder("backbone", OTHER)))
    assert "the backbone's layer norms have an epsilon of 1e-05" in told and "stretched" in told
    (tmp_path / "a.mp4").write_bytes(b"not looked into")
    assert reads_video_files([(tmp_path, Video("a", "a.mp4", 1.0, 3))])
    assert not reads_video_files([(tmp_path, Video("a", "frames", 1.0, 3))])


def test_a_run_that_did_not_say_so_is_told_once(tmp_path, capfd):
    state = TrainState(jnp.int32(0), {"w": jnp.ones(2)}, {"m": jnp.zeros(2)})
    place = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state
    )
    meta = {"seed": 1, "computed": ["the decoders see the class token"]}
    with Checkpoints(tmp_path, CheckpointConfig(1)) as checkpoints:
        checkpoints.save(1, state.params, state.opt_state, {"seed": 1})
        assert restore_state(checkpoints, place, meta)[0].step == 1
        said = capfd.readouterr().err
        assert f"{tmp_path}: an earlier version began this run; now the decoders see" in said
        checkpoints.save(2, state.params, state.opt_state, meta)
        assert restore_state(checkpoints, place, meta)[0].step == 2
    assert not capfd.readouterr().err


def test_a_folder_of_features_that_it_began_is_another(tmp_path):
    dataset = read_dataset(make_dataset(tmp_path / "frames"))

    def model(encoder: EncoderConfig, dtype: str = "float32") -> str:
        backbone = Backbone(BackboneConfig(VIT, encoder), ClipConfig(), ComputeConfig(dtype))
        return TrainedBackbone(backbone, "mean", {}, "digest").header(dataset).model

    assert model(PLAIN) == "vit, mean of its tokens, float32"
    assert model(OTHER) == f"{model(PLAIN)}, epsilon 1e-05, stretched positions"
    assert model(PLAIN, "bfloat16") == "vit, mean of its tokens, bfloat16, exact GELU"
