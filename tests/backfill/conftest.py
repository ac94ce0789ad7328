"""A Ray cluster of two nodes on this machine, S3 over HTTP, and what reads a backfill back.

Every process here is started by a test and ended by the id that it got; Ray asks for a token, and
gets one that is made up for the session.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from depthd.backfill.places import Place

DEADLINE = 180.0  # seconds; the machine may be busy
SABOTAGE = Path(__file__).parents[1] / "service/sabotage"
_STORE = 100_000_000  # bytes
_AWS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def needs(*modules: str) -> None:
    """Skip in words where a library is missing; with TEST_CLUSTER=all that is a failure."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            words = f"needs {module}: pip install 'depthd[test-cluster]'"
            if os.environ.get("TEST_CLUSTER") == "all":
                pytest.fail(words)
            pytest.skip(words)


def until(what: Callable[[], object], words: str) -> None:
    """Wait until it is so."""
    end = time.monotonic() + DEADLINE
    while not what():
        if time.monotonic() > end:
            pytest.fail(f"not within {DEADLINE:.0f} s: {words}")
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def descendants(pid: int) -> Iterator[int]:
    """Processes that this one has started, and those that these have."""
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                for child in map(int, file.read().split()):
                    yield child
                    yield from descendants(child)


def words_of(pid: int) -> str:
    """What a process is called."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


class Node:
    """A node of a Ray cluster."""

    def __init__(self, log: Path, environment: dict[str, str], *arguments: str) -> None:
        self.log = log
        command = [
            str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus=1",
            f"--object-store-memory={_STORE}", "--disable-usage-stats", *arguments,
        ]  # fmt: skip
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                command, env=environment, stdout=file, stderr=file, start_new_session=True
            )
        until(self._is_up, f"a Ray node, which said {log.read_text()}")

    def _is_up(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return "Ray runtime started" in self.log.read_text()

    def find(self, words: str) -> list[int]:
        """Processes of this node that are called so."""
        return [pid for pid in descendants(self.process.pid) if words in words_of(pid)]

    def kill(self) -> None:
        """As if the power went: first what restarts, then all that it has started."""
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


class Cluster:
    """A head, and nodes that come and go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._short = mkdtemp(prefix="ray")  # its sockets' paths have 107 letters at most
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(SABOTAGE),  # photos that say so break their worker
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            **_AWS,
            "PYTHONFAULTHANDLER": "1",  # a driver that is aborted says where
            "RAY_TMPDIR": self._short,
            "RAY_worker_niceness": "0",  # as the tests: others may have the processors
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self._nodes: list[Node] = []
        self.head = self._add(
            "--head", f"--port={port}", "--node-ip-address=127.0.0.1", "--include-dashboard=false"
        )

    def add_node(self) -> Node:
        return self._add(f"--address={self.address}", "--node-ip-address=127.0.0.1")

    def _add(self, *arguments: str) -> Node:
        log = self.folder / f"node{len(self._nodes)}.log"
        self._nodes.append(Node(log, self.environment, *arguments))
        return self._nodes[-1]

    def stop(self) -> None:
        for node in reversed(self._nodes):
            node.kill()
        shutil.rmtree(self._short)

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-P", "-m", "depthd", *map(str, arguments)]

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """A backfill on the cluster, to its end."""
        return subprocess.run(
            self.command("backfill", *arguments, "--address", self.address),
            env=self.environment, capture_output=True, text=True, timeout=2 * DEADLINE, check=False,
        )  # fmt: skip

    def start(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """A backfill on the cluster that goes on."""
        with (self.folder / "driver.log").open("wb") as log:
            return subprocess.Popen(
                self.command("backfill", *arguments, "--address", self.address),
                env=self.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    needs("ray", "pyarrow", "pandas", "boto3", "duckdb")
    cluster = Cluster(tmp_path_factory.mktemp("ray"))
    try:
        yield cluster
    finally:
        cluster.stop()


@contextmanager
def serving(log: Path, module: str, *arguments: str) -> Iterator[str]:
    """HOST:PORT of an imitation of a store, over HTTP."""
    port = free_port()
    command = [sys.executable, "-m", module, *arguments, str(port)]
    with log.open("wb") as file:
        server = subprocess.Popen(command, env=os.environ | _AWS, stdout=file, stderr=file)

    def answers() -> bool:
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5):
                return True
        except OSError:
            return False

    try:
        until(answers, module)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="session")
def _s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    needs("moto", "boto3", "pyarrow")
    log = tmp_path_factory.mktemp("s3") / "log"
    with serving(log, "moto.server", "-H", "127.0.0.1", "-p") as address:
        yield address


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of Google's store; it has a bucket called `bucket`."""
    needs("gcp_storage_emulator", "pyarrow")
    log = tmp_path_factory.mktemp("gcs") / "log"
    start = ("start", "-q", "-M", "-H", "127.0.0.1", "--default-bucket", "bucket", "--port")
    with serving(log, "gcp_storage_emulator", *start) as address:
        yield address


@pytest.fixture
def s3(_s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """HOST:PORT of an S3 over HTTP; this process has credentials for it."""
    for key, value in _AWS.items():
        monkeypatch.setenv(key, value)
    return _s3_server


class FileTransfer:
    """An FTP server over a folder, which goes and comes back."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.port = free_port()
        self.address = f"ftp://127.0.0.1:{self.port}"
        self._folder = folder
        self._log = log
        self.start()

    def start(self) -> None:
        command = [
            sys.executable, "-m", "pyftpdlib", "-i", "127.0.0.1", "-p", str(self.port),
            "-w", "-d", str(self._folder),
        ]  # fmt: skip
        with self._log.open("wb") as file:
            self._process = subprocess.Popen(command, stdout=file, stderr=file)
        until(self._answers, "an FTP server")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
            return True
        return False


@pytest.fixture
def ftp(tmp_path: Path) -> Iterator[FileTransfer]:
    """Of the folder `served`."""
    needs("pyftpdlib", "fsspec")
    (tmp_path / "served").mkdir()
    server = FileTransfer(tmp_path / "served", tmp_path / "ftp.log")
    yield server
    server.stop()


def elsewhere(request: pytest.FixtureRequest, folder: str) -> Place:
    """A folder of the store that the parameter of a test or fixture names."""
    from depthd.backfill.places import Place  # noqa: PLC0415 - imports the extra

    if request.param == "FTP":
        server: FileTransfer = request.getfixturevalue("ftp")
        return Place.of(f"{server.address}/{folder}")
    options = f"?endpoint_override={request.getfixturevalue('gcs')}&scheme=http"
    return Place.of(f"gs://anonymous@bucket/{folder}{options}")


@pytest.fixture
def settings() -> list[str]:
    """The built-in network: a quick start on every node."""
    given = ("model.name=builtin", "worker.max_attempts=2", "worker.timeout=30s")
    return [word for setting in given for word in ("--set", setting)]
