"""Do programs get the options of their backend, and what the user says on top of them?"""

import jax
import pytest

from surgvista_jax.config import load_config
from surgvista_jax.errors import UserError
from surgvista_jax.tasks.free_keys import PRETRAINING
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.train import KIND
from surgvista_jax.training import xla_options
from surgvista_jax.training.rundir import claim, read_config
from surgvista_jax.training.xla_options import as_compiled, in_words, options_for, parse
from tests.support import tiny_run

FAST = "xla_cpu_enable_fast_math"


@pytest.fixture
def table(monkeypatch):
    """A table with an option that the processor's compiler knows."""
    found = {("cpu", "pretraining"): {FAST: False, "xla_backend_optimization_level": 1}}
    monkeypatch.setattr(xla_options, "_TABLE", found)
    monkeypatch.setenv("XLA_FLAGS", "")
    return found


def noted(text):
    """The options that the table gave, by a text that was written."""
    return parse(",".join(word.replace("?=", "=") for word in text.split(",") if "?=" in word))


def test_texts_are_read_as_values_and_written_back():
    text = "xla_a=true,xla_b=-1,--xla_c=A,B,xla_d=0.5,xla_e=,optimization_level=O1"
    options = parse(text)
    assert options == {
        **{"xla_a": True, "xla_b": -1, "xla_c": "A,B", "xla_d": 0.5, "xla_e": ""},
        "optimization_level": 19,
    }
    assert parse(in_words(options)) == options and not parse(" ")


@pytest.mark.parametrize("text", ["xla_a", "=1", "xla a=1"])
def test_what_is_no_option_is_said(text):
    with pytest.raises(UserError, match="config.compute.xla=.*NAME=VALUE"):
        parse(text)


def test_the_table_is_by_program_and_the_user_has_the_last_word(table, monkeypatch):
    assert options_for("pretraining") == table["cpu", "pretraining"]
    assert not options_for("prediction")
    assert options_for("pretraining", f"{FAST}=true")[FAST] is True
    monkeypatch.setenv("XLA_FLAGS", f"--{FAST}=true")
    assert FAST not in options_for("pretraining")


def test_an_option_of_another_kind_of_device_is_passed_over_but_kept(table, tmp_path):
    config = tiny_run.make_config(tmp_path / "config.py", tmp_path / "data")
    said = "xla_tpu_spmd_rng_bit_generator_unsafe=true"
    values = load_config(str(config), PretrainConfig, [f"--config.compute.xla={said}"])
    assert options_for("pretraining", said) == table["cpu", "pretraining"]
    compiled = as_compiled(values, "pretraining")
    assert parse(compiled.compute.xla) == parse(said)
    assert noted(compiled.compute.xla) == table["cpu", "pretraining"]
    assert values.compute.xla == said


def test_what_the_compiler_does_not_know_is_one_line_of_the_user_and_none_of_the_table(table):
    with pytest.raises(UserError, match="config.compute.xla=xla_foo=1: No such .*xla_foo"):
        options_for("pretraining", "xla_foo=1")
    with pytest.raises(UserError, match=f"{FAST}.*abc"):
        options_for("pretraining", f"{FAST}=abc")
    table["cpu", "pretraining"]["xla_foo"] = True  # of another version
    assert not options_for("pretraining")


@pytest.mark.parametrize("held", ["=true", "=1", "=Yes", ""])
@pytest.mark.parametrize("told", ["false", "0"])
def test_one_order_of_sums_is_not_taken_back(held, told, table, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", f"--xla_gpu_deterministic_ops{held}")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with pytest.raises(UserError, match="the opposite of config.compute.deterministic=true"):
        options_for("pretraining", f"xla_gpu_deterministic_ops={told}")


@pytest.mark.parametrize("held", ["0", "false", "no"])
def test_any_order_may_be_said_twice(held, table, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", f"--xla_gpu_deterministic_ops={held}")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(xla_options, "_refusal", lambda options: None)
    told = "xla_gpu_deterministic_ops=false"
    assert options_for("pretraining", told) == parse(told)


def test_what_the_table_gave_a_run_is_asked_for_by_nobody_who_starts_from_its_configuration(
    table, tmp_path, monkeypatch
):
    config = tiny_run.make_config(tmp_path / "config.py", tmp_path / "data")
    told = "xla_backend_optimization_level=2"
    values = load_config(str(config), PretrainConfig, [f"--config.compute.xla={told}"])
    written = as_compiled(values, "pretraining")
    text = written.compute.xla
    assert noted(text) == {FAST: False} and parse(text) == parse(told)
    assert options_for("pretraining", text) == parse(told) | {FAST: False}
    assert options_for("prediction", text) == parse(told)
    assert as_compiled(written, "pretraining").compute.xla == text
    monkeypatch.setenv("XLA_FLAGS", f"--{FAST}=true")
    assert FAST not in options_for("pretraining", text)
    monkeypatch.setenv("XLA_FLAGS", "")
    gone = f"xla_gone?=1,{told},xla_lost?=a,b"  # options that this compiler lacks
    assert options_for("pretraining", gone) == parse(told) | {FAST: False}


def test_a_run_writes_its_options_and_goes_on_with_others(table, tmp_path):
    config = tiny_run.make_config(tmp_path / "config.py", tmp_path / "data")
    run = tmp_path / "run"
    values = load_config(str(config), PretrainConfig)
    claim(run, as_compiled(values, KIND), PretrainConfig, KIND, PRETRAINING)
    written = read_config(run).values["compute"]["xla"]
    assert noted(written) == table["cpu", "pretraining"]
    (run / "metrics.jsonl").write_text("{}\n")
    values = load_config(str(config), PretrainConfig, [f"--config.compute.xla={FAST}=true"])
    claim(run, as_compiled(values, KIND), PretrainConfig, KIND, PRETRAINING)
