"""The loop itself: reloads that serve on, another version, a second daemon. Workers are played."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from stage import PlayedWorker, drop, hide_record

from depthd.channel.messages import Hello, Refused
from depthd.config import Config
from depthd.contract.errors import (
    ConfigurationError,
    ExitCode,
    FaultCode,
    OutputError,
    TemporaryError,
)
from depthd.contract.names import SetName
from depthd.contract.status import Status, moment
from depthd.hooks.news import news
from depthd.hooks.queue import Queue
from depthd.intake import Candidate
from depthd.spool import Immovable, Job, Spool, Vanished
from depthd.spool.holds import HoldsFile
from depthd.supervisor import changes
from depthd.supervisor.loop import Service, run
from depthd.supervisor.parts import Parts
from depthd.supervisor.signals import Signals
from depthd.system import files

_DEADLINE = 10.0
_SHARED_MEMORY = Path("/dev/shm")


class Played:
    """A service whose workers are played, turned by hand."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.root = root
        self.settings: dict[str, Any] = {
            "root": root,
            "intake": {"settle": "0s"},
            "log": {"level": "info"},
            "disk": {"min_free": "0B"},
            **settings,
        }
        self.problem = ""
        self.workers: list[PlayedWorker] = []
        self.signals = Signals()
        self.service = Service(
            Parts.build(self.config()),
            self.reload,
            self.signals,
            once=False,
            start=self.start_worker,
            file_threads=0,
        )
        self.service._serving.intake.start()
        self.service._dispatcher.recovery.begin()
        self.turn_until(lambda: bool(self.workers))
        self.workers[-1].become_ready()
        self.turn_until(lambda: "service.ready" in self.events())

    def close(self) -> None:
        for worker in self.workers:
            worker.die()
        self.service.close()
        self.signals.close()

    def config(self) -> Config:
        return Config.model_validate(self.settings)

    def reload(self) -> Config:
        if self.problem:
            raise ConfigurationError(self.problem)
        return self.config()

    def start_worker(self, config: Config, _is_busy: bool) -> PlayedWorker:
        self.workers.append(PlayedWorker(config))
        return self.workers[-1]

    def hang_up(self, **settings: Any) -> None:
        """SIGHUP, with sections of the file changed."""
        self.settings |= settings
        self.signals.pending.append(signal.SIGHUP)
        self.service._heed_signals()

    def turn_until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _DEADLINE
        while not is_so():
            assert time.monotonic() < deadline, self.events()
            self.service.turn()
            self.service._selector.select(0.01)
            self.signals.drain()

    def drop(self, name: str) -> None:
        path = self.root / "inbox" / name
        path.with_name(f".{name}").write_bytes(b"photo")
        path.with_name(f".{name}").rename(path)

    def serve(self, name: str) -> None:
        """One photo through the worker that serves."""
        self.drop(name)
        self.turn_until(lambda: any(worker.given for worker in self.workers))
        for worker in self.workers:
            for job in list(worker.given):
                worker.render(job)
        self.turn_until(lambda: self.is_done(name))

    def is_done(self, name: str) -> bool:
        return any(entry["event"] == "photo.done" and entry["name"] == name for entry in self.log())

    def log(self) -> list[dict[str, Any]]:
        lines = (self.root / "log/depthd.jsonl").read_bytes().splitlines()
        return [json.loads(line) for line in lines]

    def events(self) -> list[str]:
        return [entry["event"] for entry in self.log()]

    def last(self, event: str) -> dict[str, Any]:
        return [entry for entry in self.log() if entry["event"] == event][-1]


@pytest.fixture
def played(tmp_path: Path) -> Iterator[Played]:
    played = Played(tmp_path)
    yield played
    played.close()


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    if (
        not os.access(_SHARED_MEMORY, os.W_OK)
        or _SHARED_MEMORY.stat().st_dev == tmp_path.stat().st_dev
    ):
        pytest.skip(f"needs a second file system at {_SHARED_MEMORY}")
    folder = Path(mkdtemp(prefix="depthd-test-", dir=_SHARED_MEMORY))
    yield folder
    shutil.rmtree(folder)


# the end of a single run ---------------------------------------------------------------------


