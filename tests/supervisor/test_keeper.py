"""Workers that do not start, die, hang or must be exchanged: the service outlives them all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from stage import PlayedWorker, Stage

from depthd.channel.messages import Hello, ProtocolError, Started, Step, Unavailable
from depthd.config import Config
from depthd.contract.errors import DepthdError, ExitCode, UnavailableError
from depthd.contract.events import Event
from depthd.supervisor.backoff import Backoff

Set = Callable[..., Stage]


def unavailable(code: ExitCode = ExitCode.UNAVAILABLE) -> Unavailable:
    return Unavailable(message="no weights", hint="fetch them", exit_code=code)


@pytest.mark.parametrize(
    "code",
    [
        ExitCode.UNAVAILABLE,
        ExitCode.CANNOT_CREATE,
        ExitCode.TEMPORARY,
        ExitCode.CONFIGURATION,
    ],
)
def test_the_first_workers_own_exit_code_passes_through(set_stage: Set, code: ExitCode) -> None:
    stage = set_stage()
    stage.play()
    stage.worker.say(unavailable(code))
    with pytest.raises(DepthdError, match="no weights") as caught:
        stage.play()
    assert caught.value.exit_code == code


def test_workers_that_die_before_one_was_ready_end_the_service(set_stage: Set) -> None:
    stage = set_stage()
    stage.play()
    for _ in range(4):
        stage.worker.die()
        stage.play()
        stage.play(60)
    stage.worker.die()
    with pytest.raises(DepthdError, match="no worker became ready") as caught:
        stage.play()
    assert caught.value.exit_code == ExitCode.UNAVAILABLE
    assert len(stage.workers) == 5


def test_a_worker_that_served_may_die_as_often_as_it_likes(stage: Stage) -> None:
    for _ in range(50):
        stage.worker.die("SIGKILL")
        stage.play()
        stage.play(60)
        stage.worker.become_ready()
        stage.play()
    assert stage.keeper.ready is not None
    assert stage.keeper.restarts == 50
    assert 0 < stage.keeper.deaths(stage.clock.now) <= 50
    assert stage.keeper.deaths(stage.clock.now + 3600.0) == 0


def test_deaths_wait_longer_and_longer_and_are_forgotten(stage: Stage) -> None:
    waits = []
    for _ in range(9):
        stage.worker.die()
        stage.play()
        number = len(stage.workers)
        waits.append(stage.play_until(lambda number=number: len(stage.workers) > number))
        stage.worker.become_ready()
        stage.play()
    assert waits == sorted(waits)
    assert waits[0] <= 0.5
    assert 25 <= waits[-1] <= 31
    stage.play(61)
    stage.worker.die()
    stage.play()
    number = len(stage.workers)
    assert stage.play_until(lambda: len(stage.workers) > number) <= 0.5


def test_later_unavailable_is_tried_for_ever_with_the_reason_in_sight(stage: Stage) -> None:
    stage.worker.die()
    stage.play()
    for _ in range(30):
        stage.play(400)
        stage.worker.say(unavailable())
        stage.play()
        assert stage.keeper.trouble == "no weights"
    assert len(stage.said(Event.WORKER_UNAVAILABLE)) == 30
    stage.play(400)
    stage.worker.become_ready()
    stage.play()
    assert stage.keeper.trouble == ""
    job = stage.claim("a.jpg")
    assert job.id in stage.worker.given


def test_a_single_run_does_not_wait_for_ever_for_a_worker(set_stage: Set) -> None:
    stage = set_stage(once=True)
    stage.ready()
    stage.worker.die()
    stage.play()
    for _ in range(4):
        stage.play(400)
        stage.worker.say(unavailable())
        stage.play()
    stage.play(400)
    stage.worker.say(unavailable())
    with pytest.raises(UnavailableError, match="no weights"):
        stage.play()


def test_no_process_to_be_had_for_a_while(stage: Stage) -> None:
    stage.start_error = OSError(24, "Too many open files")
    stage.worker.die()
    stage.play()
    for _ in range(20):
        stage.play(60)
    assert "Too many open files" in stage.keeper.trouble
    stage.start_error = None
    stage.play(60)
    stage.worker.become_ready()
    stage.play()
    assert stage.keeper.ready is not None


def test_a_worker_that_never_becomes_ready_is_killed(stage: Stage) -> None:
    stage.worker.die()
    stage.play()
    stage.play(1)
    stuck = stage.worker
    stage.play(stage.config.worker.start_timeout)
    assert stuck.end is not None
    assert "not ready within" in stage.keeper.trouble


def test_nobody_waits_for_a_worker_that_cannot_die(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = stage.worker
    monkeypatch.setattr(PlayedWorker, "kill", lambda _self: None)  # it hangs in the kernel
    stage.keeper.kill("it hangs", [], stage.clock.now)
    stage.play()
    assert len(stage.workers) == 1  # it still has its memory
    stage.play(11)
    assert len(stage.workers) == 2
    assert stuck.end is None


def test_nonsense_is_a_death(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    job = stage.claim("a.jpg")

    def nonsense(_self: PlayedWorker) -> list[object]:
        raise ProtocolError("no message")

    with monkeypatch.context() as patch:
        patch.setattr(PlayedWorker, "hear", nonsense)
        stage.dispatcher.hear(stage.keeper.poll(stage.clock.now))
    stage.play()
    assert "nonsense" in str(stage.said(Event.WORKER_KILLED)[0]["reason"])
    assert stage.said(Event.PHOTO_RETRIED)[0]["job"] == job.id


def test_a_worker_of_another_version_is_told_apart(set_stage: Set) -> None:
    stage = set_stage()
    stage.keeper.turn(stage.clock.now)
    stage.worker.said = [Hello(version="0.0.1")]
    assert stage.keeper.poll(stage.clock.now).is_other_version


def test_messages_of_a_worker_that_is_gone_are_not_heard(stage: Stage) -> None:
    job = stage.claim("a.jpg")
    former = stage.worker
    stage.keeper.kill("it hangs", [], stage.clock.now)
    former.say(Started(job=job.id))
    assert stage.keeper.poll(stage.clock.now).messages == []


# exchange ------------------------------------------------------------------------------------


def test_new_settings_are_taken_up_when_their_worker_is_ready(stage: Stage) -> None:
    former = stage.worker
    job = stage.claim("a.jpg")
    stage.keeper.renew(Config(root=stage.root), stage.clock.now)
    stage.play()
    assert len(stage.workers) == 2
    assert former.given, "the old one serves meanwhile"
    stage.worker.become_ready()
    stage.play()
    assert not former.is_hung_up
    former.render(job.id)
    stage.play()
    assert former.is_hung_up
    later = stage.claim("b.jpg")
    assert later.id in stage.worker.given
    assert stage.said(Event.WORKER_EXCHANGED)


def test_settings_that_cannot_serve_leave_the_old_worker(stage: Stage) -> None:
    former = stage.worker
    stage.keeper.renew(Config(root=stage.root), stage.clock.now)
    stage.worker.say(unavailable())
    stage.play()
    (refused,) = stage.said(Event.RELOAD_REFUSED)
    assert refused["reason"] == "no weights"
    job = stage.claim("a.jpg")
    assert job.id in former.given


def test_a_worker_that_dies_before_it_takes_over_leaves_the_old_one(stage: Stage) -> None:
    former = stage.worker
    stage.keeper.renew(Config(root=stage.root), stage.clock.now)
    stage.crash(out_of_memory=True)
    (refused,) = stage.said(Event.RELOAD_REFUSED)
    assert "lack of memory" in str(refused["reason"])
    assert stage.keeper.worker is former
    assert stage.keeper.config is former.config
    assert len(stage.workers) == 2


def test_no_process_to_be_had_leaves_the_old_worker_without_trouble(stage: Stage) -> None:
    stage.start_error = OSError(12, "Cannot allocate memory")
    stage.keeper.renew(Config(root=stage.root), stage.clock.now)
    (refused,) = stage.said(Event.RELOAD_REFUSED)
    assert "Cannot allocate memory" in str(refused["reason"])
    assert stage.keeper.worker is stage.worker
    assert not stage.keeper.trouble


def test_settings_that_cannot_serve_leave_what_served_although_it_died_meanwhile(
    stage: Stage,
) -> None:
    bad = stage.config.model_copy(
        update={"worker": stage.config.worker.model_copy(update={"max_pixels": 1})}
    )
    stage.keeper.renew(bad, stage.clock.now)
    stage.workers[0].die()
    stage.play()
    stage.workers[1].say(unavailable())
    stage.play(1)
    assert stage.worker.config is stage.config
    stage.ready()
    assert stage.keeper.ready is not None
    assert len(stage.said(Event.WORKER_UNAVAILABLE)) == 0


@pytest.mark.parametrize("is_loading", [False, True])
@pytest.mark.parametrize("dies", [False, True])
def test_settings_that_cannot_serve_leave_the_former_ones_although_no_worker_served(
    stage: Stage, dies: bool, is_loading: bool
) -> None:
    stage.worker.die()
    stage.play()
    if is_loading:
        stage.play(1)
    assert len(stage.workers) == 1 + is_loading
    bad = stage.config.model_copy(update={"root": stage.root / "bad"})
    stage.keeper.renew(bad, stage.clock.now)
    stage.play()
    stage.play(1)
    assert stage.worker.config is bad
    if dies:
        stage.worker.die()
    else:
        stage.worker.say(unavailable())
    stage.play()
    (refused,) = stage.said(Event.RELOAD_REFUSED)
    assert str(refused["reason"]) in stage.keeper.trouble
    stage.play(1)
    assert stage.worker.config is stage.config
    stage.ready()
    assert not stage.keeper.trouble
    stage.crash()  # no trial any more: its death is one like any other
    assert len(stage.said(Event.RELOAD_REFUSED)) == 1


def test_settings_that_were_on_trial_are_kept_once_they_serve(stage: Stage) -> None:
    stage.worker.die()
    stage.play()
    good = stage.config.model_copy(update={"root": stage.root / "good"})
    stage.keeper.renew(good, stage.clock.now)
    stage.ready()
    stage.crash()
    assert stage.worker.config is good
    assert not stage.said(Event.RELOAD_REFUSED)


def test_another_worker_serves_without_the_trouble_of_the_last(stage: Stage) -> None:
    job = stage.claim("a.jpg")
    stage.keeper.renew(stage.config, stage.clock.now)
    stage.worker.become_ready()
    stage.play()
    assert stage.keeper.wants_exchange
    stage.workers[0].die()
    stage.play()
    assert job.id in stage.workers[1].given
    assert stage.keeper.trouble == ""


def test_nothing_is_loading_any_more_after_settings_that_cannot_serve(stage: Stage) -> None:
    stage.keeper.renew(stage.config, stage.clock.now)
    stage.worker.say(Step(text="loading the network"))
    stage.play()
    assert stage.keeper.step
    stage.worker.say(unavailable())
    stage.play()
    assert stage.keeper.step == ""


@pytest.mark.parametrize("failures", [1, 10, 10_000])
def test_backoff_is_bounded(failures: int) -> None:
    assert 0 < Backoff(0.25, 30.0).after(failures) <= 30.0
