"""A stored table of positions is left out only where it is the one that the model computes."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from surgvista_jax.errors import UserError
from surgvista_jax.models.positions import TABLES, flat_sine, separable_sine
from surgvista_jax.weights import tables
from surgvista_jax.weights.files.stored import Stored
from surgvista_jax.weights.fixed_positions import positions_fault
from surgvista_jax.weights.kinds import encoder_of
from surgvista_jax.weights.loading import load
from tests.support.weight_files import HEADS, random_arrays, tiny_config, write

# Table -> names under which programs save fixed tables, and the width of each.
STORED = {
    "surgvista": {"pos_embed": 32, "pos_embed_vid": 16, "pos_embed_img": 64},
    "surgvista_finetuned": {"pos_embed": 32},
    "frames_finetuned": {"pos_embed": 32},
    "endossl_finetuned": {"pos_embed": 32},
    "mvd": {"pos_embed": 32, "pos_embed_img": 64, "pos_embed_vid": 16},
    "mvd_finetuned": {"pos_embed": 32},
    "videomae": {"encoder.pos_embed": 32, "pos_embed": 16},
    "videomae_finetuned": {"pos_embed": 32},
    "internvideo": {"encoder.pos_embed": 32},
    "internvideo_finetuned": {"pos_embed": 32},
    "videomae_hf": {"videomae.embeddings.position_embeddings": 32, "position_embeddings": 16},
    "videomae_hf_encoder": {"embeddings.position_embeddings": 32},
    "videomae_hf_finetuned": {"videomae.embeddings.position_embeddings": 32},
    "videomae2": {"pos_embed": 32},
    "videomae2_pretraining": {"encoder.pos_embed": 32},
    "videomae2_finetuned": {"pos_embed": 32},
    "umt": {"encoder.pos_embed": 32, "clip_pos_embed": 64},
    "umt_finetuned": {"pos_embed": 32},
}
FORMS = TABLES
GRID = (4, 2, 2)


def test_every_table_that_names_one_is_tried():
    assert STORED.keys() == {t.name for t in tables.registry().values() if t.fixed}


@pytest.mark.parametrize("table", STORED)
def test_the_computed_one_is_left_out_and_a_learned_one_refused(table, tmp_path):
    path, config = tmp_path / "x.npz", tiny_config(tables.find(table))
    form = encoder_of(config).positions
    arrays = random_arrays(tables.find(table).entries(config))
    fixed = {name: FORMS[form](GRID, width)[None] for name, width in STORED[table].items()}
    write(path, arrays | fixed)
    loaded = load(f"{table}:{path}", heads=HEADS)
    assert loaded.match.left_out.keys() == fixed.keys()
    assert "compared with those that are computed" in loaded.match.text()

    other = next(name for name in FORMS if name != form)
    for name, width in STORED[table].items():
        learned = fixed[name] + np.random.default_rng(0).normal(0, 0.02, fixed[name].shape)
        for wrong in (learned, FORMS[other](GRID, width)[None]):
            write(path, arrays | fixed | {name: wrong.astype(np.float32)})
            with pytest.raises(UserError) as caught:
                load(f"{table}:{path}", heads=HEADS)
            line = str(caught.value).partition("\n")[0]
            assert f"{name} is not the fixed sine table ({form})" in line
            assert "differs by up to" in line and "learned positions are not read" in line
            assert f"drop {name} from the file and finetune anew" in line


GRIDS = [(1, 1, 1), (8, 14, 14), (16, 14, 14), (1, 5, 7), (3, 7, 1)]


@pytest.mark.parametrize(
    ("form", "grid"),
    # A stretched table is looked for on frames that are square, as UMT's are.
    [(f, g) for f in FORMS for g in GRIDS if f != "stretched" or g[1] == g[2]],
)
def test_any_grid_will_do(form, grid):
    table = FORMS[form](grid, 48)
    for array in (table, table[None]):
        assert positions_fault("x", _stored(array), form) == ""
    moved = table.copy()
    moved[-1, -1] += 2e-4
    assert "differs by up to 0.0002" in positions_fault("x", _stored(moved), form)


def test_what_is_no_such_table_is_told():
    table = separable_sine((2, 4, 4), 48)
    cut = positions_fault("x", _stored(table[:-3]), "separable")
    assert "for any grid of 29 tokens" in cut
    assert "[48], and a table of" in positions_fault("x", _stored(table[0]), "flat")
    assert "[2, 16, 48]" in positions_fault("x", _stored(table.reshape(2, 16, 48)), "flat")
    assert "grid of 4 tokens" in positions_fault("x", _stored(np.zeros((4, 20))), "separable")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", ["all", (0, 0), (0, 30), (3, 0), (3, 30), (-1, -1)])
@pytest.mark.parametrize("form", FORMS)
def test_a_table_that_is_not_finite_is_told(form, place, value):
    table = FORMS[form](GRID, 48).copy()
    table[... if place == "all" else place] = value
    fault = positions_fault("x", _stored(table), form)
    assert fault.startswith("x is not the fixed sine") and "values that are not finite" in fault


def test_a_table_in_half_precision_is_the_same_table(tmp_path):
    table = tables.find("videomae2")
    arrays = random_arrays(table.entries(tiny_config(table)))
    arrays["pos_embed"] = flat_sine((8, 14, 14), 32)[None]
    save_file({k: v.astype(np.float16) for k, v in arrays.items()}, tmp_path / "x.safetensors")
    assert load(tmp_path / "x.safetensors", heads=HEADS).table.name == "videomae2"


@pytest.mark.parametrize("name", ["surgvista_finetuned", "videomae_finetuned"])
def test_a_stored_table_tells_which_of_two_models_a_file_is_of(name, tmp_path):
    config = tiny_config(tables.find(name))
    arrays = random_arrays(tables.find(name).entries(config))
    arrays["pos_embed"] = FORMS[config.encoder.positions](GRID, 32)[None]
    write(tmp_path / "x.npz", arrays)
    assert load(tmp_path / "x.npz", heads=HEADS).table.name == name


def _stored(array: np.ndarray) -> Stored:
    return Stored(array.shape, "float32", lambda: array)
