"""The daemon's decisions about jobs, in milliseconds: played workers, a clock that is set."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from stage import Stage, drop, hide_record

from depthd.channel.messages import Blocked, Broken, Refused
from depthd.contract.errors import FaultCode
from depthd.contract.events import Event
from depthd.contract.states import TRANSITIONS, State
from depthd.publish.publisher import Publisher
from depthd.spool import Job
from depthd.supervisor.aside import Holds
from depthd.supervisor.errands import Taken
from depthd.supervisor.table import Entry, Table
from depthd.system import files

Set = Callable[..., Stage]


def code_of(root: Path, name: str) -> str:
    return str(json.loads((root / f"failed/{name}.error.json").read_bytes())["code"])


# the way of a photo --------------------------------------------------------------------------


def test_a_photo_goes_to_the_worker_and_home(stage: Stage) -> None:
    job = stage.claim("cam/a.jpg")
    original, *results = stage.worker.given[job.id]
    assert os.read(original, 100) == b"photo"
    assert len(results) == 2
    stage.worker.start(job.id)
    stage.worker.render(job.id)
    stage.play()
    assert (stage.root / "done/cam/a.jpg").read_bytes() == b"photo"
    manifest = json.loads((stage.root / "outbox/cam/a.jpg.json").read_bytes())
    assert manifest["job"] == job.id
    assert (stage.root / "outbox/cam/a.jpg.depth.npy").read_bytes() == b"result"
    assert len(stage.dispatcher.home.table) == 0
    names = [event for event, _ in stage.events]
    assert names.index(Event.PHOTO_PUBLISHED) < names.index(Event.PHOTO_DONE)


def test_the_worker_can_only_read_the_photo(stage: Stage) -> None:
    job = stage.claim("a.jpg")
    original, *_ = stage.worker.given[job.id]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.write(original, b"spoilt")


def test_no_transition_but_the_contracts(stage: Stage) -> None:
    job = stage.claim("a.jpg")
    stage.worker.drop(job.id)
    for state in State:
        for wanted in State:
            table = Table()
            entry = table.add(job, 0.0)
            entry.state = state
            if wanted in TRANSITIONS[state]:
                table.move(entry, wanted, 0.0)
            else:
                with pytest.raises(ValueError, match="not followed by"):
                    table.move(entry, wanted, 0.0)


def test_a_refused_photo_fails_at_once(stage: Stage) -> None:
    job = stage.claim("a.jpg")
    stage.worker.say(Refused(job=job.id, code=FaultCode.UNSUPPORTED, detail="it is GIF"))
    stage.worker.drop(job.id)
    stage.play()
    assert code_of(stage.root, "a.jpg") == "unsupported"
    assert not [path for path in (stage.root / "outbox").rglob("*") if path.is_file()]


def test_a_photo_that_is_still_written_is_tried_again_when_it_is_quiet(stage: Stage) -> None:
    job = stage.claim("a.jpg", b"half")
    with open(stage.root / "work" / job.id / "original", "ab") as writer:
        writer.write(b" and the rest")
    stage.worker.say(Refused(job=job.id, code=FaultCode.TRUNCATED, detail=""))
    stage.worker.drop(job.id)
    stage.play()
    assert not stage.said(Event.PHOTO_FAILED)
    stage.play(stage.config.intake.settle)
    assert os.read(stage.worker.given[job.id][0], 100) == b"half and the rest"
    stage.worker.render(job.id)
    stage.play()
    assert stage.said(Event.PHOTO_DONE)


def test_whoever_writes_for_ever_is_failed_in_the_end(stage: Stage) -> None:
    job = stage.claim("a.jpg", b"half")
    for _ in range(20):
        if job.id not in stage.worker.given:
            break
        with open(stage.root / "work" / job.id / "original", "ab") as writer:
            writer.write(b"more")
        stage.worker.say(Refused(job=job.id, code=FaultCode.TRUNCATED, detail=""))
        stage.worker.drop(job.id)
        stage.play()
        stage.play(10)
    assert code_of(stage.root, "a.jpg") == "truncated"


def test_nothing_is_left_of_files_that_were_opened_while_the_service_stopped(stage: Stage) -> None:
    stage.dispatcher.expect(1)
    (taken,) = stage.parts.errands.claim([drop(stage.root, "a.jpg")], stage.config)
    assert isinstance(taken, Taken)
    assert taken.opened
    stage.dispatcher.stop()
    stage.dispatcher.accept(taken)
    stage.play()
    assert not stage.worker.given
    assert list((stage.root / "outbox/.depthd").iterdir()) == []
    assert (stage.root / "work" / taken.job.id / "original").exists()


# the worker's deaths -------------------------------------------------------------------------


def test_who_died_beside_others_is_tried_alone(stage: Stage) -> None:
    jobs = [stage.claim(f"{name}.jpg") for name in "abc"]
    stage.crash()
    for _ in jobs:
        ((job, _),) = stage.worker.given.items()
        stage.worker.render(job)
        stage.play()
    assert len(stage.said(Event.PHOTO_DONE)) == 3
    assert {fields["crashes"] for fields in _records(stage)} == set()


def _records(stage: Stage) -> list[dict[str, object]]:
    return [json.loads(path.read_bytes()) for path in (stage.root / "work").glob("2*/job.json")]


def test_a_photo_that_kills_the_worker_alone_is_failed(set_stage: Set) -> None:
    stage = set_stage(worker={"max_attempts": 2})
    stage.ready()
    job = stage.claim("a.jpg")
    for _ in range(2):
        assert stage.worker.given
        stage.crash()
    assert code_of(stage.root, "a.jpg") == "worker_crashed"
    assert not stage.worker.given
    assert json.loads((stage.root / "failed/a.jpg.error.json").read_bytes())["job"] == job.id


def test_a_kill_for_memory_has_its_own_code(set_stage: Set) -> None:
    stage = set_stage(worker={"max_attempts": 1})
    stage.ready()
    stage.claim("a.jpg")
    for _ in range(2):
        stage.crash(out_of_memory=True)
    assert code_of(stage.root, "a.jpg") == "worker_out_of_memory"


def test_each_photo_has_a_deadline_of_its_own(stage: Stage) -> None:
    stuck, innocent = stage.claim("stuck.jpg"), stage.claim("innocent.jpg")
    worker = stage.worker
    worker.start(stuck.id)
    stage.play()
    for number in range(5):  # others come and go meanwhile
        other = stage.claim(f"{number}.jpg")
        worker.start(other.id)
        worker.render(other.id)
        stage.play(10)
    assert worker.end is None
    stage.play(10)
    assert worker.end is not None
    assert stage.said(Event.WORKER_KILLED)[0]["jobs"] == [stuck.id]
    retried = stage.said(Event.PHOTO_RETRIED)
    assert [fields["job"] for fields in retried] == [stuck.id]
    stage.dispatcher.others_wait = True
    stage.replace(1)
    assert list(stage.worker.given) == [innocent.id]


def test_a_time_out_that_was_had_alone_is_the_last_try(stage: Stage) -> None:
    job = stage.claim("a.jpg")
    for _ in range(2):
        stage.worker.start(job.id)
        stage.play()
        stage.play(stage.config.worker.timeout)
        stage.replace()
    assert code_of(stage.root, "a.jpg") == "worker_timeout"


def test_a_fault_of_our_own_is_called_so_and_can_be_explained(stage: Stage) -> None:
    job = stage.claim("a.jpg")
    for _ in range(2):
        detail = "KeyError: 'x' (render.py:7 paint < pipeline.py:9 _render)"
        stage.worker.say(Broken(job=job.id, code=FaultCode.INTERNAL_ERROR, detail=detail))
        stage.worker.drop(job.id)
        stage.play()
    note = json.loads((stage.root / "failed/a.jpg.error.json").read_bytes())
    assert note["code"] == "internal_error"
    assert "render.py:7 paint" in note["detail"]
    assert len(stage.workers) == 1


def test_suspects_come_after_the_others(stage: Stage) -> None:
    bad = stage.claim("bad/a.jpg")
    stage.dispatcher.others_wait = True
    stage.crash(1)
    assert not stage.worker.given
    good = stage.claim("good/b.jpg")
    assert list(stage.worker.given) == [good.id]
    stage.worker.render(good.id)
    stage.dispatcher.others_wait = False
    stage.play()
    assert list(stage.worker.given) == [bad.id]


def test_who_kills_again_and_again_leaves_others_nine_tenths_of_the_time(set_stage: Set) -> None:
    stage = set_stage(worker={"max_attempts": 100, "timeout": "1000s"})
    stage.ready()
    bad = [stage.claim(f"bad/{number}.jpg") for number in range(3)]
    stage.dispatcher.others_wait = True
    stage.worker.die()
    wasted, begun = 0.0, stage.clock.now
    while stage.clock.now - begun < 3000:
        stage.play(1)
        if not stage.worker.end:
            stage.worker.become_ready()
        stage.play()
        if any(job.id in stage.worker.given for job in bad):
            stage.play(20)
            wasted += 20
            stage.worker.die()
    assert 0 < wasted < 0.12 * 3000


# exits ----------------------------------------------------------------------------------------


def test_jobs_left_by_a_former_run_are_taken_up(set_stage: Set) -> None:
    former = set_stage()
    former.ready()
    former.claim("a.jpg")
    former.close()
    later = set_stage()
    later.play()
    assert [fields["name"] for fields in later.said(Event.PHOTO_RECOVERED)] == ["a.jpg"]
    later.ready()
    ((job, _),) = later.worker.given.items()
    later.worker.render(job)
    later.play()
    assert (later.root / "done/a.jpg").exists()


def test_jobs_are_taken_up_once_although_the_gate_opens_meanwhile(set_stage: Set) -> None:
    former = set_stage()
    former.ready()
    former.claim("a.jpg")
    former.close()
    later = set_stage()
    later.dispatcher.recovery._look()  # while a thread still looks at work/
    later.ready()
    assert len(later.said(Event.PHOTO_RECOVERED)) == 1
    later.worker.render(next(iter(later.worker.given)))
    later.play()
    assert (later.root / "done/a.jpg").exists()


def test_what_is_out_comes_home_however_often_it_was_begun(
    set_stage: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    former = set_stage()
    former.ready()
    job = former.claim("a.jpg")
    former.parts.spool.rewrite(replace(job, attempts=1000))
    with monkeypatch.context() as patch:
        patch.setattr(former.parts.spool, "finish", failing)
        former.worker.render(job.id)
        former.play()
    former.close()
    with monkeypatch.context() as patch:
        patch.setattr(Publisher, "settle", failing)
        later = set_stage()
        later.play()
    later.play_until(lambda: bool(later.said(Event.PHOTO_DONE)))
    assert not later.said(Event.PHOTO_FAILED)


def test_at_the_end_of_the_patience_jobs_keep_their_place_uncounted(stage: Stage) -> None:
    job = stage.claim("a.jpg")
    stage.dispatcher.stop()
    stage.dispatcher.give_back()
    stage.filework.deliver()
    (record,) = _records(stage)
    assert (record["id"], record["attempts"]) == (job.id, 0)
    assert [fields["name"] for fields in stage.said(Event.PHOTO_RETURNED)] == ["a.jpg"]


def test_photos_that_were_only_claimed_are_not_suspected_by_the_next_start(set_stage: Set) -> None:
    former = set_stage()
    former.play()  # no worker is ready yet
    for name in ("a.jpg", "b.jpg"):
        former.claim(name)
    former.dispatcher.stop()
    former.dispatcher.give_back()
    former.filework.deliver()
    assert not former.said(Event.PHOTO_RETURNED)
    former.close()
    later = set_stage()
    later.ready()
    assert len(later.worker.given) == 2


def test_at_the_end_of_the_patience_nothing_is_closed_that_a_thread_uses(stage: Stage) -> None:
    stage.worker.render(stage.claim("a.jpg").id)
    stage.dispatcher.hear(stage.keeper.poll(stage.clock.now))
    stage.dispatcher.turn(stage.clock.now)  # it is being published
    (entry,) = stage.dispatcher.home.table
    stage.dispatcher.give_back()
    assert entry.outlets is not None
    assert all(os.fstat(handle) for handle in entry.outlets.files.values())
    stage.filework.deliver()
    assert stage.said(Event.PHOTO_DONE)
    assert not stage.said(Event.PHOTO_RETURNED)


# one photo's trouble -------------------------------------------------------------------------


def test_a_folder_where_a_reason_should_be_stops_nobody(stage: Stage) -> None:
    (stage.root / "failed/a.jpg.error.json").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg"):
        job = stage.claim(name)
        stage.worker.say(Refused(job=job.id, code=FaultCode.UNSUPPORTED, detail=""))
        stage.worker.drop(job.id)
    stage.play()
    assert code_of(stage.root, "b.jpg") == "unsupported"
    (marked,) = (stage.root / "failed").glob("a~*.jpg")
    assert code_of(stage.root, marked.name) == "unsupported"
    assert stage.gate.is_open


@pytest.mark.parametrize("may_read", [False, True])
def test_a_photo_without_rights_fails_alone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, may_read: bool
) -> None:
    """And it has to be true: a refusal that passes fails no photo."""
    open_regular = files.open_regular

    def denied(name: str, folder: int) -> int:
        if name == "original":
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_regular(name, folder)

    with monkeypatch.context() as patch:
        patch.setattr(files, "open_regular", denied)
        patch.setattr(os, "access", lambda *_, **__: may_read)
        stage.claim("a.jpg")
    stage.claim("b.jpg")
    if may_read:
        assert not (stage.root / "failed/a.jpg").exists()
    else:
        assert code_of(stage.root, "a.jpg") == "unreadable"
    assert stage.gate.is_open
    assert len(stage.worker.given) == 1


def test_a_photo_that_cannot_be_sent_waits_and_is_not_blamed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(type(stage.worker), "send", refuse)
        job = stage.claim("a.jpg")
        for _ in range(10):
            stage.play(30)
        assert not stage.worker.given
    stage.play(600)
    assert list(stage.worker.given) == [job.id]
    assert not stage.said(Event.PHOTO_FAILED)
    assert len(stage.workers) == 1


def _break(monkeypatch: pytest.MonkeyPatch, *, names: str, code: int) -> None:
    """Let links and renames to names in certain folders fail."""
    link = files.link_noreplace

    def failing(source: str, target: str, source_dir: int, target_dir: int) -> None:
        if names in os.readlink(f"/proc/self/fd/{target_dir}") + "/" + target:
            raise OSError(code, os.strerror(code))
        link(source, target, source_dir, target_dir)

    monkeypatch.setattr(files, "link_noreplace", failing)


def _refuse_below(folder: str) -> Callable[..., None]:
    """A probe that fails in one folder."""
    probe = files.probe_shared

    def failing(handle: int) -> None:
        if os.readlink(f"/proc/self/fd/{handle}").endswith(folder):
            raise OSError(errno.EACCES, "Permission denied")
        probe(handle)

    return failing


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EACCES, errno.EIO, errno.EROFS])
def test_one_photo_that_cannot_be_published_is_set_aside(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    with monkeypatch.context() as patch:
        _break(patch, names="/bad.jpg", code=code)
        for name in ("bad.jpg", "good.jpg"):
            stage.worker.render(stage.claim(name).id)
        stage.play()
        assert [fields["name"] for fields in stage.said(Event.PHOTO_DONE)] == ["good.jpg"]
        (aside,) = stage.said(Event.PHOTO_SET_ASIDE)
        assert aside["name"] == "bad.jpg"
        assert os.strerror(code) in str(aside["reason"])
        assert stage.gate.is_open
        for _ in range(5):  # it is tried again, later and later, and said once
            stage.play_until(lambda: bool(stage.worker.given))
            stage.worker.render(next(iter(stage.worker.given)))
            stage.play()
        assert len(stage.said(Event.PHOTO_SET_ASIDE)) == 1
    stage.play_until(lambda: bool(stage.worker.given))
    stage.worker.render(next(iter(stage.worker.given)))
    stage.play()
    assert (stage.root / "outbox/bad.jpg.json").exists()
    assert len(stage.said(Event.PHOTO_DONE)) == 2


def test_a_folder_that_cannot_be_written_holds_up_its_own_photos_only(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(files, "probe_shared", _refuse_below("outbox/cam1"))
        _break(patch, names="outbox/cam1/", code=errno.EACCES)
        names = ("cam1/a.jpg", "cam2/b.jpg", "cam1/c.jpg")
        for job in [stage.claim(name) for name in names]:
            stage.worker.render(job.id)
        stage.play()
        assert [fields["name"] for fields in stage.said(Event.PHOTO_DONE)] == ["cam2/b.jpg"]
        assert len(stage.said(Event.FOLDER_HELD)) == 1
        assert stage.dispatcher.home.held() == {"cam1"}
        tries = 0
        for _ in range(40):
            stage.play(10)
            for job in list(stage.worker.given):
                stage.worker.render(job)
                tries += 1
        assert 3 <= tries <= 10  # one photo of it now and then
    stage.play_until(lambda: bool(stage.worker.given))
    while stage.worker.given:
        stage.worker.render(next(iter(stage.worker.given)))
        stage.play()
    assert len(stage.said(Event.PHOTO_DONE)) == 3
    assert stage.said(Event.FOLDER_RELEASED)
    assert not stage.dispatcher.home.held()


def test_a_try_that_says_nothing_of_the_folder_leaves_the_next_one_to_another(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(files, "probe_shared", _refuse_below("outbox/cam1"))
        _break(patch, names="outbox/cam1/", code=errno.EACCES)
        first, second = stage.claim("cam1/a.jpg"), stage.claim("cam1/b.jpg")
        for job in (first, second):
            stage.worker.render(job.id)
        stage.play()
    stage.play_until(lambda: first.id in stage.worker.given)
    stage.worker.render(first.id)
    for path in (stage.root / "outbox/.depthd").iterdir():
        path.unlink()
    stage.play()
    assert stage.said(Event.PHOTO_SET_ASIDE)
    assert second.id in stage.worker.given


def test_a_folder_is_held_until_a_try_is_over(stage: Stage) -> None:
    holds = Holds(stage.emit, lambda _: None)
    one, other = (Entry(Job(n, f"cam1/{n}", n, 0.0), State.CLAIMED, 0.0) for n in "ab")
    holds.add(one, "no room", 0.0)
    holds.turn(10.0)  # it has its try
    holds.over(other, worked=False)
    assert holds.folders() == {"cam1"}
    holds.over(one, worked=False)
    assert holds.folders() == set()


def test_nothing_is_due_while_nothing_can_be_written(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(files, "probe_shared", _refuse_below("outbox/cam1"))
        _break(patch, names="outbox/cam1/", code=errno.EACCES)
        stage.worker.render(stage.claim("cam1/a.jpg").id)
        stage.play()
    assert stage.said(Event.FOLDER_HELD)
    stage.gate.close("the disk is full", stage.clock.now)
    stage.play(100)
    assert stage.dispatcher.turn(stage.clock.now) > stage.clock.now  # else the loop never sleeps
    stage.gate.open()
    assert stage.dispatcher.turn(stage.clock.now) > stage.clock.now
    assert stage.filework.pending  # the held photo has its try


def test_a_file_in_the_place_of_the_outbox_is_no_fault_of_a_photo(stage: Stage) -> None:
    outbox = stage.root / "outbox"
    outbox.rename(stage.root / "aside")
    outbox.touch()
    job = stage.claim("cam1/a.jpg")
    assert not stage.gate.is_open
    outbox.unlink()
    (stage.root / "aside").rename(outbox)
    stage.gate.open()
    stage.play_until(lambda: job.id in stage.worker.given)
    assert not stage.said(Event.PHOTO_FAILED)


def test_a_file_in_the_place_of_a_folder_fails_its_photos_alone(stage: Stage) -> None:
    job = stage.claim("cam1/a.jpg")
    (stage.root / "outbox/cam1").touch()
    stage.worker.render(job.id)
    stage.play()
    (failed,) = stage.said(Event.PHOTO_FAILED)
    assert failed["code"] == FaultCode.NO_PLACE
    assert failed["detail"] == f"{stage.root}/outbox/cam1: Not a directory"
    assert (stage.root / "failed/cam1/a.jpg").exists()
    assert stage.gate.is_open
    assert not stage.said(Event.FOLDER_HELD)


def test_an_outbox_that_cannot_be_written_at_all_pauses(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_folder: int, _size: int) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    job = stage.claim("a.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(files, "probe", failing)
        _break(patch, names="outbox/", code=errno.EROFS)
        stage.worker.render(job.id)
        stage.play()
        assert "Read-only" in stage.gate.reason
        assert stage.dispatcher.room == 0
        patch.setattr(stage.parts.spool, "probe", lambda: None)
        with pytest.raises(OSError, match=f"^{stage.root}/outbox: Read-only file system$"):
            stage.parts.errands.probe(1)  # how it is looked for later
    stage.gate.open()
    stage.play()
    assert stage.said(Event.PHOTO_DONE)  # from the files that it had; nothing was done twice
    assert not stage.worker.given


def test_a_photo_without_room_for_its_results_waits_alone(stage: Stage) -> None:
    large, small = stage.claim("large.webp"), stage.claim("small.jpg")
    detail = "its results take 422.0 MB"
    stage.worker.say(Blocked(job=large.id, detail=detail))
    stage.worker.drop(large.id)
    stage.worker.render(small.id)
    stage.play()
    assert stage.gate.is_open
    assert stage.said(Event.PHOTO_DONE)
    assert detail in str(stage.said(Event.PHOTO_SET_ASIDE)[0]["reason"])


def test_a_folder_with_many_set_aside_is_not_claimed_from(stage: Stage) -> None:
    for number in range(40):
        job = stage.claim(f"bombs/{number}.webp")
        if job.id not in stage.worker.given:
            break
        stage.worker.say(Blocked(job=job.id, detail="no room"))
        stage.worker.drop(job.id)
        stage.play()
    assert (os.getuid(), "bombs") in stage.dispatcher.home.held()


def test_who_has_many_set_aside_keeps_nobody_else_waiting(stage: Stage) -> None:
    aside = stage.dispatcher.home.aside
    job = stage.claim("a.jpg")
    for owner in range(1, 6):  # however many do so together
        for number in range(999):
            photo = replace(job, owner=owner, name=f"{number // 20}/x.jpg")
            aside.add(Entry(photo, State.CLAIMED, 0.0), "no room", stage.clock.now)
            if owner in aside.held():
                break
    assert aside.held() == {1, 2, 3, 4, 5}
    assert not aside.is_full
    while aside.pop_due(stage.clock.now + 1e6):
        pass
    assert not aside.held()


def test_results_that_are_taken_away_are_made_anew(stage: Stage) -> None:
    job = stage.claim("a.jpg")
    stage.worker.render(job.id)
    for path in (stage.root / "outbox/.depthd").iterdir():
        path.unlink()
    stage.play()
    assert stage.said(Event.PHOTO_SET_ASIDE)
    stage.play(2)
    stage.worker.render(job.id)
    stage.play()
    assert (stage.root / "outbox/a.jpg.heatmap.png").read_bytes() == b"result"


def test_one_record_that_cannot_be_read_keeps_nobody_waiting(
    set_stage: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = set_stage()
    former.ready()
    bad, good = former.claim("bad.jpg"), former.claim("good.jpg")
    former.close()
    with monkeypatch.context() as patch:
        hide_record(patch, bad)
        later = set_stage()
        later.ready()
        assert list(later.worker.given) == [good.id]
        later.worker.render(good.id)
        later.play(30)
        (aside,) = later.said(Event.PHOTO_SET_ASIDE)
        assert "Input/output error" in str(aside["reason"])
    later.play(30)
    later.worker.render(bad.id)
    later.play()
    assert (later.root / "done/bad.jpg").exists()


def test_a_disk_that_is_full_only_when_files_are_closed_ends_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As network file systems are, which write late."""
    job = stage.claim("a.jpg")
    stage.worker.drop(job.id)
    before = len(os.listdir("/proc/self/fd"))
    close = os.close

    def full(handle: int) -> None:
        path = os.readlink(f"/proc/self/fd/{handle}")
        close(handle)
        if path.endswith((".npy", ".png")):
            raise OSError(errno.EDQUOT, "Disk quota exceeded")

    with monkeypatch.context() as patch:
        patch.setattr(os, "close", full)
        stage.worker.say(Blocked(job=job.id, detail="results cannot be written"))
        stage.play()
    assert len(os.listdir("/proc/self/fd")) == before - 3
    assert stage.dispatcher.home.table.get(job.id)
    stage.play(10)
    stage.worker.render(job.id)
    stage.play()
    assert stage.said(Event.PHOTO_DONE)


