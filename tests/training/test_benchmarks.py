"""Are a first and a second start told apart, and memory, peak and yardstick in their units?"""

import jax
import jax.numpy as jnp
import pytest

from surgvista_jax.training import benchmarks
from surgvista_jax.training.partition import MeshConfig, make_mesh


def test_the_second_program_is_taken_from_a_cache_that_is_gone_afterwards():
    before = {name: getattr(jax.config, name) for name in benchmarks._CACHE}
    hits, folders = [], []

    def lower():
        folders.append(jax.config.jax_compilation_cache_dir)
        return jax.jit(lambda x: jnp.sin(x) + len(before)).lower(jnp.float32(0))

    def listen(name, **_):
        if name.endswith("/compilation_cache/cache_hits"):
            hits.append(len(folders))

    jax.monitoring.register_event_listener(listen)
    program, cold, again = benchmarks.compile_twice(lower)
    assert set(hits) == {2} and cold > 0 and again > 0
    assert float(program(jnp.float32(0))) == len(before)
    assert {name: getattr(jax.config, name) for name in benchmarks._CACHE} == before
    assert before["jax_compilation_cache_dir"] not in folders


@pytest.mark.parametrize("several", [True, False])
def test_where_nothing_is_kept_there_is_no_second_start(monkeypatch, several):
    folders = []

    def lower():
        folders.append(jax.config.jax_compilation_cache_dir)
        return jax.jit(lambda x: x + 1).lower(jnp.float32(0))

    if several:
        monkeypatch.setattr(jax, "process_count", lambda: 2)
        found = benchmarks.compile_twice(lower)
    else:
        jax.config.update("jax_enable_compilation_cache", False)
        try:
            found = benchmarks.compile_twice(lower)
        finally:
            jax.config.update("jax_enable_compilation_cache", True)
    assert folders == [None] and found[1] > 0 and found[2] is None
    assert benchmarks._in_words("compile_again_seconds", None).startswith("none")


def test_the_yardstick_and_the_share_of_a_peak(monkeypatch):
    found = benchmarks.matrix_product(times=1)
    assert found["matrix_tflops"] > 1e-4 and found["matrix_side"] == 512
    mesh = make_mesh(MeshConfig())
    assert benchmarks.utilisation(10.0, 1e9, mesh) is None
    monkeypatch.setattr(benchmarks, "peak_flops", lambda kind: 1e10)
    assert benchmarks.utilisation(10.0, 1e9, mesh) == pytest.approx(1 / mesh.size)


def test_a_program_reserves_what_it_is_given_returns_and_holds_meanwhile():
    mesh = make_mesh(MeshConfig(data=1), jax.devices()[:1])
    program = jax.jit(lambda x: x + 1).lower(jnp.zeros(2**18)).compile()
    found = benchmarks.memory_of(program, mesh)
    assert found["program_mib"] == pytest.approx(2, rel=0.01) and found["peak_mib"] is None
