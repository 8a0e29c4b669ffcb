"""A page is one file that stays small, loads nothing, and runs nothing that a name says."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import surgvista_jax
from surgvista_jax.errors import UserError
from surgvista_jax.ownership import in_folder
from surgvista_jax.viewer.encoding import page_data
from surgvista_jax.viewer.files import check_pages, write_pages
from surgvista_jax.viewer.film import Film
from surgvista_jax.viewer.index import index_page
from surgvista_jax.viewer.lanes import Curve, Pictures
from surgvista_jax.viewer.operation import Operation, Said
from surgvista_jax.viewer.page import SCRIPTS, page
from surgvista_jax.viewer.reading import read_operations
from tests.support.made_operation import HOSTILE, data_of, labels, scores, write_predictions

VIEWER = Path(surgvista_jax.__file__).parent / "viewer"


class Markup(HTMLParser):
    """The elements of a page, and every address in it."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for key, value in attrs if key in ("src", "href", "data")]
        assert not any(key.startswith("on") for key, _ in attrs)


def operations(folder, videos=("case",), seconds=60, **more):
    label = labels(seconds)
    score = np.tile(scores(label), (len(videos), 1))
    path = write_predictions(folder / "predictions.npz", score, video=list(videos), **more)
    return read_operations(str(path))


def test_names_of_any_letters_are_data_and_nothing_else(tmp_path):
    classes = (HOSTILE, "a/b\\c", "'\"&amp;", "Präparation", "\u202eright")
    score = scores(labels(60))
    path = tmp_path / "p.npz"
    write_predictions(path, score, video=HOSTILE, classes=classes, model=HOSTILE)
    (operation,) = read_operations(str(path))
    text = page(operation, None)
    markup = Markup(text)
    assert markup.tags.count("script") == 2 and "img" not in markup.tags
    assert markup.addresses == ["data:,"]
    data = data_of(text)
    assert (data["video"], tuple(data["classes"])) == (HOSTILE, classes)


def test_three_hours_with_everything_stay_below_eight_megabytes():
    rng = np.random.default_rng(0)
    n, names = 10_800, tuple(f"instrument, verb, target {k}" for k in range(100))
    chance = rng.integers(0, 256, (n, 100), np.uint8)
    label, known = np.full(n, -1, np.int16), np.ones(n, bool)
    said = Said("a model", label, chance > 127, known, chance)
    true = replace(said, probability=None)
    operation = Operation("case", "", 1.0, np.arange(n), names, said, truth=true, other=said)
    maps = Pictures("maps", np.arange(900), (b"\x89PNG" + bytes(3000),) * 900)
    operation = replace(operation, lanes=(maps, maps))
    assert len(page_data(operation, None)["lanes"][0]["images"]) == 450  # 5.4 MB were too many
    film = Film(tuple(range(500)), (bytes(8000),) * 500)  # as large as a reel lets it be
    assert len(page(operation, film).encode()) < 8_000_000


def test_a_page_holds_the_moments_exactly_and_probabilities_to_a_byte(tmp_path):
    (operation,) = operations(tmp_path, seconds=300)
    data = page_data(operation, None)
    assert sum(count for _, count in data["steps"]) == 299
    assert sum(count for _, count in data["said"]["label"]) == 300
    assert data["said"]["every"] == 1 and data["truth"] is None and data["film"] is None


def test_further_lanes_are_told(tmp_path):
    lanes = (
        Curve("heart", np.arange(3), np.array([0.1, 0.5, 1])),
        Pictures("maps", np.arange(1), (b"\x89PNG\r\n",)),
    )
    (operation,) = operations(tmp_path)
    told = page_data(replace(operation, lanes=lanes), None)["lanes"]
    assert len(told[1]["seconds"]) == len(told[1]["images"]) == 1
    assert told[0]["values"] == [0.1, 0.5, 1] and told[1]["images"] == ["iVBORw0K"]
    with pytest.raises(ValueError, match="neither JPEG nor PNG"):
        Pictures("maps", np.arange(1), (b"<svg>",))


def test_several_videos_have_an_index_with_a_ribbon_of_each(tmp_path):
    videos = ["index", "b/c d", "<e>#?%:"]
    owned = in_folder(tmp_path / "out")
    made = operations(tmp_path, videos)
    check_pages(owned, videos)
    first = write_pages(owned, made, lambda operation: None)
    assert first.name == "_index.html"  # a video has the other name
    markup = Markup(first.read_text())
    links = [address for address in markup.addresses if address != "data:,"]
    assert sorted(links) == ["./%3Ce%3E%23%3F%25%3A.html", "./b/c%20d.html", "./index.html"]
    assert markup.tags.count("g") == 3 * 5
    assert 'href="./../_index.html"' in (tmp_path / "out" / "b" / "c d.html").read_text()
    # Ours may be replaced, what was edited may not.
    write_pages(owned, made, lambda operation: None)
    (tmp_path / "out" / "index.html").write_text("mine")
    with pytest.raises(UserError, match="was not written by this command"):
        check_pages(owned, videos)


def test_an_index_of_operations_that_flicker_stays_small(tmp_path):
    label = np.random.default_rng(0).integers(0, 5, 10_800)
    path = write_predictions(tmp_path / "p.npz", scores(label))
    many = [*read_operations(str(path))] * 10
    assert len(index_page(many, ["./case.html"] * 10)) < 10 * 80_000


def test_scripts_share_one_scope_without_sharing_a_name():
    named: list[str] = []
    for script in SCRIPTS:
        text = (VIEWER / script).read_text(encoding="utf-8")
        named += re.findall(r"^(?:const|let|function|class) (\w+)", text, re.M)
        assert "innerHTML" not in text and "eval(" not in text
        assert text.count("\n") <= 300, script
    assert len(named) == len(set(named))
    assert {path.name for path in VIEWER.glob("*.js")} == set(SCRIPTS)