def test_a_photo_that_cannot_be_read_now_is_not_blamed_on_the_outbox(stage: Stage) -> None:
    job = stage.claim("a.jpg")
    detail = "the photo cannot be read: Stale file handle"
    stage.worker.say(Blocked(job=job.id, detail=detail, is_unread=True))
    stage.play()
    (aside,) = stage.said(Event.PHOTO_SET_ASIDE)
    assert aside["reason"] == f"{stage.root}/work: {detail}"


@pytest.mark.parametrize("comes", ["rendered", "refused", "killed"])
def test_a_photo_that_is_taken_away_from_work_is_over(stage: Stage, comes: str) -> None:
    job = stage.claim("a.jpg")
    shutil.rmtree(stage.root / "work" / job.id)
    if comes == "rendered":
        stage.worker.render(job.id)
    elif comes == "refused":
        stage.worker.say(Refused(job=job.id, code=FaultCode.UNSUPPORTED, detail=""))
    else:
        stage.worker.die()
    stage.play()
    stage.replace()
    assert not len(stage.dispatcher.home.table)
    assert not stage.said(Event.PHOTO_SET_ASIDE)
    assert len(stage.said(Event.PHOTO_DONE)) == (comes == "rendered")
    if comes == "killed":
        (failed,) = stage.said(Event.PHOTO_FAILED)
        assert failed["detail"] == "somebody has taken it away from work/"


def test_a_clock_that_was_set_back_is_right_for_the_next_photo(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 1e6)
    former = stage.claim("a.jpg")
    stage.worker.drop(former.id)
    monkeypatch.setattr(time, "time", real)
    job = stage.claim("b.jpg")
    assert job.stamp > former.stamp
    assert abs(job.claimed - real()) < 1000
    stage.worker.render(job.id)
    stage.play()
    (done,) = stage.said(Event.PHOTO_DONE)
    assert cast("int", done["total_ms"]) >= 0
