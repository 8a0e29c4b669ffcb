"""Names that programs have wrapped are those of the model within; what was stripped is told."""

import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.weights import tables
from surgvista_jax.weights.loading import load
from surgvista_jax.weights.names.prefixes import prefixes_of, unwrapped
from tests.support.pretrain_start import assert_same
from tests.support.weight_files import HEADS, random_arrays, tiny_config, write

TABLE = tables.find("mvd_finetuned")
WRAPPED = {
    "_orig_mod.": "_orig_mod.{}",
    "module._orig_mod.": "module._orig_mod.{}",
    "_orig_mod.module.": "_orig_mod.module.{}",
    "_orig_mod.module.backbone.": "_orig_mod.module.backbone.{}",
    "_forward_module.model.": "_forward_module.model.{}",
    "classifier.": "classifier.{}",
    "my.own.net.": "my.own.net.{}",
}


def _arrays():
    return random_arrays(TABLE.entries(tiny_config(TABLE)))


@pytest.mark.parametrize("prefix", WRAPPED)
def test_a_wrapped_model_is_read_as_what_it_is_and_the_prefix_is_told(prefix, tmp_path):
    arrays = _arrays()
    write(tmp_path / "x.npz", arrays)
    write(tmp_path / "w.npz", {WRAPPED[prefix].format(k): v for k, v in arrays.items()})
    plain = load(f"mvd_finetuned:{tmp_path / 'x.npz'}", heads=HEADS)
    loaded = load(f"mvd_finetuned:{tmp_path / 'w.npz'}", heads=HEADS)
    assert_same(loaded.params, plain.params)
    assert f"prefix {prefix!r} stripped" in loaded.summary()


def test_parts_of_a_model_that_were_compiled_alone_are_read(tmp_path):
    arrays = {k.replace("blocks.", "blocks._orig_mod."): v for k, v in _arrays().items()}
    arrays = {k.replace(".mlp.", "._checkpoint_wrapped_module.mlp."): v for k, v in arrays.items()}
    write(tmp_path / "w.npz", arrays)
    load(f"mvd_finetuned:{tmp_path / 'w.npz'}", heads=HEADS)


def test_what_lies_beside_a_wrapped_model_is_an_error_that_names_it(tmp_path):
    arrays = {f"model.{name}": array for name, array in _arrays().items()}
    write(tmp_path / "w.npz", arrays | {"criterion.weight": arrays["model.head.bias"]})
    with pytest.raises(UserError, match="'criterion.weight' unexpected"):
        load(f"mvd_finetuned:{tmp_path / 'w.npz'}", heads=HEADS)


def test_a_model_in_two_copies_is_not_read_as_one_of_them(tmp_path):
    arrays = _arrays()
    twice = arrays | {f"_orig_mod.{name}": array for name, array in arrays.items()}
    write(tmp_path / "w.npz", twice)
    with pytest.raises(UserError, match="several of its names become the same one"):
        load(f"mvd_finetuned:{tmp_path / 'w.npz'}", heads=HEADS)


def test_the_words_that_may_be_a_prefix_are_few():
    names = [f"a.b.{i}.weight" for i in range(50)] + ["c.weight"]
    assert prefixes_of(names, ()) == [""]
    assert prefixes_of(names, (), any_word=True) == ["", "a.", "a.b."]
    assert unwrapped("module._orig_mod.x._fsdp_wrapped_module.y") == "module.x.y"
    assert unwrapped("my_orig_mod.x") == "my_orig_mod.x"
