"""Is a text a whole number, or none, whatever stands in it?"""

import pytest

from surgvista_jax.data.datasets import autolaparo, cataracts, cholect45, esd57, heichole, psi_ava
from surgvista_jax.errors import UserError
from surgvista_jax.facts.whole_numbers import whole
from tests.support.convert_run import write

LONG = "9" * 5000  # digits of which Python's `int` makes no number


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), (" 007 ", 7), ("-1", -1), ("+2", 2), ("0", 0), ("0" * 5000 + "1", 1)],
)
def test_a_whole_number_is_read_however_many_zeros_it_begins_with(text, number):
    assert whole(text) == number


@pytest.mark.parametrize("text", ["", "-", "1.0", "1_0", "1e3", "x", "nan", "1 2", LONG, "²"])
def test_any_other_text_is_none(text):
    assert whole(text) is None


@pytest.mark.parametrize(
    "read",
    [
        lambda path: autolaparo.read_phases(path, 0),
        cataracts.read_steps,
        cholect45.read_triplets,
        esd57.read_phases,
        lambda path: heichole.read_phases(path, 25),
    ],
    ids=["autolaparo", "cataracts", "cholect45", "esd57", "heichole"],
)
@pytest.mark.parametrize("cell", [LONG, "9" * 20, "-7", "½"], ids=["long", "20", "-7", "½"])
def test_label_files_of_datasets_name_the_line_of_such_a_cell(tmp_path, read, cell):
    with pytest.raises(UserError, match="l.txt, line 2: ") as said:
        read(write(tmp_path / "l.txt", f"0 0\n1 {cell}\n"))
    assert len(str(said.value)) < 300


@pytest.mark.parametrize("place", [1, psi_ava.STEP, psi_ava.PHASE])
def test_psi_ava_names_the_cell(tmp_path, place):
    cells = ["0"] * psi_ava.COLUMNS
    cells[place] = LONG
    path = write(tmp_path / "l.csv", ",".join(cells) + "\n")
    with pytest.raises(UserError, match=f"l.csv, line 1: cell {place + 1}: '9{{40}}' is not"):
        psi_ava._seconds(path, None)
