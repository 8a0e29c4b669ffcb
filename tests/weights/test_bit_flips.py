"""A flipped bit in a file or folder that we wrote is named, or has no effect."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from surgvista_jax.errors import UserError
from surgvista_jax.weights import folder, tables
from surgvista_jax.weights.files.write import flat, save
from surgvista_jax.weights.loading import load
from tests.support.bit_flips import flip_bit, flipped
from tests.support.weight_files import random_arrays, tiny_config, write

TABLE = tables.find("surgvista_finetuned")
METADATA = {"heads": json.dumps({"encoder": 2}), "about": json.dumps({"classes": ["a", "b"]})}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    path = tmp_path_factory.mktemp("given") / "x.npz"
    write(path, random_arrays(TABLE.entries(tiny_config(TABLE))))
    return load(f"{TABLE.name}:{path}", heads=2)


def exported(loaded, path):
    save(loaded.params, TABLE, loaded.config, path, METADATA)


def imported(loaded, path):
    folder.write(path, folder.Content(loaded.kind, loaded.config, loaded.params, None, METADATA))


def same(one, other):
    ours, theirs = flat(one.params), flat(other.params)
    equal = ours.keys() == theirs.keys()
    equal = equal and all(np.array_equal(ours[name], theirs[name]) for name in ours)
    return equal and (one.kind, one.config) == (other.kind, other.config)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pth"])
def test_of_an_exported_file(loaded, suffix, tmp_path):
    if suffix == ".pth":
        pytest.importorskip("torch")
    (tmp_path / "whole").mkdir()
    exported(loaded, tmp_path / f"whole/x{suffix}")
    before, named = load(f"{TABLE.name}:{tmp_path}/whole/x{suffix}", heads=2), 0
    assert same(before, loaded)
    for copy, where in flipped(tmp_path / "whole", "*", tmp_path / "copy", 20):
        try:
            after = load(f"{TABLE.name}:{copy}/x{suffix}", heads=2)
        except UserError as error:
            assert f"copy/x{suffix}" in str(error)
            named += 1
            continue
        assert same(before, after) and before.metadata == after.metadata, where
    assert named > 10


def test_of_an_imported_folder(loaded, tmp_path):
    imported(loaded, tmp_path / "whole")
    before, named = load(tmp_path / "whole"), 0
    for copy, where in flipped(tmp_path / "whole", "params/d/*", tmp_path / "copy", 6):
        try:
            after = load(copy)
        except UserError as error:
            assert f"{copy}" in str(error)
            named += 1
            continue
        assert same(before, after), where
    assert named > 2


def test_the_array_is_named(loaded, tmp_path):
    exported(loaded, tmp_path / "x.safetensors")
    flip_bit(tmp_path / "x.safetensors", 8 * (tmp_path / "x.safetensors").stat().st_size - 100)
    with pytest.raises(UserError, match=r"tensors: .* \(\S+ holds other numbers than were"):
        load(tmp_path / "x.safetensors")
    imported(loaded, tmp_path / "out")
    text = (tmp_path / "out/weights.json").read_text()
    (tmp_path / "out/weights.json").write_text(text.replace("1e-06", "1e-05"))
    with pytest.raises(UserError, match="out: damaged, its weights.json is not what was saved"):
        load(tmp_path / "out")


def test_a_file_that_another_program_changed_is_read_once_its_checksums_are_dropped(
    loaded, tmp_path
):
    exported(loaded, tmp_path / "x.safetensors")
    with safe_open(tmp_path / "x.safetensors", framework="numpy") as file:
        arrays, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()
    first = min(arrays)
    changes = {
        "numbers": ({**arrays, first: arrays[first] + 1}, metadata),
        "names": ({**arrays, "more": arrays[first]}, metadata),
        "header": (arrays, {**metadata, "made_by": "another"}),
    }
    for what, (changed, told) in changes.items():
        save_file(changed, tmp_path / "y.safetensors", metadata=told)
        with pytest.raises(UserError, match=f"{what}|not what was") as refused:
            load(tmp_path / "y.safetensors")
        assert "drop the key 'checksums' from its metadata" in str(refused.value)
    changed, told = changes["numbers"]
    del told["checksums"]
    save_file(changed, tmp_path / "y.safetensors", metadata=told)
    load(tmp_path / "y.safetensors")


def test_what_another_program_wrote_or_an_earlier_version_has_no_checksums(loaded, tmp_path):
    imported(loaded, tmp_path / "out")
    shutil.rmtree(tmp_path / "out/digests")
    assert same(load(tmp_path / "out"), loaded)


def test_a_folder_whose_numbers_are_not_finite_is_refused(loaded, tmp_path):
    broken = dict(loaded.params, head={**loaded.params["head"]})
    broken["head"]["bias"] = np.full_like(broken["head"]["bias"], np.nan)
    imported(dataclasses.replace(loaded, params=broken), tmp_path / "out")
    with pytest.raises(UserError, match="out: damaged, params/head/bias holds .* not finite"):
        load(tmp_path / "out")
