"""The settling rule, held against every interleaving of writes, looks, events and time."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from depthd.intake.candidate import Candidate
from depthd.intake.settle import SHORTEST_QUIET, Settling

PATIENCE = 60.0


def photo(name: str = "a.jpg", version: int = 1, size: int = 10, owner: int = 0) -> Candidate:
    return Candidate(name, size, version, 1, 1, owner)


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


def test_a_writer_that_was_done_before_the_name_came_needs_no_wait() -> None:
    settling = Settling(2.0, PATIENCE)
    assert settling.closed(photo(), 10.0, is_done=True)
    assert settling.take() == photo()
    assert not settling.closed(photo("empty.jpg", size=0), 10.0, is_done=True)


def rewrite(settling: Settling, until: float, sizes: tuple[int, ...], start: float = 10.0) -> float:
    """Close a name every second until it is whole; returns when it was."""
    now = start
    while now <= until:
        turn = int(now)
        if settling.closed(photo(version=turn, size=sizes[turn % len(sizes)]), now):
            return now
        now += 1.0
    return float("inf")


def test_a_name_that_is_rewritten_without_end_is_taken_at_a_close_at_last() -> None:
    settling = Settling(2.0, PATIENCE)
    assert rewrite(settling, 100.0, (10,)) == 20.0
    assert settling.take() == photo(version=20)
    assert rewrite(settling, 100.0, (10, 12, 9), start=21.0) == 31.0  # and the next one anew


def test_looks_in_between_do_not_begin_the_wait_anew() -> None:
    settling = Settling(2.0, PATIENCE)
    settling.closed(photo(version=1), 10.0)
    settling.closed(photo(version=2, size=0), 14.0)  # truncated: about to be rewritten
    settling.seen(photo(version=3), 17.0)
    assert settling.closed(photo(version=4), 20.0)


def test_a_file_that_only_grows_is_no_rewritten_one() -> None:
    """Whoever appends, and closes after each piece, would lose the rest."""
    settling = Settling(2.0, PATIENCE)
    for second in range(60):
        assert not settling.closed(photo(version=second, size=10 + second), 10.0 + second)


def test_a_rewritten_name_keeps_its_turn_and_shows_how_it_looks_now() -> None:
    settling = Settling(2.0, PATIENCE)
    rewrite(settling, 100.0, (10,))
    settling.closed(photo("later.jpg"), 20.5, is_done=True)
    assert settling.closed(photo(version=21), 21.0)
    assert settling.take() == photo(version=21)


def test_a_rewritten_name_that_was_put_back_is_whole_at_the_next_close() -> None:
    settling = Settling(2.0, PATIENCE)
    rewrite(settling, 100.0, (10,))
    taken = settling.take()
    assert taken is not None
    settling.put_back(taken, 20.5)  # it was being written just then
    assert settling.closed(photo(version=21), 21.0)


def test_memory_is_bounded_and_room_is_told_once() -> None:
    settling = Settling(0.0, PATIENCE, limit=8)
    for number in range(12):
        settling.closed(photo(f"cam/{number}.jpg"), 10.0)
    assert len(settling) == 4  # as much as is left for others
    assert settling.is_full
    assert settling.folders_with_room() == []
    settling.take()
    settling.take()
    assert settling.folders_with_room() == ["cam"]
    assert settling.folders_with_room() == []
    assert not settling.is_full


def test_a_folder_that_fills_the_memory_leaves_room_for_the_others() -> None:
    settling = Settling(0.0, PATIENCE, limit=1000)
    for number in range(5000):
        settling.closed(photo(f"flood/{number}.jpg"), 10.0)
    assert settling.closed(photo("cam/a.jpg", owner=7), 10.0)
    for number in range(5000):  # in folders of their own they are still one owner's
        settling.closed(photo(f"flood{number}/a.jpg"), 10.0)
    assert settling.closed(photo("cam2/a.jpg", owner=8), 10.0)
    assert len(settling) <= 1000


def test_long_names_count_for_what_they_weigh() -> None:
    settling = Settling(0.0, PATIENCE, limit=1000)
    for number in range(1000):
        settling.closed(photo(f"{'x' * 2000}{number}.jpg"), 10.0)
    assert 20 < len(settling) < 40
    settling.clear()
    for number in range(1000):
        settling.closed(photo(f"{number}.jpg"), 10.0)
    assert len(settling) == 500


def test_the_longest_waiting_comes_first() -> None:
    settling = Settling(0.0, PATIENCE)
    for number in range(5):
        settling.closed(photo(f"{number}.jpg"), 10.0 + number)
    taken = [settling.take() for _ in range(5)]
    assert [seen.name for seen in taken if seen] == [f"{n}.jpg" for n in range(5)]


# Every interleaving ---------------------------------------------------------------------------

NAMES = ["a", "b", "c"]
STEPS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(NAMES)),
    st.tuples(st.just("vanish"), st.sampled_from(NAMES)),
    st.tuples(st.just("close"), st.sampled_from(NAMES)),
    st.tuples(st.just("rename in"), st.sampled_from(NAMES)),
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
    first: dict[str, float] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)

    def look(self, name: str) -> Candidate:
        return photo(name, self.files[name])

    def write(self, name: str) -> None:
        self.versions += 1
        self.first.setdefault(name, self.now)
        self.files[name] = self.versions
        self.changed[name] = self.now
        self.closed[name] = False

    def vanish(self, name: str) -> None:
        self.files.pop(name, None)  # its first time stays: another of the name may come unseen

    def close(self, name: str) -> None:
        if name in self.files:
            self.closed[name] = True
            self.check(name, is_whole=self.settling.closed(self.look(name), self.now))

    def rename_in(self, name: str) -> None:
        """A writer that is done gives its file this name."""
        self.write(name)
        self.closed[name] = True
        seen = self.settling.closed(self.look(name), self.now, is_done=True)
        self.check(name, is_whole=seen, is_done=True)

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

    def check(self, name: str, *, is_whole: bool, is_done: bool = False) -> None:
        """Whole means: closed just now, or unchanged for at least the quiet time."""
        is_late = self.closed[name] and self.now - self.first[name] >= 5 * self.settle
        if is_whole and not is_done and not is_late:
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
                getattr(self, action.replace(" ", "_"))(what)


@given(steps=st.lists(STEPS, max_size=60), settle=st.sampled_from([0.0, 1.0, 2.0]))
@settings(max_examples=400)
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


def test_a_name_that_was_rewritten_without_end_is_not_hurried_for_ever() -> None:
    settling = Settling(2.0, 60.0)
    for version in range(13):
        settling.closed(Candidate("a.jpg", 10, version, 1, version, 0), float(version))
    assert settling.take() is not None
    settling.closed(Candidate("a.jpg", 10, 100, 1, 100, 0), 1000.0, is_done=True)
    assert not settling.closed(Candidate("a.jpg", 10, 101, 1, 101, 0), 1000.1)
    assert settling.take() is None
