"""Folders that other programs wrote are read, or the file to take is named."""

import json
from pathlib import Path

import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.errors import UserError
from surgvista_jax.weights import tables
from surgvista_jax.weights.loading import load
from surgvista_jax.weights.place import locate, open_place
from tests.support.pretrain_start import assert_same
from tests.support.weight_files import HEADS, random_arrays, tiny_config, write

TABLE = tables.find("mvd_finetuned")
NAMES = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def arrays_of() -> dict[str, np.ndarray]:
    return random_arrays(TABLE.entries(tiny_config(TABLE)))


def in_shards(folder: Path, changes: dict | None = None) -> Path:
    """A model in two shards, `changes` made to where its index says that arrays lie."""
    folder.mkdir()
    arrays = arrays_of()
    where = {name: NAMES[number % 2] for number, name in enumerate(arrays)}
    for shard in NAMES:
        write(folder / shard, {k: v for k, v in arrays.items() if where[k] == shard})
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": where | (changes or {})}))
    return folder


def test_shards_are_read_together_and_say_so_alone(tmp_path, capsys):
    write(tmp_path / "whole.npz", arrays_of())
    folder = in_shards(tmp_path / "x")
    whole = load(f"mvd_finetuned:{tmp_path / 'whole.npz'}", heads=HEADS)
    for path in (folder, folder / "model.safetensors.index.json"):
        loaded = load(f"mvd_finetuned:{path}", heads=HEADS)
        assert_same(loaded.params, whole.params)
    assert main(["weights", "inspect", str(folder), "--heads=2", "--json"]) == 0
    size = sum((folder / name).stat().st_size for name in NAMES)
    assert json.loads(capsys.readouterr().out)["bytes"] == size
    with pytest.raises(UserError, match="one of several shards of a model; name .*index.json"):
        load(folder / NAMES[0])
    before = loaded.digest
    write(folder / NAMES[1], {k: v + 1 for k, v in arrays_of().items() if k in _held(folder, 1)})
    assert load(f"mvd_finetuned:{folder}", heads=HEADS).digest != before


def _held(folder: Path, number: int) -> set[str]:
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    return {name for name, shard in index["weight_map"].items() if shard == NAMES[number]}


MISTAKES = {
    "../x/model.safetensors": "'../x/model.safetensors', which is no file beside the index",
    "/etc/passwd": "'/etc/passwd', which is no file beside the index",
    "..": r"'..', which is no file beside the index",
    "model-00003-of-00003.safetensors": "names model-00003.*no such file beside it",
    NAMES[1]: "is not in it, and the index says so|is not its own",
    3: "3, which is no file beside the index",
}


@pytest.mark.parametrize("place", MISTAKES)
def test_an_index_that_lies_is_one_line(place, tmp_path):
    first = next(iter(arrays_of()))
    folder = in_shards(tmp_path / "x", {first: place})
    with pytest.raises(UserError, match=MISTAKES[place]) as caught:
        load(f"mvd_finetuned:{folder}", heads=HEADS)
    assert "\n" not in str(caught.value)


def test_an_array_that_an_index_names_twice_is_told(tmp_path):
    index = in_shards(tmp_path / "x") / "model.safetensors.index.json"
    first = next(iter(arrays_of()))
    text = index.read_text()
    index.write_text(text.replace('"weight_map": {', f'"weight_map": {{"{first}": "{NAMES[1]}", '))
    with pytest.raises(UserError, match=f"is not JSON .the key '{first}' stands twice"):
        load(index)


@pytest.mark.parametrize("text", ["[]", "{", "{}", '{"weight_map": {}}', '{"weight_map": 3}'])
def test_what_is_no_index_is_one_line(text, tmp_path):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(text)
    with pytest.raises(UserError, match="index.json: (is not JSON|should hold|has no weight_map)"):
        load(index)


