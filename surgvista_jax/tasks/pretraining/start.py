"""The parameters that a pretraining run starts with, and its teacher's."""

import dataclasses
import math
import sys
from typing import NamedTuple

import jax

from surgvista_jax.errors import UserError
from surgvista_jax.inference.computed import of_encoder, sentences
from surgvista_jax.models.image_vit import ImageEncoder
from surgvista_jax.models.positions import interpolate_positions
from surgvista_jax.models.video_vit import EncoderConfig
from surgvista_jax.tasks.pretraining.task import Pretraining
from surgvista_jax.training.run import Loaded
from surgvista_jax.weights.for_pretraining import load_student, load_teacher
from surgvista_jax.weights.kinds import with_epsilon_of
from surgvista_jax.weights.names.entries import square
from surgvista_jax.weights.provenance import Source, of_loaded

RANDOM = "random"


class Weights(NamedTuple):
    """Parameters that a run does not draw.

    Attributes:
        params: part -> tree of NumPy arrays; the parts that are missing are random.
        digest: sha256 of what was read, or "random" or "none".
        sources: where it comes from.
        encoder: what a teacher's file says of its encoder.
    """

    params: dict
    digest: str
    sources: tuple[Source, ...] = ()
    encoder: EncoderConfig | None = None


class Start(NamedTuple):
    """What a run starts with.

    Attributes:
        loaded: parts of student and teacher that are read; the others are random.
        digests: of what was read, by "init" and "teacher"; a run goes on with these alone.
        sources: where they come from.
        task: as it was given; the norms of a teacher that is read have its own program's epsilon.
        computed: what some earlier version computed otherwise, a line each.
    """

    loaded: Loaded
    digests: dict[str, str]
    sources: tuple[Source, ...]
    task: Pretraining
    computed: tuple[str, ...]


def start(task: Pretraining) -> Start:
    """Reads what the configuration names for student and teacher.

    Raises:
        UserError: a file is not what the configuration describes.
    """
    student, teacher = student_weights(task), teacher_weights(task)
    return Start(
        Loaded(student.params, teacher.params),
        {"init": student.digest, "teacher": teacher.digest},
        (*student.sources, *teacher.sources),
        _with_teacher(task, teacher.encoder),
        (*_class_token(task), *sentences(of_encoder("teacher", teacher.encoder))),
    )


def student_weights(task: Pretraining) -> Weights:
    """Reads what `config.init` names, and says which parts stay random.

    Raises:
        UserError: the file is not what the configuration describes.
    """
    spec, model = task.config.init, task.config.model
    if spec in ("", RANDOM):
        return Weights({}, RANDOM)
    loaded = load_student(spec, model, task.grid)
    params = dict(loaded.params)
    width = task.student.feature_width
    unused = []
    if "feature_decoder" in params:
        if not width:
            unused.append("feature_decoder")
            del params["feature_decoder"]
        elif loaded.config.feature_width != width:
            raise UserError(
                f"config.init={spec}: its feature decoder predicts {loaded.config.feature_width}"
                f" values, and config.teacher.transformer.width={width}; take the teacher that it"
                " was trained with, or a file of the encoder alone"
            )
    parts = ["encoder", "pixel_decoder", *(["feature_decoder"] if width else [])]
    random = [part for part in parts if part not in params]
    said = f"{loaded.summary()}; random: {', '.join(random) or 'nothing'}"
    _say("init", f"{said}; unused: {', '.join(unused)}" if unused else said)
    for note in loaded.notes:
        _say("init", note)
    return Weights(params, loaded.identity, of_loaded("init", loaded))


def teacher_weights(task: Pretraining) -> Weights:
    """Reads what `config.teacher.weights` names; its positions are fitted to the size of the clips.

    Raises:
        UserError: the file is not what the configuration describes.
    """
    teacher = task.config.teacher
    if teacher is None:
        return Weights({}, "none")
    spec = teacher.weights
    if spec == RANDOM:
        return Weights({}, RANDOM)
    loaded = load_teacher(spec, teacher)
    params, notes = loaded.params, loaded.notes
    table, grid = params["encoder"]["positions"], task.grid[1:]
    if len(table) != math.prod(grid):
        side, _ = square(len(table))
        positions = interpolate_positions(table, (side, side), grid, loaded.config.resize)
        params = {"encoder": {**params["encoder"], "positions": positions}}
        notes += (f"positions interpolated from {side}x{side} to {grid[0]}x{grid[1]} patches",)
    for said in (loaded.summary(), *notes):
        _say("teacher", said)
    sources = of_loaded("teacher", loaded)
    return Weights(params, loaded.identity, sources, loaded.config)


def _class_token(task: Pretraining) -> tuple[str, ...]:
    return ("the decoders see the class token",) * task.config.model.class_token


def _with_teacher(task: Pretraining, encoder: EncoderConfig | None) -> Pretraining:
    """The task with the epsilon of a teacher that was read."""
    if task.teacher is None or encoder is None:
        return task
    config = task.teacher.config
    transformer = with_epsilon_of(config.transformer, encoder.transformer)
    config = dataclasses.replace(config, transformer=transformer)
    return dataclasses.replace(task, teacher=ImageEncoder(config, task.teacher.compute))


def _say(what: str, text: str) -> None:
    if jax.process_index() == 0:
        print(f"{what}: {text}", file=sys.stderr)
