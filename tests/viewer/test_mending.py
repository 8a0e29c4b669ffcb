"""Labels that are mended in a page: by keyboard and mouse, kept, saved, and read back as labels."""

import numpy as np
import pytest

from surgvista_jax.data.labels.own_csv import LabelFiles
from surgvista_jax.data.labels.row_labels import LabelColumns
from surgvista_jax.data.labels.video_table import VideoNames
from surgvista_jax.viewer.page import page
from surgvista_jax.viewer.reading import read_operations
from tests.support.made_operation import scores, write_predictions
from tests.viewer.test_browser import browser, pytestmark, served  # noqa: F401

VIDEO = '=case, "7" <b>\U0001fac0'
CLASSES = ("Calot, triangle", 'a "b" <i>', "Präparation")
MODEL = [0] * 40 + [1] * 30 + [2] * 30


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mended")
    score = scores(np.array(MODEL), len(CLASSES))
    path = write_predictions(folder / "p.npz", score, video=VIDEO, classes=CLASSES)
    (operation,) = read_operations(str(path))
    (folder / "case.html").write_text(page(operation, None), encoding="utf-8")
    return folder / "case.html"


@pytest.fixture
def view(browser, html):  # noqa: F811
    found = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    wrong = []
    found.on("pageerror", lambda error: wrong.append(str(error)))
    found.goto(html.as_uri())
    yield found
    assert wrong == []
    found.context.close()


@pytest.fixture
def shared(browser, html):  # noqa: F811
    """Two tabs of the video, where labels are mended."""
    with served({"/case.html": lambda: html.read_text(encoding="utf-8")}) as address:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        tabs = [context.new_page(), context.new_page()]
        for tab in tabs:
            tab.goto(address)
            tab.keyboard.press("m")
        yield tabs
        context.close()


def at(view, second):
    """Where a moment is on the ribbon, in pixels of the window."""
    box = view.locator(".timeline canvas").bounding_box()
    return box["x"] + second / len(MODEL) * box["width"], box["y"] + 40


def saved(view, folder):
    """The labels that `data convert` reads from what the page saves."""
    with view.expect_download() as download:
        view.keyboard.press("s")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    names = VideoNames(folder, {"case.mp4": VIDEO})
    classes, _ = LabelFiles(folder, LabelColumns("phase"), None, names).classes()
    files = LabelFiles(folder, LabelColumns("phase"), CLASSES, names)
    assert {*classes} <= {*CLASSES}
    return list(files.track(VIDEO, CLASSES).at(np.arange(len(MODEL)))), path.read_text()


def test_what_is_mended_by_keyboard_and_mouse_comes_back_as_labels(view, tmp_path):
    view.keyboard.press("m")
    x, y = at(view, 40)
    view.mouse.move(x, y)
    view.mouse.down()
    for second in (42, 47, 45):  # the border between the first two, with hesitation
        view.mouse.move(*at(view, second))
    view.mouse.up()
    view.mouse.click(*at(view, 90.5))
    view.keyboard.press("2")  # the last segment is of the second class
    view.keyboard.press("Control+z")
    view.mouse.click(*at(view, 80.5))
    view.keyboard.press("x")  # from here on no label
    expected = [0] * 45 + [1] * 25 + [2] * 10 + [-1] * 20
    labels, text = saved(view, tmp_path)
    assert labels == expected
    assert text.splitlines()[2].endswith(',70.000,"a ""b"" <i>",0.898,')
    assert "40.000-45.000" in text.splitlines()[1]
    assert text.splitlines()[4].endswith(",80.000,100.000,,,80.000-100.000")  # taken away
    view.select_option(".mending select", label="1  Calot, triangle")
    labels, text = saved(view, tmp_path)
    assert labels == [*expected[:80], *[0] * 20]
    assert text.splitlines()[4].endswith("80.000-100.000")


def test_a_stretch_gets_one_label_at_once(view, tmp_path):
    view.keyboard.press("m")
    view.mouse.click(*at(view, 20.5))
    view.keyboard.press("v")
    view.mouse.click(*at(view, 80.5))
    assert view.is_visible(".chosen") and "This stretch" in view.inner_text(".mending")
    view.keyboard.press("v")
    view.mouse.click(*at(view, 5.5))  # it stays
    view.keyboard.press("2")
    assert not view.is_visible(".chosen")
    view.keyboard.down("Shift")
    view.mouse.move(*at(view, 95.5))
    view.mouse.down()
    view.mouse.move(*at(view, 90.5))
    view.mouse.up()
    view.keyboard.up("Shift")
    view.keyboard.press("Delete")
    expected = [0] * 20 + [1] * 61 + [2] * 9 + [-1] * 6 + [2] * 4
    labels, text = saved(view, tmp_path)
    assert labels == expected
    # As one, whatever labels it had; between them it had this one already.
    assert text.splitlines()[2].endswith(",20.000-40.000 70.000-81.000")
    view.keyboard.press("v")
    view.keyboard.press("Escape")
    view.keyboard.press("1")  # the segment where the cursor is
    assert saved(view, tmp_path)[0] == [*expected[:90], *[0] * 6, *expected[96:]]
    view.keyboard.press("?")
    assert "an end of a stretch" in view.inner_text("dialog")


def named(view, second, key):
    """Gives the segment at a moment the class of a key, while labels are mended."""
    view.mouse.click(*at(view, second))
    view.keyboard.press(key)


def names(view, *seconds):
    found = []
    for second in seconds:
        view.mouse.click(*at(view, second))
        found.append(view.inner_text("#name b"))
    return found


TAKEN = "text=mended in another tab"


