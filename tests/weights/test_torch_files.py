"""Files of PyTorch's that are damaged, or hold what NumPy has no form of: one line each."""

import random

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.weights.files.read import open_file

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_flipped_byte_is_told_or_harms_nothing(zipped, tmp_path):
    path, told, rng = tmp_path / "x.pth", 0, random.Random(0)
    tree = {"model": {"a": torch.randn(4, 3), "b": torch.zeros(2).half()}, "epoch": 3}
    torch.save(tree, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for _ in range(600):
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        path.write_bytes(data)
        try:
            with open_file(path) as source:
                for name in list(source.arrays):
                    source.take(name)
        except UserError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
            told += 1
    assert told > 100


def test_a_damaged_end_of_an_archive_is_told(tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"a": torch.ones(2)}, path)
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02")] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"x\.pth: truncated or damaged"), open_file(path):
        pass


UNREAD = {
    "float8_e4m3fn": lambda: torch.ones(3).to(torch.float8_e4m3fn),
    "float32 sparse_coo": lambda: torch.eye(3).to_sparse(),
    "float32 sparse_csr": lambda: torch.eye(3).to_sparse_csr(),
    "qint8": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    "float32 meta": lambda: torch.ones(3, device="meta"),
    "complex64 conjugated": lambda: torch.ones(3, dtype=torch.complex64).conj(),
    "float32 negated": lambda: torch.ones(3, dtype=torch.complex64).conj().imag,
}


@pytest.mark.filterwarnings("ignore")  # of forms that torch has not finished or gives up
@pytest.mark.parametrize("kind", UNREAD)
def test_a_tensor_that_numpy_has_no_form_of_is_named(kind, tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"model": {"norm.weight": UNREAD[kind](), "norm.bias": torch.ones(2)}}, path)
    with open_file(path) as source:
        np.testing.assert_array_equal(source.take("norm.bias"), np.ones(2))
        with pytest.raises(UserError) as caught:
            source.take("norm.weight")
    assert str(caught.value) == f"{path}: norm.weight is of type {kind}, which is not read"


@pytest.mark.filterwarnings("ignore")
def test_a_program_is_told(tmp_path):
    path = tmp_path / "x.pt"
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
    with pytest.raises(UserError) as caught, open_file(path):
        pass
    assert str(caught.value) == f"{path}: a TorchScript archive: save its state_dict"
