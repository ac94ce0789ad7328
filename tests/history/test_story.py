"""What is told of one photo: what has happened, where it is, and what to do next."""

from __future__ import annotations

import errno
import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from statuses import quiet_status

from depthd import cli
from depthd.contract import status
from depthd.contract.errors import FaultCode
from depthd.contract.names import SetName, command_for
from depthd.publish.places import Places
from depthd.spool import Job, Verdict
from depthd.spool.home import Home
from depthd.spool.jobs import encode
from depthd.supervisor.status_file import StatusFile

ID = "20261127T060000.000Z-box"
JOB = Job(ID, "cam1/a.jpg", ID[:20], 1795759200.0)
Explain = Callable[..., str]


class Box:
    """A root as a daemon leaves it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("inbox/cam1", "work", "outbox/cam1", "done/cam1", "failed", "log", "state"):
            (root / folder).mkdir(parents=True)
        self.status()

    def status(self, **changes: Any) -> None:
        now = datetime.now(UTC)
        queue = status.Queue(waiting=7, in_work=0)
        StatusFile(self.root / "state").write(quiet_status(now, **{"queue": queue, **changes}))

    def log(self, *events: tuple[str, dict[str, Any]], file: str = "depthd.jsonl") -> None:
        lines = ""
        for number, (event, fields) in enumerate(events):
            at = f"2026-11-27T06:00:0{number}.000Z"
            lines += json.dumps({"timestamp": at, "level": "info", "event": event, **fields}) + "\n"
        data = lines.encode()
        (self.root / "log" / file).write_bytes(gzip.compress(data) if file.endswith("gz") else data)

    def work(self, job: Job) -> None:
        folder = self.root / "work" / job.id
        folder.mkdir()
        (folder / "original").write_bytes(b"photo")
        (folder / "job.json").write_bytes(encode(job))

    def publish(self, name: str, **fields: Any) -> None:
        manifest = {"schema": "depthd.manifest/1", "job": ID, **fields}
        manifest["times"] = {"claimed": "2026-11-27T06:00:00.000Z"}
        manifest["files"] = [{"name": "a.jpg.depth.npy"}]
        (self.root / "outbox" / f"{name}.json").write_text(json.dumps(manifest))
        (self.root / "done" / name).touch()


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path / "root")


@pytest.fixture
def explain(box: Box, capsys: pytest.CaptureFixture[str]) -> Explain:
    def explain(name: str = "cam1/a.jpg", *settings: str, code: int = 0) -> str:
        options = [part for setting in settings for part in ("--set", setting)]
        assert cli.main(["explain", name, "--root", str(box.root), *options]) == code
        out, err = capsys.readouterr()
        return out + err

    return explain


THEN = datetime(2026, 11, 27, 6, tzinfo=UTC)
ABOUT = {"job": ID, "name": "cam1/a.jpg"}
CLAIMED = ("photo.claimed", {**ABOUT, "bytes": 5})


def test_a_done_photo_with_its_beginning_in_a_compressed_log(box: Box, explain: Explain) -> None:
    box.log(CLAIMED, ("photo.claimed", {"job": "other", "name": "b"}), file="depthd.jsonl.2.gz")
    os.utime(box.root / "log/depthd.jsonl.2.gz", (1.0, 1.0))
    box.log(
        ("worker.killed", {"reason": "late", "jobs": [ID, "other"]}),
        ("photo.published", {**ABOUT, "output": "cam1/a.jpg", "infer_ms": 18.5}),
        ("photo.done", {**ABOUT, "original": "cam1/a.jpg"}),
    )
    box.publish("cam1/a.jpg")
    said = explain()
    order = ["photo.claimed", "worker.killed", "photo.published", "photo.done"]
    assert sorted(order, key=said.index) == order
    assert "infer_ms 18.5" in said
    assert "other" not in said
    assert f"It is done; in {box.root}/outbox/cam1 are a.jpg.depth.npy." in said
    assert f"'depthd requeue --root {box.root} cam1/a.jpg'" in said
    for path in ("outbox/cam1/a.jpg.heatmap.png", "done/cam1/a.jpg", "outbox/cam1/a.jpg.json"):
        assert "It is done" in explain(str(box.root / path))
    (box.root / "outbox/cam1/a.jpg.json").unlink()
    assert "not in the outbox any more" in explain()
    (box.root / "done/cam1/a.jpg").unlink()
    assert "somebody has taken it" in explain()


def test_results_under_another_name_lead_to_their_photo(box: Box, explain: Explain) -> None:
    later = "cam1/a~20261127T060000.000Z.jpg"
    box.log(
        CLAIMED,
        ("photo.published", {**ABOUT, "output": later}),
        ("photo.done", {**ABOUT, "original": later}),
        ("photo.claimed", {"job": "another", "name": "cam1/a.jpg", "bytes": 4711}),
    )
    box.publish(later)
    said = explain(later)
    assert "photo.claimed" in said
    assert "4711" not in said
    assert "4711" in explain("cam1/a.jpg")


def test_without_a_log_the_manifest_and_the_reason_tell(box: Box, explain: Explain) -> None:
    box.publish("cam1/a.jpg", model={"fallback": True})
    said = explain("cam1/a.jpg", "log.file=false")
    assert "It was claimed." in said
    assert "There is no log to read" in said
    assert "made by the built-in network" in said


def test_a_failed_photo_says_why_and_how_to_try_again(box: Box, explain: Explain) -> None:
    box.work(JOB)
    places = Places(*(box.root / name for name in ("outbox", "done", "failed")))
    Home(box.root / "work", places, 0o640).fail(JOB, Verdict(FaultCode.TRUNCATED, "at byte 7"))
    said = explain()
    assert "It failed as truncated: The file ends before the picture does. (at byte 7)" in said
    again = f"'depthd retry --root {box.root} cam1/a.jpg' tries this same file again."
    assert f"send the photo again. {again}" in said
    assert "It failed: truncated, attempts 0." in said
    assert said == explain(str(box.root / "failed/cam1/a.jpg.error.json"))


def test_a_skipped_photo_never_had_results(box: Box, explain: Explain) -> None:
    name = "cam1/my door.jpg"
    job = replace(JOB, name=name, newer="cam1/b.jpg")
    box.work(job)
    places = Places(*(box.root / folder for folder in ("outbox", "done", "failed")))
    Home(box.root / "work", places, 0o640).skip(job)
    said = explain(name)
    assert "It was skipped for the newer cam1/b.jpg, and has no results." in said
    again = f"depthd requeue --root {box.root} 'cam1/my door.jpg'"
    assert f"Next: {again} has it worked on." in said
    assert said == explain(str(box.root / f"done/{name}.skipped.json"))
    assert "not in the outbox any more" not in said


# at work ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("job", "changes", "words"),
    [
        (JOB, {}, "is at work or about to be.\nNext: Nothing"),
        (replace(JOB, attempts=2, crashes=2), {}, "is suspected: the worker died or was killed 2"),
        (replace(JOB, verdict=Verdict(FaultCode.EMPTY)), {}, "its way to failed/: empty"),
        (JOB, {"aside": (status.Aside(name=JOB.name, reason="full", tries=3),)}, "aside: full"),
        (JOB, {"held_folders": {"cam1": "read-only"}}, "is set aside: read-only"),
        (JOB, {"state": "stopped"}, "the next daemon takes it up. Start it"),
    ],
)  # fmt: skip
def test_a_photo_in_work(
    job: Job, changes: dict[str, Any], words: str, box: Box, explain: Explain
) -> None:
    box.log(CLAIMED)
    box.work(job)
    box.status(**changes)
    said = explain()
    assert f"It lies in work/ as {ID}, started {job.attempts} times" in said
    assert words in said.replace(str(box.root), "ROOT")


def test_a_photo_set_aside_beyond_those_that_the_status_names(box: Box, explain: Explain) -> None:
    box.log(CLAIMED, ("photo.set_aside", {**ABOUT, "reason": "no such folder"}))
    box.work(JOB)
    assert "is set aside: no such folder." in explain()


# in the inbox -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("cam1/a.jpg", {}, "for its turn; 7 photos are known"),
        ("cam1/.a.jpg", {}, "upload still going on"),
        ("cam1/a.jpg.part", {}, "upload still going on"),
        ("cam1/a.txt", {}, "add its ending to intake.include"),
        (
            "cam1/a.jpg",
            {"held_by_operator": {"cam1": THEN}},
            "'depthd release --root ROOT cam1'",
        ),
        ("cam1/a.jpg", {"held_by_operator": {".": THEN}}, "holds everything"),
        ("cam1/a.jpg", {"held_folders": {"cam1": "full"}}, "cannot be written: full"),
        ("cam1/a.jpg", {"state": "paused", "why": "disk full"}, "paused: disk full"),
        ("cam1/a.jpg", {"state": "stopped"}, "the daemon was stopped"),
        ("cam1/a.jpg", {"worker": status.Worker(pid=None, ready=False, restarts=1)}, "no worker"),
    ],
)
def test_a_photo_in_the_inbox(
    name: str, changes: dict[str, Any], words: str, box: Box, explain: Explain
) -> None:
    box.status(**changes)
    (box.root / "inbox" / name).write_bytes(b"12345")
    said = explain(name)
    assert "It lies in the inbox, 5 bytes" in said
    assert words in said.replace(str(box.root), "ROOT")


def test_what_may_not_be_looked_into_is_not_called_empty(
    box: Box, explain: Explain, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.log(("photo.failed", {"job": ID, "name": "cam1/a.jpg"}))
    assert "It is in none of the folders any more" in explain("cam1/a.jpg")
    real = os.open

    def refused(path: Any, *arguments: Any, **keywords: Any) -> int:
        if str(path) == f"{box.root}/failed":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, *arguments, **keywords)

    monkeypatch.setattr(os, "open", refused)
    told = explain("cam1/a.jpg")
    assert "It is in none of the folders any more" not in told
    assert f"Whether it is in failed/ cannot be told: {box.root}/failed: Permission denied" in told


def test_a_name_that_begins_with_a_dash_is_no_option() -> None:
    assert command_for("retry", "-b.jpg") == "'depthd retry -- -b.jpg'"
    assert command_for("retry", "-b c.jpg") == "depthd retry -- '-b c.jpg'"


@pytest.mark.parametrize("name", ["a\nb.jpg", "a\udcfc1.jpg", "\\it's\x1b[1m\u202e é.jpg", "-\t"])
def test_a_command_can_be_pasted_whatever_is_in_the_name(name: str) -> None:
    command = command_for("retry", name)
    assert command.isprintable()
    said = subprocess.run(
        ["bash", "-c", command.replace("depthd", "printf %s\\\\n", 1)],
        capture_output=True,
        check=True,
    ).stdout
    assert os.fsdecode(said).endswith(f"{name}\n")


def test_what_the_settings_and_the_log_say_of_it(box: Box, explain: Explain) -> None:
    (box.root / "inbox/cam1/a.jpg").touch()
    assert "sub-folders are not looked into" in explain("cam1/a.jpg", "intake.recursive=false")
    box.log(("inbox.entry_ignored", {"name": "cam1/a.jpg", "reason": "depthd cannot read it"}))
    assert "left alone: depthd cannot read it" in explain()
    (box.root / "inbox/link.jpg").symlink_to("/etc/passwd")
    assert "is left alone: it is a symbolic link" in explain("link.jpg")
    shutil.rmtree(box.root / "state")
    assert "no daemon has run here" in explain()


# nothing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["b.jpg", "../../etc/passwd", "", "\x1b[31m\n", "x" * 5000])
def test_nothing_is_known(name: str, explain: Explain) -> None:
    said = explain(name, code=66)
    assert "nothing is known of " in said
    assert said.replace("\n", "").isprintable()


def test_names_lead_nowhere_else(box: Box) -> None:
    assert SetName.of("../x").folders == ("..",)
    (box.root / "secret.jpg").touch()
    assert cli.main(["explain", "../secret.jpg", "--root", str(box.root)]) == 66