def test_a_folder_of_transformers_says_its_heads_and_what_was_not_taken(tmp_path, capsys):
    write(tmp_path / "model.safetensors", arrays_of())
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    about = {"model_type": "videomae", "num_attention_heads": 2}
    (tmp_path / "config.json").write_text(json.dumps(about))
    loaded = load(f"mvd_finetuned:{tmp_path}")
    assert loaded.config.encoder.transformer.heads == 2
    assert "(not pytorch_model.bin)" in loaded.summary()
    with pytest.raises(UserError, match="says that its encoder has 2 attention heads, not 4"):
        load(f"mvd_finetuned:{tmp_path}", heads={"encoder": 4})
    (tmp_path / "model.safetensors").rename(tmp_path / "mine.safetensors")
    (tmp_path / "pytorch_model.bin").unlink()
    with pytest.raises(UserError, match="is a folder; name a file in it: .*mine.safetensors"):
        locate(tmp_path)


def test_a_folder_of_deepspeed_is_its_latest_step(tmp_path):
    torch = pytest.importorskip("torch")
    for step in (1, 2):
        (tmp_path / f"step{step}").mkdir()
        state = {k: torch.from_numpy(v) for k, v in arrays_of().items()}
        torch.save(
            {"module": state, "dp_world_size": 1, "param_shapes": [{"a": torch.Size([3])}]},
            tmp_path / f"step{step}" / "mp_rank_00_model_states.pt",
        )
    with pytest.raises(UserError, match="holds several steps; name one: .*step1, .*step2"):
        locate(tmp_path)
    (tmp_path / "latest").write_text("step2\n")
    for path, step in ((tmp_path, 2), (tmp_path / "step1", 1)):
        place = locate(path)
        assert place.path == tmp_path / f"step{step}" / "mp_rank_00_model_states.pt"
        with open_place(place) as source:
            assert source.nested == ("module",) and source.arrays.keys() == arrays_of().keys()


def test_weights_that_deepspeed_divided_are_one_line(tmp_path):
    for name in ("zero_pp_rank_0_mp_rank_00_model_states.pt", "mp_rank_01_model_states.pt"):
        (tmp_path / name).write_bytes(b"")
        (tmp_path / "mp_rank_00_model_states.pt").write_bytes(b"")
        with pytest.raises(UserError, match="its weights are divided over"):
            locate(tmp_path)
        (tmp_path / name).unlink()
    (tmp_path / "latest").write_text("../elsewhere")
    with pytest.raises(UserError, match="latest: names '../elsewhere', and there is no such"):
        locate(tmp_path)


def test_a_distributed_checkpoint_of_pytorch_is_one_line(tmp_path):
    (tmp_path / "__0_0.distcp").write_bytes(b"x")
    with pytest.raises(UserError, match="make one file of it: .*dcp_to_torch"):
        locate(tmp_path)


def test_the_folders_of_a_trainer_are_named(tmp_path):
    for step in ("checkpoint-10", "checkpoint-9"):
        (tmp_path / step).mkdir()
        write(tmp_path / step / "model.safetensors", arrays_of())
    with pytest.raises(UserError, match="name one in it: .*checkpoint-10, .*checkpoint-9$"):
        locate(tmp_path)


def test_an_empty_folder_is_not_said_to_need_no_import(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    words = ("weights", "import", str(tmp_path / "empty"), "--out", str(tmp_path / "out"))
    assert main(list(words)) == 1
    assert "holds no file of weights" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"\x08\0\0\0\0\0\0\0{}      ", "safetensors"),
        (b"\x1f\x8b\x08\0", "gzip"),
        (b"m.pth".ljust(257, b"\0") + b"ustar\0", "tar's"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
    ],
)
def test_a_file_under_a_name_of_pytorchs_is_told_for_what_it_is(start, said, tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(start.ljust(600, b"\0"))
    with pytest.raises(UserError, match=f"model.bin: is .*{said}"), open_place(locate(path)):
        pass
