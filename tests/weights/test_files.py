"""Where in a file the weights lie is found and told; what is no file of weights is told apart."""

import json

import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.errors import UserError
from surgvista_jax.weights import tables
from surgvista_jax.weights.files.npz import METADATA
from surgvista_jax.weights.files.read import SUFFIXES, TORCH, open_file
from surgvista_jax.weights.files.stored import Stored, descend
from surgvista_jax.weights.loading import load
from tests.support.weight_files import HEADS, random_arrays, tiny_config, write


def _level(*names: str) -> dict:
    return {name: Stored((1,), "float32", lambda: np.zeros(1, np.float32)) for name in names}


_UNDER = (("state_dict",), ("hyper_parameters",))


@pytest.mark.parametrize(
    ("tree", "nested", "passed", "names"),
    [
        (_level("a", "b"), (), (), "ab"),
        ({"model": _level("a"), "epoch": 3}, ("model",), (), "a"),
        ({"model": {"state_dict": _level("a", "b")}}, ("model", "state_dict"), (), "ab"),
        # One stray tensor beside the weights does not stop the descent.
        ({"model": _level("a", "b"), **_level("queue")}, ("model",), ("queue",), "ab"),
        # Programs keep an average of the weights beside them and load `model` again.
        (
            {"model_ema": _level("a"), "model": _level("a"), "optimizer": {"state": _level("m")}},
            ("model",),
            ("model_ema", "optimizer"),
            "a",
        ),
        # A key that holds no weights does not count.
        ({"model": {"name": "vit"}, "state_dict": _level("a")}, ("state_dict",), (), "a"),
        # Averages are taken where there is nothing else, whatever stands beside them.
        ({"model_ema": _level("a"), "optimizer": _level("m")}, ("model_ema",), ("optimizer",), "a"),
        ({"state_dict_ema": _level("a"), "arch": "vit"}, ("state_dict_ema",), (), "a"),
        ({"student": _level("a"), "teacher": _level("a")}, ("teacher",), ("student",), "a"),
        ({"net": _level("a"), "teacher": _level("a")}, ("net",), ("teacher",), "a"),
        ({"hyper_parameters": _level("x"), "state_dict": _level("a", "b")}, *_UNDER, "ab"),
        # A key that nobody knows, where it is the only one.
        ({"online": _level("a"), "optimizer": _level("m")}, ("online",), ("optimizer",), "a"),
        # What lies at this level and is more is meant.
        ({"module": _level("x"), **_level("a", "b")}, (), (), "ab"),
    ],
)
def test_the_level_with_the_weights_is_found_and_what_was_passed_over_is_told(
    tree, nested, passed, names, tmp_path
):
    level = descend(tree, tmp_path)
    assert (level.nested, level.passed) == (nested, passed)
    assert [name for name, value in level.values.items() if isinstance(value, Stored)] == list(
        names
    )


@pytest.mark.parametrize("order", [1, -1])
def test_two_places_with_weights_are_not_chosen_between(order, tmp_path):
    tree = dict(list({"model": _level("a"), "state_dict": _level("a", "b")}.items())[::order])
    with pytest.raises(UserError, match="under .*: say x.pth#.* or x.pth#.*") as caught:
        descend(tree, tmp_path / "x.pth")
    assert "x.pth#model" in str(caught.value) and "x.pth#state_dict" in str(caught.value)


def test_a_key_that_is_named_is_taken_whatever_else_there_is(tmp_path):
    tree = {"model": _level("a"), "ema/1": {"model": _level("b", "c")}, "loss": _level("d")}
    for key, nested in (("ema/1", ("ema/1", "model")), ("ema/1/model", ("ema/1", "model"))):
        level = descend(tree, tmp_path, key)
        assert level.nested == nested and level.values.keys() == {"b", "c"}
    assert descend(tree, tmp_path, "loss").values.keys() == {"d"}
    with pytest.raises(UserError, match="no arrays under the key 'modle' of #modle; .* model$"):
        descend(tree, tmp_path, "modle")
    level = descend(tree | {"teacher": _level("t")}, tmp_path)
    assert level.nested == ("model",) and level.others == ("ema/1", "teacher")


def test_a_file_with_an_average_beside_the_weights_says_which_was_read(tmp_path, capsys):
    torch = pytest.importorskip("torch")
    table = tables.find("mvd")
    arrays = random_arrays(table.entries(tiny_config(table)))
    state = {name: torch.from_numpy(array) for name, array in arrays.items()}
    average = {name: tensor + 1 for name, tensor in state.items()}
    torch.save({"model_ema": average, "model": state, "loss": torch.ones(1)}, tmp_path / "x.pth")
    loaded = load(tmp_path / "x.pth", heads=HEADS)
    assert "under model (not model_ema, loss), x.pth#model_ema takes another" in loaded.summary()
    other = load(f"{tmp_path / 'x.pth'}#model_ema", heads=HEADS)
    assert "under model_ema:" in other.summary() and other.identity != loaded.identity
    np.testing.assert_array_equal(other.params["norm"]["scale"], arrays["norm.weight"] + 1)
    scale = arrays["norm.weight"]
    np.testing.assert_array_equal(loaded.params["norm"]["scale"], scale)
    assert main(["weights", "inspect", str(tmp_path / "x.pth"), "--heads=2"]) == 0
    assert "found under model, not model_ema, loss" in capsys.readouterr().out


TEXTS = {
    b"<!DOCTYPE html>\n<html><head>": "a web page",
    b"\n  <html lang=en>": "a web page",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n": "a Git LFS pointer",
    "Accès refusé\n".encode(): "text",
    b"404: Not Found": "text",
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", TEXTS)
def test_what_a_failed_download_left_is_called_what_it_is(content, suffix, tmp_path):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load(path)
    line = str(caught.value)
    assert f"{path}: is {TEXTS[content]}" in line and "\n" not in line and "code" not in line


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", *TORCH])
def test_no_file_of_weights_is_taken_for_text(suffix, tmp_path):
    if suffix in TORCH:
        torch = pytest.importorskip("torch")
        for zipped in (True, False):
            path = tmp_path / f"{zipped}{suffix}"
            torch.save({"a": torch.ones(2)}, path, _use_new_zipfile_serialization=zipped)
            with open_file(path) as source:
                assert source.shapes == {"a": (2,)}
        return
    for count in (1, 40):
        path = tmp_path / f"{count}{suffix}"
        write(path, {f"a{i}": np.ones(2, np.float32) for i in range(count)})
        with open_file(path) as source:
            assert len(source.arrays) == count


@pytest.mark.parametrize(
    "metadata", ["{", "[]", '{"heads": 3}', "3", '"x"', "[" * 100_000], ids=len
)
def test_damaged_metadata_in_an_archive_is_told(metadata, tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=np.ones(2), **{METADATA: np.array(metadata)})
    with pytest.raises(UserError, match=r"x\.npz: truncated or damaged"), open_file(path):
        pass
    np.savez(path, a=np.ones(2), **{METADATA: np.array(json.dumps({"table": "mvd"}))})
    with open_file(path) as source:
        assert source.metadata == {"table": "mvd"}
