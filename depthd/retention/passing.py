"""One pass: look at everything, remove what the limits say, say what went."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from depthd.config import Config
from depthd.intake.patterns import Names
from depthd.publish.places import Places
from depthd.retention.items import Kind, Removed
from depthd.retention.limits import Limits
from depthd.retention.removal import Remover
from depthd.retention.selection import MOST, Selection
from depthd.retention.survey import Survey
from depthd.system.locks import locked

_LOCK = ".prune.lock"


@dataclass(frozen=True)
class Outcome:
    """What a pass has come to.

    Attributes:
        counts: photos and logs that were there before, by kind.
        sizes: their bytes.
        removed: how many went.
        size: bytes of these.
        troubles: what could not be removed or read, in words; the first of them.
        until: where the next pass is to go on; None where nothing is left for it.
    """

    counts: dict[Kind, int]
    sizes: dict[Kind, int]
    removed: int
    size: int
    troubles: tuple[str, ...]
    until: Mapping[Kind, float] | None


class Busy(Exception):
    """Another pass is under way."""


@contextmanager
def only_pass(state: Path) -> Iterator[None]:
    """Be the only pass over a root.

    Raises:
        Busy: another one is.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(state / _LOCK, waits=False))
        except BlockingIOError as error:
            raise Busy from error
        yield


def one_pass(
    config: Config,
    told: Callable[[Removed], None],
    *,
    is_dry: bool = False,
    now: Callable[[], float] = time.time,
    rest: Callable[[float], None] = lambda _: None,
    most: int = MOST,
    after: Mapping[Kind, float] | None = None,
) -> Outcome:
    """Look at everything once, and remove the oldest of what has to go.

    Args:
        config: folders and limits.
        told: called with each thing that went, or would go.
        is_dry: nothing is changed.
        now: seconds since the epoch.
        rest: called after each removal with the seconds that it took.
        most: things of a kind that may go in one pass.
        after: `until` of the pass before, whose things that are still there have to stay.
    """
    places = Places(*(config.folder(name) for name in ("outbox", "done", "failed")))
    names = Names(config.intake.include, (), config.intake.litter)
    survey = Survey(places, config.folder("log"), names, tidies=not is_dry)
    selection = Selection(Limits.of(config), now(), most, after or {})
    for item in survey.items():
        selection.offer(item)
    remover = Remover(
        places, config.folder("work"), config.folder("log"), config.folder("state"), is_dry
    )
    troubles = [_words(error) for error in survey.unread]
    removed = size = 0
    for item, why in selection.chosen(survey.sizes):
        begun = time.perf_counter()
        try:
            gone = remover.remove(item)
        except OSError as error:
            troubles.append(_words(error, item.name.path))
            continue
        if gone is None:
            continue
        selection.freed(item, gone.size)
        removed, size = removed + 1, size + gone.size
        told(Removed(item, why, gone.size, gone.results, gone.job))
        rest(time.perf_counter() - begun)
    until = selection.until() if selection.is_full else None
    return Outcome(survey.counts, survey.sizes, removed, size, tuple(troubles[:20]), until)


def _words(error: OSError, name: str = "") -> str:
    return f"{name or error.filename}: {error.strerror}"
