"""How fast is a program on this machine, beside what the machine itself can do?"""

import contextlib
import operator
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.compilation_cache import compilation_cache
from jax.sharding import Mesh

from surgvista_jax.training.beforehand import check_mesh
from surgvista_jax.training.compiled_step import CompiledStep
from surgvista_jax.training.partition import batch_sharding, process_rows, to_global
from surgvista_jax.training.peaks import peak_flops
from surgvista_jax.training.run import TrainConfig, step_of
from surgvista_jax.training.state import abstract_sharded, create_sharded, initial_state
from surgvista_jax.training.task import Task

WARM_UP = 3  # calls that are not timed
_MIB = 2**20
_SIDE = {"cpu": 512}  # of the yardstick's matrices; 8192 elsewhere
_CLIPS = 1_000_000  # that an epoch of a benchmark has: schedules are part of the step
_CACHE = (
    *("jax_compilation_cache_dir", "jax_compilation_cache_max_size"),
    "jax_persistent_cache_min_compile_time_secs",
)
_SWITCH = "jax_enable_compilation_cache"


def bench_step(
    task: Task,
    config: TrainConfig,
    draw: Callable[[int], Mapping[str, np.ndarray]],
    mesh: Mesh,
    steps: int,
    together: int = 1,
) -> dict[str, Any]:
    """Times the training step of a run on a mesh that is set, with a batch that stays there.

    Args:
        draw: rows -> a host batch of so many, in the shapes of the run's.
        steps: that are timed.
        together: clips of a row.

    Returns:
        `loss`, `step_ms` (median), `clips_per_second`, `compile_seconds` (nothing kept),
        `compile_again_seconds` (a second start, which takes it from the compilation cache; None
        where a run would not, see `compile_twice`),
        `program_mib` (what the compiled step reserves on one device), `peak_mib` (what the device
        saw in use; None where it does not tell) and the metrics of `task.flops_per_clip` as shares
        of the devices' peak (None where it is unknown).
    """
    budget, optimizer = config.budget, config.optimizer.transform
    check_mesh(mesh, budget, task, together)

    def first_state() -> Any:
        return initial_state(task.init_trained(), optimizer, average=config.average > 0)

    rows = process_rows(batch_sharding(mesh), budget.batch_size // together)
    batch = to_global(mesh, draw(len(rows)))
    shapes = {name: jax.ShapeDtypeStruct(x.shape, x.dtype) for name, x in batch.items()}
    step = CompiledStep(step_of(task, config, _CLIPS), config.options)
    abstract = abstract_sharded(first_state, mesh), abstract_sharded(task.init_frozen, mesh)
    compiled, cold, again = compile_twice(lambda: step.lower(*abstract, shapes, mesh))
    if config.check is not None:
        config.check(compiled.as_text() or "")
    state, frozen = create_sharded(first_state, mesh), create_sharded(task.init_frozen, mesh)
    # As a run does it: a step is handed over while the one before is computed.
    state, metrics = compiled(state, frozen, batch)
    ended = []
    for _ in range(WARM_UP + steps + 1):
        state, next_metrics = compiled(state, frozen, batch)
        jax.block_until_ready(metrics)
        ended.append(time.perf_counter())
        metrics = next_metrics
    jax.block_until_ready((state, metrics))
    seconds = statistics.median(map(operator.sub, ended[WARM_UP + 1 :], ended[WARM_UP:]))
    return {
        "loss": float(metrics["loss"]),
        "step_ms": 1000 * seconds,
        "clips_per_second": budget.batch_size / seconds,
        "compile_seconds": cold,
        "compile_again_seconds": again,
        **memory_of(compiled, mesh),
        **{
            name: utilisation(budget.batch_size / seconds, flops, mesh)
            for name, flops in task.flops_per_clip.items()
        },
    }


def utilisation(clips_per_second: float, flops_per_clip: float, mesh: Mesh) -> float | None:
    """The share of all devices' peak; None where it is not known."""
    peak = peak_flops(mesh.devices.flat[0].device_kind)
    return None if peak is None else clips_per_second * flops_per_clip / (peak * mesh.size)


def median_seconds(call: Callable[[], Any], times: int) -> float:
    """The median time of a call until what it computes is there, after some warm-up."""
    found = []
    for _ in range(WARM_UP + times):
        start = time.perf_counter()
        jax.block_until_ready(call())
        found.append(time.perf_counter() - start)
    return statistics.median(found[WARM_UP:])


def matrix_product(times: int = 10) -> dict[str, float]:
    """The yardstick: one bfloat16 product of two square matrices on one device.

    Returns:
        `matrix_side` and `matrix_tflops`, 10^12 operations a second.
    """
    side = _SIDE.get(jax.default_backend(), 8192)
    key = jax.random.key(0)
    first, second = jax.random.normal(key, (2, side, side), jnp.bfloat16)
    product = jax.jit(jnp.matmul)
    seconds = median_seconds(lambda: product(first, second), times)
    return {"matrix_side": side, "matrix_tflops": 2 * side**3 / seconds / 1e12}


def compile_twice(
    lower: Callable[[], jax.stages.Lowered],
) -> tuple[jax.stages.Compiled, float, float | None]:
    """Compiles as a first start does, and as a second one that finds it kept.

    Returns:
        The first program, and the seconds of both, tracing included; None for the second where
        nothing is kept: of several processes, or where the user says so.
    """
    kept = jax.process_count() == 1 and bool(getattr(jax.config, _SWITCH))
    seconds, programs = [], []
    with _scratch_cache(kept):
        for _ in range(2 if kept else 1):
            jax.clear_caches()
            start = time.perf_counter()
            programs.append(lower().compile())
            seconds.append(time.perf_counter() - start)
    return programs[0], seconds[0], seconds[1] if kept else None


@contextlib.contextmanager
def _scratch_cache(kept: bool) -> Iterator[None]:
    """An empty compilation cache, or none at all."""
    before = {name: getattr(jax.config, name) for name in _CACHE}
    with tempfile.TemporaryDirectory(prefix="surgvista_bench_") as folder:
        for name, value in zip(_CACHE, (folder if kept else None, -1, 0), strict=True):
            jax.config.update(name, value)
        compilation_cache.reset_cache()
        try:
            yield
        finally:
            for name, value in before.items():
                jax.config.update(name, value)
            compilation_cache.reset_cache()


def memory_of(compiled: jax.stages.Compiled, mesh: Mesh) -> dict[str, float | None]:
    """`program_mib` and `peak_mib`, see `bench_step`."""
    memory = compiled.memory_analysis()
    program = None
    if memory is not None:
        reserved = memory.argument_size_in_bytes + memory.output_size_in_bytes
        reserved += memory.temp_size_in_bytes - memory.alias_size_in_bytes
        program = reserved / _MIB
    in_use = (mesh.devices.flat[0].memory_stats() or {}).get("peak_bytes_in_use")
    return {"program_mib": program, "peak_mib": None if in_use is None else in_use / _MIB}


def of_machine(mesh: Mesh) -> dict[str, Any]:
    """What ran it: devices, their number, the version of JAX."""
    kind = mesh.devices.flat[0].device_kind
    return {"device": kind, "devices": mesh.size, "jax": jax.__version__}


_NAMES = {
    "dtype": "compute type",
    "deterministic": "in one order of sums",
    "xla": "compiler's options",
    "step_ms": "step time (median)",
    "clips_per_second": "clips/s",
    "compile_seconds": "compile time, cold",
    "compile_again_seconds": "compile time, second start",
    "gflop_per_clip": "work per clip",
    "mfu": "FLOPs utilisation",
    "mfu_student": "  of the student alone",
    "program_mib": "memory of the program",
    "peak_mib": "peak memory in use",
    "one_clip_ms": "one clip (median)",
    "one_clip_program_mib": "  memory of its program",
    "live_ms_p50": "frame to label, live (median)",
    "live_ms_p95": "  95 of 100 within",
    "live_ms_p99": "  99 of 100 within",
    "live_ms_max": "  all within",
    "live_dropped": "  frames dropped",
    "video_seconds": "video, end to end",
    "video_times_real_time": "  times real time",
    "video_cpu_seconds": "  processors, a second of it",
    "decode_times_real_time": "  decoding alone",
    "decode_share": "  of the processors' time",
    "host_peak_mib": "  memory of the processes",
    "host_before_mib": "  of it before it began",
}
_UNITS = {
    "_ms": ".2f ms",
    **dict.fromkeys(("_p50", "_p95", "_p99", "_max"), ".2f ms"),
    **dict.fromkeys(("host_peak_mib", "host_before_mib"), ".0f MiB"),
    "_real_time": ".1f x real time",
    "cpu_seconds": ".2f s",
    "_seconds": ".1f s",
    "_mib": ".0f MiB a device",
    "gflop_per_clip": ".1f GFLOP",
    "live_dropped": ".0f ",
}


def as_table(result: Mapping[str, Any]) -> str:
    """A benchmark's numbers in words, a line each."""
    frames, size, _ = result["clip"]
    side, rate = result["matrix_side"], result["matrix_tflops"]
    rows = [
        ("device", f"{result['devices']} x {result['device']}, jax {result['jax']}"),
        ("matrix product", f"{rate:.3g} TFLOP/s (bfloat16, {side:.0f} x {side:.0f}, one device)"),
        ("clips", f"{result['batch_size']} of {frames}x{size}x{size}{_shared(result)}"),
        *((name, _in_words(key, result[key])) for key, name in _NAMES.items() if key in result),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _shared(result: Mapping[str, Any]) -> str:
    """Whether clips have a teacher, and what several of them share."""
    slide, masks = result.get("slide", 1), result.get("masks_per_clip", 1)
    teacher = ""
    if "teacher" in result:
        teacher = ", with teacher" if result["teacher"] else ", without teacher"
    return teacher + f", sliding by {slide}" * (slide > 1) + f", {masks} masks each" * (masks > 1)


def _in_words(key: str, value: Any) -> str:
    if value is None and key == "compile_again_seconds":
        return "none: nothing is kept here"
    if value is None:
        return "not told here" if key.endswith("_mib") else "peak of this device unknown"
    if key.startswith("mfu") or key.endswith("_share"):
        return f"{value:.1%}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value or "XLA's own"
    number, _, unit = next((u for end, u in _UNITS.items() if key.endswith(end)), ".1f ").partition(
        " "
    )
    return f"{value:{number}} {unit}".rstrip()
