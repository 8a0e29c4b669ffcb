"""Clips that slide over a stretch are learnt from as if each were given alone."""

import dataclasses
import re

import flax.linen as nn
import jax
import numpy as np
import pytest

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.masking import MASKS, MaskConfig
from surgvista_jax.models.image_vit import ImageEncoder, TeacherConfig
from surgvista_jax.models.layers import TransformerConfig
from surgvista_jax.models.masked_autoencoder import MaskedAutoencoderConfig
from surgvista_jax.training.partition import RULES, MeshConfig, make_mesh, replicated, to_global
from tests.support.golden import PRETRAINING, load, pretraining

SLIDE, MASKS_PER_CLIP, STRETCHES = 3, 2, 2
STACK = TransformerConfig(width=16, depth=1, heads=2)
MODEL = MaskedAutoencoderConfig(STACK, STACK, STACK, tubelet=2, patch=8)
TEACHER = TeacherConfig(STACK, "random", patch=8)
CLIP = ClipConfig(num_frames=4, stride=1, size=16)


def sliding(slide=SLIDE, masks=MASKS_PER_CLIP):
    """Small models, of clips that slide, under several masks each."""
    return pretraining(
        load(PRETRAINING[0]),
        model=MODEL,
        teacher=TEACHER,
        clip=dataclasses.replace(CLIP, slide=slide),
        mask=MaskConfig("random", 0.75, masks),
    )


@pytest.fixture(scope="module")
def params():
    """Of student and teacher."""
    rng = np.random.default_rng(1)
    shapes = [
        nn.unbox(jax.eval_shape(init)) for init in (sliding().init_trained, sliding().init_frozen)
    ]
    return jax.tree.map(lambda x: rng.normal(0, 0.2, x.shape).astype(np.float32), shapes)


def stretches(task, rows=STRETCHES):
    """Stretches of noise, and the same clips one by one, each as often as it has masks."""
    config, rng = task.config, np.random.default_rng(0)
    shape = (rows, SLIDE, MASKS_PER_CLIP)
    drawn = [MASKS["random"](rng, task.grid, 0.75) for _ in range(np.prod(shape))]
    visible, hidden = (np.stack(ids) for ids in zip(*drawn, strict=True))
    video = rng.integers(0, 256, task.batch_shapes(rows)["video"].shape, np.uint8)
    frames, tubelet = config.clip.num_frames, config.model.tubelet
    starts = [tubelet * clip for clip in range(SLIDE)]
    clips = np.stack([row[start : start + frames] for row in video for start in starts])
    together = {
        "video": video,
        "visible_ids": visible.reshape(*shape, -1),
        "hidden_ids": hidden.reshape(*shape, -1),
        "weight": np.ones(shape[:2], np.float32),
    }
    alone = {"video": clips.repeat(MASKS_PER_CLIP, 0), "visible_ids": visible, "hidden_ids": hidden}
    return together, alone


def test_loss_and_gradient_are_those_of_the_clips_one_by_one(params):
    """To the bit: what each clip sees, predicts and is compared with, and every sum over them."""
    task, plain = sliding(), sliding(slide=1, masks=1)
    together, alone = stretches(task)

    def gradient(task, batch):
        grad = jax.jit(jax.value_and_grad(task.loss, has_aux=True))
        return grad(*params, batch, jax.random.key(1))

    jax.tree.map(np.testing.assert_array_equal, gradient(task, together), gradient(plain, alone))


def test_an_empty_place_counts_nothing_and_parts_of_a_batch_add_up(params):
    task = sliding()
    batch = stretches(task)[0]
    loss = jax.jit(task.loss)

    def loss_of(batch):
        return loss(*params, batch, None)

    def weighted(weight):
        return loss_of(batch | {"weight": np.asarray(weight, np.float32)})

    holds = np.array([[0, 0, 1], [1, 1, 1]])
    ours = weighted(holds / holds.mean())
    alone = [
        weighted(holds.size * (np.arange(holds.size) == place).reshape(holds.shape))
        for place in np.flatnonzero(holds)
    ]
    expected = jax.tree.map(lambda *clips: np.mean(clips), *alone)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), ours, expected)
    other = {key: batch[key].copy() for key in ("visible_ids", "hidden_ids")}
    for ids in other.values():
        ids[0, :2] = ids[1, :2]
    changed = loss_of(batch | other | {"weight": np.float32(holds / holds.mean())})
    jax.tree.map(np.testing.assert_array_equal, changed, ours)

    batch["weight"] = np.float32(holds / holds.mean())
    parts = [loss_of({key: value[row : row + 1] for key, value in batch.items()}) for row in (0, 1)]
    mean = jax.tree.map(lambda *rows: np.mean(rows), *parts)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), mean, ours)


def test_the_teacher_sees_each_image_of_a_stretch_once(params):
    task = sliding()
    seen = []

    def look(call, arguments, options, context):
        if isinstance(context.module, ImageEncoder):
            seen.append(arguments[0].shape)
        return call(*arguments, **options)

    with nn.intercept_methods(look):
        features = jax.eval_shape(task.features, params[1], stretches(task)[0])
    images = STRETCHES * (task.grid[0] + SLIDE - 1)
    assert seen == [(images, 16, 16, 3)]
    assert features.shape[:2] == (STRETCHES * SLIDE * MASKS_PER_CLIP, task.num_hidden)
    single = sliding(slide=1).teacher_flops_per_clip
    assert task.teacher_flops_per_clip == single * images // (STRETCHES * SLIDE * task.grid[0])


def test_single_clips_are_predicted_by_a_model_of_clips_that_slide(params):
    """As figures show them."""
    task = sliding()
    clips = stretches(task)[1]
    _, predictions = jax.eval_shape(task.predict, params[0], clips)
    assert predictions.pixels.shape == (*clips["hidden_ids"].shape, MODEL.patch_values)


def test_stretches_stay_on_their_devices_and_eight_of_these_equal_one(params):
    task = sliding()
    batch = stretches(task, rows=8)[0]
    losses = []
    for devices in (jax.devices(), jax.devices()[:1]):
        mesh = make_mesh(MeshConfig(), devices)
        with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
            arrays = (*jax.device_put(params, replicated(mesh)), to_global(mesh, batch))
            loss = jax.jit(task.loss).lower(*arrays, None).compile()
            losses.append(loss(*arrays, None))
        # Nothing but the sums of the losses goes from device to device.
        text = loss.as_text()
        moved = re.findall(r"all-gather|all-to-all|collective-permute", text)
        assert not moved and ("all-reduce" in text) == (len(devices) > 1)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), *losses)
