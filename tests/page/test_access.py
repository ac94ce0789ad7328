"""Who may come in, and from where."""

from __future__ import annotations

import os
import re
import shlex
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from page.scene import Page, Scene

from depthd.contract.errors import ConfigurationError, OutputError
from depthd.page.access import Gate, Secret, open_gate

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def secured(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Any:
    file = tmp_path_factory.mktemp("secret") / "password"
    file.write_text(f"{PASSWORD}\nnot this\n")
    file.chmod(0o600)
    with Page(scene.root, f"page.password_file={file}", "page.address=0.0.0.0") as page:
        yield page


def log_in(page: Page, password: str = PASSWORD, **headers: str) -> Any:
    body = f"password={password.replace(' ', '+')}&next=gallery".encode()
    return page.post("/login", body, **headers)


def cookie_of(answer: Any) -> str:
    return str(answer.headers["set-cookie"].split(";")[0])


def test_nothing_is_shown_without_the_password(secured: Page) -> None:
    for path in (
        *("/", "/gallery", "/photo?name=cam1/cat.jpg", "/events", "/thumbnail?name=cam1/cat.jpg"),
        *("/result?name=cam1/cat.jpg&format=npy", "/original?name=cam1/cat.jpg", "/nothing"),
        *("//static/page.css", "/static/%2e%2e/words.json", "/login/../gallery"),
    ):
        assert secured.get(path).status == 401, path
    assert secured.upload("a.jpg", b"x").status == 401
    door = secured.get("/photo?name=cam1%2Fcat.jpg", accept="text/html")
    assert door.status == 303
    assert door.headers["location"] == "login?next=photo%3Fname%3Dcam1%252Fcat.jpg"


def test_the_password_opens_and_the_cookie_is_ours_alone(secured: Page) -> None:
    answer = log_in(secured)
    assert answer.status == 303
    assert answer.headers["location"] == "gallery"
    whole = answer.headers["set-cookie"].lower()
    assert "httponly" in whole
    assert "samesite=strict" in whole
    assert "path=" not in whole
    assert "secure" not in whole
    cookie = cookie_of(answer)
    assert secured.get("/gallery", cookie=cookie).status == 200
    name, _, value = cookie.partition("=")
    expires, _, signature = value.partition(".")
    for wrong in (
        f"{name}={int(expires) + 1}.{signature}",
        f"{name}={expires}.{signature[:-1]}",
        f"{name}={expires}.",
        f"{name}=9999999999.{'0' * 64}",
        f"{name}=x" * 40,
        "\xff=\xfe",
    ):
        assert secured.get("/gallery", cookie=wrong).status == 401, wrong


def test_behind_tls_the_cookie_is_secure(secured: Page) -> None:
    answer = log_in(secured, x_forwarded_proto="https", x_forwarded_for="10.0.0.1")
    assert "secure" in answer.headers["set-cookie"].lower()


def test_guessing_takes_long(secured: Page) -> None:
    answers = [
        log_in(secured, f"wrong{number}", x_forwarded_for="10.1.1.1").status for number in range(12)
    ]
    assert answers[:10] == [403] * 10
    assert answers[-1] == 429
    assert log_in(secured, x_forwarded_for="10.1.1.1").status == 429
    assert log_in(secured, x_forwarded_for="10.1.1.2").status == 303


def test_many_guesses_at_once_are_as_many(secured: Page) -> None:
    def guess(number: int) -> int:
        return int(log_in(secured, f"wrong{number}", x_forwarded_for="10.1.1.3").status)

    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(guess, range(30)))
    assert sorted(answers) == [403] * 10 + [429] * 20


def test_a_network_of_many_addresses_is_one_guesser() -> None:
    gate = Gate(Secret.of(PASSWORD), b"key")
    assert [gate.may_try(f"2001:db8::{number}") for number in range(11)] == [True] * 10 + [False]
    assert gate.may_try("2001:db8:0:1::1")
    assert gate.may_try("10.0.0.1")
    cookie = gate.try_password(PASSWORD, "10.0.0.1")
    assert cookie is not None
    assert gate.knows(cookie)


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/etc", "x:y", "\\\\e"]
)
def test_the_door_leads_nowhere_else(secured: Page, target: str) -> None:
    body = f"password={PASSWORD}&next={target}".encode()
    answer = secured.post("/login", body, x_forwarded_for="10.2.2.2")
    assert answer.headers["location"] == "./"


def test_without_a_password_only_this_machine_is_answered(page: Page) -> None:
    for host in ("localhost", "127.0.0.1", "[::1]", f"LOCALHOST:{page.port}"):
        assert page.get("/", host=host).status == 200, host
    for host in ("evil.example", f"evil.example:{page.port}", "127.0.0.1.evil.example", ""):
        assert page.get("/", host=host).status == 403, host
    assert page.get("/", x_forwarded_for="10.0.0.1").status == 403
    assert page.get("/", forwarded="for=10.0.0.1").status == 403
    assert page.get("/", x_real_ip="10.0.0.1").status == 403


