"""The daemon is killed at every system call that changes files, and everybody is told all the same.

The program is `tee`, which appends each piece of news to a file. Every fourth call; all with
TEST_FAULTS=calls.
"""

from __future__ import annotations

import json
from pathlib import Path

from faults import sweep
from faults.forkserver import Forks
from faults.sweep import PLAIN, Lanes, Point, Trials

_KILLED = -9


def _settings(root: Path) -> tuple[str, ...]:
    file = json.dumps(str(root.with_name(f"{root.name}.told")))
    return (f"hooks.command=[/usr/bin/tee, -a, {file}]",)


def _missing(root: Path) -> list[str]:
    """Photos that are done or failed, and nobody was told."""
    expected = {
        f"{json.loads(path.read_bytes())['job']}.done"
        for path in (root / "outbox").rglob("*.json")
        if ".depthd" not in path.parts
    } | {
        f"{json.loads(path.read_bytes())['job']}.failed"
        for path in (root / "failed").rglob("*.error.json")
        if ".depthd" not in path.parts
    }
    assert len(expected) == 4, expected
    file = root.with_name(f"{root.name}.told")
    told = file.read_bytes().splitlines() if file.exists() else []
    found = {json.loads(line)["id"]: json.loads(line) for line in told}
    for piece in found.values():
        assert piece["manifest"] or piece["reason"], piece
    waiting = [path.name for path in (root / "state/hooks/command").iterdir()]
    return [*(expected - found.keys()), *waiting]


def test_everybody_is_told_whenever_the_daemon_is_killed(trials: Trials, lanes: Lanes) -> None:
    complaints: list[str] = []
    met = 0

    def kill(forks: Forks, point: Point) -> None:
        nonlocal met
        root = trials.set_out(PLAIN, f"hooks-{point}")
        effect = f"signal=KILL:when={point.number}"
        code = forks.run(trials.fault(point, root, effect, settings=_settings(root)))
        if code == _KILLED:
            met += 1
            code = forks.run(trials.order(PLAIN, root, settings=_settings(root)))
        if code not in (0, 1):
            complaints.append(f"{point}: it ended with {code}")
        missing = _missing(root)
        complaints.extend(f"{point}: nobody was told of {name}" for name in missing)
        if not missing:
            trials.clear(PLAIN, root)

    with lanes.one() as forks:
        root = trials.set_out(PLAIN, "hooks-count")
        harmless = tuple(f"{call}:error=EIO:when=60000" for call in sweep.CHANGES)
        order = trials.order(PLAIN, root, settings=_settings(root))
        counts = sweep.count_of(forks, order, harmless, root)
    stride = 1 if sweep.EVERY_CALL else 4
    points = sweep.points(PLAIN, {"supervisor": counts}, ["supervisor"], stride)
    lanes.each(points, kill)
    print(f"hooks: {len(points)} kill points, met: {met}")
    assert not complaints, "\n".join(complaints)
    assert met * stride > 100