def test_a_job_that_cannot_be_looked_at_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = Parts.build(Config(root=tmp_path))
    job = former.spool.claim(drop(tmp_path, "a.jpg"))
    former.spool.close()
    hide_record(monkeypatch, job)
    played = Played(tmp_path)
    played.service._once = True
    played.turn_until(lambda: played.service._result(time.monotonic()) is not None)
    result = played.service._result(time.monotonic())
    played.close()
    assert result is not None
    assert result.exit_code == ExitCode.FAILURE
    assert f"{job.id}: Input/output error" in result.words


def test_a_single_run_with_nothing_to_do_needs_no_room_on_the_disk(played: Played) -> None:
    played.hang_up(disk={"min_free": "900000GB"})
    played.turn_until(lambda: not played.service._gate.is_open)
    played.service._once = True
    result = played.service._result(time.monotonic())
    assert result is not None
    assert result.exit_code == ExitCode.OK
    played.drop("a.jpg")
    played.turn_until(lambda: played.service._serving.intake.backlog == 1)
    with pytest.raises(OutputError, match="results cannot be written"):
        played.service._result(time.monotonic())


# reload --------------------------------------------------------------------------------------


def test_folders_that_cannot_serve_leave_the_old_ones(played: Played, other_disk: Path) -> None:
    played.hang_up(paths={"work": other_disk / "work"})
    assert "another file system" in played.last("service.reload_refused")["reason"]
    played.serve("a.jpg")
    assert (played.root / "done/a.jpg").exists()
    assert len(played.workers) == 1


def test_a_file_that_is_wrong_leaves_the_old_settings(played: Played) -> None:
    played.problem = "1 problem in the configuration"
    played.hang_up()
    assert played.last("service.reload_refused")["reason"] == played.problem
    played.serve("a.jpg")


def test_a_refusal_may_quote_what_is_no_unicode(played: Played) -> None:
    played.problem = "\ud800: is not a known key"
    played.hang_up()
    assert "is not a known key" in played.last("service.reload_refused")["reason"]
    played.serve("a.jpg")


def test_a_reload_restarts_nothing_that_it_does_not_concern(played: Played) -> None:
    played.serve("a.jpg")
    played.hang_up(log={"level": "debug"}, worker={"timeout": "10s"})
    played.serve("b.jpg")
    assert played.last("service.reloaded")["changed"] == ["worker", "log"]
    assert len(played.workers) == 1
    assert played.service._dispatcher.home.totals.done == 2


def test_a_folders_new_policy_needs_no_new_worker(played: Played) -> None:
    played.hang_up(output={"formats": ["npy"]})
    played.drop("a.jpg")
    worker = played.workers[-1]
    played.turn_until(lambda: bool(worker.given))
    ((_, descriptors),) = worker.given.items()
    assert len(descriptors) == 2  # the photo and one file
    assert len(played.workers) == 1


def test_another_model_is_taken_up_when_it_is_ready(played: Played) -> None:
    played.hang_up(model={"name": "builtin"})
    played.turn_until(lambda: len(played.workers) == 2)
    played.serve("a.jpg")
    assert played.workers[0].is_hung_up is False
    played.workers[1].become_ready()
    played.turn_until(lambda: played.workers[0].is_hung_up)
    played.serve("b.jpg")
    assert played.service._dispatcher.home.totals.done == 2


def test_settings_whose_worker_died_are_tried_again_by_the_next_reload(played: Played) -> None:
    played.hang_up(model={"name": "builtin"})
    played.turn_until(lambda: len(played.workers) == 2)
    played.workers[1].die()
    played.turn_until(lambda: "service.reload_refused" in played.events())
    last = played.service._reloading.last
    assert last is not None
    assert last.refused.startswith("the worker that was to serve with it is gone")
    assert last.changed
    played.problem = "1 problem in the configuration"
    played.hang_up()
    last = played.service._reloading.last
    assert last is not None
    assert last.refused == played.problem
    played.problem = ""
    played.hang_up()
    played.turn_until(lambda: len(played.workers) == 3)
    assert played.workers[2].config.model.name == "builtin"
    last = played.service._reloading.last
    assert last is not None
    assert not last.refused


