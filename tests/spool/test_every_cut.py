"""The process ends before each file operation, or the operation fails; nothing is lost."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from itertools import count

import pytest
from spool.world import LAYOUTS, Layout, World, has_other_disk

from depthd.spool import Job

NAME = "cam/a.jpg"


def _claimed(world: World) -> Job:
    world.drop(NAME)
    world.claim(NAME)
    [job] = world.active.values()
    return job


def _fail_it(world: World) -> None:
    """A photo of that name, failed and moved back: its reason is there still."""
    world.fail(_claimed(world))
    world.retry(NAME)


def _publish_it(world: World) -> None:
    job = _claimed(world)
    world.publish(job)
    world.finish(job, world.published[job.id][1])


def _claim(world: World) -> Callable[[], object]:
    world.drop(NAME)
    return lambda: world.claim(NAME)


def _publish(world: World) -> Callable[[], object]:
    job = _claimed(world)
    return lambda: world.publish(job)


def _finish(world: World) -> Callable[[], object]:
    job = _claimed(world)
    world.publish(job)
    return lambda: world.finish(job, world.published[job.id][1])


def _fail(world: World) -> Callable[[], object]:
    job = _claimed(world)
    return lambda: world.fail(job)


def _skip(world: World) -> Callable[[], object]:
    world.drop(NAME)
    world.claim(NAME, newer="cam/b.jpg")
    [job] = world.skipping.values()
    return lambda: world.skip(job)


def _skip_it(world: World) -> None:
    _skip(world)()


def _crash(world: World) -> Callable[[], object]:
    job = _claimed(world)
    return lambda: world.crash(job)


@pytest.mark.parametrize(
    ("before", "step"),
    [
        *((None, step) for step in (_claim, _publish, _finish, _fail, _skip, _crash)),
        (_publish_it, _publish),
        (_publish_it, _fail),
        (_publish_it, _skip),
        (_skip_it, _skip),
        (_fail_it, _finish),
        (_fail_it, _fail),
    ],
)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_cut_before_any_operation_loses_nothing(
    layout: Layout,
    before: Callable[[World], None] | None,
    step: Callable[[World], Callable[[], object]],
) -> None:
    if layout.elsewhere and not has_other_disk():
        pytest.skip("needs a second file system at /dev/shm")
    for steps in count():
        world = World(layout)
        try:
            if before:
                before(world)
            action = step(world)
            was_cut = world.attempt(steps, action)
            world.check()
            if was_cut:
                _cut_once_more(world, steps)
            world.come_to_rest()
        finally:
            world.close()
        if not was_cut:
            assert steps > 1
            break


def _cut_once_more(world: World, steps: int) -> None:
    """While a restart makes good what the first cut has left."""
    for job in [*world.condemned.values()]:
        world.attempt(steps // 2, lambda job=job: world.fail(job))  # type: ignore[misc]
    for job in [*world.skipping.values()]:
        world.attempt(steps // 2, lambda job=job: world.skip(job))  # type: ignore[misc]
    for job, target in [*world.published.values()]:
        world.attempt(steps // 2, lambda job=job, to=target: world.finish(job, to))  # type: ignore[misc]
    world.check()


@pytest.mark.parametrize("number", [errno.EIO, errno.EXDEV], ids=errno.errorcode.get)
@pytest.mark.parametrize("step", [_finish, _fail])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_way_home_that_failed_anywhere_is_gone_on_with(
    layout: Layout, step: Callable[[World], Callable[[], object]], number: int
) -> None:
    if layout.elsewhere and not has_other_disk():
        pytest.skip("needs a second file system at /dev/shm")
    for steps in count():
        world = World(layout)
        try:
            has_failed = world.stumble(steps, OSError(number, os.strerror(number)), step(world))
            world.check_rest()
        finally:
            world.close()
        if not has_failed:
            assert steps > 1
            break
