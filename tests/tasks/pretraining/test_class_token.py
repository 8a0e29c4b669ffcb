"""A class token takes part as in the method's reference, here an independent one in NumPy."""

import dataclasses

import jax
import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.weights import tables
from surgvista_jax.weights.files.write import flat, save, to_theirs
from surgvista_jax.weights.for_pretraining import load_student
from surgvista_jax.weights.kinds import StudentConfig, encoder_of
from surgvista_jax.weights.loading import load
from tests.support import numpy_student
from tests.support.golden import PRETRAINING, GoldenStep, pretraining
from tests.support.golden import load as load_golden


@dataclasses.dataclass
class Case:
    """A golden step; with a class token, if asked for, of which the golden model has none."""

    step: GoldenStep
    student: StudentConfig
    params: dict

    @property
    def heads(self) -> dict[str, int]:
        model = self.student.model
        stacks = {"encoder": model.encoder, "vid": model.pixel_decoder}
        return {part: stack.heads for part, stack in stacks.items()} | {
            "img": model.feature_decoder.heads
        }

    @property
    def theirs(self) -> dict[str, np.ndarray]:
        """The parameters under the authors' names."""
        return to_theirs(flat(self.params), tables.find("surgvista"), self.student)

    def reference(self, **changes: np.ndarray) -> dict:
        """What NumPy computes, with other parameters under the authors' names."""
        arrays, batch = self.step.arrays, self.step.batch
        mask = arrays["mask"].astype(bool)
        found = numpy_student.forward(self.theirs | changes, batch["video"], mask, self.heads)
        features = np.stack([x[y] for x, y in zip(arrays["teacher_features"], mask, strict=True)])
        loss = numpy_student.FEATURE_LOSSES[self.step.objective.feature_loss](
            np.abs(found["img"] - features)
        ).mean()
        weights = self.step.objective
        total = weights.pixel_weight * found["pixel_loss"] + weights.feature_weight * loss
        return found | {"feature_loss": loss, "loss": total}


def case(name: str, class_token: bool) -> Case:
    step = load_golden(name)
    width = step.teacher.transformer.width
    if not class_token:
        return Case(step, StudentConfig(step.model, width), step.params)
    model = dataclasses.replace(step.model, class_token=True)
    token = np.random.default_rng(0).normal(0, 1, model.encoder.width).astype(np.float32)
    params = {**step.params, "encoder": {**step.params["encoder"], "class_token": token}}
    return Case(dataclasses.replace(step, model=model), StudentConfig(model, width), params)


@pytest.fixture(scope="module")
def tube():
    return case(PRETRAINING[0], class_token=True)


@pytest.mark.parametrize("name", PRETRAINING)
def test_the_reference_in_numpy_is_the_authors(name):
    """Without a class token their own numbers are known."""
    golden = case(name, class_token=False)
    found, arrays = golden.reference(), golden.step.arrays
    for ours, theirs in (("vid", "video_decoder_output"), ("img", "image_decoder_output")):
        scale = np.abs(arrays[theirs]).max()
        np.testing.assert_allclose(found[ours], arrays[theirs], rtol=0, atol=1e-5 * scale)
    np.testing.assert_allclose(found["pixel_loss"], arrays["loss_video"], rtol=1e-5)
    np.testing.assert_allclose(found["loss"], arrays["loss"], rtol=1e-5)


@pytest.mark.parametrize("name", PRETRAINING)
def test_both_decoders_receive_the_class_token(name):
    golden = case(name, class_token=True)
    wanted = golden.reference()
    _, found = jax.jit(pretraining(golden.step).predict)(golden.params, golden.step.batch)
    without = case(name, class_token=False).reference()
    for ours, theirs in ((found.pixels, "vid"), (found.features, "img")):
        scale = np.abs(wanted[theirs]).max()
        np.testing.assert_allclose(ours, wanted[theirs], rtol=0, atol=1e-5 * scale)
        assert np.abs(wanted[theirs] - without[theirs]).max() > 3e-4 * scale


def test_losses_agree_and_a_gradient_reaches_the_token(tube):
    task, step = pretraining(tube.step), 1e-4

    def loss(token):
        params = {**tube.params, "encoder": {**tube.params["encoder"], "class_token": token}}
        return task.loss(params, tube.step.teacher_params, tube.step.batch, None)

    grad = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (total, parts), found = grad(tube.params["encoder"]["class_token"])
    wanted = tube.reference()
    for name, value in {**parts, "loss": total}.items():
        np.testing.assert_allclose(value, wanted[name], rtol=1e-5)
    token, size = tube.theirs["cls_token"].astype(np.float64), np.linalg.norm(found)
    assert size > 1e-6
    for direction in np.random.default_rng(1).standard_normal((3, *token.shape)):
        ends = [
            tube.reference(cls_token=token + sign * step * direction)["loss"] for sign in (1, -1)
        ]
        slope = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(found @ direction[0, 0], slope, rtol=0, atol=1e-3 * size)


@pytest.mark.parametrize("name", ["surgvista", "mvd", "surgvista_finetuned", "mvd_finetuned"])
@pytest.mark.parametrize("class_token", [False, True])
def test_its_name_is_in_every_table_of_the_two_programs(name, class_token, tube, tmp_path):
    golden = tube if class_token else case(PRETRAINING[0], False)
    arrays = golden.theirs
    if "finetuned" in name:
        width = golden.student.model.encoder.width
        arrays |= {"head.weight": np.ones((7, width), np.float32), "head.bias": np.zeros(7)}
        arrays |= {f"fc_norm.{part}": np.ones(width, np.float32) for part in ("weight", "bias")}
        arrays = {k: v for k, v in arrays.items() if not k.startswith("norm.")}
        arrays = {k: v for k, v in arrays.items() if not k.startswith(("dec", "down", "mask"))}
    np.savez(tmp_path / "x.npz", **{k: np.asarray(v, np.float32) for k, v in arrays.items()})
    heads = {"encoder": 3, "pixel_decoder": 2, "feature_decoder": 2}
    loaded = load(f"{name}:{tmp_path / 'x.npz'}", heads=heads)
    assert encoder_of(loaded.config).class_token == class_token
    save(loaded.params, loaded.table, loaded.config, tmp_path / "back.npz")
    with np.load(tmp_path / "back.npz") as back:
        assert ("cls_token" in back) == class_token
        for key in set(back) & arrays.keys():
            np.testing.assert_array_equal(back[key], arrays[key])


def test_a_student_starts_from_a_file_that_has_one(tube, tmp_path):
    np.savez(tmp_path / "x.npz", **tube.theirs)
    loaded = load_student(f"surgvista:{tmp_path / 'x.npz'}", tube.student.model)
    assert not loaded.notes
    jax.tree.map(np.testing.assert_array_equal, loaded.params, tube.params)
    plain = dataclasses.replace(tube.student.model, class_token=False)
    loaded = load_student(f"surgvista:{tmp_path / 'x.npz'}", plain)
    assert "class_token" not in loaded.params["encoder"]
    assert loaded.notes == ("its class token is dropped",)
    with pytest.raises(UserError, match="videomae.*has no such parameter, so it would be lost"):
        save(tube.params, tables.find("videomae"), tube.student, tmp_path / "y.npz")