def test_a_worker_that_follows_at_once_is_heard(played: Played) -> None:
    played.workers[-1].die()
    played.turn_until(lambda: len(played.workers) == 2)
    played.hang_up(model={"name": "builtin"})  # before it is ready: it is not waited for
    played.turn_until(lambda: len(played.workers) == 3)
    played.service._watch_sources()
    played.workers[2].speak_up()
    heard = played.service._selector.select(10)
    assert {key.fd for key, _ in heard} & played.workers[2].sources()


def test_another_outbox_gets_the_photos_after_those_at_hand(played: Played, tmp_path: Path) -> None:
    played.drop("a.jpg")
    worker = played.workers[-1]
    played.turn_until(lambda: bool(worker.given))
    played.hang_up(paths={"outbox": tmp_path / "elsewhere"})
    played.drop("b.jpg")
    played.hang_up(log={"level": "debug"})  # meanwhile: heeded afterwards, not dropped
    for job in list(worker.given):
        worker.render(job)
    played.turn_until(lambda: played.is_done("a.jpg"))
    assert (tmp_path / "outbox/a.jpg.json").exists()
    played.turn_until(lambda: bool(worker.given))
    for job in list(worker.given):
        worker.render(job)
    played.turn_until(lambda: played.is_done("b.jpg"))
    assert (tmp_path / "elsewhere/b.jpg.json").exists()
    assert played.last("service.reloaded")["changed"] == ["log"]
    assert not [name for name in os.listdir(tmp_path / "work") if not name.startswith(".")]


def test_new_rights_are_taken_up_with_the_folders_that_are_there(played: Played) -> None:
    played.serve("a.jpg")
    former = played.service._serving.parts
    played.hang_up(output={"mode": "0600"})
    played.turn_until(lambda: played.service._serving.parts is not former)
    spare = played.service._serving.parts.spool._folders._spare
    assert all((played.root / "work" / folder).is_dir() for folder in spare)
    assert "photo.set_aside" not in played.events()
    played.serve("b.jpg")
    assert (played.root / "outbox/b.jpg.json").stat().st_mode & 0o777 == 0o600


def test_another_state_is_made_and_has_the_status_from_then_on(
    played: Played, tmp_path: Path
) -> None:
    state = tmp_path / "elsewhere/state"
    played.hang_up(paths={"state": state})
    played.turn_until((state / "status.json").exists)
    assert state.stat().st_mode & 0o777 == 0o750
    assert played.service._serving.weights._folder == state / "weights"
    last = Status.model_validate_json((played.root / "state/status.json").read_bytes())
    assert (last.state, last.why) == ("stopped", f"it goes on with {state}")
    assert last.reload is not None
    assert last.reload.changed[0].startswith("paths.state: empty -> ")
    (tmp_path / "file").touch()
    played.hang_up(paths={"state": tmp_path / "file/state"})
    assert "paths.state: cannot create" in played.last("service.reload_refused")["reason"]


def test_folders_inside_each_other_in_fact_are_refused(played: Played, tmp_path: Path) -> None:
    (tmp_path / "door").symlink_to(tmp_path / "inbox")
    played.hang_up(paths={"outbox": tmp_path / "door/results"})
    assert "inbox" in played.last("service.reload_refused")["reason"]
    played.serve("a.jpg")


def test_weights_that_were_replaced_are_taken_up(played: Played) -> None:
    (played.root / "weights").write_bytes(b"better ones")
    played.hang_up()
    played.turn_until(lambda: len(played.workers) == 2)


def test_a_service_that_stops_takes_up_nothing_more(played: Played, tmp_path: Path) -> None:
    played.drop("a.jpg")
    worker = played.workers[-1]
    played.turn_until(lambda: bool(worker.given))
    played.hang_up(paths={"outbox": tmp_path / "elsewhere"})
    played.hang_up(model={"name": "builtin"})  # heeded once the folders are exchanged
    played.signals.pending.append(signal.SIGTERM)
    played.service._heed_signals()
    for job in list(worker.given):
        worker.render(job)
    played.turn_until(lambda: played.is_done("a.jpg"))
    played.turn_until(lambda: played.service._result(time.monotonic()) is not None)
    assert len(played.workers) == 1
    assert played.events().count("service.reloaded") == 1


