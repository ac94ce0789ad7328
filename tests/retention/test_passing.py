"""Passes over real folders, by a clock that is set: what goes, what stays, in which order."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from spool.parts import Parts, claimed, look, publish, visible
from unprivileged import NOBODY, needs_root

from depthd.config import Config
from depthd.contract.errors import FaultCode
from depthd.contract.names import SetName
from depthd.publish import sets
from depthd.retention import limits, removal
from depthd.retention.items import Kind, Why
from depthd.retention.passing import Outcome, one_pass
from depthd.spool import Job, Verdict

DAY = 86400.0
RESULTS = (".json", ".heatmap.png", ".depth.npy")


def a_set(name: str) -> set[str]:
    return {f"{name}{suffix}" for suffix in RESULTS}


@dataclass
class Root:
    """A root with photos of different ages, and a clock that runs ahead."""

    parts: Parts
    path: Path
    ahead: float = 0.0
    gone: list[tuple[str, Why]] = field(default_factory=list)

    def put(self, name: str, content: bytes = b"photo") -> Job:
        path = self.path / "inbox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return self.parts.spool.claim(look(self.path, name))

    def do(self, name: str, age: float = 0.0) -> None:
        """A photo that was done so many seconds ago."""
        job = self.put(name)
        target = publish(self.parts.publisher, claimed(job))
        self.parts.spool.finish(job, target)
        moment = time.time() - age
        os.utime(self.path / "outbox" / target.folder / target.manifest, (moment, moment))

    def fail(self, name: str, age: float = 0.0) -> None:
        place = self.parts.spool.fail(self.put(name), Verdict(FaultCode.EMPTY))
        moment = time.time() - age
        os.utime(self.path / "failed" / f"{place}.error.json", (moment, moment))

    def sweep(
        self,
        *,
        folders: dict[str, Any] | None = None,
        dry: bool = False,
        most: int = 1000,
        after: Mapping[Kind, float] | None = None,
        **asked: Any,
    ) -> Outcome:
        config = Config.model_validate(
            {"root": self.path, "retention": asked, "folders": folders or {}}
        )
        self.gone = []
        return one_pass(
            config,
            lambda gone: self.gone.append((gone.item.name.path, gone.why)),
            is_dry=dry,
            now=lambda: time.time() + self.ahead,
            most=most,
            after=after,
        )

    def names(self) -> list[str]:
        return [name for name, _ in self.gone]

    def left(self) -> set[str]:
        return {
            f"{place}/{name}"
            for place in ("inbox", "outbox", "done", "failed")
            for name in visible(self.path / place)
        }


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    with Parts.open(tmp_path) as parts:
        yield Root(parts, tmp_path)


# age -----------------------------------------------------------------------------------------


def test_a_photo_goes_as_a_whole_when_it_is_old_and_the_oldest_goes_first(root: Root) -> None:
    root.do("cam/new.jpg", age=DAY)
    root.do("cam/old.jpg", age=9 * DAY)
    root.do("older.jpg", age=10 * DAY)
    outcome = root.sweep(done="7d")
    assert root.gone == [("older.jpg", Why.AGE), ("cam/old.jpg", Why.AGE)]
    assert root.left() == {"done/cam/new.jpg"} | {f"outbox/{n}" for n in a_set("cam/new.jpg")}
    assert outcome.removed == 2
    assert outcome.counts[Kind.DONE] == 3
    assert outcome.size > 2 * len(b"photo" + b"picture" + b"numbers")
    assert root.sweep(done="7d").removed == 0


def test_nothing_goes_that_was_not_asked_for(root: Root) -> None:
    root.do("a.jpg", age=99 * DAY)
    root.fail("b.jpg", age=99 * DAY)
    before = root.left()
    assert root.sweep().removed == 0
    assert root.sweep(failed="100d").removed == 0
    assert root.sweep(log="1d").removed == 0
    assert root.left() == before


def test_a_dry_run_says_the_same_and_removes_nothing(root: Root) -> None:
    root.do("a.jpg", age=9 * DAY)
    root.fail("b.jpg", age=8 * DAY)
    before = root.left()
    dry = root.sweep(done="7d", failed="7d", dry=True)
    said = root.gone
    assert root.left() == before
    real = root.sweep(done="7d", failed="7d")
    assert root.gone == said == [("a.jpg", Why.AGE), ("b.jpg", Why.AGE)]
    assert (dry.removed, dry.size) == (real.removed, real.size)
    assert root.left() == set()


def test_a_failed_photo_goes_with_its_reason_and_one_without_a_reason_stays(root: Root) -> None:
    root.fail("cam/a.jpg", age=9 * DAY)
    root.fail("cam/b.jpg", age=9 * DAY)
    (root.path / "failed/cam/somebodys.jpg").write_bytes(b"put here by hand")
    os.rename(root.path / "failed/cam/b.jpg", root.path / "inbox/b.jpg")  # tried again
    root.sweep(failed="7d")
    assert sorted(root.names()) == ["cam/a.jpg", "cam/b.jpg"]
    assert root.left() == {"failed/cam/somebodys.jpg", "inbox/b.jpg"}


def test_originals_whose_results_were_collected_go_by_the_time_that_they_came(root: Root) -> None:
    root.do("a.jpg")
    for name in a_set("a.jpg"):
        (root.path / "outbox" / name).unlink()
    os.utime(root.path / "done/a.jpg", (1, 1))  # its owner may say what he likes
    assert root.sweep(done="7d").removed == 0
    root.ahead = 8 * DAY
    assert root.sweep(done="7d").removed == 1
    assert root.left() == set()


def test_results_whose_original_was_taken_back_go_too(root: Root) -> None:
    root.do("a.jpg", age=8 * DAY)
    (root.path / "done/a.jpg").unlink()
    root.sweep(done="7d")
    assert root.left() == set()


def test_a_folder_says_itself_how_long(root: Root) -> None:
    for name in ("short/a.jpg", "long/day/b.jpg", "other/c.jpg", "kept/d.jpg"):
        root.do(name, age=5 * DAY)
        root.fail(name.replace(".", "2."), age=5 * DAY)
    folders = {
        "*": {"retention": "4d"},
        "long": {"retention": "6d"},
        "kept": {"retention": "forever"},
    }
    root.sweep(folders=folders)
    assert sorted(root.names()) == ["other/c.jpg", "other/c2.jpg", "short/a.jpg", "short/a2.jpg"]
    root.sweep(folders={"kept": {"retention": "forever"}}, done="1d", failed="1d")
    assert sorted(root.names()) == ["long/day/b.jpg", "long/day/b2.jpg"]


def test_rotated_logs_go_and_the_log_never(root: Root) -> None:
    log = root.path / "log"
    for name in ("depthd.jsonl", "depthd.jsonl.1", "depthd.jsonl-20260101.gz", "other.txt"):
        (log / name).write_bytes(bytes(1000))
        os.utime(log / name, (1000, 1000))
    root.sweep(log_size="1kB")
    assert len(root.names()) == 1
    root.sweep(log="1d")
    assert sorted(os.listdir(log)) == ["depthd.jsonl", "other.txt"]


# room ----------------------------------------------------------------------------------------


def test_the_oldest_make_room_until_the_rest_fits(root: Root) -> None:
    for number in range(5):
        root.do(f"{number}.jpg", age=(9 - number) * DAY)
    each = root.sweep(done="100d", dry=True).sizes[Kind.DONE] // 5
    root.sweep(done_size=f"{3 * each + each // 2}B")
    assert root.gone == [("0.jpg", Why.SIZE), ("1.jpg", Why.SIZE)]
    assert root.sweep(done_size=f"{3 * each + each // 2}B").removed == 0


def test_the_youngest_are_spared_for_want_of_room_not_for_their_age(root: Root) -> None:
    root.do("a.jpg", age=limits.SPARED / 2)
    assert root.sweep(done_size="1B", min_free="100000GB").removed == 0
    root.ahead = limits.SPARED
    assert root.sweep(done_size="1B").removed == 1


def test_a_disk_that_is_full_takes_the_oldest_of_what_lies_on_it(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = {"outbox": 1000, "done": 1000, "failed": 10**9}
    monkeypatch.setattr(limits, "free_space", lambda folder: free[folder.name])
    for number in range(3):
        root.do(f"{number}.jpg", age=(9 - number) * DAY)
        root.fail(f"bad{number}.jpg", age=50 * DAY)
    root.sweep(min_free="1001B")
    assert root.gone == [("0.jpg", Why.MIN_FREE)]
    free |= {"failed": 999}
    root.sweep(min_free="1001B")
    assert root.names()[0].startswith("bad")
    assert len(root.gone) == 2


def test_more_than_can_be_remembered_goes_in_several_passes(root: Root) -> None:
    for number in range(7):
        root.do(f"{number}.jpg", age=(20 - number) * DAY)
    passes, after = [], None
    while True:
        outcome = root.sweep(done="7d", most=3, after=after)
        passes.append(root.names())
        if (after := outcome.until) is None:
            break
    assert passes == [["0.jpg", "1.jpg", "2.jpg"], ["3.jpg", "4.jpg", "5.jpg"], ["6.jpg"]]


def test_what_cannot_be_removed_holds_up_nobody(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        root.do(f"{'closed' if number < 3 else 'open'}/{number}.jpg", age=(20 - number) * DAY)
    remove = removal.Remover.remove

    def closed(self: removal.Remover, item: Any) -> Any:
        if item.name.folder == "closed":
            raise PermissionError(13, "Permission denied")
        return remove(self, item)

    monkeypatch.setattr(removal.Remover, "remove", closed)
    first = root.sweep(done="7d", most=3)
    assert (first.removed, first.troubles[0]) == (0, "closed/0.jpg: Permission denied")
    assert root.sweep(done="7d", most=3, after=first.until).removed == 3
    assert visible(root.path / "done") == {f"closed/{number}.jpg" for number in range(3)}


# what stays ----------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["scandir", "open"])
def test_what_cannot_be_looked_at_holds_up_nobody(
    root: Root, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    root.do("bad/a.jpg", age=9 * DAY)
    root.do("cam/b.jpg", age=9 * DAY)
    root.fail("bad/c.jpg", age=9 * DAY)
    bad, inode = root.path / "done/bad", (root.path / "done/bad").stat().st_ino
    real = getattr(os, call)

    def failing(path: Any, *arguments: Any, **keywords: Any) -> Any:
        is_bad = os.fstat(path).st_ino == inode if isinstance(path, int) else path == "bad"
        if is_bad and (call == "scandir" or _is_in(keywords.get("dir_fd"), root.path / "done")):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path, *arguments, **keywords)

    monkeypatch.setattr(os, call, failing)
    outcome = root.sweep(done="7d", failed="7d")
    assert {"cam/b.jpg", "bad/c.jpg"} <= set(root.names())
    assert f"{bad}: Input/output error" in outcome.troubles


def _is_in(handle: int | None, folder: Path) -> bool:
    return handle is not None and os.path.samestat(os.fstat(handle), folder.stat())


def test_what_waits_or_is_at_work_stays(root: Root) -> None:
    (root.path / "inbox/waits.jpg").write_bytes(b"photo")
    os.utime(root.path / "inbox/waits.jpg", (1, 1))
    job = root.put("cam/out.jpg")
    publish(root.parts.publisher, claimed(job))  # and its original is still on its way
    root.put("at work.jpg")
    before = root.left()
    root.ahead = 100 * DAY
    assert root.sweep(done="1s", failed="1s", done_size="1B").removed == 0
    assert root.left() == before
    root.parts.spool.finish(job, SetName.of("cam/out.jpg"))
    assert root.sweep(done="1s").removed == 1


def test_files_of_others_stay(root: Root) -> None:
    """Under whatever name, beside or in place of what is the daemon's."""
    root.do("cam/a.jpg", age=9 * DAY)
    others = {
        "outbox/cam/a.jpg.pfm": b"in no manifest",
        "outbox/notes.json": b'{"schema": "mine", "job": "j", "files": [{"name": "b.txt"}]}',
        "outbox/b.txt": b"named by no manifest of ours",
        "done/notes.txt": b"no photo",
        "done/#recycle/c.jpg": b"in a waste bin",
        "failed/d.jpg": b"without a reason",
        "failed/e.error.json": b"{}",
    }
    for name, content in others.items():
        path = root.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (1, 1))
    root.ahead = 9 * DAY
    root.sweep(done="7d", failed="7d")
    assert root.names() == ["cam/a.jpg"]
    assert {name for name in others if (root.path / name).exists()} == set(others)


