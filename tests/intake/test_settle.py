"""The settling rule, held against every interleaving of writes, looks, events and time."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from depthd.intake.settle import SHORTEST_QUIET, Candidate, Settling

PATIENCE = 60.0


def photo(name: str = "a.jpg", version: int = 1, size: int = 10) -> Candidate:
    return Candidate(name, size, version, 1, 1)


def test_an_event_settles_after_exactly_the_quiet_time() -> None:
    settling = Settling(2.0, PATIENCE)
    assert not settling.closed(photo(), 10.0)
    assert settling.next_due() == 12.0
    assert settling.due(11.9, 9) == []
    assert settling.due(12.0, 9) == ["a.jpg"]
    assert settling.seen(photo(), 12.0)
    assert settling.take() == photo()
    assert settling.take() is None


def test_without_quiet_time_an_event_is_enough() -> None:
    settling = Settling(0.0, PATIENCE)
    assert settling.closed(photo(), 10.0)
    assert settling.take() == photo()


def test_without_quiet_time_a_look_is_not_enough() -> None:
    settling = Settling(0.0, PATIENCE)
    assert not settling.seen(photo(), 10.0)
    assert not settling.seen(photo(), 10.0)
    assert settling.next_due() == 10.0 + SHORTEST_QUIET


def test_an_empty_file_is_waited_for_even_after_an_event() -> None:
    settling = Settling(0.0, PATIENCE)
    assert not settling.closed(photo(size=0), 10.0)
    assert settling.due(10.0 + SHORTEST_QUIET, 9) == ["a.jpg"]


def test_a_change_after_the_event_starts_anew() -> None:
    settling = Settling(2.0, PATIENCE)
    settling.closed(photo(version=1), 10.0)
    assert not settling.seen(photo(version=2), 12.0)
    assert settling.due(13.9, 9) == []
    assert settling.seen(photo(version=2), 14.0)


def test_a_whole_file_that_changes_is_whole_no_longer() -> None:
    settling = Settling(0.0, PATIENCE)
    settling.closed(photo(version=1), 10.0)
    assert not settling.seen(photo(version=2), 11.0)
    assert settling.take() is None


def test_what_only_a_periodic_scan_finds_needs_patience() -> None:
    settling = Settling(2.0, PATIENCE)
    settling.seen(photo(), 10.0, by_scan=True)
    assert not settling.seen(photo(), 69.9, by_scan=True)
    assert settling.due(69.9, 9) == []
    assert settling.next_due() == 70.0
    assert settling.seen(photo(), 70.0)


def test_a_doubt_about_the_events_brings_the_look_forward() -> None:
    settling = Settling(2.0, PATIENCE)
    settling.seen(photo(), 10.0, by_scan=True)
    assert not settling.seen(photo(), 11.0)
    assert settling.due(13.0, 9) == ["a.jpg"]


def test_shares_want_looks_further_apart() -> None:
    settling = Settling(2.0, PATIENCE)
    settling.trust_looks_after(5.0)
    settling.seen(photo(), 10.0)
    assert settling.due(14.9, 9) == []
    assert settling.due(15.0, 9) == ["a.jpg"]


def test_memory_is_bounded_and_room_is_told_once() -> None:
    settling = Settling(0.0, PATIENCE, limit=4)
    for number in range(6):
        settling.closed(photo(f"{number}.jpg"), 10.0)
    assert len(settling) == 4
    assert settling.is_full
    assert not settling.regains_room()
    settling.take()
    settling.take()
    assert settling.regains_room()
    assert not settling.regains_room()


def test_the_longest_waiting_comes_first() -> None:
    settling = Settling(0.0, PATIENCE)
    for number in range(5):
        settling.closed(photo(f"{number}.jpg"), 10.0 + number)
    settling.closed(photo("0.jpg", version=2), 20.0)
    taken = [settling.take() for _ in range(5)]
    assert [seen.name for seen in taken if seen] == [f"{n}.jpg" for n in (1, 2, 3, 4, 0)]


# Every interleaving ---------------------------------------------------------------------------

NAMES = ["a", "b", "c"]
STEPS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(NAMES)),
    st.tuples(st.just("vanish"), st.sampled_from(NAMES)),
    st.tuples(st.just("close"), st.sampled_from(NAMES)),
    st.tuples(st.just("scan"), st.sampled_from(["by time", "asked for"])),
    st.tuples(st.just("look"), st.just("")),
    st.tuples(st.just("take"), st.just("")),
    st.tuples(st.just("wait"), st.sampled_from(["0.3", "0.7", "1.0", "5"])),
)


@dataclass
class World:
    """Files that really change, and the machine that only sees them now and then."""

    settle: float
    settling: Settling
    now: float = 100.0
    versions: int = 0
    files: dict[str, int] = field(default_factory=dict)
    changed: dict[str, float] = field(default_factory=dict)
    closed: dict[str, bool] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)

    def look(self, name: str) -> Candidate:
        return photo(name, self.files[name])

    def write(self, name: str) -> None:
        self.versions += 1
        self.files[name] = self.versions
        self.changed[name] = self.now
        self.closed[name] = False

    def vanish(self, name: str) -> None:
        self.files.pop(name, None)

    def close(self, name: str) -> None:
        if name in self.files:
            self.closed[name] = True
            self.check(name, is_whole=self.settling.closed(self.look(name), self.now))

    def scan(self, why: str) -> None:
        for name in self.files:
            by_scan = why == "by time"
            seen = self.settling.seen(self.look(name), self.now, by_scan=by_scan)
            self.check(name, is_whole=seen)

    def look_again(self) -> None:
        for name in self.settling.due(self.now, 10):
            if name in self.files:
                self.check(name, is_whole=self.settling.seen(self.look(name), self.now))
            else:
                self.settling.gone(name)

    def check(self, name: str, *, is_whole: bool) -> None:
        """Whole means: closed just now, or unchanged for at least the quiet time."""
        if is_whole and not (self.settle == 0 and self.closed[name]):
            assert self.now - self.changed[name] >= self.settle

    def take(self) -> None:
        while (taken := self.settling.take()) is not None:
            if self.files.get(taken.name) != taken.mtime_ns:
                continue  # the look before the claim shows it; it is found again
            self.taken.append(taken.name)
            del self.files[taken.name]

    def step(self, action: str, what: str) -> None:
        match action:
            case "wait":
                self.now += float(what)
            case "look":
                self.look_again()
            case "take":
                self.take()
            case "scan":
                self.scan(what)
            case _:
                getattr(self, action)(what)


@given(steps=st.lists(STEPS, max_size=60), settle=st.sampled_from([0.0, 1.0, 2.0]))
@settings(max_examples=400, deadline=None)
def test_never_while_changing_always_at_last_and_once(
    steps: list[tuple[str, str]], settle: float
) -> None:
    world = World(settle, Settling(settle, patience=3.0))
    for action, what in steps:
        world.step(action, what)
        assert len(world.settling) <= len(NAMES)
    left = sorted(world.files)
    world.taken.clear()
    for _ in range(4):  # nothing changes any more: a few periodic scans and their looks
        world.scan("by time")
        world.now += 3.0
        world.look_again()
        world.take()
    assert sorted(world.taken) == left
    world.now += 100
    world.look_again()
    world.take()
    assert len(world.settling) == 0
