"""Which options is XLA given for the programs that we compile, and who says so?

Options stand in one table by backend and program. What `compute.xla` says comes on top, and what
XLA_FLAGS names stays as it is there. They are handed over program by program, so that one that
pays for a training step need not slow down another program of the same process.

What the table gave a run is noted in its configuration as NAME?=VALUE, which asks for nothing: who
starts from there gets the table of then.
"""

import ast
import re

import jax
import ml_collections

from surgvista_jax.errors import UserError
from surgvista_jax.training.xla_flags import is_true, said_of

Options = dict[str, bool | int | float | str]

_KEY = "config.compute.xla"
# What is known to pay, measured on the devices named. Pretraining, ViT-B student and ViT-L teacher,
# batch 64 (H100 80GB, jax 0.11.2): without kernels of Triton for matrix products a step takes 216.2
# instead of 219.3 ms, and compiling it 38 instead of 58 s. Finetuning's gradient (ViT-B, batch 64)
# is compiled in 6 s without them, a step with them in 42. Predictions of 64 clips take 54.4 instead
# of 58.4 ms without them (biases are added within the products then), of one 1.92 instead of 2.05.
# A teacher of 8-bit floats needs the products of query, key and value apart: with few images (clips
# that slide) XLA made one of two of them, in which it does not find 8-bit floats any more. Apart
# they hold their biases, too: predictions of 64 clips take 48.8 instead of 51.4 ms, of one 1.83
# instead of 1.88. Not in others: the faithful step takes 202.4 with them apart, and 201.5 ms as XLA
# likes.
_NO_TRITON: Options = {"xla_gpu_enable_triton_gemm": False}
_NO_MERGER: Options = {"xla_gpu_dot_merger_threshold_mb": 0}
_TABLE: dict[tuple[str, str], Options] = {
    ("gpu", "pretraining"): _NO_TRITON,
    ("gpu", "pretraining with float8"): _NO_TRITON | _NO_MERGER,
    ("gpu", "finetuning"): _NO_TRITON,
    ("gpu", "prediction"): _NO_TRITON | _NO_MERGER,
}
# Options of one kind of device alone are passed over on others, so that a run's config.json can be
# taken anywhere.
_OF_BACKEND = {"xla_gpu_": "gpu", "xla_tpu_": "tpu", "xla_cpu_": "cpu"}
_LEVEL = "optimization_level"
_DETERMINISTIC = "xla_gpu_deterministic_ops"
_LEVELS = {"O0": 9, "O1": 19, "O2": 29, "O3": 39}  # as JAX numbers them
_SEPARATOR = re.compile(r",(?=\s*(?:--)?[a-z]\w*\??=)")  # a value may hold commas


def options_for(program: str, told: str = "") -> Options:
    """The options of a program on the devices that are here; {} for XLA's own.

    Args:
        program: "pretraining", "pretraining with float8" (of the teacher), "finetuning" or
            "prediction".
        told: what the user says (`compute.xla`).

    Raises:
        UserError: XLA does not know an option that the user says, or not this value of it.
    """
    backend = jax.default_backend()
    asked = {name: value for name, value in parse(told).items() if _is_for(backend, name)}
    known = {
        name: value
        for name, value in _TABLE.get((backend, program), {}).items()
        if name not in asked and said_of(f"--{name}") is None
    }
    held = said_of(f"--{_DETERMINISTIC}")
    opposite = _DETERMINISTIC in asked and not is_true(str(asked[_DETERMINISTIC]))
    if opposite and held is not None and is_true(held):
        raise UserError(f"{_KEY}={told}: says the opposite of config.compute.deterministic=true")
    if asked and (refused := _refusal(asked)):
        raise UserError(f"{_KEY}={told}: {refused}")
    if known and _refusal(known):  # by another version of XLA
        known = {}
    return known | asked


def in_words(options: Options) -> str:
    """Options as `compute.xla` takes them, in the order of their names."""
    return ",".join(
        f"{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in sorted(options.items())
    )


def as_compiled(config: ml_collections.ConfigDict, program: str) -> ml_collections.ConfigDict:
    """A configuration that says the options with which its program is compiled here.

    What is for other devices stays said; what nobody asked for is only noted.
    """
    asked = parse(config.compute.xla)
    options = options_for(program, config.compute.xla)
    given = {f"{name}?": value for name, value in options.items() if name not in asked}
    found = config.copy_and_resolve_references()
    found.compute.xla = in_words(asked | given)
    return found.lock()


def parse(text: str) -> Options:
    """The options of a text like "xla_gpu_autotune_level=2,optimization_level=O1".

    Those of the form NAME?=VALUE are left out: they note what another start was given.

    Raises:
        UserError: it is not of that form.
    """
    options: Options = {}
    for word in _SEPARATOR.split(text) if text.strip() else ():
        name, equals, value = (part.strip() for part in word.partition("="))
        name = name.removeprefix("--")
        if not equals or not re.fullmatch(r"[a-z]\w*\??", name):
            raise UserError(
                f"{_KEY}={text}: should be NAME=VALUE, separated by commas, as in"
                " xla_gpu_enable_triton_gemm=false"
            )
        if not name.endswith("?"):
            options[name] = _value(name, value)
    return options


def _value(name: str, text: str) -> bool | int | float | str:
    if name == _LEVEL and text in _LEVELS:
        return _LEVELS[text]
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        value = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if isinstance(value, int | float) else text


def _is_for(backend: str, name: str) -> bool:
    return all(of == backend for prefix, of in _OF_BACKEND.items() if name.startswith(prefix))


def _refusal(options: Options) -> str | None:
    """Why XLA does not take options, in words; None where it does."""
    for name, value in options.items():
        try:
            jax.jit(lambda x: x, compiler_options={name: value}).lower(1.0).compile()
        except (TypeError, ValueError):
            return f"{name} takes no {value!r}"
        except RuntimeError as error:
            return str(error).partition("\n")[0].removeprefix("INVALID_ARGUMENT: ")
    return None
