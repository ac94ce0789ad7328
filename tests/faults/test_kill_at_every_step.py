"""The daemon is killed at every system call that changes files, and started again.

Every sixth call on an ordinary disk and every thirtieth on unusual layouts; all of them with
TEST_FAULTS=calls.
"""

from __future__ import annotations

from collections import Counter

import pytest
from faults import scene, sweep
from faults.forkserver import Forks
from faults.sweep import LAYOUTS, Lanes, Layout, Point, Trials

_KILLED = -9
_CALLS = (*sweep.CHANGES, *sweep.WORDS)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_nothing_is_lost_doubled_or_left(layout: Layout, trials: Trials, lanes: Lanes) -> None:
    complaints: list[str] = []
    tried: Counter[str] = Counter()

    def kill(forks: Forks, point: Point) -> None:
        root = trials.set_out(layout, str(point))
        code = forks.run(trials.fault(point, root, f"signal=KILL:when={point.number}"))
        found = trials.complaints(layout, root, at_rest=False)
        if point.victim == "worker":  # the supervisor goes on by itself
            met = "worker.died" in (root / "log/depthd.jsonl").read_text()
            ended = code == 1
        else:
            met = code == _KILLED
            ended = code == 1 if not met else forks.run(trials.order(layout, root)) in (0, 1)
        if layout.closed and ended:
            found += scene.wrongly_aside(root, layout.closed)
            trials.mend(layout, root)
            ended = forks.run(trials.order(layout, root)) == 0
        if not ended:
            found.append(f"it ended with {code}")
        found += trials.complaints(layout, root, at_rest=True)
        complaints.extend(f"{point}: {complaint}" for complaint in found)
        tried[point.victim] += met
        if not found:
            trials.clear(layout, root)

    with lanes.one() as forks:
        trials.expect(forks, layout)
        counts = trials.count(forks, layout, _CALLS)
    stride = sweep.stride(layout, ordinary=6, unusual=30)
    points = sweep.points(layout, counts, sweep.VICTIMS, stride)
    lanes.each(points, kill)
    print(f"{layout.name}: {len(points)} kill points, every {stride}., met: {dict(tried)}")
    assert not complaints, "\n".join(complaints)
    # Of several threads, no more is sure than what one of them does.
    assert tried["supervisor"] * stride > (50 if layout.file_threads else 100)
    assert tried["worker"] * stride >= 10
    assert tried["both"] * stride >= 10
