"""The counted operations are those that the compiler counts, and the published sizes' figures."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from surgvista_jax.models.flops import student_flops, teacher_flops
from surgvista_jax.models.image_vit import TeacherConfig
from surgvista_jax.models.layers import ComputeConfig, TransformerConfig
from surgvista_jax.models.masked_autoencoder import MaskedAutoencoderConfig
from surgvista_jax.models.video_vit import SIZES
from tests.support.golden import load, pretraining


@pytest.mark.parametrize("part", ["student", "student with a class token", "teacher"])
def test_agrees_with_the_compiler(part):
    """Wide enough that products are nearly all there is; unrolled, for a loop counts once."""

    def stack(width, bias="qv"):
        return TransformerConfig(width, 2, 4, attention_bias=bias)

    golden = load("pretrain_tube")
    task = pretraining(
        golden,
        model=MaskedAutoencoderConfig(
            stack(512), stack(384), stack(256), class_token="class" in part
        ),
        teacher=TeacherConfig(stack(512, "qkv"), "random"),
        compute=ComputeConfig(dtype="float32", unroll=True),
    )
    if part != "teacher":
        params = nn.unbox(jax.eval_shape(task.init_trained))
        compiled = jax.jit(lambda p, b: task.predict(p, b)[1]).lower(params, golden.batch).compile()
        visible, hidden = (golden.batch[f"{kind}_ids"].shape[1] for kind in ("visible", "hidden"))
        ours = student_flops(task.config.model, visible, hidden, 512)
    else:
        params = nn.unbox(jax.eval_shape(task.init_frozen))
        compiled = jax.jit(task.features).lower(params, golden.batch).compile()
        ours = task.teacher_flops_per_clip
    clips = len(golden.batch["video"])
    np.testing.assert_allclose(clips * ours, compiled.cost_analysis()["flops"], rtol=0.06)


def test_published_sizes():
    """A ViT-L teacher on eight 224-pixel frames: 985 GFLOP a clip."""
    teacher = TeacherConfig(TransformerConfig(**SIZES["large"], attention_bias="qkv"), "random")
    np.testing.assert_allclose(teacher_flops(teacher, 8, 224, 224), 985e9, rtol=1e-3)
