"""Requests that mean harm: none reaches a file outside, none stops the page."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from nested import nested
from page.scene import DEADLINE, Page, Scene

from depthd.config import Config
from depthd.contract.names import printable
from depthd.page.results import Results
from depthd.page.upload import Uploads

SECRET = b"nobody may see this"
ODD = (
    "".join(chr(code) for code in range(1, 32)),
    "\"'<>&;|$`\\!*?[]{}()#%+=:@,~^",
    "é ß 漢字 \u202e\u200b\ufeff\U0001f600",
    "a b\tc\nd\re",
    "%2e%2e%2fetc%2fpasswd",
    "-rf",
    "CON",
    "{{7331*7331}}${7331*7331}",
)


@pytest.fixture(scope="module")
def outside(scene: Scene) -> Path:
    """A file beside the root, and links to it wherever one could lie."""
    root = scene.root
    secret = root.parent / "secret"
    secret.write_bytes(SECRET)
    (root.parent / "secret.json").write_text('{"schema": "depthd.manifest/1", "files": []}')
    for folder in ("outbox", "done", "failed"):
        (root / folder / "leads-out").symlink_to(root.parent)
        (root / folder / "link.jpg").symlink_to(secret)
    (root / "outbox/link.jpg.json").symlink_to(root.parent / "secret.json")
    (root / "failed/link.jpg.error.json").write_text('{"schema": "depthd.error/1"}')
    os.mkfifo(root / "outbox/pipe.jpg.json")
    os.mkfifo(root / "failed/pipe.jpg")
    (root / "failed/pipe.jpg.error.json").write_text('{"schema": "depthd.error/1"}')
    return secret


def names_that_lead_out(root: Path) -> Iterator[str]:
    secret = str(root.parent / "secret")
    yield from ("", ".", "..", "/", "cam1", "cam1/", "/cam1/cat.jpg", "cam1//cat.jpg", "\0", "a\0b")
    yield from ("../secret", "../../etc/passwd", "cam1/../../secret", "cam1/../cam1/cat.jpg")
    yield from (secret, f"/{secret}", f"file://{secret}", "..\\secret", "%2e%2e/secret")
    yield from ("leads-out/secret", "link.jpg", "leads-out/root/outbox/cam1/cat.jpg", "pipe.jpg")
    yield from (".depthd/x", "cam1/.hidden", "x" * 300, "a/" * 200 + "b", "\udcff\udcfe")


@pytest.mark.parametrize(
    "address",
    [
        *("result?format=npy&name=", "result?format=heatmap&show&name=", "original?name="),
        *("original?show&name=", "failed-photo?name=", "failed-photo?show&name=", "manifest?name="),
        *("zip?name=", "depth?format=npy&name=", "thumbnail?name=", "photo?name=", "space?name="),
        *("arrival?sha256=0&since=0&name=",),
    ],
)
def test_no_name_leads_out(page: Page, scene: Scene, outside: Path, address: str) -> None:
    for name in names_that_lead_out(scene.root):
        for written in {quote(os.fsencode(name), safe=safe) for safe in ("", "/.")}:
            answer = page.get(f"/{address}{written}")
            assert SECRET not in answer.content
            if address.startswith("arrival"):
                assert answer.content == b'{"state":"waiting"}'
            else:
                assert answer.status == 404, (name, answer.status)


def test_no_path_leads_out(page: Page, outside: Path) -> None:
    for path in (
        *("/static/../server.py", "/static/..%2fserver.py", "/static/%2e%2e/server.py"),
        *(
            "/static//etc/passwd",
            "/static/%2fetc%2fpasswd",
            "/static/..\\server.py",
            "/../etc/passwd",
        ),
        *(
            "/static/",
            "/static",
            "/static/\u00ff".encode("latin-1").decode("latin-1"),
            "/%00",
            "//x",
        ),
        f"/{outside}",
    ):
        answer = page.get(quote(path, safe="/%.\\"))
        assert answer.status in (307, 400, 403, 404, 405), path
        assert b"import" not in answer.content
        assert SECRET not in answer.content


def test_what_is_not_the_daemons_is_not_shown(page: Page, scene: Scene, cat: bytes) -> None:
    """A file beside a set, a manifest of somebody else, a set that lists what is not its own."""
    outbox = scene.root / "outbox"
    (outbox / "cam1/cat.jpg.pfm").write_bytes(SECRET)
    (outbox / "cam1/plain.jpg.json").write_text('{"schema": "other"}')
    assert page.get("/result?name=cam1/cat.jpg&format=pfm").status == 404
    assert page.get("/photo?name=cam1/plain.jpg").status == 404
    if os.geteuid() == 0:
        copy = scene.publish("theirs.jpg", cat, scene.made(cat))
        assert page.get("/photo?name=theirs.jpg").status == 200
        os.chown(copy, 1234, 1234)
        assert page.get("/photo?name=theirs.jpg").status == 404
        os.chown(copy, 0, 0)
        os.chown(outbox / "theirs.jpg.depth.npy", 1234, 1234)
        assert page.get("/result?name=theirs.jpg&format=npy").status == 404
        copy.unlink()


def test_an_original_that_became_a_link_is_not_followed(
    page: Page, scene: Scene, outside: Path, cat: bytes
) -> None:
    scene.publish("linked.jpg", cat, scene.made(cat))
    original, target = scene.root / "done/linked.jpg", outside.with_name("large")
    target.write_bytes(cat[:-1] + b"!")
    assert page.get("/original?name=linked.jpg").content == cat
    original.unlink()
    original.symlink_to(target)
    assert page.get("/original?name=linked.jpg").status == 404
    original.unlink()
    os.link(outside, original)  # of another size
    assert page.get("/original?name=linked.jpg").status == 404


def test_a_photo_that_is_a_page_is_only_saved(page: Page, scene: Scene) -> None:
    scene.fail("evil.jpg", b"<html><script>alert(1)</script>", "not_an_image")
    answer = page.get("/failed-photo?name=evil.jpg&show")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("odd", ODD)
def test_odd_names_come_in_and_harm_nobody(page: Page, scene: Scene, odd: str, cat: bytes) -> None:
    inbox = scene.root / "inbox"
    before = set(inbox.iterdir())
    answer = page.upload(f"x{odd}.jpg", cat)
    assert answer.status == 200, answer.content
    (new,) = set(inbox.iterdir()) - before
    assert new.read_bytes() == cat
    assert new.name.isprintable()
    assert stat.S_IMODE(new.stat().st_mode) == 0o660
    scene.publish(f"odd/x{odd}.jpg", cat, scene.made(cat, formats=("heatmap",)))
    key = quote(f"odd/x{odd}.jpg", safe="")
    shown = page.get(f"/photo?name={key}")
    assert shown.status == 200
    assert b"<>&" not in shown.content
    assert b"53743561" not in shown.content
    saved = page.get(f"/zip?name={key}")
    assert saved.status == 200
    assert saved.headers["content-disposition"].isprintable()


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            ".",
            "..",
            "../a.jpg",
            "a/b.jpg",
            "/etc/x.jpg",
            ".hidden.jpg",
            "a.jpg.part",
            "~a.jpg",
        ),
        *("a.html", "a", "a\0.jpg", "x" * 250 + ".jpg", b"\xff\xfe.exe"),
    ],
)
def test_names_that_are_no_photos_are_refused(page: Page, scene: Scene, name: str | bytes) -> None:
    before = sorted(scene.root.rglob("*"))
    assert page.upload(name, b"x").status in (400, 415)
    assert sorted(scene.root.rglob("*")) == before


@pytest.mark.parametrize(
    "folder",
    ["..", "../outbox", "a/../../b", ".x", "a/.x/b", "@eaDir", "a\0", "a\n", "/".join("a" * 70)],
)
def test_folders_that_lead_out_are_refused(page: Page, scene: Scene, folder: str) -> None:
    before = sorted(scene.root.rglob("*"))
    assert page.upload("a.jpg", b"x", folder).status in (400, 415)
    assert sorted(scene.root.rglob("*")) == before


def test_a_link_in_the_inbox_is_not_followed(page: Page, scene: Scene) -> None:
    (scene.root / "inbox/away").symlink_to(scene.root / "outbox")
    assert page.upload("a.jpg", b"x", "away").status == 503
    assert not (scene.root / "outbox/a.jpg").exists()
    (scene.root / "inbox/away").unlink()


def test_bodies_are_bounded(scene: Scene) -> None:
    with Page(scene.root, "disk.min_free=0", "page.max_upload=1MB") as page:
        before = sorted(scene.root.rglob("*"))
        assert page.upload("a.jpg", b"x" * 1_000_001).status == 413
        assert page.upload("a.jpg", b"x" * 20_000_000).status == 413, "the answer is heard"
        assert page.upload("a.jpg", b"").status == 400
        assert page.post("/upload?name=a.jpg", b"", transfer_encoding="chunked").status in (
            400,
            411,
        )
        with socket.create_connection(("127.0.0.1", page.port), DEADLINE) as endless:
            head = f"POST /upload?name=a.jpg HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n"
            head += f"Origin: {page.url}\r\nTransfer-Encoding: chunked\r\n\r\n"
            endless.sendall(head.encode())
            with pytest.raises(OSError):  # noqa: PT012
                for _ in range(100_000):
                    endless.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        body = b"points" * 100_000
        assert page.post("/points?folder=cam1", body).status == 400
        assert page.post("/login", body).status in (303, 400)
        assert page.post("/retry?name=none.jpg", body).status == 404
        assert page.get("/" + "x" * 9000).status in (400, 414)
        with suppress(ConnectionError):  # or not answered at all
            assert page.get("/", cookie="x" * 200_000).status == 400
        assert page.ask("PUT", "/upload?name=a.jpg", b"x").status == 405
        page.wait_until(lambda: sorted(scene.root.rglob("*")) == before, "clean inbox")
        assert page.get("/").status == 200


def test_an_upload_that_breaks_off_leaves_nothing(page: Page, scene: Scene) -> None:
    before = sorted(scene.root.rglob("*"))
    with socket.create_connection(("127.0.0.1", page.port), DEADLINE) as sender:
        head = f"POST /upload?name=half.jpg HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n"
        head += f"Origin: {page.url}\r\nContent-Length: 5000000\r\n\r\n"
        sender.sendall(head.encode() + b"x" * 2_000_000)
        page.wait_until(lambda: sorted(scene.root.rglob("*")) != before, "hidden file")
        (hidden,) = set(scene.root.rglob("*")) - set(before)
        assert hidden.name.startswith(".")
    page.wait_until(lambda: sorted(scene.root.rglob("*")) == before, "clean inbox")


def test_uploads_are_bounded_in_number(scene: Scene, cat: bytes) -> None:
    with Page(scene.root, "disk.min_free=0", "page.max_uploads=1", "page.max_waiting=2") as page:
        with socket.create_connection(("127.0.0.1", page.port), DEADLINE) as slow:
            head = f"POST /upload?name=slow.jpg HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n"
            head += f"Origin: {page.url}\r\nContent-Length: 5000000\r\n\r\n"
            slow.sendall(head.encode())
            page.wait_until(
                lambda: list((scene.root / "inbox").glob(".depthd-page-*")), "hidden file"
            )
            assert page.upload("other.jpg", cat).status == 503
        page.wait_until(lambda: page.upload("one.jpg", cat, "n").status == 200, "place")
        assert page.upload("two.jpg", cat, "n").status == 200
        assert page.upload("three.jpg", cat, "n").status == 503
        (scene.root / "inbox/n/one.jpg").unlink()
        assert page.upload("three.jpg", cat, "n").status == 200


def test_a_full_disk_is_said_before(scene: Scene, cat: bytes) -> None:
    with Page(scene.root, "disk.min_free=900000GB") as page:
        assert page.upload("a.jpg", cat).status == 507


def test_five_hundred_slow_connections_hold_up_nobody(page: Page) -> None:
    with ExitStack() as stack:
        for number in range(500):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", page.port), DEADLINE))
            slow.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "[: number % 40])
        for _ in range(3):
            began = time.monotonic()
            assert page.get("/").status == 200
            assert time.monotonic() - began < DEADLINE / 2
        open_files = len(os.listdir(f"/proc/{page.process.pid}/fd"))
        assert open_files < 330, "connections are bounded"


def test_a_reader_that_stops_holds_up_nobody(page: Page, scene: Scene, cat: bytes) -> None:
    for path in (scene.root / "done/cam1/cat.jpg",):
        assert path.exists()
    with ExitStack() as stack:
        for _ in range(40):
            reader = stack.enter_context(
                socket.create_connection(("127.0.0.1", page.port), DEADLINE)
            )
            head = "GET /depth?name=cam1/cat.jpg&format=npy HTTP/1.1\r\nHost: localhost\r\n\r\n"
            reader.sendall(head.encode() * 3)
        assert page.get("/gallery").status == 200


def test_a_reader_that_dawdles_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    from depthd.page import guard  # noqa: PLC0415
    from depthd.page.access import Gate  # noqa: PLC0415
    from depthd.page.sending import BrokenOff  # noqa: PLC0415

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def never(message: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(guard, "SEND_PATIENCE", 0.01)
    scope = {
        "type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"",
        "headers": [(b"host", b"localhost")], "http_version": "1.1",
    }  # fmt: skip
    with pytest.raises(BrokenOff):
        asyncio.run(guard.Guard(app, Gate(None, b""))(scope, never, never))


def test_no_file_stays_open(page: Page, scene: Scene) -> None:
    handles = Path(f"/proc/{page.process.pid}/fd")

    def results() -> list[str]:
        return [link for fd in handles.iterdir() if "/cat.jpg" in (link := _target(fd))]

    for path in ("result?format=npy&", "original?", "zip?", "depth?format=npy&", "thumbnail?"):
        for method in ("GET", "HEAD"):
            assert page.ask(method, f"/{path}name=cam1/cat.jpg").status == 200
        with socket.create_connection(("127.0.0.1", page.port), DEADLINE) as gone:
            gone.sendall(
                f"GET /{path}name=cam1/cat.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
            )
    page.wait_until(lambda: not results(), f"closed files: {results()}")


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 300, "\u0663", "-1", "0", "1e3", ""])
def test_odd_numbers_are_answered(page: Page, scene: Scene, number: str) -> None:
    """One of more than 4300 digits is a ValueError to `int`."""
    handles = Path(f"/proc/{page.process.pid}/fd")
    asked = f"name=cam1/cat.jpg&format=npy&most={quote(number)}"
    assert page.get(f"/depth?{asked}").status == 200
    assert page.get(f"/arrival?name=bad.jpg&since={quote(number)}").status == 200
    assert page.get(f"/gallery?page={quote(number)}").status == 200
    page.wait_until(
        lambda: not any("/cat.jpg" in _target(fd) for fd in handles.iterdir()), "closed file"
    )


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


@pytest.mark.parametrize("odd", [b"\xff", b"a\nb", b"a  b", b"\\xfe"])
def test_a_folder_with_an_odd_name_harms_nobody(
    page: Page, scene: Scene, odd: bytes, cat: bytes
) -> None:
    name = os.fsdecode(odd)
    scene.publish(f"{name}/cat.jpg", cat, scene.made(cat, formats=("heatmap",)))
    key = quote(odd, safe="")
    shown = printable(name)
    page.wait_until(
        lambda: f'value="{shown}"'.encode() in page.get("/gallery").content, "folder in the list"
    )
    assert page.get("/drop").status == 200
    for asked in (key, quote(shown)):  # as links have it, and as a form sends it
        for path in ("gallery", "camera"):
            answer = page.get(f"/{path}?folder={asked}")
            assert f'value="{shown}" selected'.encode() in answer.content
            assert f"name={key}%2Fcat.jpg".encode() in answer.content


@pytest.mark.parametrize(
    "path", ["gallery?text=", "gallery?day=", "drop?folder=", "gallery?folder="]
)
def test_what_is_no_text_is_answered(page: Page, path: str) -> None:
    assert page.get(f"/{path}%ff%ed%a0%80").status == 200


def test_folders_inside_each_other_do_not_keep_the_page_from_starting(scene: Scene) -> None:
    with nested(scene.root / "inbox"):
        uploads = Uploads(Config(root=scene.root), Results(Config(root=scene.root)))
        uploads.clear()


@pytest.mark.parametrize(
    "data",
    [
        b"\0" * 5000,
        b"GET / HTTP/9\r\n\r\n",
        b"\x16\x03\x01\x02\0",
        b"GET \xff HTTP/1.1\r\n\r\n",
        b"\r\n" * 900,
    ],
)
def test_nonsense_is_answered_or_dropped(page: Page, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", page.port), DEADLINE) as rude:
        rude.sendall(data)
        rude.shutdown(socket.SHUT_WR)
        answer: Any = rude.recv(100)
        assert not answer or b" 400 " in answer or b" 403 " in answer
    assert page.get("/").status == 200


def test_the_page_lives_and_has_said_nothing_odd(page: Page) -> None:
    assert page.get("/").status == 200
    assert len(page.said) == 1, "nobody from outside fills the log"
