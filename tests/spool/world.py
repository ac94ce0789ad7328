"""A root whose process ends before any one file operation, and what must hold of it all the same.

From the operation at which the process ends on, every operation ends it again, so nothing tidies
up. What a restart finds is what the disk would hold.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

from spool.parts import Parts, claimed, fill, look, manifest_maker

from depthd.config import Config
from depthd.contract.errors import FaultCode
from depthd.contract.formats import Format
from depthd.contract.names import SetName
from depthd.publish.publisher import Outlets
from depthd.spool import Job, Vanished, Verdict
from depthd.system import files

NEVER = 10**9
_NOTES = (".error.json", ".skipped.json")
_OPERATIONS = ("rename", "link", "unlink", "mkdir", "rmdir", "fsync", "write", "fchmod")
_SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Layout:
    """What the folders lie on.

    Attributes:
        has_flag: it renames without replacing in one step.
        has_links: it has hard links.
        elsewhere: done and failed lie on another file system.
    """

    has_flag: bool = True
    has_links: bool = True
    elsewhere: bool = False


LAYOUTS = [
    Layout(flag, links, elsewhere)
    for flag in (True, False)
    for links in (True, False)
    for elsewhere in (False, True)
]


def has_other_disk() -> bool:
    """Whether a layout with done and failed elsewhere can be had."""
    here = os.stat(tempfile.gettempdir()).st_dev
    return _SHARED_MEMORY.is_dir() and _SHARED_MEMORY.stat().st_dev != here


class ProcessEnds(BaseException):
    """Not an Exception: nothing may catch it."""


class World:
    """Photos, and everything that may be done to them."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        memory = _SHARED_MEMORY if has_other_disk() else None  # quicker than a disk
        self.root = Path(tempfile.mkdtemp(prefix="depthd-test-", dir=memory))
        homes = Path(
            tempfile.mkdtemp(prefix="depthd-test-", dir=None if layout.elsewhere else memory)
        )
        self.done, self.failed = homes / "done", homes / "failed"
        paths = {"done": self.done, "failed": self.failed}
        self.config = Config.model_validate({"root": self.root, "paths": paths})
        self.steps_left = NEVER
        self.fault: OSError | None = None  # what happens once after the steps, instead of the end
        self.contents: Counter[bytes] = Counter()
        self.active: dict[str, Job] = {}
        self.condemned: dict[str, Job] = {}
        self.skipping: dict[str, Job] = {}
        self.published: dict[str, tuple[Job, SetName]] = {}
        self.outlets: dict[str, Outlets] = {}
        self._stack = ExitStack()
        self._stack.callback(shutil.rmtree, homes)
        self._stack.callback(shutil.rmtree, self.root)
        self._patch()
        self._start()

    def _patch(self) -> None:
        for name in _OPERATIONS:
            self._stack.enter_context(
                mock.patch.object(os, name, self._stepping(getattr(os, name)))
            )
        renameat2 = self._stepping(files._renameat2) if self.layout.has_flag else None
        self._stack.enter_context(mock.patch.object(files, "_renameat2", renameat2))
        if not self.layout.has_links:
            self._stack.enter_context(mock.patch.object(os, "link", _no_hard_links))

    def _stepping(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **keywords: Any) -> Any:
            self.steps_left -= 1
            if self.steps_left < 0 and self.fault is None:
                raise ProcessEnds
            if self.steps_left == -1 and self.fault is not None:
                raise self.fault
            return None if call.__name__ == "fsync" else call(*args, **keywords)

        return step

    def _start(self) -> None:
        self.parts = Parts.start(self.config)
        for job in self.parts.spool.sweep():
            target = self.parts.publisher.settle(claimed(job))
            if target is not None:
                self.published[job.id] = (job, target)
            elif job.verdict is not None:
                self.condemned[job.id] = job
            elif job.newer:
                self.skipping[job.id] = job
            else:
                self.active[job.id] = job
        self.parts.publisher.sweep()

    def close(self) -> None:
        self.parts.spool.close()
        self._stack.close()

    def attempt(self, steps: int, action: Callable[[], object]) -> bool:
        """Do something; the process ends after `steps` file operations of it, and starts anew.

        Returns:
            whether it was cut short.
        """
        self.steps_left = steps
        try:
            action()
        except ProcessEnds:
            self.steps_left = NEVER
            self.restart()
            return True
        self.steps_left = NEVER
        return False

    def stumble(self, steps: int, fault: OSError, action: Callable[[], object]) -> bool:
        """Do something until it works; one file operation fails after `steps` of them.

        Returns:
            whether it came so far.
        """
        self.steps_left, self.fault = steps, fault
        try:
            action()
        except OSError as error:
            assert error is fault  # noqa: PT017
            action()
        has_failed = self.steps_left < 0
        self.steps_left, self.fault = NEVER, None
        return has_failed

    def restart(self) -> None:
        self.parts.spool.close()
        for outlets in self.outlets.values():
            outlets.close()
        self.active.clear()
        self.condemned.clear()
        self.skipping.clear()
        self.published.clear()
        self.outlets.clear()
        self._start()

    # what may be done -------------------------------------------------------------------------

    def drop(self, name: str) -> None:
        path = self.root / "inbox" / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            content = b"photo %d" % len(self.contents)
            self.contents[content] += 1
            path.write_bytes(content)

    def claim(self, name: str, newer: str = "") -> None:
        if not (self.root / "inbox" / name).exists():
            return
        try:
            job = self.parts.spool.claim(replace(look(self.root, name), newer=newer))
        except Vanished:
            return
        (self.skipping if newer else self.active)[job.id] = job

    def publish(self, job: Job) -> None:
        results = {Format.HEATMAP: b"1" + job.id.encode(), Format.NPY: b"2" * 100}
        publisher = self.parts.publisher
        self.outlets[job.id] = outlets = publisher.open(job.id, list(results))
        listed = fill(outlets, results)
        manifest = manifest_maker(claimed(job), listed)
        target = publisher.publish(claimed(job), outlets, listed, manifest)
        self.outlets.pop(job.id).close()
        del self.active[job.id]
        self.published[job.id] = (job, target)

    def finish(self, job: Job, target: SetName) -> None:
        self.parts.spool.finish(job, target)
        del self.published[job.id]

    def skip(self, job: Job) -> None:
        self.parts.spool.skip(job)
        del self.skipping[job.id]

    def fail(self, job: Job) -> None:
        self.parts.spool.fail(job, job.verdict or Verdict(FaultCode.TRUNCATED))
        self.active.pop(job.id, None)
        self.condemned.pop(job.id, None)
        self.skipping.pop(job.id, None)

    def crash(self, job: Job) -> None:
        """The worker dies of it, and it is tried again."""
        crashed = self.parts.spool.rewrite(replace(job, crashes=job.crashes + 1))
        again = replace(crashed, attempts=job.attempts + 1, isolated=True)
        self.active[job.id] = self.parts.spool.rewrite(again)

    def retry(self, name: str) -> None:
        """What an operator does: move a failed photo back."""
        failed, inbox = self.failed / name, self.root / "inbox" / name
        if failed.exists() and failed.stat().st_size and not inbox.exists():
            inbox.parent.mkdir(exist_ok=True)
            shutil.move(failed, inbox)

    # what must hold ---------------------------------------------------------------------------

    def check(self) -> None:
        """At any moment."""
        self._check_originals()
        self._check_results()
        for path in self._files(self.failed):
            if not path.name.endswith(".error.json"):
                assert path.with_name(path.name + ".error.json").exists(), path

    def _check_originals(self) -> None:
        at_work, found = self._originals()
        assert at_work.keys() | found.keys() == self.contents.keys()
        assert set(at_work.values()) <= {1}
        assert set(found.values()) <= {1}
        twice = at_work.keys() & found.keys()  # its way home was cut short between two names
        assert not twice or self.layout.elsewhere or not self.layout.has_flag
        assert len(twice) <= len(self.published) + len(self.condemned) + len(self.skipping)

    def _check_results(self) -> None:
        listed = set()
        jobs = Counter()
        out = self._files(self.root / "outbox")
        for path in out:
            if path.suffix == ".json":
                manifest = json.loads(path.read_bytes())
                jobs[manifest["job"]] += 1
                listed.add(path)
                for entry in manifest["files"]:
                    file = path.with_name(entry["name"])
                    assert hashlib.sha256(file.read_bytes()).hexdigest() == entry["sha256"]
                    listed.add(file)
        assert set(out) == listed
        assert set(jobs.values()) <= {1}

    def come_to_rest(self) -> None:
        """In the end everything is home once, and nothing is left that was on its way."""
        self.restart()
        self.check()
        for job in [*self.active.values(), *self.condemned.values()]:
            self.publish(job) if job.verdict is None else self.fail(job)
        for job in [*self.skipping.values()]:
            self.skip(job)
        for job, target in list(self.published.values()):
            self.finish(job, target)
        self.check_rest()

    def check_rest(self) -> None:
        """Once everything has come home."""
        self.check()
        at_work, found = self._originals()
        assert not at_work
        assert found == self.contents
        manifests = [path for path in self._files(self.root / "outbox") if path.suffix == ".json"]
        done = {path for path in self._files(self.done) if not path.name.endswith(_NOTES)}
        notes = set(self._files(self.done)) - done
        assert notes == {
            note for path in done if (note := path.with_name(f"{path.name}.skipped.json")).exists()
        }
        assert len(manifests) + len(notes) == len(done)
        for folder in (self.root / "outbox", self.done, self.failed):
            assert not list(folder.glob(".depthd/*"))
        assert not [name for name in self.parts.jobs() if name.endswith(".new")]
        self._check_reasons()

    def _check_reasons(self) -> None:
        """A reason without its photo only stays while the photo waits in the inbox again."""
        for path in self._files(self.failed):
            name = path.name.removesuffix(".error.json")
            if name != path.name and not path.with_name(name).exists():
                inbox = self.root / "inbox" / path.relative_to(self.failed).with_name(name)
                assert inbox.exists(), path

    def _originals(self) -> tuple[Counter[bytes], Counter[bytes]]:
        """At work, and elsewhere."""
        at_work = Counter(path.read_bytes() for path in (self.root / "work").glob("*/original"))
        found: Counter[bytes] = Counter()
        for folder in (self.root / "inbox", self.done, self.failed):
            for path in self._files(folder):
                if not path.name.endswith(_NOTES):
                    found[path.read_bytes()] += 1
        return at_work, found

    def _files(self, folder: Path) -> list[Path]:
        """With final names; without links a name may be reserved by an empty file for ever."""
        found = [path for path in folder.rglob("*") if path.is_file()]
        return [
            path
            for path in found
            if ".depthd" not in path.parts and (self.layout.has_links or path.stat().st_size)
        ]


def _no_hard_links(*_: object, **__: object) -> None:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
