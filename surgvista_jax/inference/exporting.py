"""A model for programs that know nothing of this one: uint8 frames in, answers out.

Parameters and the normalisation of pixels are inside, everything is float32, and attention is
ordinary operations, which alone `jax.export` guarantees to run later and elsewhere:
https://docs.jax.dev/en/latest/export/export.html#compatibility-guarantees
"""

import functools
import importlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import export

from surgvista_jax import __version__
from surgvista_jax.errors import UserError
from surgvista_jax.inference.model import Model
from surgvista_jax.inference.saved_model import run_saved_model, write_saved_model
from surgvista_jax.models.attention import as_anywhere
from surgvista_jax.models.blocks import Block, Transformer
from surgvista_jax.weights.loading import digest_of

PLATFORMS = ("cpu", "cuda", "tpu")
# Format -> the largest difference from the model itself, relative and absolute, that is accepted.
TOLERANCES = {"stablehlo": 1e-5, "onnx": 1e-4, "savedmodel": 1e-5}
LARGEST = 2**31 - 2**20  # bytes of parameters: no file of these formats holds 2 GiB
IN_FOLDERS = ("savedmodel",)  # whose parameters lie in files of their own
# What each needs beyond JAX, and how it comes.
_NEEDS = {
    "stablehlo": ("flatbuffers", "pip install flatbuffers"),
    "onnx": ("jax2onnx", 'pip install ".[onnx]", then pip install --no-deps "jax2onnx>=0.17"'),
    "savedmodel": ("tensorflow", 'pip install ".[savedmodel]"'),
}

Answers = tuple[jax.Array, ...]


def answers(model: Model) -> Callable[[Any], Answers]:
    """uint8 video [B, T, size, size, 3] -> features [B, D] and, with a head, probabilities [B, C].

    The products are those of float32 on every device: a GPU would take TF32 unasked.
    """
    params = _host_params(model)
    return lambda video: _answer(model, params, video)


def _host_params(model: Model) -> Any:
    return jax.tree.map(np.asarray, model.params)


def _answer(model: Model, params: Any, video: Any) -> Answers:
    with jax.default_matmul_precision("highest"), as_anywhere():
        if model.classifier is None:
            return (model.backbone.features(params, video, model.pool),)
        pixels = model.backbone.pixels(video)
        tokens = model.backbone.tokens(params, pixels)
        features, logits, _ = model.classifier.classify(params, tokens)
        return features, model.classifier.probabilities(logits)


def output_names(model: Model) -> tuple[str, ...]:
    """Of what `answers` gives, in its order."""
    return ("features",) if model.classifier is None else ("features", "probabilities")


def to_stablehlo(model: Model, path: Path) -> None:
    """What `jax.export.deserialize(bytearray(…)).call(video)` runs: any batch, on `PLATFORMS`."""
    exported = export.export(jax.jit(answers(model)), platforms=PLATFORMS)(_any_batch(model))
    path.write_bytes(exported.serialize())


def to_saved_model(model: Model, path: Path) -> None:
    """What TensorFlow runs: the signature `serving_default`, of `video`, any batch."""
    clip = model.clip
    shape = (None, clip.num_frames, clip.size, clip.size, 3)
    names, ask = output_names(model), functools.partial(_answer, model)
    write_saved_model(ask, _host_params(model), shape, names, PLATFORMS, path)


def to_onnx(model: Model, path: Path) -> None:
    """An ONNX graph with a free batch, whose input is `video` and outputs `output_names`.

    Its blocks stand one after the other, without a loop.

    Raises:
        UserError: jax2onnx is not installed.
    """
    jax2onnx = _needed("onnx")
    # A line for each of a hundred shapes whose type it does not know, and does not need.
    logging.getLogger("onnx_ir").setLevel(logging.ERROR)

    def unrolled(video: jax.Array) -> Answers:
        with nn.intercept_methods(_block_by_block):
            return answers(model)(video)

    graph = jax2onnx.to_onnx(
        unrolled,
        [_any_batch(model)],
        model_name="surgvista",
        input_names=["video"],
        output_names=list(output_names(model)),
    )
    path.write_bytes(graph.SerializeToString())


