"""Downloads against real servers on loopback: whole, broken, hostile, absent."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from file_server import Script, proxy, serving

from depthd.contract.errors import OutputError, TemporaryError, UnavailableError
from depthd.model.download import Limits, download

CONTENT = os.urandom(300_000)
PREFIX = hashlib.sha256(CONTENT).hexdigest()[:8]
QUICK = Limits(stall=0.3, attempts=4, backoff=0.01)

CHILD = """
import sys
from pathlib import Path
from depthd.model.download import download
download(sys.argv[1], Path(sys.argv[2]), sys.argv[3], report=lambda text: print(text, flush=True))
"""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "new" / "weights" / "weights.pt"


def fetch(url: str, target: Path, prefix: str = PREFIX) -> list[str]:
    said: list[str] = []
    assert download(url, target, prefix, report=said.append, limits=QUICK).startswith(prefix)
    assert target.read_bytes() == CONTENT
    assert not part(target).exists()
    return said


def part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def test_whole(target: Path) -> None:
    script = Script(CONTENT)
    with serving(script) as url:
        said = fetch(url, target)
    assert script.asked == [""]
    assert sum("MiB" in line for line in said) >= 3


def test_cut_off_and_resumed_until_it_is_whole(target: Path) -> None:
    script = Script(CONTENT, cuts=[100_000, 1, 150_000])
    with serving(script) as url:
        said = fetch(url, target)
    assert script.asked == ["", "bytes=100000-", "bytes=100001-", "bytes=250001-"]
    assert any("100000 of 300000 bytes" in line for line in said)


def test_cut_off_in_chunked_transfer_is_found_by_the_hash(target: Path) -> None:
    script = Script(CONTENT, cuts=[100_000], chunked=True)  # no length: the end looks like the end
    with serving(script) as url, pytest.raises(UnavailableError, match="100000 bytes"):
        download(url, target, PREFIX, report=print, limits=QUICK)
    assert not target.exists()


def test_the_next_run_goes_on_where_the_last_gave_up(target: Path) -> None:
    with (
        serving(Script(CONTENT, cuts=[10] * QUICK.attempts)) as url,
        pytest.raises(TemporaryError, match="4 attempts"),
    ):
        download(url, target, PREFIX, report=print, limits=QUICK)
    assert not target.exists()
    assert part(target).read_bytes() == CONTENT[:40]
    script = Script(CONTENT)
    with serving(script) as url:
        fetch(url, target)
    assert script.asked == ["bytes=40-"]


def test_server_that_ignores_ranges(target: Path) -> None:
    script = Script(CONTENT, cuts=[100_000], ranges=False)
    with serving(script) as url:
        fetch(url, target)
    assert script.asked == ["", "bytes=100000-"]


def test_server_that_resumes_at_the_wrong_place(target: Path) -> None:
    script = Script(CONTENT, cuts=[100_000], shift=7)
    with serving(script) as url:
        fetch(url, target)
    assert script.asked == ["", "bytes=100000-", ""]


@pytest.mark.parametrize("rubbish", [b"x" * 100, b"x" * 400_000, CONTENT[:-1] + b"x"])
def test_rubbish_left_by_a_power_cut_is_thrown_away(rubbish: bytes, target: Path) -> None:
    target.parent.mkdir(parents=True)
    part(target).write_bytes(rubbish)
    with serving(Script(CONTENT)) as url:
        fetch(url, target)


def test_whole_part_left_by_a_kill_before_the_rename(target: Path) -> None:
    target.parent.mkdir(parents=True)
    part(target).write_bytes(CONTENT)
    with serving(Script(CONTENT)) as url:
        fetch(url, target)


def test_wrong_hash_is_refused_at_once_and_leaves_nothing(target: Path) -> None:
    script = Script(b"<html>Please log in</html>")
    with serving(script) as url, pytest.raises(UnavailableError, match=PREFIX) as caught:
        download(url, target, PREFIX, report=print, limits=QUICK)
    assert "login page" in caught.value.hint
    assert not target.exists()
    assert not part(target).exists()
    assert len(script.asked) == 1


@pytest.mark.parametrize(("status", "requests"), [(403, 1), (404, 1), (407, 1), (503, 4), (429, 4)])
def test_refusals(status: int, requests: int, target: Path) -> None:
    script = Script(CONTENT, status=status)
    kind = UnavailableError if requests == 1 else TemporaryError
    with serving(script) as url, pytest.raises(kind, match=f"answered {status}"):
        download(url, target, PREFIX, report=print, limits=QUICK)
    assert len(script.asked) == requests
    assert not target.exists()


def test_nobody_listens(target: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{server.getsockname()[1]}/weights.pt"
        with pytest.raises(TemporaryError, match=r"cannot be reached: .*refused"):
            download(url, target, PREFIX, report=print, limits=QUICK)


def test_unknown_host(target: Path) -> None:
    with pytest.raises(TemporaryError, match="cannot be reached"):
        download("http://weights.invalid/x", target, PREFIX, report=print, limits=QUICK)


def test_server_that_accepts_and_says_nothing(target: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/weights.pt"
        with pytest.raises(TemporaryError, match="timed out"):
            download(url, target, PREFIX, report=print, limits=QUICK)


def test_stall_in_the_middle(target: Path) -> None:
    script = Script(CONTENT, hold=threading.Event(), hold_after=1000)
    with serving(script) as url:
        with pytest.raises(TemporaryError, match="timed out"):
            download(url, target, PREFIX, report=print, limits=QUICK)
        script.hold.set()
    assert script.asked == ["", "bytes=1000-", "bytes=2000-", "bytes=3000-"]
    assert not target.exists()


def test_server_that_drips(target: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = threading.Event()

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n")
                with suppress(OSError):  # the client has lost patience
                    for _ in range(200):
                        connection.sendall(b"x")
                        done.wait(0.02)

        thread = threading.Thread(target=drip)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/weights.pt"
        with pytest.raises(TemporaryError, match="bytes in 0 s"):
            download(url, target, PREFIX, report=print, limits=Limits(stall=0.3, attempts=1))
        done.set()
        thread.join()


def test_proxy_from_the_environment(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Script(CONTENT)) as url, proxy() as (address, seen):
        monkeypatch.setenv("http_proxy", address)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        fetch(url, target)
        assert seen == [url]


@pytest.mark.parametrize("location", ["/weights.pt", "file:///etc/passwd"])
def test_a_redirection_that_leads_nowhere_is_one_line(location: str, target: Path) -> None:
    script = Script(CONTENT, status=302, location=location)
    with serving(script) as url, pytest.raises(UnavailableError, match=r"redirects") as caught:
        download(url, target, PREFIX, report=print, limits=QUICK)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("location", ["http://[::1/x", "http://host:port/x", "http:///x"])
def test_a_redirection_to_no_address_is_an_error_in_words(location: str, target: Path) -> None:
    with (
        serving(Script(CONTENT, status=302, location=location)) as url,
        pytest.raises((TemporaryError, UnavailableError), match=url),
    ):
        download(url, target, PREFIX, report=print, limits=QUICK)


def test_server_that_speaks_no_http(target: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            for _ in range(QUICK.attempts):
                connection, _ = server.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"220 ready\r\n")

        thread = threading.Thread(target=talk)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/weights.pt"
        with pytest.raises(TemporaryError, match="4 attempts"):
            download(url, target, PREFIX, report=print, limits=QUICK)
        thread.join()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "weights.pt", ""])
def test_other_addresses_are_refused(url: str, target: Path) -> None:
    with pytest.raises(UnavailableError, match="not an http"):
        download(url, target, PREFIX, report=print)


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write to"):
        download("http://127.0.0.1:1/x", tmp_path / "file" / "x", PREFIX, report=print)


def test_full_disk_is_no_fault_of_the_network(target: Path) -> None:
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))"
    script = Script(CONTENT)
    with serving(script) as url:
        run = subprocess.run(
            [sys.executable, "-c", limited + CHILD, url, target, PREFIX],
            capture_output=True,
            text=True,
            check=False,
        )
    assert "OutputError: cannot write to" in run.stderr
    assert script.asked == [""]
    assert not target.exists()


def test_killed_process_leaves_no_weights_and_the_next_resumes(target: Path) -> None:
    script = Script(CONTENT, hold=threading.Event(), hold_after=100_000)
    with serving(script) as url:
        with subprocess.Popen([sys.executable, "-c", CHILD, url, target, PREFIX]) as child:
            assert script.held.wait(20)
            child.send_signal(signal.SIGKILL)
        assert not target.exists()
        script.hold.set()
        fetch(url, target)


def test_two_processes_download_once(target: Path) -> None:
    script = Script(CONTENT, hold=threading.Event(), hold_after=1)
    with serving(script) as url:
        command = [sys.executable, "-c", CHILD, url, target, PREFIX]
        with subprocess.Popen(command) as first:
            assert script.held.wait(20)
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as second:
                assert "waiting for another process" in second.stdout.readline()
                script.hold.set()
        assert (first.returncode, second.returncode) == (0, 0)
    assert script.asked == [""]
    assert target.read_bytes() == CONTENT
