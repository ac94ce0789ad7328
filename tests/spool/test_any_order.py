"""Any order of drops, claims, publications, ends of the process and restarts loses nothing.

The process ends before any one file operation: from then on every operation ends it again, so
nothing tidies up. What a restart finds is what the disk would hold.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from depthd.config import Config
from depthd.contract.errors import FaultCode
from depthd.intake import Candidate
from depthd.publish.publisher import PublishedFile, Publisher
from depthd.spool import Job, Spool, Vanished
from depthd.system import files

NAMES = ("a.jpg", "cam/a.jpg", "cam/b.jpg")
OPERATIONS = ("rename", "link", "unlink", "mkdir", "rmdir", "fsync", "write", "fchmod")
_never = 10**9


class ProcessEnds(BaseException):
    """Not an Exception: nothing may catch it."""


class Result:
    def __init__(self, suffix: str, content: bytes) -> None:
        self.format, self.suffix, self.parts = "npy", suffix, (content,)


class SpoolMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="depthd-test-"))
        self.config = Config(root=self.root)
        self.steps_left = _never
        self.patches = [
            *(mock.patch.object(os, name, self.stepping(getattr(os, name))) for name in OPERATIONS),
            mock.patch.object(files, "_renameat2", self.stepping(files._renameat2)),
        ]
        for patch in self.patches:
            patch.start()
        self.contents: Counter[bytes] = Counter()
        self.active: dict[str, Job] = {}
        self.published: dict[str, tuple[Job, str]] = {}
        self.start()

    def stepping(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **keywords: Any) -> Any:
            self.steps_left -= 1
            if self.steps_left < 0:
                raise ProcessEnds
            return None if call.__name__ == "fsync" else call(*args, **keywords)

        return step

    def start(self) -> None:
        self.spool = Spool(self.config)
        self.publisher = Publisher(
            self.root / "outbox",
            (self.root / "done", self.root / "failed"),
            0o640,
            self.spool.instance,
        )
        for job in self.spool.sweep():
            target = self.publisher.settle(job.id, job.name, job.stamp)
            if target is None:
                self.active[job.id] = job
            else:
                self.published[job.id] = (job, target)
        self.publisher.sweep()

    def attempt(self, steps: int, action: Callable[[], None]) -> None:
        """Do something; the process ends after `steps` file operations of it, and starts anew."""
        self.steps_left = steps
        try:
            action()
        except ProcessEnds:
            pass
        else:
            self.steps_left = _never
            return
        self.steps_left = _never
        self.spool.close()
        self.active.clear()
        self.published.clear()
        self.start()

    steps = st.one_of(st.just(_never), st.integers(0, 40))

    @rule(name=st.sampled_from(NAMES))
    def drop(self, name: str) -> None:
        path = self.root / "inbox" / name
        path.parent.mkdir(exist_ok=True)
        if path.exists():
            return
        content = b"photo %d" % len(self.contents)
        self.contents[content] += 1
        path.write_bytes(content)

    @rule(name=st.sampled_from(NAMES), steps=steps)
    def claim(self, name: str, steps: int) -> None:
        try:
            about = os.lstat(self.root / "inbox" / name)
        except FileNotFoundError:
            return
        candidate = Candidate.of(name, about)

        def act() -> None:
            try:
                job = self.spool.claim(candidate)
            except Vanished:
                return
            self.active[job.id] = job

        self.attempt(steps, act)

    @precondition(lambda self: self.active)
    @rule(data=st.data(), steps=steps)
    def publish(self, data: st.DataObject, steps: int) -> None:
        job = self.active[data.draw(st.sampled_from(sorted(self.active)))]
        results = [Result(".one", b"1" + job.id.encode()), Result(".two", b"2" * 100)]

        def manifest(listed: Sequence[PublishedFile]) -> bytes:
            entries = [{"suffix": f.suffix, "name": f.name, "sha256": f.sha256} for f in listed]
            return json.dumps({"job": job.id, "files": entries}).encode()

        def act() -> None:
            target = self.publisher.publish(job.id, job.name, job.stamp, results, manifest)
            del self.active[job.id]
            self.published[job.id] = (job, target)

        self.attempt(steps, act)

    @precondition(lambda self: self.published)
    @rule(data=st.data(), steps=steps)
    def finish(self, data: st.DataObject, steps: int) -> None:
        job, target = self.published[data.draw(st.sampled_from(sorted(self.published)))]

        def act() -> None:
            self.spool.finish(job, target)
            del self.published[job.id]

        self.attempt(steps, act)

    @precondition(lambda self: self.active)
    @rule(data=st.data(), steps=steps)
    def fail(self, data: st.DataObject, steps: int) -> None:
        job = self.active[data.draw(st.sampled_from(sorted(self.active)))]

        def act() -> None:
            self.spool.fail(job, FaultCode.TRUNCATED, "")
            del self.active[job.id]

        self.attempt(steps, act)

    @precondition(lambda self: self.active)
    @rule(data=st.data(), steps=steps)
    def crash_and_retry(self, data: st.DataObject, steps: int) -> None:
        job = self.active[data.draw(st.sampled_from(sorted(self.active)))]

        def act() -> None:
            self.active[job.id] = self.spool.count_attempt(self.spool.count_crash(job), alone=True)

        self.attempt(steps, act)

    @rule(name=st.sampled_from(NAMES))
    def retry(self, name: str) -> None:
        """What an operator does: move a failed photo back."""
        failed, inbox = self.root / "failed" / name, self.root / "inbox" / name
        if failed.exists() and not inbox.exists():
            inbox.parent.mkdir(exist_ok=True)
            failed.rename(inbox)
            failed.with_name(failed.name + ".error.json").unlink()

    @invariant()
    def every_original_exists_once(self) -> None:
        found = Counter(path.read_bytes() for path in (self.root / "work").glob("*/original"))
        for folder in ("inbox", "done", "failed"):
            for path in (self.root / folder).rglob("*"):
                if path.is_file() and not path.name.endswith(".error.json"):
                    assert not path.name.startswith("."), path
                    found[path.read_bytes()] += 1
        assert found == self.contents

    @invariant()
    def every_manifest_is_whole_and_nothing_else_is_out(self) -> None:
        outbox = self.root / "outbox"
        listed = set()
        jobs = Counter()
        for path in outbox.rglob("*.json"):
            manifest = json.loads(path.read_bytes())
            jobs[manifest["job"]] += 1
            listed.add(path)
            for entry in manifest["files"]:
                file = path.with_name(entry["name"])
                assert hashlib.sha256(file.read_bytes()).hexdigest() == entry["sha256"]
                listed.add(file)
        assert {path for path in outbox.rglob("*") if path.is_file()} == listed
        assert set(jobs.values()) <= {1}
        done = [path for path in (self.root / "done").rglob("*") if path.is_file()]
        assert len(jobs) == len(done) + len(self.published)

    @invariant()
    def each_failed_photo_has_its_reason(self) -> None:
        for path in (self.root / "failed").rglob("*"):
            if path.is_file() and not path.name.endswith(".error.json"):
                assert path.with_name(path.name + ".error.json").exists()

    def teardown(self) -> None:
        for patch in self.patches:
            patch.stop()
        self.spool.close()
        shutil.rmtree(self.root)


SpoolMachine.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestAnyOrder = SpoolMachine.TestCase
