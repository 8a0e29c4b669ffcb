"""What is restored is what was saved, on whatever devices, or it is named and not used."""

import gc
import json
import re
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest

from surgvista_jax.config import with_defaults
from surgvista_jax.errors import UserError
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.training import partition
from surgvista_jax.training.checkpoint import CheckpointConfig, Checkpoints, restore_params
from surgvista_jax.training.checkpoint_files import saved_steps
from surgvista_jax.training.digests import check_arrays, digest_on_device, digest_on_host
from surgvista_jax.training.partition import MeshConfig
from tests.support.bit_flips import flip_bit, flipped

# Reads that were under way when a damaged file was met are dropped by Orbax without being awaited.
DROPPED_READS = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
CONFIG = CheckpointConfig(save_every=1, max_to_keep=3)
RNG = np.random.default_rng(0)
ARRAYS = {
    "float32": RNG.normal(size=(8, 16)).astype(np.float32),
    "bfloat16": RNG.normal(size=(16, 8)).astype(jnp.bfloat16),
    "int32": RNG.integers(-9, 9, (8, 8), np.int32),
    "uint8": RNG.integers(0, 255, (8, 8), np.uint8),
    "bool": RNG.integers(0, 2, (8, 8)).astype(bool),
    "more than is hashed at a time": RNG.normal(size=(3, 30_000)).astype(np.float32),
    "a vector": np.arange(5.0, dtype=np.float32),
    "a scalar": np.float32(3).reshape(()),
    "nothing": np.zeros((0, 4), np.float32),
}


def state(seed):
    """Parameters, AdamW's moments after an update, and a running mean."""
    params = {"kernel": jax.random.normal(jax.random.key(seed), (32, 48)), "bias": jnp.ones(3)}
    optimizer = optax.adamw(1e-3)
    moments = optimizer.update(params, optimizer.init(params), params)[1]
    return params, moments, jax.tree.map(lambda leaf: leaf / 2, params)


def save(folder, *steps, config=CONFIG):
    with Checkpoints(folder, config) as checkpoints:
        for step in steps:
            params, moments, mean = state(step)
            checkpoints.save(step, params, moments, {"step": step, "loss": 0.25}, average=mean)
    return folder / "checkpoints"


def restore(folder, config=CONFIG):
    with Checkpoints(folder, config) as checkpoints:
        restored = checkpoints.restore(*state(9))
    same = jax.tree.map(np.array_equal, restored[1:4], state(restored.step))
    return restored, jax.tree.all(same) and restored.meta == {"step": restored.step, "loss": 0.25}


def whole(array):
    return digest_on_host(array, (0,) * array.ndim, array.shape)


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_devices_and_hosts_compute_the_same_digest(array):
    starts = np.zeros(array.ndim, np.uint32)
    total, finite = digest_on_device(jnp.asarray(array), starts, array.shape)
    assert int(total) == whole(array) and finite


@pytest.mark.parametrize("config", [MeshConfig(1, 4, 2), MeshConfig(2, 1, 4)], ids=str)
def test_an_array_has_one_digest_in_whatever_shards_it_lies(config):
    spec, mesh = jax.sharding.PartitionSpec("fsdp", "model"), partition.make_mesh(config)
    sharding = jax.sharding.NamedSharding(mesh, spec)
    tree = {name: array for name, array in ARRAYS.items() if array.ndim == 2 and array.size < 999}
    there = jax.device_put(tree, sharding)
    assert check_arrays(there) == check_arrays(tree)
    shards, total = there["float32"].addressable_shards, 0
    for shard in (shard for shard in shards if not shard.replica_id):
        starts = np.array([part.start or 0 for part in shard.index], np.uint32)
        with jax.set_mesh(mesh):  # as in a run
            total += int(digest_on_device(shard.data, starts, (8, 16))[0])
    assert total % 2**32 == whole(ARRAYS["float32"])


def test_every_bit_and_every_place_counts():
    array = RNG.normal(size=(3, 5)).astype(np.float32)
    digests = {whole(array), whole(array.T), whole(array[::-1])}
    for byte in range(array.nbytes):
        for bit in range(8):
            changed = array.copy()
            changed.view(np.uint8).reshape(-1)[byte] ^= 1 << bit
            digests.add(whole(changed))
    signs = array * np.where(np.arange(15).reshape(3, 5) < 2, -1, 1).astype(np.float32)
    digests.add(whole(np.float64(2)[...]))
    digests.add(whole(signs))  # of two elements the same bit
    assert len(digests) == 3 + 8 * array.nbytes + 2