def test_without_a_password_a_proxy_that_says_nothing_is_not_answered(page: Page) -> None:
    """nginx with only proxy_pass: its own name for the page, HTTP/1.0, and no word of others."""
    with socket.create_connection(("127.0.0.1", page.port), 60) as proxy:
        proxy.sendall(f"GET / HTTP/1.0\r\nHost: 127.0.0.1:{page.port}\r\n\r\n".encode())
        assert b" 403 " in proxy.recv(100)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1"},
        {"origin": "http://127.0.0.1:1", "referer": "x"},
        {"origin": "http://[::"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
def test_a_post_from_elsewhere_is_refused(
    page: Page, scene: Scene, headers: dict[str, str]
) -> None:
    if "sec_fetch_site" in headers:
        headers = {**headers, "origin": page.url}
    for path in ("/upload?name=a.jpg", "/retry?name=bad.jpg", "/points?folder=cam1", "/login"):
        assert page.ask("POST", path, b"x", **headers).status == 403
    assert (scene.root / "failed/bad.jpg").exists()


def test_every_answer_carries_its_armour(page: Page) -> None:
    for path in ("/", "/static/page.css", "/nothing", "/thumbnail?name=cam1/cat.jpg", "/login"):
        headers = page.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


def test_no_page_has_anything_inline() -> None:
    import depthd.page  # noqa: PLC0415

    for file in Path(depthd.page.__file__).parent.glob("templates/*.html"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(
            r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:", text
        ), file
        assert not re.search(r"(src|href|action)=\"(/|https?:)", text), f"{file}: absolute"


def test_the_scripts_are_small() -> None:
    import depthd.page  # noqa: PLC0415

    scripts = Path(depthd.page.__file__).parent.glob("static/*.js")
    assert 0 < sum(script.stat().st_size for script in scripts) < 100_000


def test_one_password_is_made_and_shown_once(tmp_path: Path) -> None:
    gate, made = open_gate(tmp_path / "state", None, demand=True)
    assert made is not None
    assert gate.try_password(made, "a") is not None
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0
    assert made not in (tmp_path / "state/password").read_text()
    cookie = gate.try_password(made, "a") or ""
    again, told = open_gate(tmp_path / "state", None, demand=True)
    assert told is None
    assert again.knows(cookie)
    assert again.try_password(made, "a") is not None
    (tmp_path / "state/password").unlink()
    other, _ = open_gate(tmp_path / "state", None, demand=True)
    assert not other.knows(cookie)


def test_another_password_voids_the_cookies(tmp_path: Path) -> None:
    file = tmp_path / "password"
    cookies = []
    for password in ("long enough 1", "long enough 2"):
        file.write_text(password)
        file.chmod(0o600)
        gate, _ = open_gate(tmp_path / "state", file, demand=False)
        assert not any(gate.knows(cookie) for cookie in cookies)
        cookies.append(gate.try_password(password, "a") or "")
        assert gate.knows(cookies[-1])


@pytest.mark.parametrize(
    ("content", "mode"), [("", 0o600), ("short", 0o600), ("long enough", 0o604)]
)
def test_a_password_file_that_protects_nothing_is_refused(
    tmp_path: Path, content: str, mode: int
) -> None:
    file = tmp_path / "password"
    file.write_text(content)
    file.chmod(mode)
    with pytest.raises(ConfigurationError):
        open_gate(tmp_path / "state", file, demand=False)


def test_a_folder_that_others_write_to_keeps_no_secret(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    os.chmod(tmp_path / "state", 0o777)
    with pytest.raises(OutputError):
        open_gate(tmp_path / "state", None, demand=True)


def test_a_cookie_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(Secret.of(PASSWORD), b"key")
    cookie = gate.try_password(PASSWORD, "a") or ""
    assert gate.knows(cookie)
    later = time.time() + 31 * 86_400
    monkeypatch.setattr(time, "time", lambda: later)
    assert not gate.knows(cookie)


def test_another_address_demands_a_password(scene: Scene) -> None:
    with Page(scene.root, "page.address=0.0.0.0") as first:
        said = "".join(first.said)
        match = re.search(r"shown only now: (\S+)", said)
        assert match
        assert first.get("/").status == 401
        assert log_in(first, match[1]).status == 303
    with Page(scene.root, "page.address=0.0.0.0") as second:
        assert "shown only now" not in "".join(second.said)
        assert log_in(second, match[1]).status == 303


def test_readonly_takes_nothing(scene: Scene) -> None:
    with Page(scene.root, "page.readonly=true") as page:
        assert page.upload("a.jpg", b"x").status in (404, 405)
        assert page.post("/retry?name=bad.jpg").status in (404, 405)
        assert page.post("/points?folder=cam1", b"{}").status in (404, 405)
        assert b"retry" not in page.get("/failed").content
    assert not (scene.root / "inbox/a.jpg").exists()
    assert (scene.root / "failed/bad.jpg").exists()


def test_a_socket_of_the_service_manager_is_used(scene: Scene) -> None:
    """As systemd gives it: descriptor 3, and who it is for."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        page = Page.__new__(Page)
        handle = os.dup2(listener.fileno(), 100, inheritable=True)
        command = (
            f"LISTEN_FDS=1 LISTEN_PID=$$ exec {shlex.quote(sys.executable)} -P -m depthd page "
            f"-c /dev/null --root {shlex.quote(str(scene.root))} 3<&100"
        )
        page.start(["bash", "-c", command], pass_fds=(handle,))
        os.close(handle)
    with page:
        assert page.port == port
        assert page.get("/").status == 200
