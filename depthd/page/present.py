"""The state of things in words, for people: what the first page shows and what the events carry.

Knows the daemon's status, names and words.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import quote

from depthd.config import Config
from depthd.contract import status
from depthd.contract.errors import FAULTS, FaultCode, NoInputError
from depthd.contract.health import Cause, judge
from depthd.contract.names import SetName, printable
from depthd.page.index import Entry, Index, set_name
from depthd.page.strings import Words

_LAST = 5  # failures shown


def key_of(name: SetName) -> str:
    """A name as part of an address; bytes that are not UTF-8 too."""
    return quote(os.fsencode(name.path), safe="")


def shown(name: SetName) -> str:
    return printable(name.path)


def shown_time(nanoseconds: int) -> tuple[str, str]:
    """A time for people, by this machine's clock, and in UTC for programs."""
    seconds = nanoseconds / 1e9
    utc = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)), utc


def local_day(nanoseconds: int) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(nanoseconds / 1e9))


def decimal(number: str, words: Words) -> str:
    """A number as its readers write it: 1.234 is more than a thousand to some."""
    return number.replace(".", words["decimal_mark"])


def size_in_words(size: float, words: Words) -> str:
    """Bytes with a unit, for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            places = 0 if unit == "B" else 1
            return f"{decimal(f'{size:.{places}f}', words)} {unit}"
        size /= 1000
    return f"{decimal(f'{size:.1f}', words)} TB"


def fault_in_words(code: str, words: Words) -> tuple[str, str]:
    """The sentence and the hint of a fault code; both empty for one that is not known here."""
    if code not in list(FaultCode):
        return "", ""
    fault = FAULTS[FaultCode(code)]
    return words.get(f"fault_{code}", fault.sentence), words.get(f"hint_{code}", fault.hint)


class Present:
    """What is going on now."""

    def __init__(self, config: Config, outbox: Index, failed: Index) -> None:
        self._config = config
        self._outbox = outbox
        self._failed = failed

    def state(self, words: Words) -> tuple[str, str]:
        """One of ok, warn and bad, and the sentence."""
        try:
            now = status.read(self._config.folder("state"))
        except NoInputError:
            return "bad", words["state_none"]
        if absence := now.absence(datetime.now(UTC)):
            key = "state_stopped" if absence == "stopped" else "state_gone"
            return "bad", words[key].format(at=_clock(now.updated))
        text = words[f"state_{now.state}"]
        if now.why:
            text += f" ({now.why})"
        reasons = judge(now, datetime.now(UTC), self._config.status.max_wait).reasons
        causes = [each.cause for each in reasons if each.cause != Cause.PAUSED]  # said already
        text += "".join(f" {words[f'cause_{cause}']}" for cause in causes)
        if now.held_by_operator:
            named = (words["held_all"] if each == "." else each for each in now.held_by_operator)
            text += " " + words["held"].format(folders=", ".join(sorted(named)))
        well = now.state == "running" and not (causes or now.held_by_operator)
        return ("ok" if well else "warn"), text

    def fields(self, words: Words) -> Mapping[str, str]:
        """Each figure of the first page by its name, as text."""
        level, text = self.state(words)
        found = {"level": level, "state": text, "free": self._free(words)}
        found["results"] = f"{len(self._outbox.snapshot.entries)}"
        found["failures"] = f"{len(self._failed.snapshot.entries)}"
        try:
            now = status.read(self._config.folder("state"))
        except NoInputError:
            return found
        queue, rates = now.queue, now.rates
        found["waiting"] = f"{queue.waiting}"
        found["in_work"] = f"{queue.in_work}"
        found["aside"] = f"{queue.aside}"
        found["rate"] = words["rate"].format(
            now=decimal(f"{rates.last_minute:g}", words),
            lately=decimal(f"{rates.last_15_minutes:g}", words),
        )
        found["finished"] = words["finished"].format(
            done=now.done, failed=now.failed, since=_clock(now.started)
        )
        if (model := now.model) is not None:
            fallback = f" ({words['fallback']})" if model.fallback else ""
            found["model"] = f"{model.name}{fallback}, {model.engine}, {model.precision}"
        found["worker"] = now.worker.trouble or words["worker"].format(
            restarts=now.worker.restarts, ready=words["yes" if now.worker.ready else "no"]
        )
        return found

    def _free(self, words: Words) -> str:
        with suppress(OSError):
            disk = os.statvfs(self._config.folder("outbox"))
            free = disk.f_bavail * disk.f_frsize
            return words["free"].format(
                free=size_in_words(free, words),
                least=size_in_words(self._config.disk.min_free, words),
            )
        return words["free_unknown"]

    def last_failures(self) -> Iterator[Entry]:
        """The newest first."""
        yield from reversed(self._failed.snapshot.entries[-_LAST:])

    def newest(self, count: int) -> Iterator[SetName]:
        """The results that came last, the newest first."""
        for entry in reversed(self._outbox.snapshot.entries[-count:]):
            yield set_name(entry)


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
