"""A supervisor's loop without a supervisor: real inbox, real watcher, real clock."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from depthd.config import Config
from depthd.contract.events import Event
from depthd.intake import Candidate, Intake

DEADLINE = 60.0  # seconds; far more than anything here takes


class Loop:
    """Drives one Intake as the supervisor does: sleeps until its wish or its wake-up."""

    def __init__(self, root: Path, **options: Any) -> None:
        self.root = root
        self.inbox = root / "inbox"
        self.inbox.mkdir(exist_ok=True)
        self.events: list[tuple[Event, dict[str, Any]]] = []
        self.taken: list[Candidate] = []
        self.wakes = 0
        self.slices = 0
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        config = Config.model_validate({"root": str(root), "intake": options})
        self.intake = Intake(config, self._wake, self._emit)

    def start(self) -> Loop:
        self.intake.start()
        return self

    def close(self) -> None:
        self.intake.stop()
        os.close(self._reader)
        os.close(self._writer)

    def _wake(self) -> None:
        self.wakes += 1
        os.write(self._writer, b"x")

    def _emit(self, event: Event, /, **fields: Any) -> None:
        self.events.append((event, fields))

    def _turn(self, *, take: bool) -> float:
        """One round: a slice of work, and what is ready is claimed. Returns the loop's wish."""
        wish = self.intake.work(time.monotonic())
        self.slices += 1
        if take:
            for candidate in self.intake.take(100):
                self._claim(candidate)
        return wish

    def _sleep(self, until: float) -> None:
        select.select([self._reader], [], [], max(0.0, until - time.monotonic()))
        with suppress(BlockingIOError):
            os.read(self._reader, 65536)

    def _claim(self, candidate: Candidate) -> None:
        claimed = self.root / "claimed"
        claimed.mkdir(exist_ok=True)
        os.rename(self.inbox / candidate.name, claimed / f"{len(self.taken):06d}")
        self.taken.append(candidate)

    def until(self, condition: Callable[[], object], *, take: bool = True) -> None:
        """Run until `condition` holds; fails after the deadline."""
        end = time.monotonic() + DEADLINE
        while True:
            wish = self._turn(take=take)
            if condition():
                return
            assert time.monotonic() < end, f"in vain; {self.events[-20:]} {self.names[-20:]}"
            self._sleep(min(wish, end))

    def run_for(self, seconds: float) -> None:
        """Let the loop do what it wants for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._sleep(min(self._turn(take=True), end))

    def until_drained(self) -> None:
        self.until(lambda: self.intake.drained)

    def until_rescanned(self) -> None:
        """Run until a full scan that begins now has ended and all is settled."""
        self.intake.rescan()
        self.until_drained()

    def until_native(self) -> None:
        self.until(lambda: self.modes() == ["native"])

    def until_taken(self, *names: str) -> None:
        self.until(lambda: len(self.taken) >= len(names))
        assert sorted(self.names) == sorted(names)

    @property
    def names(self) -> list[str]:
        return [candidate.name for candidate in self.taken]

    def fields_of(self, event: Event) -> list[dict[str, Any]]:
        return [fields for happened, fields in self.events if happened is event]

    def ignored(self) -> dict[str, str]:
        """Name and reason of what was left alone; fails when something was said twice."""
        said = [(str(f["name"]), str(f["reason"])) for f in self.fields_of(Event.ENTRY_IGNORED)]
        assert len(said) == len(dict(said))
        return dict(said)

    def modes(self) -> list[str]:
        return [
            fields["mode"]
            for event, fields in self.events
            if event in {Event.WATCH_STARTED, Event.WATCH_DEGRADED}
        ]


Start = Callable[..., Loop]
