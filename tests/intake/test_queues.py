"""Orders of the photos in a folder, held against a list that is sorted anew each time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthd.intake.candidate import Candidate
from depthd.intake.queues import ByTime, Order, queue


def photo(name: str, time: int) -> Candidate:
    return Candidate(name, 10, time, 1, 1, 0)


@given(
    st.sampled_from(["arrival", "oldest", "newest"]),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), max_size=60),
)
def test_the_first_one_is_as_the_order_says(order: Order, steps: list[tuple[int, int]]) -> None:
    """A step adds a name, or removes it if it is there; each is followed by a look."""
    real = queue(order)
    model: list[tuple[int, int, str]] = []  # time, number of the step, name
    for number, (name, time) in enumerate(steps):
        if str(name) in real:
            real.remove(str(name))
            model = [entry for entry in model if entry[2] != str(name)]
        else:
            real.add(photo(str(name), time))
            model.append((time, number, str(name)))
        assert len(real) == len(model)
        assert sorted(real) == sorted(entry[2] for entry in model)
        if model:
            by_order = {
                "arrival": min(model, key=lambda entry: entry[1]),
                "oldest": min(model),
                "newest": max(model),
            }
            assert real.first() == by_order[order][2]


@pytest.mark.parametrize("newest_first", [True, False])
def test_what_is_gone_takes_no_memory(newest_first: bool) -> None:
    """A folder in which photos come and go, and one is never reached."""
    waiting = ByTime(newest_first=newest_first)
    waiting.add(photo("first", 0 if not newest_first else 10**9))
    for number in range(1, 5000):
        waiting.add(photo(f"{number}", number))
        waiting.remove(f"{number}")
    assert len(waiting) == 1
    assert len(waiting._heap) < 100
