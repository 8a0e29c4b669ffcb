"""Checkpoints: whole or not at all, kept by rule, onto any mesh, every fault in words."""

import collections
import gc
import json
import resource
import shutil
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest

from surgvista_jax.errors import UserError, ending
from surgvista_jax.training import checkpoint, partition
from surgvista_jax.training.checkpoint import CheckpointConfig, Checkpoints, restore_params
from surgvista_jax.training.checkpoint_files import saved_steps
from surgvista_jax.training.partition import MeshConfig

CONFIG = CheckpointConfig(save_every=1, max_to_keep=2)
# Reads that were under way when a damaged file was met are dropped by Orbax without being awaited.
DROPPED_READS = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def make_state(seed=0, width=8):
    """A tree like a run's: nested parameters and AdamW's state, on one device."""
    params = {
        "encoder": {"kernel": jax.random.normal(jax.random.key(seed), (width, 16))},
        "bias": jnp.full(3, float(seed)),
    }
    return params, optax.adamw(1e-3).init(params)


def on_mesh(tree, config):
    """The tree with every matrix sharded (fsdp, model)."""
    mesh = partition.make_mesh(config)
    spec = jax.sharding.PartitionSpec("fsdp", "model")
    whole = partition.replicated(mesh)
    return jax.tree.map(
        lambda x: jax.device_put(
            x, jax.sharding.NamedSharding(mesh, spec) if x.ndim == 2 else whole
        ),
        tree,
    )


def abstract(tree):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), tree)