def test_a_second_tab_of_the_video_takes_over_what_the_first_mends(shared):
    view, other = shared
    named(view, 10.5, "3")
    other.wait_for_selector(TAKEN)
    named(other, 50.5, "1")
    view.wait_for_selector(TAKEN)
    view.mouse.click(*at(view, 50.5))
    other.keyboard.press("z")
    other.keyboard.press("z")  # nothing is left that this tab did
    assert names(other, 10.5, 50.5) == [CLASSES[2], CLASSES[1]]
    other.keyboard.press("y")
    view.wait_for_function("document.querySelector('#name b').textContent === 'Calot, triangle'")
    for tab in (view, other):
        tab.reload()
        assert names(tab, 10.5, 50.5) == [CLASSES[2], CLASSES[0]]


def test_a_tab_that_sees_late_what_another_kept_loses_none_of_it(shared):
    view, other = shared
    other.evaluate("""() => {
        const seen = Storage.prototype.getItem;
        window.late = true;
        Storage.prototype.getItem = function (key) {
            return window.late ? null : seen.call(this, key);
        };
    }""")
    named(view, 10.5, "3")
    named(view, 80.5, "1")
    named(other, 50.5, "1")  # hides both of view's
    named(other, 80.5, "2")
    other.evaluate("window.late = false")
    view.wait_for_selector(TAKEN)
    other.wait_for_selector(TAKEN)
    assert names(view, 10.5, 50.5, 80.5) == names(other, 10.5, 50.5, 80.5)
    assert names(view, 10.5, 50.5) == [CLASSES[2], CLASSES[0]]
    view.reload()
    assert names(view, 10.5, 50.5, 80.5) == names(other, 10.5, 50.5, 80.5)


def test_a_reload_finds_what_was_mended_where_the_browser_keeps_nothing(view):
    view.add_init_script("Storage.prototype.getItem = () => null")
    view.reload()
    view.keyboard.press("m")
    named(view, 10.5, "3")
    view.reload()
    assert names(view, 10.5) == [CLASSES[2]]


UNFIT = ("{", "7", "[7]", "[[0,9]]", "[[0,101,1,1]]", "[[0,9,3,1]]", "[[5,5,1,1]]", "[[0,9,1,0]]")


def test_what_is_kept_and_does_not_fit_is_not_taken(browser, html):  # noqa: F811
    pages = {"/case.html": lambda: html.read_text(encoding="utf-8"), "/beside.html": str}
    with served(pages) as address:
        view = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        view.goto(address)
        view.keyboard.press("m")
        named(view, 10.5, "3")
        key = view.evaluate("Object.keys(localStorage).find((name) => name.includes('mended'))")
        fitting = "[[5,15,1]]"  # without stamps, as pages once kept them
        for text, expected in [*((text, CLASSES[0]) for text in UNFIT), (fitting, CLASSES[1])]:
            view.goto(f"{address}beside.html")
            view.evaluate("([key, text]) => localStorage.setItem(key, text)", [key, text])
            view.goto(address)
            assert names(view, 10.5) == [expected], text
        view.context.close()


def test_what_was_mended_is_there_again_until_it_is_discarded(view):
    view.keyboard.press("m")
    view.mouse.click(*at(view, 50))
    view.keyboard.press("3")
    assert "Präparation" in view.inner_text("#name")
    view.on("dialog", lambda dialog: dialog.accept())  # it is not saved; and whether to discard it
    view.reload()
    view.mouse.click(*at(view, 50))
    assert "Präparation" in view.inner_text("#name")
    view.click("text=Discard all")
    assert 'a "b" <i>' in view.inner_text("#name")
    view.reload()
    assert view.locator(".mending").is_hidden()


def test_classes_are_put_on_and_off_over_a_stretch(browser, tmp_path):  # noqa: F811
    held = np.zeros((20, 3), np.float32)
    held[5:12, 0] = held[8:20, 1] = 0.9
    names = ("hook", "gras;per", "clip <b>")
    path = write_predictions(
        tmp_path / "p.npz", held, classes=names, task="tool", label_kind="multi"
    )
    (operation,) = read_operations(str(path))
    (tmp_path / "case.html").write_text(page(operation, None), encoding="utf-8")
    view = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    view.goto((tmp_path / "case.html").as_uri())

    def at_second(second):
        box = view.locator(".timeline canvas").bounding_box()
        return box["x"] + second / 20 * box["width"], box["y"] + 30

    view.keyboard.press("m")
    view.keyboard.press("3")  # nothing of it is here, and no stretch is marked
    assert "Mark where it begins" in view.inner_text(".status")
    view.mouse.click(*at_second(3.5))
    view.keyboard.press("v")
    view.mouse.click(*at_second(6.5))
    view.keyboard.press("3")
    view.mouse.click(*at_second(10.5))
    view.keyboard.press("2")  # off from its beginning to its end
    view.keyboard.press("z")
    view.keyboard.press("1")
    assert view.inner_text("#confidence").startswith("mended; the model said hook, gras;per")
    view.on("dialog", lambda dialog: dialog.accept())
    view.reload()  # it was kept
    with view.expect_download() as download:
        view.keyboard.press("s")
    saved_as = tmp_path / "case.csv"
    download.value.save_as(saved_as)
    names_of = VideoNames(tmp_path, {"case.mp4": "case"})
    files = LabelFiles(tmp_path / "case.csv", LabelColumns("tool"), None, names_of)
    classes, _ = files.classes()
    labels = files.track("case", classes).at(np.arange(20))
    found = [tuple(classes[k] for k in label) for label in labels]
    clip, hand = ("clip <b>",), ("gras,per",)
    assert found == [()] * 3 + [clip] * 4 + [()] + [hand] * 12
    assert saved_as.read_text().splitlines()[1].endswith("clip <b>,0.000,3.000-7.000")
    view.context.close()
