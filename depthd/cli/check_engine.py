"""What `depthd check` says of the network: it is loaded and run as the worker would, in a process.

That process can be lost, and has the limit on memory that the worker has.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from depthd.cli.check_folders import nearest
from depthd.cli.finding import Finding
from depthd.cli.identity import user_name
from depthd.cli.room import free, lasts, megabytes, photos_a_day
from depthd.cli.trial import MEGAPIXELS, Trial
from depthd.config import Config
from depthd.config.units import format_size
from depthd.system.parent import killer
from depthd.system.python import module

_DEADLINE = 400.0  # seconds; a slow box converts the network first


def check_engine(config: Config) -> Iterator[Finding]:
    """Load the network and run it on a photo."""
    available = _available_memory()
    trial = _try(config)
    if isinstance(trial, Finding):
        yield trial
        return
    if trial.error:
        yield Finding("engine", "FAILED", trial.error)
        return
    if not trial.prepared and (trouble := _no_place(config)):
        yield Finding("engine", "FAILED", trouble)
        return
    prepared = "prepared" if trial.prepared else "not prepared yet: see 'depthd model prepare'"
    speed = f"loads in {trial.load:.1f} s, one inference {trial.inference * 1000:.0f} ms"
    yield Finding("engine", "ok", f"{trial.engine}, {trial.precision}, {speed} ({prepared})")
    yield _memory(trial, config, available)
    yield _results(trial, config)


def _memory(trial: Trial, config: Config, available: int | None) -> Finding:
    limit = config.worker.max_memory
    allowed = f"worker.max_memory {format_size(limit)}" if limit else "worker.max_memory sets none"
    if trial.memory_error:
        return Finding("memory", "FAILED", f"{trial.memory_error}; {allowed}")
    figures = [
        f"{trial.memory / 1e6:.0f} MB without a photo",
        f"{trial.photo_memory / 1e6:.0f} MB with one of {MEGAPIXELS} megapixels",
        allowed,
    ]
    if available is not None:
        figures.append(f"{available / 1e6:.0f} MB available")
    enough = available is None or trial.photo_memory < available
    return Finding("memory", "ok" if enough else "FAILED", ", ".join(figures))


def _results(trial: Trial, config: Config) -> Finding:
    """What a photo takes on the disk, and how long that lasts."""
    room, rate = free(config), photos_a_day(config)
    each = "; ".join(
        f"{f'{name}/ ' if name else ''}{megabytes(size)} {lasts(size, room, rate)}"
        for name, size in trial.sizes.items()
    )
    known = f", at today's rate of {rate:g} a day" if rate else ""
    largest = max(trial.sizes.values())
    fills = bool(rate) and room / largest < rate
    words = f"a photo of {MEGAPIXELS} megapixels: {each}{known}"
    return Finding("results", "warning" if fills else "ok", words)


def _try(config: Config) -> Trial | Finding:
    try:
        result = subprocess.run(
            module("depthd.cli.trial"),
            input=config.model_dump_json().encode(),
            capture_output=True,
            timeout=_DEADLINE,
            check=False,
            cwd="/",
        )
        return Trial.model_validate_json(result.stdout)
    except subprocess.TimeoutExpired:
        return Finding("engine", "FAILED", f"no inference within {_DEADLINE:g} s")
    except OSError as error:
        return Finding("engine", "FAILED", f"{error.filename}: {error.strerror}")
    except ValidationError:
        return Finding("engine", "FAILED", _last_words(result))


def _last_words(result: subprocess.CompletedProcess[bytes]) -> str:
    if result.returncode < 0:
        name = killer(result.returncode)
        memory = ", perhaps for lack of memory" if name == "SIGKILL" else ""
        return f"killed by {name}{memory}"
    words = result.stderr.decode(errors="replace").split("\n")
    return next((word for word in reversed(words) if word), f"exit {result.returncode}")


def _no_place(config: Config) -> str:
    """Why the converted network could not be kept; empty when it could."""
    models = config.folder("state") / "models"
    place = nearest(models)
    mode = os.R_OK | os.W_OK | os.X_OK
    lock = models / ".lock"
    if os.access(place, mode) and (not lock.exists() or os.access(lock, os.W_OK)):
        return ""
    who = user_name()
    owner = user_name(place.stat().st_uid)
    return f"{place} of {owner} cannot be written as user {who}; give it to {who} (chown -R)"


def _available_memory() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None
