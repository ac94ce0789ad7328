"""Every system call on files fails once or for a while; the running daemon gets over it.

On an ordinary disk every tenth call meets one of the errors, in turn, on unusual layouts every
sixtieth; with TEST_FAULTS=calls each call meets one, with TEST_FAULTS=all each of the former all.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from faults import scene, sweep
from faults.forkserver import Forks
from faults.sweep import DETERMINISTIC, PLAIN, Lanes, Layout, Point, Trials, Victim

ERRORS = ("ENOSPC", "EIO", "EACCES", "EROFS", "EDQUOT", "EXDEV", "EMFILE")
_SETTINGS = ("log.level=info", "intake.rescan_interval=1s")
_DEADLINE = 90.0
_CALLS = (*sweep.CHANGES, *sweep.WORDS, "openat")


def _is_at_rest(layout: Layout, root: Path) -> bool:
    """Whether everything is home that can come home."""
    if not (root / "work").exists() or any(names for _, _, names in os.walk(root / "inbox")):
        return False
    jobs = [name for name in os.listdir(root / "work") if not name.startswith(".")]
    return len(jobs) == len(scene.concerned(layout.closed))


def _run_until_done(forks: Forks, trials: Trials, point: Point, root: Path, effect: str) -> str:
    """Run until all photos are done, starting again what ended; returns what was wrong."""
    layout = point.layout
    pid = forks.start(trials.fault(point, root, effect, once=False, settings=_SETTINGS))
    deadline = time.monotonic() + _DEADLINE
    while True:
        if _is_at_rest(layout, root):
            if not layout.closed:
                break
            trials.mend(layout, root)
            layout = PLAIN
        if forks.has_ended():
            code = forks.wait()
            at_start = "EXDEV" in effect and code == 78  # work/ seems to be on another disk
            if code not in (73, 75) and not at_start:
                return f"it ended with {code}"
            pid = forks.start(trials.order(layout, root, once=False, settings=_SETTINGS))
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            forks.wait()
            return "it does not come to rest"
        select.select([], [], [], 0.05)
    os.kill(pid, signal.SIGTERM)
    code = forks.wait()
    return "" if code == 0 else f"it ended with {code} after all was done"


def _log(root: Path) -> list[dict[str, Any]]:
    path = root / "log/depthd.jsonl"
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("victim", ["supervisor", "worker"])
@pytest.mark.parametrize("layout", DETERMINISTIC, ids=lambda layout: layout.name)
def test_it_resumes_by_itself_and_loses_nothing(
    layout: Layout, victim: Victim, trials: Trials, lanes: Lanes
) -> None:
    complaints: list[str] = []
    tried: Counter[str] = Counter()
    paused: Counter[str] = Counter()

    def fail(forks: Forks, point: Point) -> None:
        errors = (
            ERRORS
            if sweep.EVERY_ERROR and layout is PLAIN
            else (ERRORS[point.number % len(ERRORS)],)
        )
        for error in errors:
            root = trials.set_out(layout, f"{point}-{error}")
            last = point.number + point.number % 3  # once, or for up to three calls
            effect = f"error={error}:when={point.number}..{last}"
            found = [_run_until_done(forks, trials, point, root, effect)]
            log = _log(root)
            failed = {
                f"{entry['name']} failed: {entry['code']}, {entry['detail']}"
                for entry in log
                if entry["event"] == "photo.failed" and entry["name"] != "bad.jpg"
            }
            if error == "EIO" and point.call == "openat":  # a disk that does not give it back
                failed = {reason for reason in failed if "unreadable, Input/output" not in reason}
                found += trials.complaints(layout, root, at_rest=False)
            else:
                found += trials.complaints(layout, root, at_rest=True)
            found += failed
            events = Counter(entry["event"] for entry in log)
            if events["service.paused"] > events["service.resumed"]:
                found.append("it paused and did not resume")
            wrong = [f"{point} {effect}: {complaint}" for complaint in found if complaint]
            print(*wrong, sep="\n", end="\n" * bool(wrong), flush=True)
            complaints.extend(wrong)
            tried[error] += 1
            paused[error] += events["service.paused"] > 0
            if not any(found):
                trials.clear(layout, root)

    with lanes.one() as forks:
        trials.expect(forks, layout)
        counts = trials.count(forks, layout, _CALLS)
    points = sweep.points(layout, counts, [victim], sweep.stride(layout, ordinary=10, unusual=60))
    print(f"{layout.name} {victim}: {len(points)} calls", flush=True)
    lanes.each(points, fail)
    print(f"{layout.name} {victim}: {tried.total()} errors: {dict(tried)}; paused: {dict(paused)}")
    assert not complaints, "\n".join(complaints)