def assert_same(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    jax.tree.map(np.testing.assert_array_equal, left, right)


def saved(folder, *steps, config=CONFIG):
    """A run folder with a checkpoint at each step, whose values are those of make_state(step)."""
    with Checkpoints(folder, config) as checkpoints:
        for step in steps:
            checkpoints.save(step, *make_state(step), {"step": step})
    return folder


def test_a_slow_disk_is_told_once_in_our_words_alone(tmp_path, monkeypatch, capsys, caplog):
    orbax_warns_from = "_WAIT_FOR_PREV_SAVE_WARNING_THRESHOLD_SECS"
    monkeypatch.setattr(ocp.checkpoint_manager, orbax_warns_from, -1.0)
    saved(tmp_path / "fast", 1, 2)
    assert not capsys.readouterr().err
    monkeypatch.setattr(checkpoint, "_LONG_WAIT", 0.0)
    saved(tmp_path / "slow", 1, 2, 3)
    (line,) = capsys.readouterr().err.splitlines()
    assert "for the checkpoint of step 1 to be written" in line
    assert "a larger config.checkpoint.save_every than 1" in line
    assert not caplog.records


def test_restored_onto_another_mesh_bit_for_bit(tmp_path):
    state = on_mesh(make_state(), MeshConfig(1, 4, 2))
    with Checkpoints(tmp_path, CONFIG) as checkpoints:
        assert checkpoints.latest() is None
        assert checkpoints.save(7, *state, {"seed": 3, "name": "é"})
    assert sorted(p.name for p in (tmp_path / "checkpoints" / "7").iterdir() if p.is_dir()) == [
        "digests",
        "meta",
        "opt_state",
        "params",
    ]
    for config in (MeshConfig(), MeshConfig(2, 2, 2), MeshConfig(1, 1, 8)):
        there = on_mesh(make_state(1), config)
        with Checkpoints(tmp_path, CONFIG) as checkpoints:
            restored = checkpoints.restore(*abstract(there))
        assert (restored.step, restored.meta) == (7, {"seed": 3, "name": "é"})
        assert_same((restored.params, restored.opt_state), state)
        kernel, wanted = (tree["encoder"]["kernel"] for tree in (restored.params, there[0]))
        assert kernel.sharding == wanted.sharding


def test_donating_the_state_right_after_save_is_safe(tmp_path):
    state = on_mesh(make_state(width=512), MeshConfig(1, 4, 2))
    want = jax.device_get(state)
    overwrite = jax.jit(lambda tree: jax.tree.map(lambda x: x * 0 - 1, tree), donate_argnums=0)
    with Checkpoints(tmp_path, CONFIG) as checkpoints:
        checkpoints.save(1, *state, {})
        for _ in range(5):
            state = overwrite(state)
        assert_same(checkpoints.restore(*abstract(state))[1:3], want)


def test_kept_are_the_last_and_every_nth(tmp_path):
    config = CheckpointConfig(save_every=2, max_to_keep=2, keep_every=6)
    with Checkpoints(tmp_path, config) as checkpoints:
        done = [step for step in range(18) if checkpoints.save(step, *make_state(), {})]
        assert done == [2, 4, 6, 8, 10, 12, 14, 16]
        assert checkpoints.save(17, *make_state(), {}, force=True)
        assert not checkpoints.save(17, *make_state(), {}, force=True)  # it is there already
    names = {child.name for child in (tmp_path / "checkpoints").iterdir()}
    assert names == {"6", "12", "16", "17"}


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ((0, 1, 0), "save_every=0"),
        ((1, 0, 0), "max_to_keep=0"),
        ((1, 1, -1), "keep_every=-1"),
        ((2, 1, 3), "keep_every=3: should be a multiple of save_every=2"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(config, named):
    with pytest.raises(ValueError, match=f"^{named}"):
        CheckpointConfig(*config)


def test_half_written_checkpoints_are_ignored_and_removed(tmp_path):
    saved(tmp_path, 3)
    folder = tmp_path / "checkpoints"
    shutil.copytree(folder / "3", folder / "9.orbax-checkpoint-tmp")
    (folder / "9.orbax-checkpoint-tmp" / "params.orbax-checkpoint-tmp-17").mkdir()
    np.testing.assert_array_equal(restore_params(tmp_path)["bias"], 3.0)
    with Checkpoints(tmp_path, CONFIG) as checkpoints:
        assert checkpoints.latest() == 3
        assert checkpoints.restore(*abstract(make_state())).step == 3
    assert [child.name for child in folder.iterdir()] == ["3"]


def test_what_tensorstore_says_to_a_reader_that_was_interrupted_is_dropped(tmp_path, monkeypatch):
    saved(tmp_path, 3)
    said = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    restore_params(tmp_path)
    for reason in ("Event loop is closed", "other"):
        error = RuntimeError(reason)
        sys.unraisablehook(types.SimpleNamespace(exc_type=RuntimeError, exc_value=error))
    assert [str(told.exc_value) for told in said] == ["other"]


def test_parameters_alone_from_every_kind_of_folder(tmp_path):
    state = on_mesh(make_state(), MeshConfig(1, 4, 2))
    with Checkpoints(tmp_path, CONFIG) as checkpoints:
        checkpoints.save(4, *make_state(1), {})
        checkpoints.save(5, *state, {})
    shutil.rmtree(tmp_path / "checkpoints" / "5" / "opt_state")  # not even looked at
    for folder in (tmp_path, tmp_path / "checkpoints", tmp_path / "checkpoints" / "5"):
        params = restore_params(folder)
        assert all(type(leaf) is np.ndarray for leaf in jax.tree.leaves(params))
        assert_same(params, state[0])
    np.testing.assert_array_equal(restore_params(tmp_path, step=4)["bias"], 1.0)
    there = on_mesh(make_state(1)[0], MeshConfig(2, 2, 2))
    params = restore_params(tmp_path, abstract=abstract(there))
    assert_same(params, state[0])
    assert params["encoder"]["kernel"].sharding == there["encoder"]["kernel"].sharding


def test_no_checkpoint_says_what_was_looked_for_and_what_is_there(tmp_path):
    with pytest.raises(UserError, match="nowhere: no checkpoint here; there is no such folder"):
        restore_params(tmp_path / "nowhere")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match="the folder holds notes.txt"):
        restore_params(tmp_path)
    saved(tmp_path, 3, 4)
    with pytest.raises(UserError, match="no checkpoint of step 9 here; there are steps 3, 4"):
        restore_params(tmp_path, step=9)
    with Checkpoints(tmp_path, CONFIG) as checkpoints:
        with pytest.raises(UserError, match="no checkpoint of step 9 here; there are steps 3, 4"):
            checkpoints.restore(*abstract(make_state()), step=9)


def test_other_arrays_than_saved_are_listed_and_nothing_is_set_aside(tmp_path):
    saved(tmp_path, 3, 4)
    params, opt_state = make_state(width=12)
    params["head"] = jnp.zeros(2, jnp.int32)
    del params["bias"]
    with Checkpoints(tmp_path, CONFIG) as checkpoints:
        with pytest.raises(UserError) as caught:
            checkpoints.restore(abstract(params), abstract(opt_state))
        assert checkpoints.latest() == 4
    lines = str(caught.value).splitlines()
    assert "checkpoints/4: holds other arrays" in lines[0] and "(5 differ)" in lines[0]
    assert "  params/encoder/kernel: saved float32[8, 16], wanted float32[12, 16]" in lines
    assert "  params/head: saved nothing, wanted int32[2]" in lines
    assert "  params/bias: saved float32[3], wanted nothing" in lines
    with pytest.raises(UserError, match="params/head: saved nothing"):
        restore_params(tmp_path, abstract=abstract(params))


def delete_array_files(step_folder):
    for file in (step_folder / "params" / "d").iterdir():
        file.unlink()


def truncate_arrays(step_folder):
    for file in (step_folder / "opt_state").rglob("*"):
        if file.is_file() and file.parent.name == "d":
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def truncate_meta(step_folder):
    (step_folder / "meta" / "metadata").write_text('{"st')


def delete_an_item(step_folder):
    shutil.rmtree(step_folder / "opt_state")


@DROPPED_READS
@pytest.mark.parametrize(
    "damage", [delete_array_files, truncate_arrays, truncate_meta, delete_an_item]
)
def test_a_damaged_newest_checkpoint_is_named_and_set_aside(tmp_path, capsys, damage):
    saved(tmp_path, 3, 4)
    damage(tmp_path / "checkpoints" / "4")
    with Checkpoints(tmp_path, CONFIG) as checkpoints:
        restored = checkpoints.restore(*abstract(make_state()))
        assert restored.step == 3 and restored.meta == {"step": 3}
        assert_same((restored.params, restored.opt_state), make_state(3))
        line = capsys.readouterr().err
        assert "step 4 is damaged" in line and "Going back to step 3" in line
        assert checkpoints.latest() == 3
        assert checkpoints.save(4, *make_state(4), {})  # its number is free again
    assert (tmp_path / "checkpoints" / "4.damaged").is_dir()
    assert_same(restore_params(tmp_path), make_state(4)[0])
    gc.collect()


@DROPPED_READS
def test_with_every_checkpoint_damaged_nothing_is_moved(tmp_path):
    saved(tmp_path, 3, 4)
    for step in "34":
        truncate_meta(tmp_path / "checkpoints" / step)
    with Checkpoints(tmp_path, CONFIG) as checkpoints:
        with pytest.raises(UserError, match="no whole checkpoint; step 4 is damaged .*step 3"):
            checkpoints.restore(*abstract(make_state()))
    assert {child.name for child in (tmp_path / "checkpoints").iterdir()} == {"3", "4"}
    shutil.rmtree(tmp_path / "checkpoints" / "4" / "params" / "d")
    with pytest.raises(UserError, match="checkpoints/4: damaged"):
        restore_params(tmp_path)
    gc.collect()


def test_too_little_space_is_seen_before_saving(tmp_path, monkeypatch):
    saved(tmp_path, 1)
    usage = collections.namedtuple("usage", "total used free")(10**9, 10**9 - 10**6, 10**6)
    big = make_state(width=20_000)  # 1.2 MiB of parameters, twice that of moments
    with Checkpoints(tmp_path, CONFIG) as checkpoints:
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
        with pytest.raises(UserError, match="disk full; step 2 needs 4 MiB.*checkpoint is step 1"):
            checkpoints.save(2, *big, {})
        assert checkpoints.save(2, *make_state(2), {})  # a small one fits


@pytest.fixture
def small_files():
    """Limits a file's size to 100 kB, so that a real write fails in the background."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("how", ["wait", "save", "close"])
def test_a_full_disk_while_saving_is_raised_later_and_loses_nothing(tmp_path, small_files, how):
    saved(tmp_path, 1)
    checkpoints = Checkpoints(tmp_path, CONFIG)
    small_files()
    checkpoints.save(2, *make_state(2, width=50_000), {})  # 3 MB arrays
    words = "disk full .* while saving step 2; last complete checkpoint is step 1"
    with pytest.raises(UserError, match=words):
        {
            "wait": checkpoints.wait,
            "save": lambda: checkpoints.save(3, *make_state(), {}),
            "close": checkpoints.close,
        }[how]()
    checkpoints.close()
    assert [child.name for child in (tmp_path / "checkpoints").iterdir()] == ["1"]
    with Checkpoints(tmp_path, CONFIG) as checkpoints:
        assert_same(checkpoints.restore(*abstract(make_state()))[1:3], make_state(1))


def test_an_error_in_the_run_is_not_hidden_by_a_late_full_disk(tmp_path, small_files, capsys):
    with pytest.raises(ZeroDivisionError):
        with Checkpoints(tmp_path, CONFIG) as checkpoints:
            small_files()
            checkpoints.save(2, *make_state(2, width=50_000), {})
            raise ZeroDivisionError
    assert "there is no complete checkpoint" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "checkpoints").write_text(json.dumps("a file is in the way"))
    with pytest.raises(UserError, match="checkpoints: cannot be written"):
        Checkpoints(tmp_path, CONFIG)


def test_a_running_mean_is_an_item_of_its_own(tmp_path):
    params, opt_state = make_state(1)
    mean = jax.tree.map(lambda leaf: leaf * 2, params)
    with Checkpoints(tmp_path, CONFIG) as checkpoints:
        checkpoints.save(3, params, opt_state, {}, average=mean)
        restored = checkpoints.restore(abstract(params), abstract(opt_state), abstract(params))
        assert_same(restored.average, mean)
        # Whoever wants no mean need not know of it.
        assert checkpoints.restore(abstract(params), abstract(opt_state)).average is None


def test_a_mean_among_the_moments_as_it_was_kept_before_is_one_line(tmp_path):
    params, opt_state = make_state(1)
    with Checkpoints(tmp_path, CONFIG) as checkpoints:
        checkpoints.save(3, params, {"moments": opt_state, "average": params}, {})
        with pytest.raises(UserError, match="earlier version .* take another --workdir$"):
            checkpoints.restore(abstract(params), abstract(opt_state), abstract(params))
    assert saved_steps(tmp_path / "checkpoints") == [3]  # it is not damaged, and stays


@pytest.mark.parametrize("text", ["[]", "5", '{"window": 5}', '{"window": {"sums": []}}'])
def test_a_meta_of_something_else_is_damage(tmp_path, capfd, text):
    folder = saved(tmp_path, 1, 2) / "checkpoints"
    (folder / "2" / "meta" / "metadata").write_text(text)
    with Checkpoints(tmp_path, CONFIG) as checkpoints:
        assert checkpoints.restore(*abstract(make_state())).step == 1
    assert (
        "step 2 is damaged (its meta is not a JSON object, or its window none)"
        in capfd.readouterr().err
    )


@pytest.mark.parametrize("left", ["nothing", "a file", "an empty folder"])
def test_a_folder_that_is_taken_away_from_a_run_is_one_line(tmp_path, left):
    params, opt_state = make_state(1)
    with pytest.raises((UserError, OSError)) as caught:
        with Checkpoints(tmp_path / "run", CONFIG) as checkpoints:
            (tmp_path / "run").rename(tmp_path / "away")
            if left == "a file":
                (tmp_path / "run").write_text("{}")
            elif left == "an empty folder":
                (tmp_path / "run").mkdir()
            checkpoints.save(1, params, opt_state, {}, force=True)
    end = ending(caught.value)
    assert end is not None and str(tmp_path / "run") in end.words and "\n" not in end.words
