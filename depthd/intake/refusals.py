"""What is left alone in the inbox: each said once, all counted, in bounded memory."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from depthd.contract.events import Emit, Event
from depthd.intake.rights import NO_PHOTO, Refusal

EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Remaining:
    """Photos that stay in the inbox.

    Attributes:
        count: how many.
        reasons: how many for each reason, as a sentence.
        examples: name and reason of some of them.
    """

    count: int
    reasons: Mapping[str, int]
    examples: Sequence[tuple[str, str]]


@dataclass(slots=True)
class _Said:
    refusal: Refusal
    round: int  # in which it was met the last time
    name: str = ""  # of a few only: names can be long


class Refusals:
    """Logs refusals; those of entries that are gone are forgotten scan by scan.

    Args:
        emit: writes a log event.
        limit: most entries to remember; there is silence beyond it.
    """

    def __init__(self, emit: Emit, limit: int = 10_000) -> None:
        self._emit = emit
        self._limit = limit
        self._said: dict[bytes, _Said] = {}  # by the name's hash
        self._examples: dict[bytes, _Said] = {}
        self._round = 0
        self._is_full = False
        self._met: Counter[Refusal] = Counter()  # by the scan under way
        self._last: Counter[Refusal] = Counter()  # by the last full scan, and since

    def say(self, name: str, refusal: Refusal, why: str = "") -> None:
        """An event or a look shows that `name` is left alone; logged unless that is known."""
        if self._tell(name, refusal, why):
            self._last[refusal] += 1

    def meet(self, name: str, refusal: Refusal) -> None:
        """The same, shown by a scan."""
        self._met[refusal] += 1
        self._tell(name, refusal, "")

    def count(self, refusal: Refusal) -> None:
        """A scan met one more of what was said for its whole folder."""
        self._met[refusal] += 1

    def known(self, name: str) -> Refusal | None:
        """Why an entry was left alone the last time; None if it was not, or nobody knows."""
        said = self._said.get(_key(name))
        return said.refusal if said else None

    @property
    def is_full(self) -> bool:
        return self._is_full

    def remaining(self) -> tuple[Counter[str], list[tuple[str, str]]]:
        """Photos (and folders that may hold some) that are left alone, by reason; some names."""
        counts = self._met | self._last
        photos = {str(reason): count for reason, count in counts.items() if reason not in NO_PHOTO}
        return Counter(photos), [(said.name, said.refusal) for said in self._examples.values()]

    def end_round(self) -> None:
        """A full scan has ended: forget what it did not meet."""
        for known in (self._said, self._examples):
            for key in [key for key, said in known.items() if said.round != self._round]:
                del known[key]
        self._is_full = self._is_full and len(self._said) >= self._limit
        self._round += 1
        self._last, self._met = self._met, Counter()

    def begin_round(self) -> None:
        """A full scan begins, or begins again."""
        self._met.clear()

    def _tell(self, name: str, refusal: Refusal, why: str) -> bool:
        """Returns whether it is news."""
        key = _key(name)
        said = self._said.get(key)
        if said is None and len(self._said) >= self._limit:
            if not self._is_full:
                self._is_full = True
                self._log(name, refusal, why, note="further ones are not told")
            return True
        is_news = said is None or said.refusal is not refusal
        if said is None or is_news:
            said = self._said[key] = _Said(refusal, self._round)
            self._log(name, refusal, why)
        said.round = self._round
        self._keep_example(key, name, said)
        return is_news

    def _keep_example(self, key: bytes, name: str, said: _Said) -> None:
        if said.refusal in NO_PHOTO:
            self._examples.pop(key, None)
        elif key in self._examples or len(self._examples) < EXAMPLES:
            said.name = name
            self._examples[key] = said

    def _log(self, name: str, refusal: Refusal, why: str, **more: str) -> None:
        reason = f"{refusal}: {why}" if why else str(refusal)
        self._emit(Event.ENTRY_IGNORED, name=name, reason=reason, **more)


def _key(name: str) -> bytes:
    return hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=12).digest()
