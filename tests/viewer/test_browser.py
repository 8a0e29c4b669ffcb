"""A page in a browser: what is shown where one goes by keyboard and mouse, and what is not run."""

import contextlib
import shutil
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from surgvista_jax.viewer.film import Reel
from surgvista_jax.viewer.lanes import Pictures
from surgvista_jax.viewer.operation import Operation, Said
from surgvista_jax.viewer.page import page
from surgvista_jax.viewer.reading import read_operations
from surgvista_jax.viewer.serve import PageServer
from tests.support import marked_videos
from tests.support.made_operation import HOSTILE, PHASES, labels, scores, write_predictions

sync_api = pytest.importorskip("playwright.sync_api")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
HOURS = 10_800  # seconds of an operation, and its moments
# Whether a picture of the page is as grey as it should be: each frame of the film tells its minute.
GREY = """([place, grey]) => {
  const shown = document.querySelector(place), canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  context.drawImage(shown, 0, 0);
  return Math.abs(context.getImageData(5, 5, 1, 1).data[0] - grey) <= 1;
}"""
WRONG, DOUBTFUL = 4000, 7000  # where the model errs for 30 s, and where it is least certain


@contextlib.contextmanager
def served(pages, files=None):
    """The address of pages that are served, as `surgvista view` does.

    What tests keep in the browser, they keep so: Chromium gives a page of a file now and then a
    storage of its own, which no other tab sees and the next load has lost.
    """
    with PageServer(pages, files or {}) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.address
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as driver:
        # Chromium's own sandbox cannot be had as root, as which tests run in containers.
        found = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def long_page(tmp_path_factory) -> Path:
    """The file of a page of three hours, with truth and a film."""
    folder = tmp_path_factory.mktemp("long")
    true = labels(HOURS)
    said = true.copy()
    said[WRONG : WRONG + 30] = (true[WRONG] + 1) % len(PHASES)
    score = scores(said)
    score[DOUBTFUL] = scores(said[DOUBTFUL : DOUBTFUL + 1], sure=0.3)[0]
    path = write_predictions(folder / "p.npz", score, label=true, video="long")
    (operation,) = read_operations(str(path))
    reel = Reel(every=60)
    for second in range(0, HOURS, 60):
        reel.add(second, np.full((36, 64, 3), second // 60, np.uint8))
    text = page(operation, reel.film())
    (folder / "long.html").write_text(text, encoding="utf-8")
    return folder / "long.html"


@pytest.fixture
def opened(browser, long_page):
    """The page, opened from its file, with what it asks for and what goes wrong in it."""
    view = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
    view.asked, view.wrong = [], []
    view.on("request", lambda request: view.asked.append(request.url))
    view.on("pageerror", lambda error: view.wrong.append(str(error)))
    view.on("console", lambda said: said.type == "error" and view.wrong.append(said.text))
    view.goto(long_page.as_uri())
    yield view
    assert view.wrong == []
    outside = [url for url in view.asked if not url.startswith(("data:", "blob:"))]
    assert outside == [long_page.as_uri()] * outside.count(long_page.as_uri())
    view.context.close()


def shown(view) -> tuple[str, str]:
    return view.inner_text("#time"), view.inner_text("#name").strip()


def clock(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def begins(phase: int) -> int:
    return int(np.argmax(labels(HOURS) == phase))


def test_keys_lead_through_the_operation(opened):
    assert shown(opened) == ("0:00:00", PHASES[0])
    opened.keyboard.press("ArrowRight")
    opened.keyboard.press("Shift+ArrowRight")
    assert shown(opened) == ("0:00:11", PHASES[0])
    opened.keyboard.press("ArrowLeft")
    assert shown(opened)[0] == "0:00:10"
    opened.keyboard.press("n")
    assert shown(opened) == (clock(begins(1)), PHASES[1])
    opened.keyboard.press("p")
    assert shown(opened) == ("0:00:00", PHASES[0])
    opened.keyboard.press("e")
    true = int(labels(HOURS)[WRONG])
    assert shown(opened) == (clock(WRONG), PHASES[true + 1])
    opened.keyboard.press("u")
    assert shown(opened)[0] == clock(DOUBTFUL)
    assert opened.inner_text("#confidence") == "30 % sure"
    opened.keyboard.press("Shift+ArrowLeft")
    assert opened.inner_text("#confidence") == "90 % sure"
    opened.keyboard.press("?")
    assert "next least certain" in opened.inner_text("dialog")
    opened.keyboard.press("?")
    assert not opened.is_visible("dialog")


def test_clicks_and_drags_go_where_they_are(opened):
    box = opened.locator(".timeline").bounding_box()
    middle, height = box["x"] + box["width"] / 2, box["y"] + 40
    opened.mouse.click(middle, height)
    second = HOURS // 2
    assert shown(opened) == (clock(second), PHASES[labels(HOURS)[second]])
    opened.mouse.move(middle, height)
    opened.mouse.down()
    for share in (0.6, 0.7, 0.75):
        opened.mouse.move(box["x"] + box["width"] * share, height)
    opened.mouse.up()
    second = HOURS * 3 // 4
    assert shown(opened) == (clock(second), PHASES[labels(HOURS)[second]])
    # The film shows the frame of that time, and of the time under the pointer.
    opened.mouse.move(box["x"] + box["width"] * 0.75, height)
    assert opened.is_visible(".tip") and clock(second) in opened.inner_text(".tip")
    opened.wait_for_function(GREY, arg=[".still", second // 60])
    opened.wait_for_function(GREY, arg=[".tip img", second // 60])
    opened.mouse.move(box["x"] + box["width"] * 0.25, height)
    opened.wait_for_function(GREY, arg=[".tip img", HOURS // 4 // 60])
    assert opened.evaluate(GREY, [".still", second // 60])
    # Zoomed in, a pixel is a shorter time.
    opened.keyboard.press("+")
    opened.keyboard.press("+")
    assert opened.is_visible(".overview")
    opened.mouse.click(box["x"] + box["width"] * 0.75, height + 18)
    assert shown(opened)[0] == clock(second)  # around which it zoomed
    opened.keyboard.press("0")
    assert not opened.is_visible(".overview")


# Counts what a page does: what it asks to be called for later, what it changes, what it draws.
COUNTED = """
window.done = {later: 0, changed: 0, drawn: 0};
for (const name of ["requestAnimationFrame", "setTimeout", "setInterval"]) {
  const before = window[name].bind(window);
  window[name] = (...given) => { done.later += 1; return before(...given); };
}
const fill = CanvasRenderingContext2D.prototype.fillRect;
CanvasRenderingContext2D.prototype.fillRect = function (...given) {
  done.drawn += 1;
  return fill.apply(this, given);
};
addEventListener("DOMContentLoaded", () => new MutationObserver((all) => {
  done.changed += all.length;
}).observe(document, {subtree: true, childList: true, attributes: true, characterData: true}));
"""


def test_a_drag_draws_no_ribbon_anew_and_nobody_touching_it_a_page_does_nothing(opened, long_page):
    """By counts, as times differ: 10,800 moments are drawn once for a view, not at each move."""
    opened.add_init_script(COUNTED)
    opened.goto(long_page.as_uri())
    opened.keyboard.press("d")
    box = opened.locator(".timeline").bounding_box()
    y = box["y"] + 40
    opened.mouse.move(box["x"] + 5, y)
    opened.mouse.down()
    opened.wait_for_timeout(300)  # till the picture of that moment is there
    assert opened.evaluate("done.drawn") > 0
    opened.evaluate("done.drawn = 0")
    for place in range(30):
        opened.mouse.move(box["x"] + 5 + 20 * place, y)
    assert shown(opened)[0] > "0:30:00" and opened.evaluate("done.changed") > 30
    assert opened.evaluate("done.drawn") == 0
    opened.mouse.up()
    opened.wait_for_timeout(300)
    opened.evaluate("done = {later: 0, changed: 0, drawn: 0}")
    opened.wait_for_timeout(700)
    assert opened.evaluate("done") == {"later": 0, "changed": 0, "drawn": 0}


def test_details_come_on_demand_and_are_remembered(browser, long_page):
    with served({"/long.html": lambda: long_page.read_text(encoding="utf-8")}) as address:
        view = browser.new_page()
        view.goto(address)
        assert not view.is_visible(".bins")
        low = view.locator(".timeline").bounding_box()["height"]
        view.keyboard.press("d")
        assert view.is_visible(".bins") and view.is_visible("text=predicted · true")
        assert view.locator(".timeline").bounding_box()["height"] > low + 100
        view.keyboard.press("e")
        assert "Truth: " + PHASES[labels(HOURS)[WRONG]] in view.inner_text(".beside")
        view.goto(address)
        assert view.is_visible(".bins")
        view.close()


def test_unlabelled_videos_are_shown_with_their_pictures_alone(browser, tmp_path):
    frames = [cv2.imencode(".png", np.full((8, 8, 3), k, np.uint8))[1].tobytes() for k in range(60)]
    lane = Pictures("What it rebuilds", np.arange(60.0), tuple(frames), note="a note")
    said = Said("a student", np.full(60, -1, np.int16), None, np.zeros(60, bool))
    operation = Operation("case", "", 1.0, np.arange(60), (), said, lanes=(lane,))
    (tmp_path / "p.html").write_text(page(operation, None), encoding="utf-8")
    view = browser.new_page(viewport={"width": 390, "height": 844})
    wrong: list[str] = []
    view.on("pageerror", lambda error: wrong.append(str(error)))
    view.goto((tmp_path / "p.html").as_uri())
    assert view.locator("button").all_inner_texts() == ["?", "▶", "Open the video…", *"+−", "All"]
    before = view.get_attribute(".maps img", "src")
    for key in ("Shift+ArrowRight", "n", "e", "u", "d", "m"):
        view.keyboard.press(key)
    assert view.inner_text("#time") == "0:00:10"
    assert view.get_attribute(".maps img", "src") != before
    assert view.is_visible("text=What it rebuilds: a note")
    assert view.evaluate("document.documentElement.scrollWidth") <= 390
    assert view.locator(".timeline").bounding_box()["height"] > 60
    assert wrong == []
    view.close()


def test_a_phone_shows_it_without_scrolling_sideways(opened):
    opened.set_viewport_size({"width": 390, "height": 844})
    for _ in range(2):
        assert opened.evaluate("document.documentElement.scrollWidth") <= 390
        assert opened.locator(".timeline").bounding_box()["width"] > 300
        opened.keyboard.press("d")


def test_what_is_exported_is_what_is_shown(opened):
    opened.click("summary")
    with opened.expect_download() as waiting:
        opened.click("text=CSV")
    lines = Path(waiting.value.path()).read_text(encoding="utf-8").splitlines()
    assert waiting.value.suggested_filename == "long.csv"
    assert len(lines) == 1 + 5 + 2  # a phase is parted by the error


def test_names_are_shown_as_they_are_and_run_nothing(browser, tmp_path):
    classes = (HOSTILE, "a/b\\c", "'\"&amp;&lt;", "</script>", "\U0001fac0")
    label = labels(60)
    for several in (False, True):
        path = tmp_path / "p.npz"
        kind = "multi" if several else "single"
        true = np.eye(5, dtype=np.uint8)[label] if several else label
        write_predictions(path, scores(label), video=HOSTILE, classes=classes, model=HOSTILE,
                          label=true, label_kind=kind, damage={HOSTILE: [HOSTILE]})  # fmt: skip
        (operation,) = read_operations(str(path), against=str(path))
        view = browser.new_page()
        asked: list[str] = []
        view.on("request", lambda request, asked=asked: asked.append(request.url))
        (tmp_path / "p.html").write_text(page(operation, None), encoding="utf-8")
        view.goto((tmp_path / "p.html").as_uri())
        assert view.inner_text(".damage") == f"Not all of the video could be read: {HOSTILE}"
        view.keyboard.press("d")
        assert view.inner_text("h1") == view.title() == HOSTILE
        assert view.inner_text("#name b") == HOSTILE
        for name in classes:
            assert name in view.locator(".durations .of").all_inner_texts()
        assert view.evaluate("window.hurt") is None
        # All parts end at one border, whether or not there is more to say.
        edges = [view.locator(part).bounding_box() for part in ("header", ".now", ".ribbon")]
        assert len({round(box["x"] + box["width"]) for box in edges}) == 1
        assert [url for url in asked if not url.startswith("data:")] == [view.url]
        view.close()


def test_a_served_page_shows_the_video_or_says_that_it_was_moved(browser, long_page, tmp_path):
    video = marked_videos.write(tmp_path / "case.webm", marked_videos.Pictures("libvpx"))
    (operation,) = read_operations(str(long_page.parent / "p.npz"))
    media = {"url": "./video/0.webm", "name": "<case>.webm"}
    reel = Reel()
    reel.add(0, np.zeros((36, 64, 3), np.uint8))
    pages = {"/case.html": lambda: page(operation, reel.film(), media=media)}
    seen = """(tag) => {
      const { x, y, width, height } = document.querySelector(".picture").getBoundingClientRect();
      return document.elementFromPoint(x + width / 2, y + height / 2).tagName === tag;
    }"""
    with served(pages, {"/video/0.webm": video}) as address:
        view = browser.new_page()
        with view.expect_response("**/video/0.webm") as answer:
            view.goto(address)
        assert answer.value.status in (200, 206)
        view.wait_for_function(seen, arg="VIDEO")
        video.unlink()
        with view.expect_response("**/video/0.webm") as answer:
            view.reload()
        assert answer.value.status == 404
        view.wait_for_selector("text=<case>.webm cannot be shown: it was moved or removed")
        view.wait_for_function(seen, arg="CANVAS")
        view.close()
