"""What `depthd check` looks at, cheap things first. Each check leaves nothing behind."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress

from depthd.cli.check_engine import check_engine
from depthd.cli.check_folders import check_folders, nearest
from depthd.cli.finding import Finding
from depthd.config import Config
from depthd.contract.errors import DepthdError
from depthd.hooks.hooks import asked_for, left_behind
from depthd.intake.probe import probe
from depthd.model.weights import find_weights
from depthd.system.cage import offered

_EVENT_DEADLINE = 2.0


def check(config: Config) -> Iterator[Finding]:
    """Everything that a start needs."""
    yield from check_folders(config)
    yield _disk(config)
    yield _events(config)
    yield from _told(config)
    yield _weights(config)
    yield _cage()
    yield from check_engine(config)


def _disk(config: Config) -> Finding:
    place = os.statvfs(nearest(config.folder("outbox")))
    free, wanted = place.f_bavail * place.f_frsize, config.disk.min_free
    detail = f"{free / 1e9:.1f} GB free for results, disk.min_free is {wanted / 1e9:.1f} GB"
    return Finding("disk", "ok" if free >= wanted else "FAILED", detail)


def _events(config: Config) -> Finding:
    """Does the kernel report a file that is written to the inbox?"""
    inbox, choice = config.folder("inbox"), config.intake.watch
    if choice == "polling":
        return Finding("events", "ok", f"not used: polling every {config.intake.poll_interval:g} s")
    if not os.path.isdir(inbox):
        return Finding("events", "ok", "not tried, the inbox is not there yet")
    problem = probe(inbox, _EVENT_DEADLINE)
    if not problem:
        return Finding("events", "ok", "the inbox reports new files by itself")
    if choice == "native":
        return Finding("events", "FAILED", f"{problem}; set intake.watch: auto")
    polling = f"polling every {config.intake.poll_interval:g} s instead"
    return Finding("events", "warning", f"{problem}; {polling}")


def _cage() -> Finding:
    """Can the worker be shut in once it has loaded its model? See system/cage.py."""
    cage = offered()
    return Finding("cage", "warning" if cage.lacking else "ok", f"the worker will be {cage}")


def _told(config: Config) -> Iterator[Finding]:
    """Who is told of photos and figures; the service runs without, so these are warnings."""
    if config.hooks.command:
        program = config.hooks.command[0]
        found = shutil.which(program) is not None
        detail = program if found else f"{program} is no program that this user can run"
        yield Finding("hook", "ok" if found else "warning", detail)
    with suppress(OSError):  # what is wrong with state/ was said above
        for folder, count in left_behind(config.folder("state"), asked_for(config)).items():
            words = f"news waits in {folder} (pieces: {count}), and nobody is told of it"
            yield Finding("hook", "warning", words)
    if (file := config.metrics.textfile) is not None:
        fits = os.access(file.parent, os.W_OK | os.X_OK)
        detail = (
            f"{file}" if fits else f"{file.parent} is not there, or not this user's to write to"
        )
        yield Finding("metrics", "ok" if fits else "warning", detail)


def _weights(config: Config) -> Finding:
    troubles: list[str] = []
    try:
        weights = find_weights(
            config.model, config.folder("state"), report=troubles.append, online=False
        )
    except DepthdError as error:
        return Finding("weights", "FAILED", f"{error.message}; {error.hint}")
    if weights.fallback:
        detail = "the built-in network would serve; 'depthd model fetch' gets the real one"
        return Finding("weights", "warning", detail)
    return Finding("weights", "ok", f"{weights.path}, SHA-256 {weights.sha256[:8]}")
