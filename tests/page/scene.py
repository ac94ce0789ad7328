"""A root with results and failures as the daemon leaves them, and a page process over it."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from depthd.config import Config, FolderPolicy
from depthd.contract.manifest import Manifest
from depthd.contract.names import SetName
from depthd.render.results import Results, process
from depthd.spool import make_folders

DEADLINE = 60.0
NOW = datetime(2026, 11, 23, 6, 45, tzinfo=UTC)


class Scene:
    """One root; results are made by the built-in network.

    Args:
        root: the folder.
        estimator: `DepthEstimator`, or None for a scene that publishes copies only.
    """

    def __init__(self, root: Path, estimator: Any = None) -> None:
        self.root = root
        self.estimator = estimator
        make_folders(Config(root=root))

    def made(self, photo: bytes, **policy: Any) -> Results:
        return process(photo, FolderPolicy(**policy), self.estimator)

    def publish(self, name: str, photo: bytes, results: Results) -> Path:
        """A set as the daemon publishes it, and its photo in done/; the manifest's path."""
        set_name = SetName.of(name)
        folder = self.root / "outbox" / set_name.folder
        done = self.root / "done" / name
        for path in (folder, done.parent):
            path.mkdir(parents=True, exist_ok=True)
        for file in results.files:
            (folder / (set_name.base + file.suffix)).write_bytes(b"".join(map(bytes, file.parts)))
        manifest = Manifest.of(
            results.facts,
            depthd="0.1.0",
            job="j1",
            attempts=1,
            name=name,
            target=set_name.base,
            claimed=NOW,
            published=NOW,
        )
        path = folder / set_name.manifest
        path.write_bytes(manifest.to_bytes())
        done.write_bytes(photo)
        return path

    def fail(self, name: str, photo: bytes, code: str = "truncated", **fields: Any) -> Path:
        path = self.root / "failed" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo)
        note = {
            "schema": "depthd.error/1",
            "name": name,
            "code": code,
            "message": "The file ends before the picture does.",
            "detail": "half of it",
            "hint": "Send it again.",
            "attempts": 1,
            "failed": "20260101T000000.000Z",
        } | fields
        path.with_name(f"{path.name}.error.json").write_text(json.dumps(note))
        return path


class Page:
    """`depthd page` in a process of its own, at a free port."""

    def __init__(self, root: Path, *settings: str) -> None:
        command = [sys.executable, "-P", "-m", "depthd", "page", "-c", os.devnull]
        command += ["--root", str(root), "--port", "0"]
        for setting in settings:
            command += ["--set", setting]
        self.start(command)

    def start(self, command: list[str], pass_fds: tuple[int, ...] = ()) -> None:
        """Start it and wait until it says where it listens."""
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=pass_fds,
        )
        assert self.process.stderr is not None
        self.said: list[str] = []
        self._began = threading.Event()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._began.wait(DEADLINE)
        match = re.search(r"http://(\S+):(\d+)/", "".join(self.said))
        assert match, self.said
        self.host, self.port = match[1], int(match[2])

    def _listen(self) -> None:
        for line in self.process.stderr:  # type: ignore[union-attr]
            self.said.append(line.decode())
            if "http://" in self.said[-1]:
                self._began.set()
        self._began.set()

    def __enter__(self) -> Self:
        self.wait_until(lambda: self.get("/login").status in (200, 303), "answer")
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        ended = self.process.wait(DEADLINE)
        assert ended in (0, -signal.SIGKILL), self.said
        self._listener.join(DEADLINE)
        self.process.stderr.close()  # type: ignore[union-attr]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)

    def ask(
        self, method: str, target: str, body: Any = None, **headers: str
    ) -> http.client.HTTPResponse:
        """One request on a connection of its own; `target` goes out as it is."""
        connection = self.connect()
        connection.putrequest(
            method, target, skip_host="host" in headers, skip_accept_encoding=True
        )
        if isinstance(body, bytes) and "content_length" not in headers:
            headers["content-length"] = str(len(body))
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        if body:
            connection.send(body)
        answer = connection.getresponse()
        answer.content = answer.read()  # type: ignore[attr-defined]
        connection.close()
        return answer

    def get(self, target: str, **headers: str) -> Any:
        return self.ask("GET", target, **headers)

    def post(self, target: str, body: bytes = b"", **headers: str) -> Any:
        return self.ask("POST", target, body, **{"origin": self.url, **headers})

    def upload(self, name: str | bytes, content: bytes, folder: str = "") -> Any:
        query = f"folder={quote(folder, safe='')}&name={quote(name, safe='')}"
        return self.post(f"/upload?{query}", content)

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                if condition():
                    return
            except OSError:
                pass
            assert time.monotonic() < deadline, f"no {what}: {self.said}"
            assert self.process.poll() is None, f"the page ended: {self.said}"
            select.select([], [], [], 0.05)

    def resident(self) -> int:
        """Bytes, and the most there ever were."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(r"VmHWM:\s+(\d+)", status)
        assert match
        return int(match[1]) * 1024
