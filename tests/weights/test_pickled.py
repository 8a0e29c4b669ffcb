"""What programs pickle beside tensors is passed over, and nothing of it is executed."""

import argparse
import pathlib
import sys
import types
from collections import OrderedDict, defaultdict

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.weights.files.read import open_file

torch = pytest.importorskip("torch")


class AttributeDict(dict):
    """Looks like Lightning's, of a module that is not there when the file is read."""


@pytest.fixture
def lightning(monkeypatch):
    module = types.ModuleType("pytorch_lightning.utilities.parsing")
    monkeypatch.setattr(AttributeDict, "__module__", module.__name__)
    module.AttributeDict = AttributeDict
    for name in ("pytorch_lightning", "pytorch_lightning.utilities", module.__name__):
        monkeypatch.setitem(sys.modules, name, module)
    return lambda **values: AttributeDict(values)


def test_settings_scalars_and_paths_are_passed_over(lightning, monkeypatch, tmp_path):
    settings = lightning(width=3, folder=pathlib.PurePosixPath("x"))
    tree = {
        "state_dict": {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)},
        "hyper_parameters": settings,
        "epoch": np.int64(3),
        "best": np.float64(0.9),
        "args": argparse.Namespace(lr=np.float32(1e-3), out=pathlib.PurePosixPath("y")),
        "counts": defaultdict(int, a=1),
        "callbacks": {"stop": {"best": torch.tensor(0.3)}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}}],
    }
    torch.save(tree, tmp_path / "x.ckpt")
    trusted = torch.serialization.get_safe_globals()
    for name in [name for name in sys.modules if name.startswith("pytorch_lightning")]:
        monkeypatch.delitem(sys.modules, name)
    with open_file(tmp_path / "x.ckpt") as source:
        assert source.nested == ("state_dict",)
        assert source.passed == ("callbacks", "optimizer_states") and not source.others
        np.testing.assert_array_equal(source.take("a.weight"), [[0, 1, 2], [3, 4, 5]])
    assert torch.serialization.get_safe_globals() == trusted  # other readers of files trust no more


def test_arrays_of_numpy_are_read(tmp_path):
    arrays = {"a": np.arange(6, dtype=">f4").reshape(2, 3).T, "b": np.ones(2, np.float16)}
    torch.save({"model": arrays, "names": np.array(["x"], object)}, tmp_path / "x.pth")
    with open_file(tmp_path / "x.pth") as source:
        assert source.shapes == {"a": (3, 2), "b": (2,)}
        np.testing.assert_array_equal(source.take("a"), [[0, 3], [1, 4], [2, 5]])
        assert source.take("b").dtype == np.float32


class _Code:
    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("function", [exec, eval, getattr, np.load, pathlib.Path.home])
def test_functions_are_refused(function, tmp_path, capsys):
    torch.save({"model": {"a": torch.ones(2)}, "x": _Code(function, "print(1)")}, tmp_path / "x.pt")
    with pytest.raises(UserError, match="refused: the file asks to execute code"):
        with open_file(tmp_path / "x.pt"):
            pass
    assert not capsys.readouterr().out


def _itself():
    tree = {"a": torch.ones(2)}
    tree["self"] = [tree]
    return tree


def _deep():
    tree = {"a": torch.ones(2)}
    for _ in range(300):
        tree = {"model": tree}
    return tree


def _laughing():
    tree = {"a": torch.ones(2)}
    for _ in range(30):
        tree = {"b": tree, "c": tree}
    return tree


@pytest.mark.parametrize("make", [_itself, _deep, _laughing])
def test_contents_without_an_end_are_one_line(make, tmp_path):
    torch.save(make(), tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"x\.pth: its keys lie more than 32 deep.*state_dict"):
        with open_file(tmp_path / "x.pth"):
            pass


def test_a_list_of_state_dicts_is_asked_about(tmp_path):
    state = OrderedDict(a=torch.ones(2))
    torch.save([state, {"b": torch.ones(3)}], tmp_path / "x.pth")
    with pytest.raises(UserError, match="under 0 and 1, .* say x.pth#0 or x.pth#1"):
        with open_file(tmp_path / "x.pth"):
            pass
    with open_file(tmp_path / "x.pth", "1") as source:
        assert source.shapes == {"b": (3,)}