def test_a_manifest_cannot_name_the_file_of_another(root: Root) -> None:
    root.do("a.jpg", age=9 * DAY)
    (root.path / "outbox/b.jpg.depth.npy").write_bytes(b"of another set")
    manifest = root.path / "outbox/a.jpg.json"
    content = json.loads(manifest.read_bytes())
    content["files"] += [{"name": name} for name in ("b.jpg.depth.npy", "../done/x", "/etc/passwd")]
    manifest.write_text(json.dumps(content))
    os.utime(manifest, (1, 1))
    root.sweep(done="7d")
    assert root.left() == {"outbox/b.jpg.depth.npy"}


@pytest.mark.parametrize("place", ["done", "failed", "outbox"])
def test_links_lead_nowhere(root: Root, tmp_path: Path, place: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.jpg").write_bytes(b"somebody's")
    (elsewhere / "a.jpg.json").write_text(
        '{"schema": "depthd.manifest/1", "job": "j", "files": []}'
    )
    (elsewhere / "a.jpg.error.json").write_text('{"schema": "depthd.error/1", "job": "j"}')
    (root.path / place / "cam").symlink_to(elsewhere)
    (root.path / place / "b.jpg").symlink_to(elsewhere / "a.jpg")
    (root.path / place / "b.jpg.json").symlink_to(elsewhere / "a.jpg.json")
    root.ahead = 99 * DAY
    root.sweep(done="1d", failed="1d")
    assert visible(elsewhere) == {"a.jpg", "a.jpg.json", "a.jpg.error.json"}


@needs_root
def test_what_another_user_has_made_is_not_believed(root: Root) -> None:
    def give(path: Path) -> None:
        os.chown(path, NOBODY, NOBODY)
        os.utime(path, (1, 1))

    root.do("a.jpg")
    (root.path / "outbox/b.jpg.json").write_text(
        '{"schema": "depthd.manifest/1", "job": "j", "files": [{"name": "b.jpg.pfm"}]}'
    )
    (root.path / "outbox/b.jpg.pfm").write_bytes(b"results of others")
    (root.path / "failed/c.jpg").write_bytes(b"photo")
    (root.path / "failed/c.jpg.error.json").write_text('{"schema": "depthd.error/1"}')
    (root.path / "done/theirs").mkdir()
    (root.path / "done/theirs/d.jpg").write_bytes(b"moved here with its folder")
    names = ("outbox/b.jpg.json", "outbox/b.jpg.pfm", "failed/c.jpg.error.json", "done/theirs")
    for name in names:
        give(root.path / name)
    root.ahead = 3 * DAY
    root.sweep(done="1d", failed="1d")
    assert root.names() == ["a.jpg"]
    assert {name for name in names if (root.path / name).exists()} == set(names)
    assert (root.path / "done/theirs/d.jpg").exists()


def test_what_was_exchanged_since_the_look_stays(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken back and put into the inbox again, or replaced, between look and removal."""
    for name in ("taken.jpg", "other.jpg"):
        root.do(name, age=9 * DAY)
    root.fail("retried.jpg", age=9 * DAY)
    chosen = removal.Remover.remove

    def meddle(self: removal.Remover, item: Any) -> Any:
        path = root.path / ("failed" if item.kind is Kind.FAILED else "done") / item.name.base
        if path.exists():
            os.rename(path, root.path / "inbox" / path.name)
            if path.name == "other.jpg":
                path.write_bytes(b"new")
        return chosen(self, item)

    monkeypatch.setattr(removal.Remover, "remove", meddle)
    assert root.sweep(done="7d", failed="7d").removed == 0
    assert {"done/other.jpg", "inbox/taken.jpg", "inbox/retried.jpg"} <= root.left()
    assert (root.path / "failed/retried.jpg.error.json").exists()
    assert {f"outbox/{name}" for name in a_set("taken.jpg")} <= root.left()


def test_an_empty_folder_goes_after_a_day_and_not_before(root: Root) -> None:
    root.do("cam/day/a.jpg", age=9 * DAY)
    root.sweep(done="7d")
    assert (root.path / "done/cam/day").is_dir()
    for place in ("done", "outbox"):
        for folder in ("cam/day", "cam"):
            os.utime(root.path / place / folder, (1, 1))
    (root.path / "done/fresh").mkdir()
    root.sweep(done="7d")
    assert sorted(p.name for p in (root.path / "done").iterdir() if p.name[0] != ".") == ["fresh"]


# cut short -----------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", range(1, 8))
def test_a_removal_that_is_cut_short_is_finished_by_the_next(
    root: Root, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """At each step: no manifest lists what is gone, and nothing is left for ever."""
    root.do("a.jpg", age=9 * DAY)
    root.fail("b.jpg", age=9 * DAY)
    calls = 0
    unlink: Callable[..., None] = os.unlink

    def cut(*arguments: Any, **keywords: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == step:
            raise Killed
        unlink(*arguments, **keywords)

    monkeypatch.setattr(os, "unlink", cut)
    was_cut = False
    try:
        root.sweep(done="7d", failed="7d")
    except Killed:
        was_cut = True
    monkeypatch.setattr(os, "unlink", unlink)
    assert was_cut is (step <= 6)  # manifest, two results, original; photo, reason
    found = sets.read_set(root.parts.places, SetName.of("a.jpg"))
    assert found is None or len(found.files) == 2
    root.ahead = 9 * DAY
    root.sweep(done="7d", failed="7d")
    assert root.left() == set()


@needs_root
def test_a_photo_that_had_to_lie_elsewhere_is_not_taken_for_an_older_one_there(root: Root) -> None:
    """Its folder in done/ is somebody else's, so it comes to the top; a manifest may lie there."""
    root.do("a.jpg", age=9 * DAY)
    (root.path / "done/a.jpg").unlink()  # its owner took it back
    (root.path / "done/cam").mkdir()
    os.chown(root.path / "done/cam", NOBODY, -1)
    root.do("cam/a.jpg")
    [there] = (name for name in visible(root.path / "done") if name.endswith(".jpg"))
    root.sweep(done="7d")
    assert (root.path / "done" / there).exists()
    assert (root.path / "outbox/cam/a.jpg.json").exists()
    assert not (root.path / "outbox/a.jpg.json").exists()