def _block_by_block(
    call: Any, args: tuple, kwargs: dict, context: nn.module.InterceptorContext
) -> Any:
    """A stack of blocks without the scan, of which jax2onnx makes a loop of its own kind."""
    stack = context.module
    if not isinstance(stack, Transformer) or context.method_name != "__call__":
        return call(*args, **kwargs)
    dtype, params = jnp.dtype(stack.compute.dtype), stack.variables["params"]["blocks"]
    x = args[0].astype(dtype)
    for layer in range(stack.config.depth):
        own = jax.tree.map(lambda leaf, layer=layer: leaf[layer], params)
        x, _ = Block(stack.config, dtype).apply({"params": own}, x, None, False)
    return x


def _any_batch(model: Model) -> jax.ShapeDtypeStruct:
    clip = model.clip
    (batch,) = export.symbolic_shape("batch")
    shape = (batch, clip.num_frames, clip.size, clip.size, 3)
    return jax.ShapeDtypeStruct(shape, jnp.uint8)


EXPORTERS = {"stablehlo": to_stablehlo, "onnx": to_onnx, "savedmodel": to_saved_model}


def check_exportable(model: Model, form: str) -> None:
    """Raises UserError where no file of this format can be made of the model, before it is."""
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(model.params))
    if size > LARGEST and form not in IN_FOLDERS:
        raise UserError(
            f"{model.name}: has {size / 2**30:.1f} GiB of parameters, and a file of {form} holds"
            " less than 2; `surgvista weights export` writes them for other programs"
        )
    _needed(form)


def run_exported(
    form: str, path: Path, video: np.ndarray, names: Sequence[str]
) -> list[np.ndarray]:
    """What is written at a path says of uint8 video, computed here as another program would."""
    if form == "savedmodel":
        return run_saved_model(path, video, names)
    if form == "stablehlo":
        content = bytearray(path.read_bytes())
        return [np.asarray(x) for x in export.deserialize(content).call(video)]
    runtime = importlib.import_module("onnxruntime")  # jax2onnx stands on it
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return [np.asarray(x) for x in session.run(None, {"video": video})]


def difference(model: Model, form: str, path: Path) -> float:
    """The largest by which the answers at a path for random clips differ from the model's own.

    Each is divided by 1 or its size, whichever is larger.

    Raises:
        UserError: it is larger than the format's tolerance.
    """
    clip = model.clip
    shape = (2, clip.num_frames, clip.size, clip.size, 3)
    video = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    wanted = [np.asarray(x) for x in jax.jit(answers(model))(video)]
    found = run_exported(form, path, video, output_names(model))
    worst = max(
        float((abs(a - b) / np.maximum(1, abs(b))).max())
        for a, b in zip(found, wanted, strict=True)
    )
    if not worst <= TOLERANCES[form]:
        raise UserError(
            f"{model.name}: its {form} differs from it by {worst:.1e}, where at most"
            f" {TOLERANCES[form]:g} is accepted; nothing is written"
        )
    return worst


def description(model: Model, form: str) -> dict:
    """What stands beside the file, as JSON: what goes in, what comes out, what it means."""
    clip, widths = model.clip, (model.width, len(model.classes))
    return {
        "format": form,
        "made_by": f"surgvista_jax {__version__}",
        "weights": model.name,
        "parameters_sha256": digest_of(_host_params(model)),
        "input": {
            "name": "video",
            "dtype": "uint8",
            "shape": ["batch", clip.num_frames, clip.size, clip.size, 3],
            "meaning": "RGB, values from 0 to 255; whole frames resized bilinearly to this size",
        },
        "outputs": [
            {"name": name, "dtype": "float32", "shape": ["batch", width]}
            for name, width in zip(output_names(model), widths, strict=False)
        ],
        "clip": {
            "num_frames": clip.num_frames,
            "stride": clip.stride,
            "size": clip.size,
            "sampling": clip.sampling,
        },
        "fps": model.fps,
        "classes": list(model.classes),
        "label_kind": model.label_kind,
    }


def _needed(form: str) -> Any:
    """The package that writes a format, imported. Raises UserError where it is not installed."""
    name, how = _NEEDS[form]
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"--format={form}: {name} cannot be imported ({error}): {how}") from None
