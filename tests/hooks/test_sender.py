"""The queue on the disk and the thread that empties it, with receivers that are played."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from depthd.contract.events import Event
from depthd.hooks import sender as sender_module
from depthd.hooks.hooks import Hooks, NotQueued
from depthd.hooks.news import News, news
from depthd.hooks.queue import Queue
from depthd.hooks.sender import Patience, Sender, Trouble, Untaken

_DEADLINE = 30.0
QUICK = Patience(give_up=1e9, first=0.001, longest=0.002)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Played:
    """A receiver that refuses what it is told to refuse."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.refuses: Callable[[str], bool] = lambda _: False
        self.began = threading.Event()
        self.hangs = threading.Event()
        self.hangs.set()
        self.is_closed = False

    def tell(self, piece: News) -> None:
        assert json.loads(piece.body)["id"] == piece.id
        self.began.set()
        self.hangs.wait(_DEADLINE)
        self.told.append(piece.id)
        if self.refuses(piece.id):
            raise Untaken("not today")

    def stop(self) -> None:
        self.hangs.set()

    def close(self) -> None:
        self.is_closed = True


class Scene:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.receiver = Played()
        self.queue = Queue(folder)
        self.at_work: set[str] = set()
        self.said: list[tuple[Event, dict[str, Any]]] = []
        self.sender = self.make()

    def make(self, patience: Patience = QUICK) -> Sender:
        self.sender = Sender(
            "played", self.queue, self.receiver, patience, self.at_work.__contains__, self.emit
        )
        return self.sender

    def emit(self, event: Event, /, **fields: Any) -> None:
        self.said.append((event, fields))

    def put(self, job: str, photo: str = "") -> None:
        piece = news(job, "done", photo or f"{job}.jpg")
        self.queue.put(piece.id, piece.body)
        self.sender.wake()

    def waiting(self) -> list[str]:
        return self.queue.oldest(1000)[0]

    def wait_empty(self) -> None:
        wait_until(lambda: not self.waiting())

    def events(self) -> list[Event]:
        return [event for event, _ in self.said]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path / "queue")
    yield scene
    scene.sender.end()
    if scene.sender._thread.ident:  # it was started
        scene.sender.join(_DEADLINE)


def test_news_is_told_oldest_first_and_leaves_the_disk(scene: Scene) -> None:
    for job in ("3", "1", "2"):
        scene.put(job)
    scene.sender.start()
    scene.wait_empty()
    assert scene.receiver.told == ["1.done", "2.done", "3.done"]
    scene.put("4")
    scene.wait_empty()
    wait_until(lambda: scene.events().count(Event.HOOK_TAKEN) == 4)
    assert scene.receiver.told[-1] == "4.done"


def test_what_is_not_taken_is_told_again_and_holds_up_nobody(scene: Scene) -> None:
    scene.receiver.refuses = lambda name: name == "1.done" and scene.receiver.told.count(name) < 4
    scene.put("1")
    scene.put("2")
    scene.sender.start()
    scene.wait_empty()
    assert scene.receiver.told.index("2.done") == 1
    assert scene.receiver.told.count("1.done") == 4
    failed = [fields for event, fields in scene.said if event is Event.HOOK_FAILED]
    assert [fields["id"] for fields in failed] == ["1.done"] * 3
    assert failed[0]["reason"] == "not today"


def test_one_that_is_refused_holds_up_only_what_is_told_of_its_own_photo(scene: Scene) -> None:
    scene.make(Patience(give_up=1e9, first=1e6, longest=1e6))
    scene.receiver.refuses = lambda name: name == "1.done"
    scene.put("1")
    scene.sender.start()
    wait_until(lambda: Event.HOOK_FAILED in scene.events())
    scene.put("2", photo="1.jpg")
    scene.put("3")
    wait_until(lambda: scene.receiver.told == ["1.done", "3.done"])
    scene.put("4")
    wait_until(lambda: scene.waiting() == ["1.done", "2.done"])
    assert scene.receiver.told == ["1.done", "3.done", "4.done"]


def test_news_of_one_photo_is_told_in_its_order(scene: Scene) -> None:
    scene.receiver.refuses = lambda name: name == "1.done" and scene.receiver.told.count(name) < 3
    for job in ("1", "2", "3"):
        scene.put(job, photo="a.jpg")
    scene.sender.start()
    scene.wait_empty()
    assert scene.receiver.told == ["1.done", "1.done", "1.done", "2.done", "3.done"]


