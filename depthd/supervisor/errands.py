"""Steps on the files of one job, each done on a thread and safe to be done again.

Brings spool and publisher together, and looks whom a fault concerns. Decides nothing about jobs.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from depthd.config import Config
from depthd.contract.errors import FaultCode, words_of
from depthd.contract.manifest import Facts
from depthd.contract.names import SetName
from depthd.hooks.hooks import Hooks, NotQueued
from depthd.hooks.news import News, news
from depthd.intake import Candidate
from depthd.publish.manifests import manifest_maker
from depthd.publish.places import Place, Places, under_accepted_name
from depthd.publish.publisher import Claimed, NamesTaken, Outlets, Publisher
from depthd.publish.sets import read_set
from depthd.spool import NO_PLACE, Immovable, Job, Spool, Unreadable, Vanished, Verdict, notes
from depthd.system import files

Stage = Literal["work", "finish", "fail"]


@dataclass(frozen=True)
class Recovered:
    """A job that a former run has left.

    Attributes:
        job: its record.
        target: the name under which its set is out, if it is.
        must_settle: nobody could look, it has to be done again.
    """

    job: Job
    target: SetName | None = None
    must_settle: bool = False


@dataclass(frozen=True)
class Found:
    """What a look at work/ has brought.

    Attributes:
        jobs: that a former run has left.
        unread: folders of jobs that cannot be looked at now, and why.
    """

    jobs: list[Recovered]
    unread: dict[str, str]


@dataclass(frozen=True)
class Opened:
    """What the worker needs for a job: the photo's descriptor, and the result files."""

    original: int
    outlets: Outlets

    def close(self) -> None:
        files.let_go(self.original)
        self.outlets.close()


@dataclass(frozen=True)
class Taken:
    """A photo that is in work/ now, its first attempt counted.

    Attributes:
        job: what it has become.
        opened: what the worker needs; None where it needs not see it, or with an error.
        error: why nothing could be opened for it.
    """

    job: Job
    opened: Opened | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class Missed:
    """A photo that could not be claimed.

    Attributes:
        candidate: as it was looked at.
        error: what was met.
        general: what is wrong with work/ as a whole; None where it is this photo's.
    """

    candidate: Candidate
    error: Vanished | Immovable | OSError
    general: str | None = None


@dataclass(frozen=True)
class Brought:
    """A published job: its set's name, and its original's place or why it is not there yet."""

    target: SetName
    place: str
    error: OSError | None = None


class NotRead(OSError):
    """The worker cannot read a photo in work/ now."""


@dataclass(frozen=True)
class Trouble:
    """Whom a fault concerns, what it is, in words, and the verdict where it will not pass."""

    concerns: Literal["photo", "folder", "service"]
    reason: str
    verdict: Verdict | None = None


