"""Configurations: overrides take the type of what they replace, and typing errors are named."""

import dataclasses

import pytest

from surgvista_jax.config import build, load_config
from surgvista_jax.errors import UserError

FILE = """
from ml_collections import ConfigDict

def get_config(arg="none"):
    return ConfigDict({
        "name": arg, "rate": 0.5, "steps": 10, "on": False, "sizes": {"width": 8},
        "teacher": {"weights": ""}, "epochs": None,
    })
"""


@dataclasses.dataclass(frozen=True)
class Sizes:
    width: int
    depth: int = 2

    def __post_init__(self):
        if self.width < 1:
            raise ValueError("width must be positive")


@dataclasses.dataclass(frozen=True)
class Teacher:
    weights: str


@dataclasses.dataclass(frozen=True)
class Whole:
    sizes: Sizes
    rate: float
    name: str = "x"
    steps: int = 1
    on: bool = True
    teacher: Teacher | None = None
    epochs: float | None = None
    seed: int = 7


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config.py"
    path.write_text(FILE)
    return str(path)


def test_overrides(file):
    config = load_config(
        f"{file}:given",
        Whole,
        [
            "--config.rate=2",
            "--config.on=true",
            "--config.sizes.width=16",
            "--config.teacher=none",
            "--config.epochs=1.5",
            "--config.seed=8",
        ],
    )
    assert config.to_dict() == {
        "name": "given",
        "rate": 2,
        "steps": 10,
        "on": True,
        "sizes": {"width": 16, "depth": 2},
        "teacher": None,
        "epochs": 1.5,
        "seed": 8,
    }
    assert config.is_locked


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("--config.stpes=3", "did you mean steps"),
        ("--config.sizes.zzz=3", "known here: depth, width"),
        ("--config.steps.more=3", "config.steps.more: there is no such key"),
        ("--config.steps=many", "should be of type int"),
        ("--config.on=3", "should be true or false"),
        ("--config.sizes=3", "group of keys"),
        ("--config.rate", "--config.rate=VALUE"),
        (f"--config.rate={10**400}", r"--config.rate=1000+…: is too large"),
    ],
)
def test_wrong_overrides(file, override, said):
    with pytest.raises(UserError, match=said):
        load_config(file, Whole, [override])


def test_none_is_a_value_of_a_string(file):
    assert load_config(file, Whole, ["--config.name=none"]).name == "none"


def test_wrong_files(tmp_path):
    with pytest.raises(UserError, match="there is no such file"):
        load_config(str(tmp_path / "absent.py"), Whole)
    empty = tmp_path / "empty.py"
    empty.write_text("x = 1\n")
    with pytest.raises(UserError, match="no function get_config"):
        load_config(str(empty), Whole)
    other = tmp_path / "config.txt"
    other.write_text("")
    with pytest.raises(UserError, match="not a Python file"):
        load_config(str(other), Whole)


def test_build():
    whole = build(Whole, {"sizes": {"width": 3}, "rate": 1, "teacher": None, "steps": 5})
    assert whole == Whole(Sizes(3), 1.0, steps=5)
    assert isinstance(whole.rate, float)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"sizes": {"width": 3}}, "config.rate: is missing"),
        ({"sizes": {"witdh": 3}, "rate": 1.0}, "config.sizes.witdh: unknown key; did you mean wid"),
        ({"sizes": {"width": 0}, "rate": 1.0}, "config.sizes: width must be positive"),
        ({"sizes": {"width": True}, "rate": 1.0}, "config.sizes.width: should be of type int"),
        ({"sizes": 3, "rate": 1.0}, "config.sizes: should be a group"),
        ({"sizes": {"width": 3}, "rate": "high"}, "config.rate: should be of type float"),
        ({"sizes": {"width": 3}, "rate": 1e999}, "config.rate=inf: should be a finite number"),
    ],
)
def test_build_names_what_is_wrong(values, said):
    with pytest.raises(UserError, match=said):
        build(Whole, values)