def test_a_receiver_that_takes_nothing_is_left_in_peace(scene: Scene) -> None:
    scene.make(Patience(give_up=1e9, first=1e6, longest=1e6))
    scene.receiver.refuses = lambda _: True
    for job in range(9):
        scene.put(f"{job}")
    scene.sender.start()
    wait_until(lambda: scene.events().count(Event.HOOK_FAILED) == 2)
    scene.put("9")
    wait_until(lambda: scene.sender._new.until > 0)
    assert scene.receiver.told == ["0.done", "1.done"]


def test_failures_are_counted_for_each(scene: Scene) -> None:
    scene.receiver.refuses = lambda name: scene.receiver.told.count(name) < 3
    for job in ("1", "2"):
        scene.put(job)
    scene.sender.start()
    scene.wait_empty()
    failed = [fields for event, fields in scene.said if event is Event.HOOK_FAILED]
    assert {(fields["id"], fields["failures"]) for fields in failed} == {
        (f"{job}.done", count) for job in "12" for count in (1, 2)
    }


@pytest.mark.parametrize("give_up", [1e9, 0.001])
def test_what_can_be_neither_read_nor_removed_holds_up_nobody(scene: Scene, give_up: float) -> None:
    scene.make(Patience(give_up=give_up, first=1e6, longest=1e6))
    (scene.folder / "1.done").mkdir()
    scene.put("2")
    scene.sender.start()
    wait_until(lambda: scene.receiver.told == ["2.done"])
    scene.put("3")
    wait_until(lambda: scene.receiver.told == ["2.done", "3.done"])


@pytest.mark.parametrize("was_tried", [True, False])
def test_what_is_too_old_is_dropped_whenever_its_turn_would_come(
    scene: Scene, was_tried: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "_LOOK_AGAIN", 0.01)
    scene.make(Patience(give_up=0.2 if was_tried else 60, first=1e6, longest=1e6))
    scene.receiver.refuses = lambda _: True
    scene.put("1")
    if not was_tried:  # and the receiver has been away for a long time
        scene.sender.trouble = Trouble(1.0, "away")
        scene.sender._troubled_since = time.monotonic() - 60
        os.utime(scene.folder / "1.done", (1, 1))
    scene.sender.start()
    scene.wait_empty()
    wait_until(lambda: Event.HOOK_GAVE_UP in scene.events())
    assert scene.receiver.told == ["1.done"] * was_tried


def test_what_nobody_took_for_too_long_is_dropped_after_a_last_try(scene: Scene) -> None:
    scene.make(Patience(give_up=3600, first=0.001, longest=0.002))
    scene.receiver.refuses = lambda _: True
    scene.put("1")
    os.utime(scene.folder / "1.done", (1, 1))
    scene.sender.start()
    scene.wait_empty()
    assert scene.receiver.told == ["1.done"]
    wait_until(lambda: bool(scene.said))
    assert scene.said == [
        (Event.HOOK_GAVE_UP, {"kind": "played", "id": "1.done", "reason": "not today"})
    ]


def test_the_oldest_go_when_too_many_wait(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "MOST", 3)
    for job in range(5):
        scene.put(f"{job}")
    scene.sender.start()
    scene.wait_empty()
    dropped = [fields["id"] for event, fields in scene.said if event is Event.HOOK_GAVE_UP]
    assert dropped == ["0.done", "1.done"]
    assert scene.receiver.told == ["2.done", "3.done", "4.done"]


def test_news_of_a_photo_that_is_not_home_yet_waits_for_it(scene: Scene) -> None:
    scene.at_work.add("1")
    scene.put("1")
    scene.put("2")
    scene.sender.start()
    wait_until(lambda: scene.receiver.told == ["2.done"])
    scene.at_work.clear()
    scene.sender.wake()
    scene.wait_empty()
    assert scene.receiver.told == ["2.done", "1.done"]


def test_what_was_not_told_is_told_by_the_next(scene: Scene) -> None:
    """The receiver hangs, and the service ends."""
    scene.receiver.hangs.clear()
    scene.receiver.refuses = lambda _: True
    scene.put("1")
    scene.sender.start()
    assert scene.receiver.began.wait(_DEADLINE)
    scene.sender.end()
    scene.sender.join(_DEADLINE)
    assert scene.waiting() == ["1.done"]
    scene.receiver.refuses = lambda _: False
    scene.make().start()
    scene.wait_empty()
    assert scene.receiver.told == ["1.done", "1.done"]