class Errands:
    """The steps.

    Args:
        spool: work/ and the way home.
        publisher: the outbox.
        places: outbox, done and failed.
    """

    def __init__(self, spool: Spool, publisher: Publisher, places: Places) -> None:
        self.spool = spool
        self._publisher = publisher
        self._places = places
        self.hooks: Hooks | None = None  # the loop sets others while threads use these

    # start-up ---------------------------------------------------------------------------------

    def recover(self, only: Collection[str] = ()) -> Found:
        """Look at everything that a former run has left; one job's fault stays its own.

        Args:
            only: what could not be looked at before; everything where it is empty.
        """
        jobs: list[Recovered] = []
        unread: dict[str, str] = {}
        for each in self.spool.sweep(only):
            if isinstance(each, OSError):
                unread[str(each.filename)] = words_of(each)
            else:
                jobs.append(self._recover(each))
        if not only and not unread and not any(each.must_settle for each in jobs):
            self._publisher.sweep()
        return Found(jobs, unread)

    def _recover(self, job: Job) -> Recovered:
        try:
            return self.settle(job)
        except Exception:  # noqa: BLE001 - whatever it is, it is this job's; tried again by itself
            return Recovered(job, must_settle=True)

    def settle(self, job: Job) -> Recovered:
        """Whether a job's set is out; if not, nothing of it is left.

        Raises:
            OSError: nobody can tell now.
        """
        return Recovered(job, self._publisher.settle(_claimed(job)))

    # the way of a photo -----------------------------------------------------------------------

    def claim(self, candidates: Sequence[Candidate], config: Config) -> list[Taken | Missed]:
        """Take photos out of the inbox and open what the worker needs for them."""
        return [self._claim(candidate, config) for candidate in candidates]

    def _claim(self, candidate: Candidate, config: Config) -> Taken | Missed:
        try:
            job = self.spool.claim(candidate, config)
        except (Vanished, Immovable) as error:
            return Missed(candidate, error)
        except OSError as error:
            return Missed(candidate, error, self._general_trouble())
        if job.verdict is not None or job.newer:
            return Taken(job)
        try:
            return Taken(job, self.begin(job, must_count=False))
        except Exception as error:  # noqa: BLE001 - it is claimed: the error is this job's
            return Taken(job, error=error)

    def _general_trouble(self) -> str | None:
        try:
            self.spool.probe()
        except OSError as error:
            return f"{self.spool.work}: {words_of(error)}"
        return None

    def begin(self, job: Job, *, must_count: bool) -> Opened:
        """Count the attempt, open the photo and its result files.

        Raises:
            Unreadable: this photo alone cannot be read.
            OSError: work/ or the outbox cannot be written now.
        """
        if must_count:
            self.spool.rewrite(job)
        original = self.spool.open_original(job)
        try:
            return Opened(original, self._publisher.open(job.id, job.policy.formats))
        except BaseException:
            files.let_go(original)
            raise

    def leave(self, opened: Opened) -> None:
        """The service stops before the job was begun.

        Raises:
            OSError: the result files stay until the next start.
        """
        opened.close()
        self._publisher.discard(opened.outlets.job)

    def publish(self, job: Job, outlets: Outlets, facts: Facts, *, is_unsure: bool) -> Brought:
        """Publish what the worker has made, and bring the original home.

        Args:
            job: whose results.
            outlets: the files that hold them.
            facts: what the worker says of them.
            is_unsure: an earlier try has failed somewhere.

        Raises:
            FileNotFoundError, NotAsSaid: the files are gone, or changed.
            NamesTaken, OSError: nothing is published.
        """
        publisher, claimed = self._publisher, _claimed(job)
        publish = publisher.publish_again if is_unsure else publisher.publish
        make = manifest_maker(claimed, facts, claimed=job.claimed, attempts=job.attempts)
        target = publish(claimed, outlets, facts.files, make)
        return self.finish(job, target)

    def finish(self, job: Job, target: SetName) -> Brought:
        """Move the original of a published job to done/."""
        try:
            if (hooks := self.hooks) is not None and hooks.wants("done"):
                hooks.put(self._news_of_done(job, target))
            place = self.spool.finish(job, target)
        except OSError as error:
            return Brought(target, "", error)
        self._tell()
        return Brought(target, place)

    def _tell(self) -> None:
        """Those who are told now; a reload may have set others since the news was put."""
        if (hooks := self.hooks) is not None:
            hooks.over()

    def _news_of_done(self, job: Job, target: SetName) -> News:
        found = read_set(self._places, target)
        manifest = found.manifest if found and found.manifest.get("job") == job.id else None
        return news(job.id, "done", job.name, result=target.path, manifest=manifest)

    def fail(self, job: Job, verdict: Verdict) -> str:
        """Move the original to failed/, with its reason; first what there is of results goes."""
        self._publisher.discard(job.id)
        if (hooks := self.hooks) is not None and hooks.wants("failed"):
            reason = json.loads(notes.reason(job, verdict).content)
            hooks.put(news(job.id, "failed", job.name, reason=reason))
        place = self.spool.fail(job, verdict)
        self._tell()
        return place

    def skip(self, job: Job) -> str:
        """Move the original to done/ without results, with a note that says so."""
        return self.spool.skip(job)

    def rewrite(self, job: Job) -> Job:
        return self.spool.rewrite(job)

    def look(self, job: Job) -> Job:
        return self.spool.look(job)

    # faults -----------------------------------------------------------------------------------

    @staticmethod
    def verdict_of(error: Exception) -> Verdict | None:
        """Why a photo fails for an error on its files; None where it may pass, or takes a look."""
        if isinstance(error, NamesTaken):
            return Verdict(FaultCode.NO_PLACE, "every name is taken")
        if isinstance(error, Unreadable):
            return Verdict(FaultCode.UNREADABLE, str(error))
        return None

    def whose_trouble(self, name: SetName, stage: Stage, error: Exception, typical: int) -> Trouble:
        """Look whether everything is concerned by an error, this photo's folder, or it alone.

        Args:
            name: of the set.
            stage: where it was met.
            error: what the system said.
            typical: bytes of results of an ordinary photo.
        """
        if isinstance(error, NotQueued):
            return Trouble("service", words_of(error))
        place = self._place(stage)
        where = self.spool.work if isinstance(error, NotRead) else place.root
        reason = f"{where}: {words_of(error)}"
        try:
            self.spool.probe()
            place.probe(typical)
        except OSError as general:
            return Trouble("service", f"{place.root}: {words_of(general)}")
        try:
            under_accepted_name(name, lambda form: _probe_folder(place, form))
        except OSError as local:
            folder = f"{place.root}/{name.folder or '.'}"
            reason = f"{folder}: {words_of(local)}"
            if stage == "work" and local.errno in NO_PLACE:  # it will be no folder later either
                return Trouble("photo", reason, Verdict(FaultCode.NO_PLACE, reason))
            return Trouble("folder", reason)
        return Trouble("photo", reason)

    def _place(self, stage: Stage) -> Place:
        by_stage = {"fail": self._places.failed, "finish": self._places.done}
        return by_stage.get(stage) or self._places.outbox

    def probe(self, typical: int) -> None:
        """Raises OSError, which names the folder, while one as a whole cannot be written."""
        self.spool.probe()
        if (hooks := self.hooks) is not None:
            hooks.probe()
        for place in self._places.all:
            try:
                place.probe(typical if place is self._places.outbox else 1)
            except OSError as error:
                raise OSError(f"{place.root}: {words_of(error)}") from error


def _probe_folder(place: Place, name: SetName) -> None:
    with place.make_folder(name) as folder:
        files.probe_shared(folder)


def _claimed(job: Job) -> Claimed:
    return Claimed(job.id, job.name, job.stamp)