@DROPPED_READS
def test_a_flipped_bit_in_any_file_is_named_or_without_effect(tmp_path):
    """Of every file that is read for the parameters, at places drawn with a seed."""
    save(tmp_path / "whole", 2)
    wanted, named = state(2)[0], []
    for copy, where in flipped(tmp_path / "whole/checkpoints/2", "params/**/*", tmp_path / "2", 2):
        try:
            params = restore_params(copy)
        except UserError as error:
            named.append(str(error))
            continue
        assert jax.tree.all(jax.tree.map(np.array_equal, params, wanted)), where
    assert len(named) > 5 and all(f"{tmp_path}/2: damaged" in told for told in named)
    assert sum("params/kernel holds other numbers than were saved" in told for told in named)
    gc.collect()


def test_the_array_is_named_and_the_run_goes_back_a_step(tmp_path, capfd):
    folder = save(tmp_path, 1, 2, 3, 4, 5, config=CheckpointConfig(1, 5))
    meta = folder / "2/meta/metadata"
    meta.write_text(meta.read_text().replace("0.25", "0.75"))
    for step, item in ((3, "average"), (4, "opt_state"), (5, "params")):
        # Random numbers hardly shrink: in the middle of the file are those of an array.
        file = max((folder / f"{step}/{item}").rglob("*"), key=lambda file: file.stat().st_size)
        flip_bit(file, file.stat().st_size * 4)
    assert restore(tmp_path, CheckpointConfig(1, 5))[0].step == 1
    said = capfd.readouterr().err.splitlines()
    words = ("meta is not what", "average/kernel holds other", "opt_state/0/.u/kernel holds other")
    for step, word in enumerate((*words, "params/kernel holds other"), start=2):
        told = rf"step {step} is damaged \(.*{word}.*\); moved to .*{step}.damaged. Going back to"
        assert any(re.search(told, line) for line in said), (told, said)
    assert saved_steps(folder) == [1] and len(said) == 4


def test_metadata_that_fit_neither_the_run_nor_the_digests_are_damage(tmp_path, capfd):
    folder = save(tmp_path, 1, 2)
    file = folder / "2/params/_METADATA"
    entries = json.loads(file.read_text())
    del entries["tree_metadata"]["('bias',)"]
    file.write_text(json.dumps(entries))
    assert restore(tmp_path)[0].step == 1
    assert "its metadata name other arrays than its digests" in capfd.readouterr().err


def test_without_digests_nothing_is_compared(tmp_path):
    unchecked = CheckpointConfig(save_every=1, digests=False)
    folder = save(tmp_path, 1, config=unchecked)
    assert not (folder / "1/digests").exists()
    assert restore(tmp_path)[1] and restore(tmp_path, unchecked)[1]


def test_steps_of_an_earlier_version_are_restored_as_ever(tmp_path, capfd):
    shutil.rmtree(save(tmp_path, 1) / "1/digests")
    assert restore(tmp_path)[1] and not capfd.readouterr().err
    begun = with_defaults({"checkpoint": {"save_every": 7}}, PretrainConfig)
    assert begun["checkpoint"]["digests"] and begun["checkpoint"]["save_every"] == 7


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_neither_saved_nor_restored(tmp_path, capfd, value):
    folder = save(tmp_path, 1)
    params, moments, mean = state(2)
    bad = {**params, "bias": params["bias"].at[1].set(value)}
    words = "step 2 is not saved, {}/bias holds numbers that are not finite; last .* is step 1"
    with Checkpoints(tmp_path, CONFIG) as checkpoints:
        with pytest.raises(UserError, match=words.format("params")):
            checkpoints.save(2, bad, moments, {}, average=mean)
        with pytest.raises(UserError, match=words.format("average")):
            checkpoints.save(2, params, moments, {}, average=bad)
    assert saved_steps(folder) == [1]
    # As a version that did not look would have left it.
    shutil.copytree(folder / "1", folder / "2")
    shutil.rmtree(folder / "2/digests")
    shutil.rmtree(folder / "2/params")
    with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as writer:
        writer.save(folder / "2/params", args=ocp.args.StandardSave(bad))
    with pytest.raises(UserError, match="2: damaged, params/bias holds .* not finite"):
        restore_params(tmp_path)
    assert restore(tmp_path)[0].step == 1
    assert "damaged (params/bias holds numbers that are not finite)" in capfd.readouterr().err


def test_numbers_that_are_whole_are_always_finite():
    assert not check_arrays({"a": np.arange(3), "b": np.array([True])}).infinite
