"""The server hands out the named files in whole and in parts, to this machine, and nothing else."""

import contextlib
import http.client
import threading

import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.viewer.serve import PageServer, byte_range

DATA = bytes(range(256)) * 40


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=5-", (5, 100)),
        ("bytes=-7", (93, 100)),
        ("bytes=-700", (0, 100)),
        ("bytes=90-700", (90, 100)),
        ("BYTES = 1-2", (1, 3)),
        ("bytes=99-99", (99, 100)),
        # Ignored: the whole file is an answer to any of these.
        ("bytes=2-1", None),
        ("bytes=0-1,5-6", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=--5", None),
        ("seconds=0-5", None),
        ("", None),
    ],
)
def test_parts_of_a_file_are_those_of_the_standard(header, part):
    assert byte_range(header, 100) == part


@pytest.mark.parametrize(
    ("header", "size"),
    [("bytes=100-", 100), ("bytes=100-200", 100), ("bytes=-0", 100), ("bytes=0-", 0),
     ("bytes=-5", 0), (f"bytes={'9' * 5000}-", 100)],
)  # fmt: skip
def test_a_part_that_is_not_there_is_told(header, size):
    with pytest.raises(IndexError):
        byte_range(header, size)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    video, gone = folder / "case.mp4", folder / "gone.mp4"
    video.write_bytes(DATA)
    (folder / "secret.txt").write_text("secret")

    def broken():
        raise UserError("records.bin: is <broken>")

    pages = {"/a b/<x>.html": lambda: "<!doctype html>the page", "/broken.html": broken}
    (stream := folder / "case.ts").write_bytes(DATA)
    files = {"/video/0.mp4": video, "/video/1.mp4": gone, "/video/2.ts": stream}
    with PageServer(pages, files) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ask(served):
    """Asks for an address; gives status, headers and body."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", served.server_port)) as link:

        def asked(path, method="GET", secret=served.secret, **headers):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            link.request(method, secret + path, headers=named)
            answer = link.getresponse()
            return answer.status, dict(answer.headers), answer.read()

        yield asked


def test_videos_are_sent_in_whole_and_in_parts(ask):
    status, headers, body = ask("/video/0.mp4")
    assert (status, body, headers["Content-Type"]) == (200, DATA, "video/mp4")
    assert headers["Accept-Ranges"] == "bytes"
    status, headers, body = ask("/video/0.mp4", Range="bytes=100-299")
    assert (status, body) == (206, DATA[100:300])
    assert headers["Content-Range"] == f"bytes 100-299/{len(DATA)}"
    assert ask("/video/0.mp4", Range="bytes=-10")[2] == DATA[-10:]
    status, headers, body = ask("/video/0.mp4", Range=f"bytes={len(DATA)}-")
    assert (status, headers["Content-Range"], body) == (416, f"bytes */{len(DATA)}", b"")
    # A part of another version of the file is of no use.
    mark = headers["ETag"]
    assert ask("/video/0.mp4", Range="bytes=0-9", If_Range=mark)[0] == 206
    assert ask("/video/0.mp4", Range="bytes=0-9", If_Range='"other"')[0] == 200


def test_no_video_is_called_a_text(ask, monkeypatch):
    told = ("text/vnd.trolltech.linguist", None)  # by the tables of Debian
    monkeypatch.setattr("mimetypes.guess_type", lambda name: told)
    assert ask("/video/2.ts")[1]["Content-Type"] == "application/octet-stream"


def test_head_tells_the_same_without_the_body(ask):
    for path in ("/video/0.mp4", "/a%20b/%3Cx%3E.html"):
        got, head = ask(path), ask(path, "HEAD", Range="bytes=0-1")
        assert (head[0], head[2]) == (200, b"")
        assert head[1]["Content-Length"] == got[1]["Content-Length"]


def test_the_secret_leads_to_the_first_page(ask, served):
    for path in ("", "/"):
        status, headers, _ = ask(path)
        assert (status, headers["Location"]) == (302, f"{served.secret}/a%20b/%3Cx%3E.html")
    status, headers, body = ask(headers["Location"], secret="")
    assert (status, body) == (200, b"<!doctype html>the page")


def test_who_does_not_know_the_secret_gets_nothing(ask, served):
    wrong = ("", "/", served.secret[:-1], f"{served.secret}x", f"/{'x' * 22}", "/%C3%A4")
    for secret in wrong:
        for path in ("", "/", "/video/0.mp4", "/a%20b/%3Cx%3E.html"):
            status, headers, body = ask(path, secret=secret)
            assert (status, "Location" in headers) == (403, False) and DATA[:9] not in body
    with PageServer({"/x.html": str}, {}) as other:
        assert other.secret != served.secret


def test_a_browser_is_started_with_an_address_that_leads_there_once(ask, served):
    path = served.address_once().removeprefix(served.address.split(served.secret)[0])
    assert served.secret not in path
    assert ask(path, "HEAD", secret="")[0] == 403  # asked before it is opened
    status, headers, _ = ask(path, secret="")
    assert (status, headers["Location"]) == (302, f"{served.secret}/")
    assert ask(path, secret="")[0] == 403


def test_a_page_that_cannot_be_made_is_a_line_and_a_page(ask, capfd):
    status, headers, body = ask("/broken.html")
    assert status == 500 and headers["Content-Type"].startswith("text/html")
    assert b"records.bin: is &lt;broken&gt;" in body
    assert capfd.readouterr().err == "records.bin: is <broken>\n"
    assert ask("/a%20b/%3Cx%3E.html")[0] == 200


def test_requests_that_name_another_host_are_refused(ask, served):
    port = served.server_port
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1:1", f"127.0.0.1.evil:{port}"):
        for path in ("/", "/video/0.mp4", "/nowhere"):
            assert ask(path, Host=host)[0] == 403
    assert ask("/video/0.mp4", Host=f"localhost:{port}")[0] == 200
    assert ask(f"http://evil.example:{port}/video/0.mp4", secret="")[0] in (400, 403)


def test_nothing_else_of_the_disk_is_served(ask):
    climbing = ("/video/../secret.txt", "/video/0.mp4/../../secret.txt", "/%2e%2e/secret.txt")
    for path in ("/secret.txt", "/video/", *climbing, "//etc/passwd", "/video/0.mp4%00"):
        status, _, body = ask(path)
        assert status == 404 and b"secret" not in body and b"root" not in body
    assert ask("/video/0.mp4", "DELETE")[0] == 501


def test_a_video_that_was_moved_is_told_on_the_screen_once(ask, capfd):
    assert ask("/video/1.mp4")[0] == ask("/video/1.mp4")[0] == 404
    assert capfd.readouterr().err.count("is no longer there") == 1


def test_a_port_that_is_taken_is_told(served):
    with pytest.raises(UserError, match=f"--port {served.server_port}: cannot be had"):
        PageServer({"/x.html": str}, {}, served.server_port)
