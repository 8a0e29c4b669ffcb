"""A configuration as data says what one of code says, and a file that is neither is one line."""

import json

import pytest

from surgvista_jax.config import build, find_config, load_config, run_config, told_keys
from surgvista_jax.errors import UserError
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.programs import program_of
from surgvista_jax.tasks.temporal.config import TemporalConfig

SHIPPED = {
    "configs/pretrain/surgvista.py": PretrainConfig,
    "configs/pretrain/pixels_only.py:small": PretrainConfig,
    "configs/finetune/cholec80.py": FinetuneConfig,
    "configs/probe/cholec80.py": FinetuneConfig,
    "configs/finetune/mstcn.py:cholec80": TemporalConfig,
}


def toml(values, prefix=""):
    """Nested mappings as TOML; what is None is written as it can be."""
    parts = {key: value for key, value in values.items() if isinstance(value, dict)}
    lines = [
        f"{key} = {json.dumps('none' if value is None else value)}\n"
        for key, value in values.items()
        if key not in parts
    ]
    for key, part in parts.items():
        lines += [f"[{prefix}{key}]\n", toml(part, f"{prefix}{key}.")]
    return "".join(lines)


@pytest.mark.parametrize("spec", SHIPPED)
@pytest.mark.parametrize("form", ["json", "toml"])
def test_data_gives_the_configuration_that_code_gives(tmp_path, spec, form):
    cls = SHIPPED[spec]
    code = load_config(spec, cls)
    values = {"kind": "any", **code.to_dict()}
    file = tmp_path / f"config.{form}"
    file.write_text(json.dumps(values) if form == "json" else toml(values))
    data = load_config(str(file), cls)
    assert data.to_dict() == code.to_dict()
    assert build(cls, data) == build(cls, code) and data.is_locked
    changed = load_config(str(file), cls, ["--config.seed=3"])
    assert (changed.seed, code.seed) == (3, 0)


def test_of_data_every_key_is_said_and_of_code_those_of_the_command_line(tmp_path):
    file = tmp_path / "run.TOML"
    file.write_text("seed = 1\n[clip]\nsize = 64\n")
    words = ["--config.clip.stride=2"]
    assert told_keys(words, str(file)) == {"seed", "clip.size", "clip.stride"}
    assert told_keys(words, "configs/demo.py") == {"clip.stride"}


def test_groups_whose_keys_have_defaults_may_be_left_out_of_data(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('[data]\nfolder = "D"\nfeatures = "F"\n')
    assert build(TemporalConfig, load_config(str(file), TemporalConfig)).model.stages == 2


WRONG = {
    "[optim]\nlearning_rte = 1": r"config.optim.learning_rte: unknown key; did you mean learning_r",
    "optimm = 1": "config.optimm: unknown key; did you mean optim",
    "seed = [1]": "config.seed: should be one value",
    "seed = {a = 1}": "config.seed: should be one value",
    "seed = ": "is not TOML",
    "seed = 1\nseed = 2": "is not TOML",
    f"seed = {'9' * 5000}": "is not TOML .a number in it has too many digits",
    "a = " + "[" * 100_000: "is not TOML",
    'kind = "finetuning"': "is of a run of another kind ..finetuning., not pretraining",
    "seed = 1979-05-27": r"config.seed: should be of type int, not datetime.date",
    'seed = "1"': "config.seed: should be of type int, not '1'",
    "seed = 1.5": "config.seed: should be of type int, not 1.5",
    "seed = true": "config.seed: should be of type int, not True",
    "[optim]\nlearning_rate = nan": "config.optim.learning_rate=nan: should be a finite",
    f"[optim]\nlearning_rate = {10**400}": "config.optim.learning_rate=10*…: should be a finite",
    'init = "a\\u0000b"': "config.init=.*: holds NUL",
    "mode = []": "config.mode: unknown key",
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_wrong_data_is_one_line(tmp_path, text):
    complete = load_config("configs/pretrain/cpu.py", PretrainConfig).to_dict()
    with pytest.raises(UserError, match=WRONG[text]) as caught:
        file = tmp_path / "run.toml"
        file.write_text(text)
        values = load_config(str(file), PretrainConfig, kinds=["pretraining"]).to_dict()
        build(PretrainConfig, complete | values | {"optim": values["optim"]})
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_json_that_is_no_configuration_is_one_line(tmp_path):
    file = tmp_path / "config.json"
    for content in (
        b"[]",
        b"{",
        b"\xff",
        b'{"seed": 1, "seed": 2}',
        b'{"mode": {}}',
        b'{"a.b": 1}',
    ):
        file.write_bytes(content)
        with pytest.raises(UserError, match="config.json"):
            load_config(str(file), lambda values: program_of(values).config)
    with pytest.raises(UserError, match="is a run's folder; give .*config.json"):
        find_config(str(tmp_path))
    with pytest.raises(UserError, match="only a Python file takes an argument"):
        load_config(f"{file}:large", PretrainConfig)
    for long in ("a" * 300, "a\0b"):
        with pytest.raises(UserError, match="there is no such file"):
            find_config(long)


CODE = {
    "def get_config(): pass": "should return an ml_collections.ConfigDict, not None",
    "def get_config(): return {}": "should return an ml_collections.ConfigDict, not {}",
    "def get_config(): return [0] * 10**4": "ConfigDict, not .0, 0, .*…$",
    "get_config = 3": "no function get_config",
    "\ndef get_config(): return 1 / 0": "line 2: ZeroDivisionError: division by zero",
    "\ndef get_config(): raise SystemExit(0)": "line 2: SystemExit: 0",
    "raise SystemExit": "line 1: SystemExit: ",
    "import nothing_of_this_name": "line 1: ModuleNotFoundError",
    "x = (": "line 1: SyntaxError",
    "\0": "SyntaxError|ValueError",
    "def get_config(): return get_config()": "line 1: RecursionError",
    "def get_config(a): return a": "TypeError: .*missing",
}


@pytest.mark.parametrize("text", CODE, ids=range(len(CODE)))
def test_code_that_gives_no_configuration_is_one_line(tmp_path, text):
    file = tmp_path / "run.py"
    file.write_text(text)
    with pytest.raises(UserError, match=CODE[text]) as caught:
        run_config(file)
    said = str(caught.value)
    assert said.startswith(f"--config={file}") and "\n" not in said and len(said) < 400


@pytest.mark.parametrize("text", ["9" * 5000, "(" * 5000, "{[]: 1}", "1e999", str(10**400)])
def test_an_override_that_is_no_number_is_one_line(tmp_path, text):
    file = tmp_path / "run.py"
    code = "import ml_collections\ndef get_config(): return ml_collections.ConfigDict({'seed': 1})"
    file.write_text(code)
    with pytest.raises(UserError, match="config.seed") as caught:
        values = load_config(str(file), TemporalConfig, [f"--config.seed={text}"])
        build(TemporalConfig, {**values, "data": {"folder": "", "features": ""}, "model": {}})
    assert len(str(caught.value)) < 400
