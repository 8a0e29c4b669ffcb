"""Whatever a configuration refuses, it says the key as the user would type it."""

import dataclasses
import functools
import math
import re
import typing
from collections.abc import Mapping

import pytest

from surgvista_jax.checks import check, check_one_of, check_whole
from surgvista_jax.config import build, filled_by_options, load_config
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.errors import UserError
from surgvista_jax.inference.starting_point import STUDENT
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.pretraining.task import PretrainConfig
from surgvista_jax.tasks.temporal.task import TemporalConfig

SHIPPED = {
    "configs/pretrain/surgvista.py": PretrainConfig,
    "configs/finetune/cholec80.py": FinetuneConfig,
    "configs/finetune/mstcn.py:cholec80": TemporalConfig,
}
# Of each type, what a typing error or a wrong sign may give.
WRONG = {
    int: (-3, 0, 7, 10**6, 10**20, 10**5000),
    float: (-1.0, 0.0, 1.0, 2.0, 1e9, math.nan, 10**400),
    str: ("", "nonsense", "1,-2"),
    bool: (True, False),
}


def parts(whole):
    """The dataclasses inside a configuration and itself, each class once."""
    found = {type(whole): whole}
    for field in dataclasses.fields(whole):
        value = getattr(whole, field.name)
        if dataclasses.is_dataclass(value):
            found = parts(value) | found
    return found


@functools.cache
def examples():
    """A valid configuration of every class that can be reached."""
    found = parts(STUDENT)
    for spec, cls in SHIPPED.items():
        found |= parts(build(cls, load_config(spec, cls)))
    return found


def reachable(cls):
    """The dataclasses of fields, also of those that may be None."""
    for hint in typing.get_type_hints(cls).values():
        for option in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(option):
                yield option
                yield from reachable(option)


def refusals(cls, prefix):
    """Field and text of everything of WRONG that is refused of a class."""
    valid = dataclasses.asdict(examples()[cls])
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        options = typing.get_args(hints[field.name]) or (hints[field.name],)
        for value in (value for option in options for value in WRONG.get(option, ())):
            try:
                build(cls, valid | {field.name: value}, prefix)
            except UserError as error:
                yield field.name, str(error)


def is_key(cls, names):
    """Whether `names` lead from a dataclass to a field of it or of one inside it."""
    hint = typing.get_type_hints(cls).get(names[0])
    if len(names) == 1 or hint is None:
        return hint is not None
    inner = [
        option for option in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(option)
    ]
    return any(is_key(option, names[1:]) for option in inner)


def test_every_class_of_a_configuration_has_an_example():
    wanted = {cls for root in SHIPPED.values() for cls in (root, *reachable(root))}
    assert wanted <= examples().keys() and len(wanted) > 20


@pytest.mark.parametrize("prefix", ["config.part", "config.image_clip", "run/config.json: config"])
def test_a_refused_value_is_named_by_a_key_that_is_there(prefix):
    refused = set()
    for cls in examples():
        for field, said in refusals(cls, prefix):
            found = re.match(re.escape(prefix) + r"\.(\w+(?:\.\w+)*)=", said)
            assert found and is_key(cls, found[1].split(".")), f"{cls.__name__}.{field}: {said}"
            assert re.search(rf"\b{field}\b", said) and "\n" not in said, said
            refused.add(cls)
    checking = {cls for cls in examples() if "__post_init__" in vars(cls)}
    # Numbers that are not finite are refused of any class.
    assert refused >= checking and len(checking) > 15


# What a number may be that is below 0, or huge: all others are refused.
BELOW_ZERO = {"MeshConfig.data", "MeshConfig.fsdp", "MeshConfig.model"}
HUGE = {
    "TransformerConfig": {"mlp_ratio", "layer_scale", "norm_epsilon", "final_epsilon"},
    "OptimConfig": {
        *("learning_rate", "final_learning_rate", "warmup_epochs", "weight_decay", "epsilon"),
    },
    "ObjectiveConfig": {"pixel_weight", "feature_weight"},
    "MixConfig": {"mixup", "cutmix"},
    "LoraConfig": {"alpha"},
    "EvaluationConfig": {"every_epochs"},
    "TemporalConfig": {"learning_rate", "smoothing_weight"},
}


def numeric_fields():
    for cls, valid in sorted(examples().items(), key=lambda item: item[0].__name__):
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            if typing.get_origin(hints[field.name]) is Mapping:  # values by any names
                continue
            options = typing.get_args(hints[field.name]) or (hints[field.name],)
            kinds = [option for option in (int, float) if option in options]
            if kinds:
                yield pytest.param(valid, field.name, kinds[0], id=f"{cls.__name__}.{field.name}")


@pytest.mark.parametrize(("valid", "field", "kind"), list(numeric_fields()))
def test_every_number_has_its_bounds_where_it_stands(valid, field, kind):
    """Not finite and of any size is refused by the dataclass itself, whoever makes it."""
    cls = type(valid)

    def takes(value):
        try:
            dataclasses.replace(valid, **{field: value})
        except ValueError as error:
            assert field in str(error) and len(str(error)) < 400
            return False
        return True

    assert not any(map(takes, (10**400, -(10**400), 10**5000)))
    assert takes(getattr(valid, field))
    assert takes(kind(-1)) == (f"{cls.__name__}.{field}" in BELOW_ZERO)
    if kind is float:
        assert not any(map(takes, (math.nan, math.inf, -math.inf, 1e39)))
        assert takes(1e30) == (field in HUGE.get(cls.__name__, ()))
    else:
        assert takes(10**17) == (field == "seed") and not takes(10**18)


def test_one_wrong_field_is_the_key():
    for prefix in ("config.clip", "config.image_clip"):
        with pytest.raises(UserError, match=rf"^{prefix}\.num_frames=0: should be a whole number"):
            build(ClipConfig, {"num_frames": 0}, prefix)


@dataclasses.dataclass(frozen=True)
class Sizes:
    width: float = 1
    kind: str = "a"

    def __post_init__(self):
        check(self, "above 0", lambda width: width > 0, "width")
        check_one_of(self, ("a", "b"), "kind")
        if self.width == 13:
            raise ValueError("thirteen=13: not a field of it")
        check_whole(self, 1, "width")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"width": -1.0}, "width=-1.0: should be above 0"),
        ({"width": math.nan}, "width=nan: should be above 0"),
        ({"width": 1.5}, "width=1.5: should be a whole number of at least 1"),
        ({"kind": "c"}, "kind='c': should be one of a, b"),
    ],
)
def test_a_text_begins_with_the_field(values, said):
    with pytest.raises(ValueError) as caught:
        Sizes(**values)
    assert str(caught.value) == said


def test_what_is_no_field_is_not_made_a_key():
    with pytest.raises(UserError, match="^config.sizes: thirteen=13: not a field of it$"):
        build(Sizes, {"width": 13}, "config.sizes")


def test_options_are_named_as_they_are_typed():
    with pytest.raises(UserError, match="^--num-frames=0: should be a whole number"):
        with filled_by_options():
            ClipConfig(num_frames=0)
    with pytest.raises(UserError, match="^--workers=-1: should be a whole number of at least 0$"):
        with filled_by_options():
            LoaderConfig(workers=-1)
