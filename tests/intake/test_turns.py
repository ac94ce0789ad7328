"""Fair turns: nobody waits longer than one photo of each of the others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from depthd.intake.candidate import Beneath, Candidate
from depthd.intake.turns import Turns


def photo(name: str, owner: int = 0, version: int = 1) -> Candidate:
    return Candidate(name, 10, version, 1, 1, owner)


def filled(*photos: Candidate) -> Turns:
    turns = Turns()
    for seen in photos:
        turns.add(seen)
    return turns


def order(turns: Turns) -> list[str]:
    names = []
    while (seen := turns.take()) is not None:
        names.append(seen.name)
    return names


def test_in_one_folder_the_longest_waiting_comes_first() -> None:
    assert order(filled(*(photo(f"{n}.jpg") for n in (3, 1, 2)))) == ["3.jpg", "1.jpg", "2.jpg"]


def test_folders_take_turns() -> None:
    turns = filled(*(photo(f"a/{n}.jpg") for n in range(3)), photo("b/0.jpg"), photo("top.jpg"))
    assert order(turns) == ["a/0.jpg", "b/0.jpg", "top.jpg", "a/1.jpg", "a/2.jpg"]


def test_owners_take_turns_however_many_folders_one_has() -> None:
    turns = filled(*(photo(f"a{n}/x.jpg", 1) for n in range(100)), photo("b/x.jpg", 2))
    assert turns.take() == photo("a0/x.jpg", 1)
    assert turns.take() == photo("b/x.jpg", 2)


def test_sub_folders_share_the_turns_of_their_folder() -> None:
    turns = filled(*(photo(f"a/{n}/x.jpg") for n in range(3)), *(photo(f"b/{n}") for n in range(2)))
    assert order(turns) == ["a/0/x.jpg", "b/0", "a/1/x.jpg", "b/1", "a/2/x.jpg"]


def test_a_photo_that_is_seen_again_keeps_its_turn() -> None:
    turns = filled(photo("a.jpg"), photo("b.jpg"))
    turns.add(photo("a.jpg", version=2))
    assert turns.take() == photo("a.jpg", version=2)
    turns.add(photo("b.jpg", owner=5))  # somebody else's now
    assert turns.take() == photo("b.jpg", owner=5)
    assert turns.take() is None


def test_held_folders_are_passed_over_and_come_back() -> None:
    turns = filled(photo("a/1"), photo("a/sub/2"), photo("b/3"), photo("top"))
    turns.hold({"a"})
    assert turns.held == 1
    assert turns.held_names(9) == ["a/1"]
    turns.add(photo("a/4", owner=3))
    assert turns.held == 2
    assert sorted(order(turns)) == ["a/sub/2", "b/3", "top"]
    turns.hold(())
    assert turns.held == 0
    assert sorted(order(turns)) == ["a/1", "a/4"]


def test_the_inbox_itself_can_be_held_without_what_is_below() -> None:
    turns = filled(photo("a/1"), photo("top"))
    turns.hold(dict.fromkeys([""]).keys())
    assert order(turns) == ["a/1"]


def test_one_owner_can_be_held_in_a_folder_or_everywhere() -> None:
    turns = filled(photo("a/1"), photo("a/2", owner=3), photo("b/3", owner=3), photo("b/4"))
    turns.hold({(3, "a")})
    assert turns.held_names(9) == ["a/2"]
    turns.hold({3, "a"})
    turns.add(photo("c/5", owner=3))
    assert sorted(turns.held_names(9)) == ["a/1", "a/2", "b/3", "c/5"]
    assert turns.held == 4
    assert order(turns) == ["b/4"]
    turns.hold({(3, "a")})
    assert turns.held == 1
    assert sorted(order(turns)) == ["a/1", "b/3", "c/5"]
    turns.hold(())
    assert order(turns) == ["a/2"]


class Counting(dict):
    """How often a queue was asked for."""

    asked = 0

    def __getitem__(self, key: object) -> object:
        self.asked += 1
        return super().__getitem__(key)


def test_what_is_held_costs_the_others_no_step() -> None:
    def steps(held: int) -> int:
        turns = filled(*(photo(f"held{n}/x.jpg") for n in range(held)), photo("b/x"), photo("b/y"))
        turns.hold({f"held{n}" for n in range(held)})
        counting = turns._queues = Counting(turns._queues)
        assert order(turns) == ["b/x", "b/y"]
        return counting.asked

    assert steps(1000) == steps(0)


NAMES = [f"{top}{sub}{n}" for top in ("", "a/", "b/") for sub in ("", "s/") for n in "12"]
STEPS = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(NAMES), st.integers(0, 2)),
    st.tuples(st.just("remove"), st.sampled_from(NAMES), st.just(0)),
    st.tuples(st.just("take"), st.just(""), st.just(0)),
    st.tuples(st.just("hold"), st.sampled_from(["", "a", "a/s", "b"]), st.just(0)),
    st.tuples(st.just("release"), st.just(""), st.just(0)),
)


@given(st.lists(STEPS, max_size=80))
def test_nothing_is_lost_and_nothing_comes_twice(steps: list[tuple[str, str, int]]) -> None:
    turns, known, held = Turns(), dict[str, Candidate](), set[str]()
    for action, what, owner in steps:
        if action == "add":
            known[what] = photo(what, owner)
            turns.add(known[what])
        elif action == "remove":
            assert turns.remove(what) == known.pop(what, None)
        elif action == "take":
            seen = turns.take()
            free = {name for name in known if name.rpartition("/")[0] not in held}
            assert (seen is None) == (not free)
            if seen is not None:
                assert seen.name in free
                assert known.pop(seen.name) == seen
        else:
            held = held | {what} if action == "hold" else set()
            turns.hold(set(held))
        assert len(turns) == len(known)
        assert turns.held == sum(name.rpartition("/")[0] in held for name in known)
    turns.hold(())
    assert sorted(order(turns)) == sorted(known)
    assert (len(turns._queues), len(turns._owners), len(turns._rounds)) == (0, 0, 0)


def test_a_folder_is_held_with_all_below_it() -> None:
    turns = filled(photo("a/1"), photo("a/sub/2"), photo("ab/3"), photo("top"))
    turns.hold({Beneath("a")})
    assert turns.held == 2
    turns.add(photo("a/new/4"))
    assert turns.held == 3
    assert order(turns) == ["ab/3", "top"]
    turns.hold({Beneath("a/sub")})
    assert order(turns) == ["a/1", "a/new/4"]
    turns.hold({Beneath(""), "a/sub"})
    turns.add(photo("b/5"))
    assert turns.held == 2
    turns.hold(())
    assert sorted(order(turns)) == ["a/sub/2", "b/5"]