def test_photos_that_wait_for_a_worker_come_home_before_another_work_is_used(
    played: Played, tmp_path: Path
) -> None:
    played.drop("a.jpg")
    played.turn_until(lambda: bool(played.workers[-1].given))
    played.workers[-1].die()
    played.turn_until(lambda: "photo.retried" in played.events())
    played.hang_up(paths={"work": tmp_path / "other"})
    played.turn_until(lambda: len(played.workers) == 2)
    played.workers[-1].become_ready()
    played.turn_until(lambda: bool(played.workers[-1].given))
    for job in list(played.workers[-1].given):
        played.workers[-1].render(job)
    played.turn_until(lambda: played.is_done("a.jpg"))
    played.serve("b.jpg")


# held by an operator -------------------------------------------------------------------------


def test_what_is_held_stays_held_in_another_state(played: Played, tmp_path: Path) -> None:
    state = tmp_path / "elsewhere"
    HoldsFile(tmp_path / "state").change(lambda _: {"cam": 1.0})
    played.turn_until(lambda: "inbox.held" in played.events())
    state.mkdir()
    (state / "holds.json").write_bytes(b"{")
    played.hang_up(paths={"state": state})
    assert "holds.json is damaged" in played.last("service.reload_refused")["reason"]
    (state / "holds.json").unlink()
    played.hang_up(paths={"state": state})
    assert played.service._serving.held.since == HoldsFile(state).read() == {"cam": 1.0}
    assert not HoldsFile(tmp_path / "state").read()  # it would be held again by a way back
    HoldsFile(state).change(lambda _: {})
    played.turn_until(lambda: "inbox.released" in played.events())


def test_a_reload_that_is_refused_leaves_no_holds_behind(played: Played, tmp_path: Path) -> None:
    state = tmp_path / "elsewhere"
    HoldsFile(tmp_path / "state").change(lambda _: {"cam": 1.0})
    played.turn_until(lambda: "inbox.held" in played.events())
    (tmp_path / "door").symlink_to(tmp_path / "inbox")
    played.hang_up(paths={"state": state, "outbox": tmp_path / "door/results"})
    assert "inbox" in played.last("service.reload_refused")["reason"]
    HoldsFile(tmp_path / "state").change(lambda _: {})
    played.turn_until(lambda: "inbox.released" in played.events())
    played.hang_up(paths={"state": state})
    played.turn_until((state / "status.json").exists)
    assert not played.service._serving.held.since


def test_what_is_held_is_not_taken_and_what_is_at_work_is_finished(played: Played) -> None:
    holds = HoldsFile(played.root / "state")
    played.drop("a.jpg")
    worker = played.workers[-1]
    played.turn_until(lambda: bool(worker.given))
    holds.change(lambda _: {"": 1.0})
    played.turn_until(lambda: "inbox.held" in played.events())
    assert played.last("inbox.held")["folder"] == "."
    played.drop("b.jpg")
    for job in list(worker.given):
        worker.render(job)
    played.turn_until(lambda: played.is_done("a.jpg"))
    played.turn_until(lambda: played.service._serving.intake.backlog == 1)
    for _ in range(50):
        played.service.turn()
    assert (played.root / "inbox/b.jpg").exists()
    status = json.loads((played.root / "state/status.json").read_bytes())
    assert list(status["held_by_operator"]) == ["."]
    holds.change(lambda _: {})
    played.turn_until(lambda: bool(worker.given))
    assert "inbox.released" in played.events()


def test_holds_that_make_no_sense_change_nothing(played: Played) -> None:
    HoldsFile(played.root / "state").change(lambda _: {"cam": 1.0})
    played.turn_until(lambda: "inbox.held" in played.events())
    (played.root / "state/holds.json").write_text("{")
    played.turn_until(lambda: "inbox.holds_unclear" in played.events())
    assert "inbox.released" not in played.events()
    assert list(played.service._serving.held.since) == ["cam"]


# versions, ownership -------------------------------------------------------------------------


def _meet_another_version(played: Played) -> None:
    played.workers[-1].die()
    played.turn_until(lambda: len(played.workers) == 2)
    played.workers[-1].said = [Hello(version="99")]


