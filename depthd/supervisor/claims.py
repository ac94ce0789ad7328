"""Photos from the inbox into work/: as many as there is room for, a few at a time.

The claims themselves are made off the loop, so that an inbox that hangs stops no signal. Knows
candidates and what came of them; what is done with a job is the dispatcher's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

from depthd.config import Config
from depthd.contract.errors import words_of
from depthd.intake import Candidate, Intake
from depthd.intake.candidate import Hold
from depthd.spool import Vanished
from depthd.supervisor.dispatch import Dispatcher
from depthd.supervisor.errands import Errands, Missed, Taken
from depthd.supervisor.filework import FileWork
from depthd.supervisor.gate import Gate

_SKIPPED_TOGETHER = 16
TOGETHER = 4  # on one thread: the second claim in a row costs much less
_BATCHES = 2  # fewer than there are threads: if the inbox hangs, the others still bring photos home


class Claims:
    """Claims what the intake gives.

    Args:
        dispatcher: takes the jobs, and knows how many it has room for.
        filework: does it off the loop.
        gate: whether anything can be written.
        clock: seconds, never going back.
    """

    def __init__(
        self, dispatcher: Dispatcher, filework: FileWork, gate: Gate, clock: Callable[[], float]
    ) -> None:
        self._dispatcher = dispatcher
        self._filework = filework
        self._gate = gate
        self._clock = clock
        self._under_way = 0  # batches

    @property
    def are_under_way(self) -> bool:
        """Whether some have begun of which nothing is known yet."""
        return bool(self._under_way)

    def turn(
        self, intake: Intake, errands: Errands, config: Config, held: Collection[Hold]
    ) -> bool:
        """Begin to claim what there is room for; returns whether the inbox has given all it had.

        Args:
            intake: gives the candidates.
            errands: the work on files.
            config: gives each photo its folder's policy.
            held: whereof nothing is wanted, see `Intake.take`.
        """
        batches = _BATCHES - self._under_way
        room = min(self._dispatcher.room, batches * TOGETHER)
        if room < TOGETHER:
            intake.take(0, held)  # what is held no more is waited for at the end of a single run
            return False
        more = _SKIPPED_TOGETHER - self._dispatcher.home.skipping if config.skips else 0
        # Before those for which others are skipped: whether they can be taken is not known yet.
        skipped = intake.take_skipped(more, held) if more > 0 else []
        candidates = intake.take(room, held)
        has_all = len(candidates) < room
        candidates += skipped
        self._dispatcher.others_wait = bool(candidates)
        together = max(TOGETHER, -(-len(candidates) // batches))
        for first in range(0, len(candidates), together):
            some = candidates[first : first + together]
            self._under_way += 1
            self._dispatcher.expect(len(some))
            self._filework.submit(
                partial(errands.claim, some, config),
                partial(self._claimed, intake),
                partial(self._broke, intake, some),
            )
        return has_all

    def _claimed(self, intake: Intake, outcomes: list[Taken | Missed]) -> None:
        self._under_way -= 1
        for outcome in outcomes:
            if isinstance(outcome, Taken):
                self._dispatcher.accept(outcome)
            else:
                self._dispatcher.missed()
                self._let_go(intake, outcome)

    def _let_go(self, intake: Intake, missed: Missed) -> None:
        """It stays in the inbox."""
        if missed.general is not None:
            self._gate.close(missed.general, self._clock())
        if missed.general is not None or isinstance(missed.error, Vanished):
            intake.put_back(missed.candidate)
        else:
            intake.refuse(missed.candidate, words_of(missed.error))

    def _broke(self, intake: Intake, candidates: list[Candidate], error: Exception) -> None:
        """Nothing is known of any of them; what was claimed is found by the next start."""
        self._under_way -= 1
        for candidate in candidates:
            self._dispatcher.missed()
            intake.refuse(candidate, str(error))
