"""Every job that is at hand: its state, why it waits, when it is tried next.

The states and their transitions are the contract's; nobody changes one but `Table.move`. Knows no
files, no worker and no clock of its own: times are seconds of the loop's clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from depthd.contract.manifest import Facts
from depthd.contract.names import SetName
from depthd.contract.states import TRANSITIONS, State
from depthd.publish.publisher import Outlets
from depthd.spool import Job, Verdict

NEVER = float("inf")


@dataclass(eq=False)
class Entry:
    """One job on its way.

    What is known decides what comes next: a verdict is carried out, a target finished, facts are
    published; else it has to be run.

    Attributes:
        job: as it is on the disk.
        state: of the contract.
        since: when it came into this state.
        reason: why it waits; empty while nothing is wrong.
        told: the last reason that the log was told.
        tries: how often it was set aside.
        deadline: of the work at hand.
        has_started: the worker has said that it works on it.
        must_settle: an earlier try may have published it.
        is_counted: the attempt that comes next is on the disk already.
        is_unsure: publishing has failed, nobody knows where.
        is_suspect: it must have the worker for itself.
        changes: how often the photo was found to have been written to after its claim.
        outlets: open result files.
        facts: what the worker found out.
        target: the name under which its set is out.
        verdict: why it goes to failed/.
    """

    job: Job
    state: State
    since: float
    reason: str = ""
    told: str = ""
    tries: int = 0
    deadline: float = NEVER
    has_started: bool = False
    must_settle: bool = False
    is_counted: bool = False
    is_unsure: bool = False
    is_suspect: bool = False
    changes: int = 0
    outlets: Outlets | None = None
    facts: Facts | None = None
    target: SetName | None = None
    verdict: Verdict | None = None

    @property
    def folder(self) -> str:
        """The photo's folder inside the inbox; empty for the top."""
        return self.job.name.rpartition("/")[0]

    @property
    def must_run(self) -> bool:
        """Whether the worker has to see it next, not the disk."""
        return not (self.must_settle or self.verdict or self.target or self.facts or self.job.newer)

    @property
    def account(self) -> tuple[str, int]:
        """Whose photo it is when turns are shared: folder at the top of the inbox, and owner."""
        top, slash, _ = self.job.name.partition("/")
        return top if slash else "", self.job.owner

    def uncount(self) -> None:
        """The attempt came to nothing for a reason that is not the photo's."""
        self.job = replace(self.job, attempts=max(0, self.job.attempts - 1))

    def close_outlets(self) -> None:
        if self.outlets is not None:
            self.outlets.close()
            self.outlets = None


@dataclass
class Table:
    """The entries by job id, in the order in which they came."""

    _entries: dict[str, Entry] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def get(self, job_id: str) -> Entry | None:
        return self._entries.get(job_id)

    def add(self, job: Job, now: float) -> Entry:
        """Take in a job that lies in work/."""
        entry = Entry(job, State.CLAIMED, now)
        self._entries[job.id] = entry
        return entry

    def take_back(self, entry: Entry, now: float) -> None:
        """Active no more, without results: it must be run again, or fails."""
        self.move(entry, State.CLAIMED, now)
        entry.close_outlets()
        entry.facts = None

    def move(self, entry: Entry, state: State, now: float) -> None:
        """Bring a job into a state; those that are over leave the table.

        Raises:
            ValueError: the contract has no such transition.
        """
        if state not in TRANSITIONS[entry.state]:
            raise ValueError(f"{entry.job.id}: {entry.state} is not followed by {state}")
        entry.state, entry.since, entry.deadline = state, now, NEVER
        if state in (State.DONE, State.FAILED):
            entry.close_outlets()
            del self._entries[entry.job.id]
