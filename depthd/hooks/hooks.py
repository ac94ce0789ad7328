"""All receivers together: news into each one's queue, and a thread that tells it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from depthd.config import Config
from depthd.contract.errors import OutputError
from depthd.contract.events import Emit
from depthd.hooks.command import Command
from depthd.hooks.news import Happened, News
from depthd.hooks.queue import Queue, waiting
from depthd.hooks.sender import Patience, Receiver, Sender, Trouble
from depthd.hooks.webhook import Webhook

FOLDER = "hooks"  # in state/
KINDS = ("command", "webhook", "mqtt")
_LAST_WORDS = 1.0  # seconds for what is under way at the end


class NotQueued(OSError):
    """News cannot be put on the disk, so its photo is not over yet."""


class Hooks:
    """Whoever is told.

    Args:
        receivers: by kind.
        state: the folder state/, in which the queues lie.
        on: what is told.
        patience: for how long.
        is_at_work: whether a job has not come home yet.
        emit: writes a log event; called on threads.
        former: hooks that were told to `end`, in whose place these come.

    Attributes:
        senders: by kind.
    """

    def __init__(
        self,
        receivers: dict[str, Receiver],
        state: Path,
        on: Iterable[Happened],
        patience: Patience,
        is_at_work: Callable[[str], bool],
        emit: Emit,
        former: Hooks | None = None,
    ) -> None:
        self._on = frozenset(on)
        self._queues = {kind: Queue(state / FOLDER / kind) for kind in receivers}
        self.senders = {
            kind: Sender(kind, self._queues[kind], receiver, patience, is_at_work, emit)
            for kind, receiver in receivers.items()
        }
        for kind, sender in self.senders.items():
            sender.start(former.senders.get(kind) if former else None)

    def wants(self, happened: Happened) -> bool:
        """Whether anybody is to be told."""
        return happened in self._on

    def put(self, piece: News) -> None:
        """News of a photo that is about to be over: on the disk when this returns.

        Raises:
            NotQueued: it is not, for one receiver at least.
        """
        for kind, queue in self._queues.items():
            try:
                queue.put(piece.id, piece.body)
            except OSError as error:
                raise NotQueued(
                    error.errno, f"{error.strerror} in state/{FOLDER}/{kind}"
                ) from error

    def over(self) -> None:
        """The photo is home: tell it."""
        for sender in self.senders.values():
            sender.wake()

    def troubles(self) -> dict[str, Trouble]:
        """Receivers that take nothing now, by kind."""
        found = {kind: sender.trouble for kind, sender in self.senders.items()}
        return {kind: trouble for kind, trouble in found.items() if trouble is not None}

    def probe(self) -> None:
        """Raises OSError while no news can be put on the disk."""
        for queue in self._queues.values():
            queue.probe()

    def end(self) -> None:
        """Tell nothing more; what waits stays on the disk. Does not wait for what is under way."""
        for sender in self.senders.values():
            sender.end()

    def stop(self, patience: float = 0.0) -> None:
        """Tell what waits for so many seconds in all, then end."""
        if patience > 0:
            for sender in self.senders.values():
                sender.finish()
            self._join(patience)
        self.end()
        self._join(_LAST_WORDS)

    def _join(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        for sender in self.senders.values():
            sender.join(max(0.0, deadline - time.monotonic()))


def make_queues(config: Config) -> None:
    """Make the folders of a configuration's queues.

    Raises:
        OutputError: they cannot be made.
    """
    for kind in asked_for(config):
        folder = config.folder("state") / FOLDER / kind
        try:
            Queue(folder)
        except OSError as error:
            raise OutputError(
                f"news for hooks.{kind} cannot be kept: {folder}: {error.strerror}",
                "make room there, or move away what has that name",
            ) from error


def asked_for(config: Config) -> tuple[str, ...]:
    """The kinds of receivers that are told."""
    return tuple(kind for kind in KINDS if getattr(config.hooks, kind))


def left_behind(state: Path, told: Collection[str]) -> dict[Path, int]:
    """Queues of which nothing is told, and how much waits there.

    Args:
        state: the folder state/.
        told: kinds of receivers that are told from there.

    Raises:
        OSError: it cannot be looked at.
    """
    queues = (state / FOLDER / kind for kind in KINDS if kind not in told)
    return {queue: count for queue in queues if (count := waiting(queue))}


def hooks_of(
    config: Config, is_at_work: Callable[[str], bool], emit: Emit, former: Hooks | None = None
) -> Hooks | None:
    """The hooks of a configuration; None where nobody is to be told.

    Args:
        config: who is told.
        is_at_work: whether a job has not come home yet; called on threads.
        emit: writes a log event; called on threads.
        former: see `Hooks`.

    Raises:
        OSError: their queues cannot be made.
    """
    asked = config.hooks
    receivers: dict[str, Receiver] = {}
    if asked.command:
        receivers["command"] = Command(asked.command, asked.timeout)
    if asked.webhook:
        receivers["webhook"] = Webhook(asked.webhook, asked.webhook_secret_file, asked.timeout)
    if asked.mqtt:
        from depthd.hooks.mqtt import Mqtt  # noqa: PLC0415 - an extra

        receivers["mqtt"] = Mqtt(asked.mqtt, asked.mqtt_password_file, asked.timeout)
    if not receivers:
        return None
    return Hooks(
        receivers,
        config.folder("state"),
        asked.events,
        Patience(asked.give_up),
        is_at_work,
        emit,
        former,
    )
