"""For tests that ask for numbers of a benchmark: compile once, with what other tests compiled."""

import pytest

from surgvista_jax.training import benchmarks


@pytest.fixture(autouse=True)
def compiled_once(monkeypatch):
    def compile_twice(lower):
        return lower().compile(), 1.0, 1.0

    monkeypatch.setattr(benchmarks, "compile_twice", compile_twice)
    monkeypatch.setattr("surgvista_jax.commands.bench_predict.compile_twice", compile_twice)