def test_at_the_end_of_a_single_run_what_waits_is_told(scene: Scene) -> None:
    scene.sender.start()
    for job in range(20):
        scene.put(f"{job:02d}")
    scene.sender.finish()
    scene.sender.join(_DEADLINE)
    assert scene.waiting() == []
    assert scene.receiver.is_closed


def test_a_receiver_is_let_go_of_when_others_are_told_from_now_on(scene: Scene) -> None:
    """A reload with other hooks: no connection of the former ones is left."""
    scene.sender.start()
    scene.put("1")
    scene.wait_empty()
    assert not scene.receiver.is_closed
    scene.sender.end()
    wait_until(lambda: scene.receiver.is_closed)


def test_those_who_come_in_its_place_wait_for_a_receiver_that_hangs(tmp_path: Path) -> None:
    """And nobody else does: not the service that reloads."""
    receivers = [Played(), Played()]
    receivers[0].stop = lambda: None  # type: ignore[method-assign]
    receivers[0].hangs.clear()
    said: list[Event] = []

    def make(receiver: Played, former: Hooks | None = None) -> Hooks:
        return Hooks(
            {"played": receiver},
            tmp_path,
            ["done"],
            QUICK,
            lambda _: False,
            lambda event, **_: said.append(event),
            former,
        )

    first = make(receivers[0])
    first.put(news("1", "done", "a.jpg"))
    first.over()
    assert receivers[0].began.wait(_DEADLINE)
    first.end()
    second = make(receivers[1], first)
    second.put(news("2", "done", "b.jpg"))
    second.over()
    assert not receivers[1].began.wait(0.05)
    receivers[0].hangs.set()
    wait_until(lambda: receivers[1].told == ["2.done"])
    assert receivers[0].told == ["1.done"]
    second.stop()


def test_what_is_none_of_ours_and_what_is_half_written_is_passed_over(scene: Scene) -> None:
    (scene.folder / "notes.txt").write_text("mine")
    (scene.folder / ".5.done").write_text("half")
    scene.put("1")
    scene.sender.start()
    scene.wait_empty()
    assert scene.receiver.told == ["1.done"]


def test_a_queue_that_was_removed_is_made_again(scene: Scene) -> None:
    scene.folder.rmdir()
    scene.put("1")
    assert scene.waiting() == ["1.done"]


def test_the_newest_do_not_need_memory(scene: Scene) -> None:
    for job in range(50):
        scene.put(f"{job:02d}")
    assert scene.queue.oldest(3) == (["00.done", "01.done", "02.done"], 50)


def test_news_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = Hooks(
        {"played": Played()}, tmp_path, ["done"], QUICK, lambda _: False, lambda *_, **__: None
    )
    assert hooks.wants("done")
    assert not hooks.wants("failed")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("depthd.system.files.write_durably", full)
    with pytest.raises(NotQueued, match="No space left on device in state/hooks/played"):
        hooks.put(news("1", "done", "a.jpg"))
    with pytest.raises(OSError, match="No space"):
        hooks.probe()
    hooks.stop()


def test_since_when_and_why_nothing_is_taken(scene: Scene) -> None:
    scene.receiver.refuses = lambda _: True
    scene.sender.start()
    assert scene.sender.trouble is None
    scene.put("1")
    wait_until(lambda: scene.events().count(Event.HOOK_FAILED) > 2)
    trouble = scene.sender.trouble
    assert trouble is not None
    assert trouble.reason == "not today"
    wait_until(lambda: scene.sender.trouble is not trouble)
    assert scene.sender.trouble.since == trouble.since
    scene.receiver.refuses = lambda _: False
    wait_until(lambda: scene.sender.trouble is None)


def _reasons(scene: Scene, *errors: Exception) -> list[Any]:
    """What is said of a receiver that raises these in turn, and then takes the news."""
    to_come = list(errors)

    def refuses(_: str) -> bool:
        if to_come:
            raise to_come.pop(0)
        return False

    scene.receiver.refuses = refuses
    scene.put("1")
    scene.sender.start()
    scene.wait_empty()
    return [fields["reason"] for event, fields in scene.said if event is Event.HOOK_FAILED]


