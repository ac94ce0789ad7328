"""The daemon is killed at every system call that changes files, and started again.

On file systems that lack something, every fourth call; all of them with DEPTHD_TEST_FAULTS=all.
"""

from __future__ import annotations

from collections import Counter

import pytest
from faults import sweep
from faults.forkserver import Forks
from faults.sweep import LAYOUTS, Layout, Point, Trials

_KILLED = -9


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_nothing_is_lost_doubled_or_left(layout: Layout, trials: Trials) -> None:
    complaints: list[str] = []
    tried: Counter[str] = Counter()

    def kill(forks: Forks, point: Point) -> bool:
        root = trials.set_out(layout, str(point))
        code = forks.run(trials.fault(point, root, f"signal=KILL:when={point.number}"))
        found = trials.complaints(layout, root, at_rest=False)
        if point.victim == "worker":  # the supervisor goes on by itself
            met = "worker.died" in (root / "log/depthd.jsonl").read_text()
            ended = code == 1
        else:
            met = code == _KILLED
            ended = code == 1 if not met else forks.run(trials.order(layout, root)) in (0, 1)
        if not ended:
            found.append(f"it ended with {code}")
        found += trials.complaints(layout, root, at_rest=True)
        complaints.extend(f"{point}: {complaint}" for complaint in found)
        tried[point.victim] += met
        if not found:
            trials.clear(root)
        return met

    with Forks() as forks:
        trials.expect(forks, [layout])
    stride = 1 if sweep.EVERYTHING or layout is LAYOUTS[0] else 4
    sweep.each(sweep.series(layout, sweep.VICTIMS, sweep.CHANGES, stride), kill)
    print(f"{layout.name}: {tried.total()} kill points, every {stride}.: {dict(tried)}")
    assert not complaints, "\n".join(complaints)
    assert tried["supervisor"] * stride > 50
    assert tried["worker"] * stride >= 25
    assert tried["both"] * stride >= 25
