"""Parts that do not belong together stop, whoever came first, and nothing foreign is taken away."""

import dataclasses
import threading

import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.parts.option import Part
from surgvista_jax.parts.plan import Parts
from surgvista_jax.parts.plan_file import FOLDER, refuse_begun
from surgvista_jax.parts.sweep import sweep
from surgvista_jax.writing import CannotWrite

ITEMS = [("a", 3), ("b", 2), ("c", 2)]
COMMAND = "data convert"


@pytest.fixture
def first(tmp_path):
    return Parts(tmp_path / "out", COMMAND, Part(1, 2), {"fps": "5"}, {})


def of(parts: Parts, number: int) -> Parts:
    return dataclasses.replace(parts, part=Part(number, parts.part.of))


def test_whoever_comes_first_all_parts_have_their_share(first):
    both: dict[int, list[int]] = {}

    def begin(number: int) -> None:
        both[number] = of(first, number).begin(ITEMS, {"weights": "w"})

    threads = [threading.Thread(target=begin, args=[number]) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert both == {1: [0], 2: [1, 2]}
    assert of(first, 0).begin(ITEMS) == [0, 1, 2] and first.part_of(ITEMS) == [1, 2, 2]


def test_other_facts_and_other_items_are_refused(first):
    first.begin(ITEMS, {"weights": "w"})
    second = of(first, 2)
    with pytest.raises(UserError, match="begun with weights was w and is v"):
        second.begin(ITEMS, {"weights": "v"})
    for items, said in (
        ([*ITEMS, ("d", 1)], "when d was not there"),
        (ITEMS[1:], "when a was there"),
        ([("a", 4), *ITEMS[1:]], r"when a was of another size \(3, now 4\)"),
        (ITEMS[::-1], "when they came in another order"),
    ):
        with pytest.raises(UserError, match=f"{said}.*; to begin anew, remove "):
            second.begin(items, {"weights": "w"})


def test_a_part_that_starts_again_has_not_ended(first):
    for part in (first, of(first, 2)):
        part.begin(ITEMS)
        part.end(part.part.number - 1, ["c"][: part.part.number - 1])
    with of(first, 0).all_ended() as folders:
        assert folders == [first.folder, of(first, 2).folder]
    assert first.status() == 1 and first.nothing_of(1) == set() and first.nothing_of(2) == {"c"}
    first.begin(ITEMS)
    with pytest.raises(UserError, match="part 1/2 was not begun"), of(first, 0).all_ended():
        pass


@pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
def test_a_damaged_plan_is_one_line(first, text):
    first.begin(ITEMS)
    path = first.out / FOLDER / "data-convert" / "plan.json"
    path.write_text(text)
    for ask in (first.check, lambda: refuse_begun(first.out, COMMAND)):
        with pytest.raises(UserError, match=r"plan\.json: (is not JSON|should hold|not a plan)"):
            ask()


def test_a_folder_that_cannot_be_written_is_one_line(first, monkeypatch):
    (first.out.parent / "out").write_text("a file")
    with pytest.raises(CannotWrite, match="is a file, not a folder"):
        first.begin(ITEMS)


def test_what_is_not_ours_stays(first):
    first.begin(ITEMS)
    (first.folder / "deep").mkdir(parents=True)
    own, foreign = first.folder / "deep" / "own.npz", first.folder / "deep" / "note.txt"
    own.touch()
    foreign.touch()
    first.end(0)
    sweep(first.out, COMMAND)
    assert own.exists()  # nothing was merged yet
    first.merged(["**/*.npz"])
    sweep(first.out, COMMAND)
    assert [path for path in (first.out / FOLDER).rglob("*") if path.is_file()] == [foreign]
