"""What `depthd check` looks at. Each check says what it found and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from depthd.cli.trial import Trial
from depthd.config import Config
from depthd.config.declaration import Paths
from depthd.contract.errors import DepthdError
from depthd.intake.probe import probe
from depthd.model.weights import find_weights
from depthd.system import files
from depthd.system.python import module

_HIDDEN = ".depthd-check-"
_EVENT_DEADLINE = 2.0
_TRIAL_DEADLINE = 400.0  # seconds; a slow box converts the network first


@dataclass(frozen=True)
class Finding:
    """One line of the table."""

    what: str
    verdict: Literal["ok", "warning", "FAILED"]
    detail: str


def check(config: Config) -> Iterator[Finding]:
    """Everything that a start needs, cheap things first."""
    for name in Paths.model_fields:
        yield _folder(name, config.folder(name))
    yield _file_systems(config)
    yield _names(config.folder("outbox"))
    yield _disk(config)
    yield _events(config)
    yield _weights(config)
    yield from _engine(config)


def _folder(name: str, path: Path) -> Finding:
    if path.is_dir():
        try:
            with tempfile.NamedTemporaryFile(prefix=_HIDDEN, dir=path):
                os.listdir(path)
        except OSError as error:
            return Finding(name, "FAILED", f"{path}: {error.strerror}, as user {_user()}")
        return Finding(name, "ok", str(path))
    if path.exists():
        return Finding(name, "FAILED", f"{path} is not a folder")
    parent = _existing(path)
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        return Finding(name, "FAILED", f"{path} cannot be created in {parent}, as user {_user()}")
    return Finding(name, "ok", f"{path} (will be created)")


def _file_systems(config: Config) -> Finding:
    places = {name: _existing(config.folder(name)) for name in Paths.model_fields}
    if not files.can_rename(places["inbox"], places["work"]):
        detail = "inbox and work lie on different ones; set paths.work to a folder beside the inbox"
        return Finding("file systems", "FAILED", detail)
    apart = [
        name for name in ("done", "failed") if not files.can_rename(places["work"], places[name])
    ]
    if apart:
        detail = f"{' and '.join(apart)} on another one: originals are copied, not renamed"
        return Finding("file systems", "ok", detail)
    return Finding("file systems", "ok", "originals are renamed, never copied")


def _names(outbox: Path) -> Finding:
    """Can results get their final name without replacing anything?"""
    if not outbox.is_dir():
        return Finding("hard links", "ok", "not tried, the outbox is not there yet")
    try:
        with tempfile.TemporaryDirectory(prefix=_HIDDEN, dir=outbox) as folder:
            file = Path(folder, "file")
            file.touch()
            Path(folder, "link").hardlink_to(file)
    except OSError as error:
        detail = f"none in the outbox ({error.strerror}): results are renamed into place"
        return Finding("hard links", "warning", detail)
    return Finding("hard links", "ok", "results are linked into place")


def _disk(config: Config) -> Finding:
    place = os.statvfs(_existing(config.folder("outbox")))
    free, wanted = place.f_bavail * place.f_frsize, config.disk.min_free
    detail = f"{free / 1e9:.1f} GB free for results, disk.min_free is {wanted / 1e9:.1f} GB"
    return Finding("disk", "ok" if free >= wanted else "FAILED", detail)


def _events(config: Config) -> Finding:
    """Does the kernel report a file that is written to the inbox?"""
    inbox, choice = config.folder("inbox"), config.intake.watch
    if choice == "polling":
        return Finding("events", "ok", f"not used: polling every {config.intake.poll_interval:g} s")
    if not inbox.is_dir():
        return Finding("events", "ok", "not tried, the inbox is not there yet")
    problem = probe(inbox, _EVENT_DEADLINE)
    if not problem:
        return Finding("events", "ok", "the inbox reports new files by itself")
    if choice == "native":
        return Finding("events", "FAILED", f"{problem}; set intake.watch: auto")
    polling = f"polling every {config.intake.poll_interval:g} s instead"
    return Finding("events", "warning", f"{problem}; {polling}")


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


def _engine(config: Config) -> Iterator[Finding]:
    """Load and run the network as the worker would, in a process that can be lost."""
    available = _available_memory()
    try:
        result = subprocess.run(
            module("depthd.cli.trial"),
            input=config.model_dump_json().encode(),
            capture_output=True,
            timeout=_TRIAL_DEADLINE,
            check=False,
        )
        trial = Trial.model_validate_json(result.stdout)
    except subprocess.TimeoutExpired:
        yield Finding("engine", "FAILED", f"no inference within {_TRIAL_DEADLINE:g} s")
        return
    except ValidationError:
        words = result.stderr.decode(errors="replace").split("\n")
        reason = next((word for word in reversed(words) if word), f"exit {result.returncode}")
        yield Finding("engine", "FAILED", reason)
        return
    if trial.error:
        yield Finding("engine", "FAILED", trial.error)
        return
    prepared = "prepared" if trial.prepared else "not prepared yet: see 'depthd model prepare'"
    speed = f"loads in {trial.load:.1f} s, one inference {trial.inference * 1000:.0f} ms"
    yield Finding("engine", "ok", f"{trial.engine}, {trial.precision}, {speed} ({prepared})")
    enough = available is None or trial.memory < available
    found = "" if available is None else f", {available / 1e6:.0f} MB available"
    detail = f"{trial.memory / 1e6:.0f} MB without a photo{found}"
    yield Finding("memory", "ok" if enough else "FAILED", detail)


def _available_memory() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _existing(path: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    while not path.exists():
        path = path.parent
    return path


def _user() -> int:
    return os.geteuid()
