"""Fair turns: nobody waits longer than one photo of each of the others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from depthd.config import Config
from depthd.intake.candidate import Beneath, Busy, Candidate
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
    assert not turns._queues
    assert not turns._owners
    assert not any(turns._rounds)


def test_a_folder_is_held_with_all_below_it() -> None:
    turns = filled(photo("a/1"), photo("a/sub/2"), photo("ab/3"), photo("top"))
    turns.hold({Beneath("a")})
    assert turns.held == 2
    turns.add(photo("a/new/4"))
    assert turns.held == 3
    assert order(turns) == ["ab/3", "top"]
    turns.hold({Beneath("a/sub")})
    assert sorted(order(turns)) == ["a/1", "a/new/4"]
    turns.hold({Beneath(""), "a/sub"})
    turns.add(photo("b/5"))
    assert turns.held == 2
    turns.hold(())
    assert sorted(order(turns)) == ["a/sub/2", "b/5"]


# rules of folders ----------------------------------------------------------------------------


def ruled(**folders: dict[str, str]) -> Turns:
    return Turns(Config.model_validate({"folders": folders}).rules)


def test_a_folder_has_its_own_order_whoever_comes_first() -> None:
    turns = ruled(new={"order": "newest"}, old={"order": "oldest"})
    for folder in ("new", "old", "other"):
        for name, time in (("b", 2), ("c", 3), ("a", 1)):
            turns.add(photo(f"{folder}/{name}", version=time))
    found = order(turns)
    by_folder = {
        top: [n[-1] for n in found if n.startswith(top)] for top in ("new", "old", "other")
    }
    assert by_folder == {"new": ["c", "b", "a"], "old": ["a", "b", "c"], "other": ["b", "c", "a"]}
    assert found[:3] == ["new/c", "old/a", "other/b"]  # and turns are as fair as ever


def test_folders_with_priority_come_first_and_nobody_starves() -> None:
    turns = ruled(door={"priority": "first"}, attic={"priority": "last"})
    for number in range(200):
        for folder in ("attic", "hall", "door"):
            turns.add(photo(f"{folder}/{number}"))
    taken = [seen.folder for seen in (turns.take() for _ in range(128)) if seen]
    assert taken[:7] == ["door"] * 7
    assert taken.count("door") == 112
    assert taken.count("hall") == 14
    assert taken.count("attic") == 2
    assert len(turns) == 600 - 128


def test_without_photos_of_priority_the_others_have_all_turns() -> None:
    turns = ruled(door={"priority": "first"}, attic={"priority": "last"})
    for number in range(20):
        turns.add(photo(f"attic/{number}"))
    assert order(turns) == [f"attic/{number}" for number in range(20)]


def test_a_held_folder_of_priority_holds_up_nobody() -> None:
    turns = ruled(door={"priority": "first"})
    turns.add(photo("door/1"))
    turns.add(photo("hall/2"))
    turns.hold({"door"})
    assert order(turns) == ["hall/2"]
    turns.hold(())
    assert order(turns) == ["door/1"]


def skipped(turns: Turns, count: int = 100) -> list[tuple[str, str]]:
    return [(seen.name, seen.newer) for seen in turns.take_skipped(count)]


def test_of_a_folder_that_wants_the_latest_only_that_is_worked_on() -> None:
    turns = ruled(cam={"policy": "latest"})
    for number in range(5):
        turns.add(photo(f"cam/{number}", version=number))
    turns.add(photo("other/x"))
    assert skipped(turns) == []
    assert order(turns) == ["cam/4", "other/x"]
    assert len(turns) == 4
    turns.add(photo("cam/5", version=5))
    assert skipped(turns, 3) == [("cam/0", "cam/4"), ("cam/1", "cam/4"), ("cam/2", "cam/4")]
    assert order(turns) == ["cam/5"]
    assert skipped(turns) == [("cam/3", "cam/4")]
    assert len(turns) == turns.held == 0


def test_where_the_latest_cannot_be_taken_the_next_is() -> None:
    turns = ruled(cam={"policy": "latest"})
    for number in range(3):
        turns.add(photo(f"cam/{number}", version=number))
    latest = turns.take()
    assert latest is not None
    assert turns.take() is None
    turns.not_taken(latest)
    assert turns.held == 0
    assert skipped(turns) == []
    assert turns.take() == photo("cam/1", version=1)
    assert skipped(turns) == [("cam/0", "cam/1")]
    assert len(turns) == 0


def test_an_older_photo_that_comes_alone_is_worked_on() -> None:
    """A camera's clock may have been set back."""
    turns = ruled(cam={"policy": "latest"})
    turns.add(photo("cam/new", version=9))
    assert order(turns) == ["cam/new"]
    turns.add(photo("cam/old", version=1))
    assert order(turns) == ["cam/old"]
    assert skipped(turns) == []


def test_a_name_that_is_to_be_skipped_and_written_anew_is_another_photo() -> None:
    turns = ruled(cam={"policy": "latest"})
    turns.add(photo("cam/a", version=1))
    turns.add(photo("cam/b", version=2))
    assert [seen.name for seen in [turns.take()] if seen] == ["cam/b"]
    turns.add(photo("cam/a", version=1))  # seen again, as it was
    assert len(turns) == 1
    assert turns.take() is None
    turns.add(photo("cam/a", version=3))
    assert order(turns) == ["cam/a"]
    assert skipped(turns) == []


def test_while_the_latest_is_at_work_the_next_waits_and_others_are_skipped() -> None:
    turns = ruled(cam={"policy": "latest"})
    for number in range(3):
        turns.add(photo(f"cam/{number}", version=number))
    turns.take()
    turns.hold({Busy((0, "cam"))})
    turns.add(photo("cam/3", version=3))
    assert turns.take() is None
    assert turns.held == 1
    assert skipped(turns, 1) == [("cam/0", "cam/2")]
    turns.hold({Beneath("cam")})
    assert turns.held == 2
    assert sorted(turns.held_names(9)) == ["cam/1", "cam/3"]
    assert skipped(turns) == []
    turns.hold(())
    assert turns.held == 0
    assert order(turns) == ["cam/3"]
    assert skipped(turns) == [("cam/1", "cam/2")]


def test_a_photo_that_is_replaced_counts_by_its_new_time() -> None:
    config = Config.model_validate(
        {"folders": {"latest": {"policy": "latest"}, "oldest": {"order": "oldest"}}}
    )
    for folder, first in (("latest", "latest/a.jpg"), ("oldest", "oldest/b.jpg")):
        turns = Turns(config.rules)
        turns.add(photo(f"{folder}/a.jpg", version=1))
        turns.add(photo(f"{folder}/b.jpg", version=2))
        turns.add(photo(f"{folder}/a.jpg", version=3))
        assert len(turns) == 2
        taken = turns.take()
        assert taken is not None
        assert taken.name == first
    skipped = turns.take_skipped(5)
    assert not skipped
