"""Any order of drops, claims, publications, ends of the process and restarts loses nothing."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from spool.world import LAYOUTS, NEVER, Layout, World, has_other_disk

NAMES = ("a.jpg", "cam/a.jpg", "cam/b.jpg")
_steps = st.one_of(st.just(NEVER), st.integers(0, 40))


class SpoolMachine(RuleBasedStateMachine):
    @initialize(
        layout=st.sampled_from([la for la in LAYOUTS if not la.elsewhere or has_other_disk()])
    )
    def set_out(self, layout: Layout) -> None:
        self.world = World(layout)

    @rule(name=st.sampled_from(NAMES))
    def drop(self, name: str) -> None:
        self.world.drop(name)

    @rule(name=st.sampled_from(NAMES), newer=st.sampled_from(["", "", "b.jpg"]), steps=_steps)
    def claim(self, name: str, newer: str, steps: int) -> None:
        self.world.attempt(steps, lambda: self.world.claim(name, newer))

    @precondition(lambda self: self.world.skipping)
    @rule(data=st.data(), steps=_steps)
    def skip(self, data: st.DataObject, steps: int) -> None:
        job = self.world.skipping[data.draw(st.sampled_from(sorted(self.world.skipping)))]
        self.world.attempt(steps, lambda: self.world.skip(job))

    @precondition(lambda self: self.world.active)
    @rule(data=st.data(), steps=_steps)
    def publish(self, data: st.DataObject, steps: int) -> None:
        job = self.world.active[data.draw(st.sampled_from(sorted(self.world.active)))]
        self.world.attempt(steps, lambda: self.world.publish(job))

    @precondition(lambda self: self.world.published)
    @rule(data=st.data(), steps=_steps)
    def finish(self, data: st.DataObject, steps: int) -> None:
        published = self.world.published
        job, target = published[data.draw(st.sampled_from(sorted(published)))]
        self.world.attempt(steps, lambda: self.world.finish(job, target))

    @precondition(lambda self: self.world.active or self.world.condemned)
    @rule(data=st.data(), steps=_steps)
    def fail(self, data: st.DataObject, steps: int) -> None:
        jobs = {**self.world.active, **self.world.condemned}
        job = jobs[data.draw(st.sampled_from(sorted(jobs)))]
        self.world.attempt(steps, lambda: self.world.fail(job))

    @precondition(lambda self: self.world.active)
    @rule(data=st.data(), steps=_steps)
    def crash(self, data: st.DataObject, steps: int) -> None:
        job = self.world.active[data.draw(st.sampled_from(sorted(self.world.active)))]
        self.world.attempt(steps, lambda: self.world.crash(job))

    @rule(name=st.sampled_from(NAMES))
    def retry(self, name: str) -> None:
        self.world.retry(name)

    @rule()
    def restart(self) -> None:
        self.world.restart()

    @invariant()
    def nothing_is_lost(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        try:
            self.world.come_to_rest()
        finally:
            self.world.close()


SpoolMachine.TestCase.settings = settings(
    max_examples=int(os.environ.get("DEPTHD_TEST_ORDERS", "30")),
    stateful_step_count=40,
    suppress_health_check=list(HealthCheck),
)
TestAnyOrder = SpoolMachine.TestCase