def test_a_worker_of_another_version_makes_the_service_begin_anew(
    played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "__init__.py"
    package.write_text('__version__ = "99"\n')
    monkeypatch.setattr(played.service._installation, "_file", package)
    told: list[str] = []
    monkeypatch.setattr(played.service._notifier, "tell", lambda **words: told.extend(words))
    _meet_another_version(played)
    played.turn_until(lambda: "service.upgraded" in played.events())
    assert "RELOADING" in told
    assert "STOPPING" not in told  # a manager kills what says so and does not end
    played.turn_until(lambda: played.service._result(time.monotonic()) is not None)
    result = played.service._result(time.monotonic())
    assert result is not None
    assert result.begin_anew
    assert result.exit_code == ExitCode.OK


def test_beginning_anew_as_the_same_version_would_be_a_circle(played: Played) -> None:
    _meet_another_version(played)
    played.turn_until(lambda: not played.workers[-1].said)
    played.service.turn()
    assert "service.upgraded" not in played.events()


def test_the_first_signal_while_it_begins_anew_still_lets_photos_come_home(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    played.drop("a.jpg")
    played.turn_until(lambda: bool(played.workers[-1].given))
    played.service._upgrade(time.monotonic())
    told: list[str] = []
    monkeypatch.setattr(played.service._notifier, "tell", lambda **words: told.extend(words))
    played.signals.pending.append(signal.SIGTERM)
    played.service._heed_signals()
    assert told == ["STOPPING"]
    assert played.service._result(time.monotonic()) is None
    for job in list(played.workers[-1].given):
        played.workers[-1].render(job)
    played.turn_until(lambda: played.is_done("a.jpg"))
    result = played.service._result(time.monotonic())
    assert result is not None
    assert not result.begin_anew


def test_another_version_on_the_disk_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "__init__.py"
    package.write_text('__version__ = "0.1.0"\n')
    monkeypatch.setattr(changes.depthd, "__file__", str(package))
    monkeypatch.setattr(changes.depthd, "__version__", "0.1.0")
    installation = changes.Installation()
    assert not installation.has_changed()
    package.write_text('__version__ = "0.1.0"\n# touched\n')
    assert not installation.has_changed()
    package.write_text('__version__ = "0.2.0"\n')
    assert installation.has_changed()


def test_a_second_daemon_on_one_work_folder_may_try_again_later(played: Played) -> None:
    with pytest.raises(TemporaryError, match="another depthd works") as caught:
        Parts.build(played.config())
    assert caught.value.exit_code == ExitCode.TEMPORARY


# status --------------------------------------------------------------------------------------


def test_the_status_has_the_age_of_what_waits_the_disk_and_the_inbox(played: Played) -> None:
    service = played.service
    played.drop("a.jpg")
    played.turn_until(lambda: bool(played.workers[-1].given))
    assert service._serving.intake.oldest is None

    played.workers[-1].die()
    played.turn_until(lambda: len(played.workers) == 2)  # nobody is ready: what comes now waits
    played.drop("b.jpg")
    came = (played.root / "inbox/b.jpg").stat().st_ctime
    played.turn_until(lambda: service._serving.intake.oldest is not None)
    service._next_tick = service._next_oldest = 0.0
    played.turn_until(
        lambda: service._disk.room is not None and service._oldest_waiting is not None
    )
    service._write_status()
    status = Status.model_validate_json((played.root / "state/status.json").read_bytes())
    assert status.queue.oldest_waiting == moment(came)
    assert status.worker.deaths == 1
    assert status.disk is not None
    assert status.disk.free > 0

    (played.root / "inbox").rename(played.root / "elsewhere")
    service._serving.intake._attachment.next_check = 0.0
    played.turn_until(lambda: "inbox.lost" in played.events())
    service._write_status()
    status = Status.model_validate_json((played.root / "state/status.json").read_bytes())
    assert status.inbox == "No such file or directory"
    (played.root / "elsewhere").rename(played.root / "inbox")
    service._serving.intake._attachment.next_check = 0.0
    played.turn_until(lambda: "inbox.found" in played.events())
    assert service._serving.intake.trouble == ""


def test_a_time_that_no_calendar_has_ends_nothing(played: Played) -> None:
    """A share says of a photo what its server likes."""
    HoldsFile(played.root / "state").change(lambda _: {"": 1.0})
    played.turn_until(lambda: "inbox.held" in played.events())
    played.drop("a.jpg")
    played.turn_until(lambda: played.service._serving.intake.backlog == 1)
    for since in (9e11, -9e11):
        played.service._oldest_waiting = since
        assert played.service._write_status().queue.oldest_waiting


def test_what_waits_for_another_time_stands_in_the_status(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = files.link_noreplace

    def failing(source: str, target: str, source_dir: int, target_dir: int) -> None:
        if target.startswith(SetName.of("bad.jpg").base):
            raise OSError(5, "Input/output error")
        link(source, target, source_dir, target_dir)

    monkeypatch.setattr(files, "link_noreplace", failing)
    played.drop("bad.jpg")
    worker = played.workers[-1]
    played.turn_until(lambda: bool(worker.given))
    worker.render(next(iter(worker.given)))
    played.turn_until(lambda: "photo.set_aside" in played.events())
    played.service._write_status()
    status = json.loads((played.root / "state/status.json").read_bytes())
    assert status["state"] == "running"
    assert status["queue"]["aside"] == 1
    assert status["aside"][0]["name"] == "bad.jpg"
    assert "Input/output error" in status["aside"][0]["reason"]


# only the latest -----------------------------------------------------------------------------


def drop_at(played: Played, name: str, time: int) -> None:
    """A photo with a time of its own, in a folder that is looked at by scans too."""
    path = played.root / "inbox" / name
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(f".{path.name}")
    partial.write_bytes(name.encode())
    os.utime(partial, (time, time))
    partial.rename(path)


def let_wait_for_latest(played: Played, count: int) -> None:
    """So many photos of a folder that wants only its latest one, all known before any is taken."""
    HoldsFile(played.root / "state").change(lambda _: {"": 1.0})
    played.turn_until(lambda: "inbox.held" in played.events())
    played.hang_up(folders={"cam": {"policy": "latest"}})
    for number in range(count):
        drop_at(played, f"cam/{number}.jpg", 1000 + number)
    # Whole as well: what came before its folder was watched needs a second look.
    played.turn_until(lambda: played.service._serving.intake._settling.held == count)
    HoldsFile(played.root / "state").change(lambda _: {})


def test_of_a_backlog_only_the_latest_is_worked_on(played: Played) -> None:
    let_wait_for_latest(played, 40)
    worker = played.workers[-1]
    played.turn_until(lambda: bool(worker.given))
    played.turn_until(lambda: played.events().count("photo.skipped") == 39)
    drop_at(played, "cam/later.jpg", 2000)
    played.turn_until(lambda: played.service._serving.intake.backlog == 1)
    assert list(played.last("photo.skipped")["newer"]) == list("cam/39.jpg")
    assert len(worker.given) == 1  # the next one waits until the latest is home
    for name in ("cam/39.jpg", "cam/later.jpg"):
        played.turn_until(lambda: bool(worker.given))
        for job in list(worker.given):
            worker.render(job)
        played.turn_until(lambda name=name: played.is_done(name))  # type: ignore[misc]
    done = os.listdir(played.root / "done/cam")
    assert len([name for name in done if name.endswith(".jpg")]) == 41
    assert len([name for name in done if name.endswith(".skipped.json")]) == 39
    results = sorted(path.name for path in (played.root / "outbox/cam").glob("*.json"))
    assert results == ["39.jpg.json", "later.jpg.json"]
    played.service._write_status()
    status = json.loads((played.root / "state/status.json").read_bytes())
    assert (status["done"], status["failed"], status["skipped"]) == (2, 0, 39)


def test_a_single_run_waits_for_the_worker_to_take_the_next_latest(played: Played) -> None:
    let_wait_for_latest(played, 1)
    former = played.workers[-1]
    played.turn_until(lambda: bool(former.given))
    drop_at(played, "cam/later.jpg", 2000)
    played.turn_until(lambda: played.service._serving.intake.backlog == 1)
    played.service._once = True
    for job in list(former.given):
        former.render(job)
    former.die()
    played.turn_until(lambda: played.is_done("cam/0.jpg"))
    assert played.service._result(time.monotonic()) is None
    played.turn_until(lambda: len(played.workers) == 2)
    played.workers[-1].become_ready()
    played.turn_until(lambda: bool(played.workers[-1].given))


@pytest.mark.parametrize("error", [Immovable("not yours"), OSError(5, "EIO"), Vanished("2.jpg")])
def test_where_the_latest_cannot_be_taken_the_next_is_worked_on(
    played: Played, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    claim = Spool.claim

    def refuse(spool: Spool, candidate: Candidate, config: Config | None = None) -> Job:
        if candidate.name == "cam/2.jpg":
            raise error
        return claim(spool, candidate, config)

    monkeypatch.setattr(Spool, "claim", refuse)
    let_wait_for_latest(played, 3)
    played.turn_until(lambda: "photo.skipped" in played.events())
    assert (played.last("photo.skipped")["name"], played.last("photo.skipped")["newer"]) == (
        "cam/0.jpg",
        "cam/1.jpg",
    )
    assert (played.root / "inbox/cam/2.jpg").exists()


def test_a_photo_that_was_to_be_skipped_is_so_after_a_restart(tmp_path: Path) -> None:
    former = Parts.build(Config(root=tmp_path))
    former.spool.claim(replace(drop(tmp_path, "cam/a.jpg"), newer="cam/b.jpg"))
    former.spool.close()
    played = Played(tmp_path)
    played.turn_until(lambda: "photo.skipped" in played.events())
    played.close()
    assert (tmp_path / "done/cam/a.jpg.skipped.json").exists()
    assert not list((tmp_path / "outbox").glob("**/*.json"))


def test_where_done_cannot_be_written_the_skipped_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = Parts.build(Config(root=tmp_path))
    former.spool.claim(replace(drop(tmp_path, "a.jpg"), newer="b.jpg"))
    former.spool.close()
    write = files.write_durably

    def failing(name: str, *rest: Any, **keywords: Any) -> None:
        if name.endswith(".skipped.json"):
            raise OSError(5, "Input/output error")
        write(name, *rest, **keywords)

    monkeypatch.setattr(files, "write_durably", failing)
    played = Played(tmp_path)
    played.turn_until(lambda: "photo.set_aside" in played.events())
    assert not (tmp_path / "done/a.jpg").exists()
    monkeypatch.undo()
    played.turn_until(lambda: "photo.skipped" in played.events())
    played.close()
    assert (tmp_path / "done/a.jpg").exists()


# hooks ---------------------------------------------------------------------------------------


def told(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().splitlines()] if file.exists() else []


def test_hooks_are_told_of_what_is_done_and_failed(played: Played, tmp_path: Path) -> None:
    file = tmp_path / "told"
    played.serve("before.jpg")
    played.hang_up(hooks={"command": ["/usr/bin/tee", "-a", str(file)]})
    played.serve("a.jpg")
    played.turn_until(lambda: len(told(file)) == 1)
    played.drop("b.jpg")
    worker = played.workers[-1]
    played.turn_until(lambda: bool(worker.given))
    [job] = worker.given
    worker.drop(job)
    worker.say(Refused(job=job, code=FaultCode.UNSUPPORTED, detail="a film"))
    played.turn_until(lambda: len(told(file)) == 2)
    done, failed = told(file)
    manifest = json.loads((played.root / "outbox/a.jpg.json").read_bytes())
    assert (done["event"], done["name"], done["result"]) == ("done", "a.jpg", "a.jpg")
    assert done["manifest"] == manifest
    assert done["id"] == f"{manifest['job']}.done"
    assert (failed["event"], failed["name"], failed["manifest"]) == ("failed", "b.jpg", None)
    assert (failed["reason"]["code"], failed["reason"]["detail"]) == ("unsupported", "a film")
    queue = played.root / "state/hooks/command"
    played.turn_until(lambda: not os.listdir(queue))
    played.hang_up(hooks={})
    played.serve("after.jpg")
    assert len(told(file)) == 2
    assert not os.listdir(queue)


def test_news_waits_for_its_photo_in_the_folders_that_serve_now(
    played: Played, tmp_path: Path
) -> None:
    file, former = tmp_path / "told", played.service._serving.parts
    played.hang_up(hooks={"command": ["/usr/bin/tee", "-a", str(file)]})
    played.hang_up(paths={"work": tmp_path / "other"})
    played.turn_until(lambda: played.service._serving.parts is not former)
    at_work = tmp_path / "other/0-at-work/original"
    at_work.parent.mkdir()
    at_work.touch()
    piece = news("0-at-work", "done", "first.jpg")
    Queue(tmp_path / "state/hooks/command").put(piece.id, piece.body)
    played.serve("a.jpg")
    played.turn_until(lambda: bool(told(file)))
    assert [each["name"] for each in told(file)] == ["a.jpg"]
    at_work.unlink()
    played.turn_until(lambda: len(told(file)) == 2)


def test_news_of_which_nobody_is_told_any_more_is_said(played: Played, tmp_path: Path) -> None:
    played.hang_up(hooks={"command": ["/nowhere/tell"]})
    played.serve("a.jpg")
    played.hang_up(hooks={})
    queue = str(tmp_path / "state/hooks/command")
    assert (played.last("hook.left")["folder"], played.last("hook.left")["waiting"]) == (queue, 1)
    played.hang_up(hooks={"command": ["/nowhere/tell"]})
    assert played.events().count("hook.left") == 1
    played.hang_up(paths={"state": tmp_path / "elsewhere"})
    assert played.events().count("hook.left") == 2
    assert (played.last("hook.left")["folder"], played.last("hook.left")["waiting"]) == (queue, 1)


def test_what_is_said_at_the_start_is_counted(tmp_path: Path) -> None:
    Queue(tmp_path / "state/hooks/command").put("1.done", b"{}")
    file = tmp_path / "depthd.prom"
    played = Played(tmp_path, metrics={"textfile": file})
    played.close()
    warnings = [entry["event"] for entry in played.log() if entry["level"] == "warning"]
    assert "hook.left" in warnings
    assert f'depthd_events_total{{level="warning"}} {len(warnings):.1f}' in file.read_text()


def test_without_hooks_there_is_no_queue(played: Played) -> None:
    played.serve("a.jpg")
    assert not (played.root / "state/hooks").exists()


def test_news_is_on_the_disk_before_the_photo_is_over_and_outlasts_the_service(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    played.hang_up(hooks={"command": ["/nowhere/tell"]})
    queue = played.root / "state/hooks/command"
    seen: list[list[str]] = []
    finish = Spool.finish

    def finishing(spool: Spool, job: Job, target: SetName) -> str:
        seen.append(os.listdir(queue))
        return finish(spool, job, target)

    monkeypatch.setattr(Spool, "finish", finishing)
    played.serve("a.jpg")
    [[waiting]] = seen
    assert waiting.endswith(".done")
    played.turn_until(lambda: "hook.failed" in played.events())
    assert os.listdir(queue) == [waiting]


def test_where_queues_cannot_be_made_the_words_say_so(played: Played) -> None:
    (played.root / "state/hooks").mkdir()
    (played.root / "state/hooks/webhook").touch()
    settings = {"webhook": "http://127.0.0.1:9/"}
    played.hang_up(hooks=settings)
    assert "hooks.webhook" in played.last("service.reload_refused")["reason"]
    with pytest.raises(OutputError, match=r"news for hooks.webhook cannot be kept: .*File exists"):
        run(played.config(), reload=played.config)


def test_where_news_cannot_be_kept_photos_wait(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    played.hang_up(hooks={"command": ["/bin/true"]})
    is_full = True
    write = files.write_durably

    def writing(name: str, *rest: Any, **keywords: Any) -> None:
        if is_full and name.endswith(".done"):
            raise OSError(28, "No space left on device")
        write(name, *rest, **keywords)

    monkeypatch.setattr(files, "write_durably", writing)
    played.drop("a.jpg")
    worker = played.workers[-1]
    played.turn_until(lambda: bool(worker.given))
    worker.render(next(iter(worker.given)))
    played.turn_until(lambda: "service.paused" in played.events())
    assert (
        "No space left on device in state/hooks/command" in played.last("service.paused")["reason"]
    )
    assert not (played.root / "done/a.jpg").exists()
    is_full = False
    played.turn_until(lambda: played.is_done("a.jpg"))
