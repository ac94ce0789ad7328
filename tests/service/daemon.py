"""A real daemon in a real process, watched through its log as an operator would."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

DEADLINE = 60.0  # seconds; far beyond anything that a healthy daemon needs

Entry = dict[str, Any]


class Daemon:
    """`depthd run` on a root of its own.

    Args:
        root: the folder; its state/ may be prepared.
        settings: `--set` values.
        arguments: more of the command line, such as --once.
        prefix: a command to run it under, such as strace.
        environment: added to this process's own.
    """

    def __init__(
        self,
        root: Path,
        *settings: str,
        arguments: Sequence[str] = (),
        prefix: Sequence[str] = (),
        environment: dict[str, str] | None = None,
    ) -> None:
        self.root = root
        self.log = root / "log/depthd.jsonl"
        self._seen = self.log.stat().st_size if self.log.exists() else 0
        command = [*prefix, sys.executable, "-m", "depthd", "run", "--root", str(root)]
        for setting in settings:
            command += ["--set", setting]
        self.errors = root.parent / f"{root.name}.stderr"
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE)

    def entries(self) -> list[Entry]:
        """What this run has logged so far."""
        if not self.log.exists():
            return []
        with self.log.open("rb") as file:
            file.seek(self._seen)
            lines = file.read().split(b"\n")
        return [json.loads(line) for line in lines[:-1]]

    def logged(self, event: str, **fields: object) -> list[Entry]:
        return [
            entry
            for entry in self.entries()
            if entry["event"] == event and fields.items() <= entry.items()
        ]

    def wait_for(self, event: str, *, count: int = 1, **fields: object) -> list[Entry]:
        """Entries of an event, once there are enough."""
        self.wait_until(lambda: len(self.logged(event, **fields)) >= count, f"{count} x {event}")
        return self.logged(event, **fields)

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something to become true, or fail with the log's end."""
        deadline = time.monotonic() + DEADLINE
        while not condition():
            ended = self.process.poll() is not None and not condition()
            if ended or time.monotonic() > deadline:
                why = "the daemon ended" if ended else "the deadline passed"
                raise AssertionError(f"no {what}: {why}\n{self.tail()}")
            select.select([], [], [], 0.02)

    def ready(self) -> Daemon:
        self.wait_for("service.ready")
        return self

    def tail(self) -> str:
        lines = [json.dumps(entry) for entry in self.entries()[-15:]]
        return "\n".join(lines) + "\n" + self.errors.read_text(errors="replace")[-3000:]

    def kill(self) -> None:
        """The end without a warning."""
        self.process.kill()
        self.process.wait(DEADLINE)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def exit_code(self) -> int:
        """Wait for the end."""
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"the daemon does not end\n{self.tail()}") from error

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.exit_code()


def drop(root: Path, name: str, content: bytes) -> Path:
    """A photo as a careful writer drops it: under a partial name, then renamed."""
    path = root / "inbox" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(content)
    return partial.rename(path)


def visible(folder: Path) -> list[Path]:
    """What people see in a folder: not our own hidden one."""
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def originals(root: Path) -> Iterator[Path]:
    """Every place in which a photo's original may be."""
    yield from (root / "work").glob("*/original")
    for folder in ("inbox", "done", "failed"):
        for path in (root / folder).rglob("*"):
            is_ours = ".depthd" in path.parts or path.name.endswith(".error.json")
            if path.is_file() and not is_ours:
                yield path