def test_a_fault_of_the_receiver_loses_nothing(scene: Scene) -> None:
    """A secret that is no base64, for one: any error but its own."""
    failed = _reasons(scene, ValueError("no ASCII"), RuntimeError("no thread"))
    assert scene.receiver.told == ["1.done"] * 3
    assert failed == ["ValueError: no ASCII", "RuntimeError: no thread"]


def test_a_reason_is_kept_to_a_length(scene: Scene) -> None:
    failed = _reasons(scene, Untaken("x" * 65_000), RuntimeError("y" * 65_000))
    assert [len(reason) for reason in failed] == [600, 600]


def test_news_is_heard_of_after_somebody_has_emptied_the_queue(scene: Scene) -> None:
    """While the receiver is left in peace for a long time."""
    scene.sender._new.until = time.monotonic() + 0.05
    rounds = threading.Semaphore(0)
    look = scene.sender._round

    def counted() -> float | None:
        waits = look()
        rounds.release()
        return waits

    scene.sender._round = counted  # type: ignore[method-assign]
    scene.sender.start()
    assert rounds.acquire(timeout=_DEADLINE)
    scene.put("1")
    scene.wait_empty()
    assert scene.receiver.told == ["1.done"]


def test_too_many_go_while_the_receiver_is_left_in_peace(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "MOST", 3)
    monkeypatch.setattr(sender_module, "_TOGETHER", 2)
    scene.make(Patience(give_up=1e9, first=1e6, longest=1e6))
    for job in range(9):
        scene.put(f"{job}")
    scene.sender._new.until = time.monotonic() + 1e6
    scene.sender.start()
    wait_until(lambda: scene.waiting() == ["6.done", "7.done", "8.done"])
    assert scene.receiver.told == []


def test_one_that_was_given_up_does_not_let_later_news_of_its_photo_pass(scene: Scene) -> None:
    scene.make(Patience(give_up=3600, first=1e6, longest=1e6))
    scene.receiver.refuses = lambda name: name == "1.done"
    for job in ("1", "2", "3"):
        scene.put(job, photo="a.jpg")
    assert scene.sender._round() is not None
    scene.sender._give_up("1.done", "too old")
    scene.put("4", photo="a.jpg")
    scene.sender._round()
    assert scene.receiver.told == ["1.done"]
    for name, refused in list(scene.sender._refused.items()):
        scene.sender._refused.remember(name, replace(refused, due=0.0))
    scene.sender._round()
    assert scene.receiver.told == ["1.done", "2.done", "3.done", "4.done"]
    assert not scene.sender._refused._photos


def test_each_that_was_refused_has_its_turn(scene: Scene) -> None:
    """Also where two older ones are never taken, and nothing new comes."""
    scene.receiver.refuses = lambda name: name < "3" or scene.receiver.told.count(name) < 2
    for job in ("1", "2", "3"):
        scene.put(job)
    scene.sender.start()
    wait_until(lambda: scene.waiting() == ["1.done", "2.done"])


def test_news_of_a_photo_that_is_at_work_again_is_looked_at_now_and_then(scene: Scene) -> None:
    scene.receiver.refuses = lambda _: True
    scene.put("1")
    scene.sender._round()
    scene.at_work.add("1")
    for name, refused in list(scene.sender._refused.items()):
        scene.sender._refused.remember(name, replace(refused, due=0.0))
    assert scene.sender._round() == sender_module._LOOK_AGAIN


def test_a_clock_that_is_set_makes_no_news_older(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A box without a clock of its own gets the time with its network, as do its receivers."""
    jump = 0.0
    clock = SimpleNamespace(monotonic=time.monotonic, time=lambda: time.time() + jump)
    monkeypatch.setattr(sender_module, "time", clock)
    scene.make(Patience(give_up=86_400, first=0.001, longest=0.002))
    scene.receiver.refuses = lambda _: True
    scene.put("1")
    scene.put("2")
    scene.sender.start()
    wait_until(lambda: len(scene.receiver.told) > 4)
    jump = 3 * 86_400.0
    told = len(scene.receiver.told)
    wait_until(lambda: len(scene.receiver.told) > told + 4)
    scene.receiver.refuses = lambda _: False
    scene.wait_empty()
    wait_until(lambda: scene.events().count(Event.HOOK_TAKEN) == 2)
    assert Event.HOOK_GAVE_UP not in scene.events()
