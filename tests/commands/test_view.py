"""Are predictions shown with their videos, and is what does not belong to them refused?"""

import contextlib
import socket
import threading

import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.commands import view
from surgvista_jax.viewer.serve import PageServer
from tests.support.footage import write_video
from tests.support.made_operation import data_of, labels, scores, write_predictions


@pytest.fixture
def predictions(tmp_path):
    return write_predictions(tmp_path / "predictions.npz", scores(labels(4)))


@pytest.fixture
def served(monkeypatch):
    """What the command would have served until somebody pressed Ctrl-C."""
    found = []
    monkeypatch.setattr(view, "USUAL_PORT", 0)  # a real one may be taken on this machine

    def interrupted(server, poll_interval=0.5):
        pages = {address: make() for address, make in server.pages.items()}
        found.append((pages, dict(server.files)))
        raise KeyboardInterrupt

    monkeypatch.setattr(PageServer, "serve_forever", interrupted)
    monkeypatch.setattr(view.webbrowser, "open", lambda address: None)
    return found


def test_a_video_is_served_with_its_page_until_ctrl_c(predictions, tmp_path, served, capsys):
    video = write_video(tmp_path / "any name.mp4", 100)
    assert main(["view", str(predictions.parent), str(video)]) == 0
    ((pages, files),) = served
    said = capsys.readouterr()
    assert "http://127.0.0.1:" in said.out and said.out.endswith("ended\n") and said.err == ""
    data = data_of(pages["/case.html"])
    assert files == {"/video/0.mp4": video}
    assert data["media"] == {"url": "./video/0.mp4", "name": "any name.mp4"}
    assert data["film"]["images"]
    assert main(["view", str(predictions), "--no-browser"]) == 0
    assert len(served) == 2 and data_of(served[-1][0]["/case.html"])["media"] is None


def test_a_film_outlives_its_video_in_the_page_beside_the_predictions(
    predictions, tmp_path, served
):
    """As of a camera, which left a page and no file."""
    video = write_video(tmp_path / "case.mp4", 100)
    assert main(["view", str(predictions), str(video), f"--out={tmp_path}"]) == 0
    film = data_of((tmp_path / "case.html").read_text())["film"]
    video.unlink()

    def shown():
        assert main(["view", str(predictions)]) == 0
        return data_of(served[-1][0]["/case.html"])["film"]

    assert shown() == film and film["images"]
    text = (tmp_path / "case.html").read_text()
    for damage in (
        text.replace('"video":"case"', '"video":"other"'),
        text.replace('"images":["', '"images":["§'),
        text.replace('"film":{"seconds":[', '"film":{"seconds":[9,'),
        text[: len(text) // 20],
        "",
    ):
        (tmp_path / "case.html").write_text(damage)
        assert shown() is None


def test_pages_are_served_while_the_browser_runs(predictions, monkeypatch, capsys):
    serving, opened, seen = threading.Event(), threading.Event(), []

    def browse(address):
        seen.append((address, serving.wait(2)))
        opened.set()

    def serve(server, poll_interval=0.5):
        serving.set()
        assert opened.wait(10)
        raise KeyboardInterrupt

    monkeypatch.setattr(view, "USUAL_PORT", 0)
    monkeypatch.setattr(view.webbrowser, "open", browse)
    monkeypatch.setattr(PageServer, "serve_forever", serve)
    assert main(["view", str(predictions)]) == 0
    ((address, was_served),) = seen
    printed = capsys.readouterr().out
    # Of the same server, and not the address that goes on working, which its user alone may see.
    assert was_served and address.rpartition("/")[0] in printed and address not in printed


def test_the_usual_port_is_had_where_it_is_free(predictions, served, monkeypatch, capsys):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr(view, "USUAL_PORT", port)
        words = ["view", str(predictions), "--no-browser"]
        assert main(words) == 0
        said = capsys.readouterr()
        assert f":{port}/" not in said.out and f"port {port} is taken" in said.err
        assert main([*words, f"--port={port}"]) == 1  # what was asked for is not replaced
        assert f"--port {port}: cannot be had" in capsys.readouterr().err
    assert main(words) == 0
    said = capsys.readouterr()
    assert f":{port}/" in said.out and said.err == ""


def test_a_video_that_predict_noted_is_found_or_said_to_be_moved(
    predictions, tmp_path, served, capsys
):
    video = write_video(tmp_path / "case.mp4", 100)
    (tmp_path / "videos.json").write_text(f'{{"case": "{video}"}}')
    assert main(["view", str(tmp_path)]) == 0
    assert served[-1][1] == {"/video/0.mp4": video}
    video.rename(tmp_path / "elsewhere.mp4")
    assert main(["view", str(tmp_path)]) == 0
    moved = "case.mp4 is not where it was: it was moved or removed"
    assert data_of(served[-1][0]["/case.html"])["media"] == {"name": "case.mp4", "missing": moved}
    assert "it was moved or removed; give VIDEO" in capsys.readouterr().err
    (tmp_path / "videos.json").write_text('{"case": 5}')
    assert main(["view", str(tmp_path)]) == 1
    assert "videos.json: is not what" in capsys.readouterr().err


def test_pages_are_written_where_they_may_be(predictions, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["view", str(predictions), "--out", str(out)]
    assert main(words) == main(words) == 0  # ours are replaced
    assert data_of((out / "case.html").read_text())["video"] == "case"
    (out / "case.html").write_text("mine")
    assert main(words) == 1
    assert "was not written by this command" in capsys.readouterr().err
    assert (out / "case.html").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port=70000"], "--port 70000: must be"),
        (["--truth-fps=0"], "--truth-fps 0: must be above 0"),
        (["--truth=nowhere"], "--truth nowhere: no such file"),
        (["nowhere.mp4"], "nowhere.mp4"),
        (["--against=nowhere.npz"], "nowhere.npz: no such file"),
    ],
)
def test_what_is_not_there_is_named(predictions, words, said, capsys):
    assert main(["view", str(predictions), *words]) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_videos_are_matched_by_their_names(tmp_path, served, capsys, monkeypatch):
    path = write_predictions(tmp_path / "p.npz", scores(labels(8)), video=["a/one", "two"])
    videos = tmp_path / "videos"
    one = write_video(videos / "one.mp4", 30)
    assert main(["view", str(path), str(videos), "--no-browser"]) == 0
    assert served[-1][1] == {"/video/0.mp4": one}
    assert "two: no video of that name was given" in capsys.readouterr().err
    monkeypatch.chdir(videos)
    assert main(["view", str(path), ".", "--no-browser"]) == 0
    assert len(served[-1][1]) == 1
    one.rename(videos / "three.mp4")
    assert main(["view", str(path), str(videos)]) == 1
    assert "is none of the predicted videos (a/one, two)" in capsys.readouterr().err
