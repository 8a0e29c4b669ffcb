"""A model and its average in one flat dict: what is taken is told, FILE#KEY takes either."""

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.weights import tables
from surgvista_jax.weights.loading import load
from tests.support.pretrain_start import assert_same
from tests.support.weight_files import HEADS, random_arrays, tiny_config, write

TABLE = tables.find("mvd_finetuned")
# Beginnings of the names of what is taken and of the other -> the KEY of `FILE#KEY` that takes it.
BEGINNINGS = {
    ("model.", "ema."): "ema",
    ("model.", "model_ema."): "model_ema",
    ("model.", "ema.module."): "ema",
    ("module.", "ema_model."): "ema_model",
    ("teacher.", "student."): "student",
    ("", "ema."): "ema",
}


def _arrays(seed):
    return random_arrays(TABLE.entries(tiny_config(TABLE)), seed)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Parameters of two models, by seed."""
    folder = tmp_path_factory.mktemp("plain")
    for seed in (0, 1):
        write(folder / f"{seed}.npz", _arrays(seed))
    return [load(f"mvd_finetuned:{folder}/{seed}.npz", heads=HEADS).params for seed in (0, 1)]


@pytest.mark.parametrize("beginnings", BEGINNINGS)
def test_the_model_is_taken_and_the_line_says_how_the_other_is(beginnings, plain, tmp_path):
    both = {
        start + name: array
        for seed, start in enumerate(beginnings)
        for name, array in _arrays(seed).items()
    }
    write(tmp_path / "x.npz", both)
    key = BEGINNINGS[beginnings]
    taken = load(f"mvd_finetuned:{tmp_path}/x.npz", heads=HEADS)
    assert_same(taken.params, plain[0])
    assert f"(not {key}), x.npz#{key} takes another" in taken.summary()
    other = load(f"mvd_finetuned:{tmp_path}/x.npz#{key}", heads=HEADS)
    assert_same(other.params, plain[1])
    assert f"under {key}" in other.summary()


def test_within_a_state_dict_the_whole_key_is_told(plain, tmp_path):
    torch = pytest.importorskip("torch")
    state = {
        start + name: torch.from_numpy(array)
        for seed, start in enumerate(("model.", "ema."))
        for name, array in _arrays(seed).items()
    }
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "x.ckpt")
    taken = load(f"mvd_finetuned:{tmp_path}/x.ckpt", heads=HEADS)
    assert_same(taken.params, plain[0])
    assert "x.ckpt#state_dict/ema takes another" in taken.summary()
    assert_same(
        load(f"mvd_finetuned:{tmp_path}/x.ckpt#state_dict/ema", heads=HEADS).params, plain[1]
    )


def test_a_part_of_a_model_that_is_called_so_is_no_average(tmp_path):
    arrays = _arrays(0)
    write(tmp_path / "x.npz", arrays | {"ema.decay": np.ones(3, np.float32)})
    with pytest.raises(UserError, match="'ema.decay' unexpected"):
        load(f"mvd_finetuned:{tmp_path}/x.npz", heads=HEADS)


def test_what_stands_before_no_name_is_refused_with_what_does(tmp_path):
    write(tmp_path / "x.npz", {f"net.{name}": array for name, array in _arrays(0).items()})
    with pytest.raises(UserError, match="no arrays under the key 'nets' of #nets; .* under net$"):
        load(f"mvd_finetuned:{tmp_path}/x.npz#nets", heads=HEADS)
