"""The units, as systemd has them: known, enabled, started, and none of these."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress

from depthd.contract.errors import UnavailableError
from depthd.service.actions import Action, is_running, systemd
from depthd.service.place import Place


def known(place: Place) -> Action:
    """It has read the units as they are now."""

    def is_right() -> bool:
        units = (place.unit, *place.page_units)
        return _shown(place.unit, "LoadState") == "loaded" and all(
            _shown(unit, "NeedDaemonReload") == "no" for unit in units
        )

    return Action(
        f"systemd knows {place.unit}",
        is_right,
        lambda: systemd("systemctl", "daemon-reload") and None,
    )


def enabled(place: Place) -> Action:
    """The service starts with the machine."""

    def is_right() -> bool:
        return _answer("is-enabled", place.unit) == "enabled"

    return Action(
        f"{place.unit} starts with the machine",
        is_right,
        lambda: systemd("systemctl", "enable", place.unit) and None,
    )


def started(place: Place) -> Action:
    """The service runs, with its unit as it is now."""

    def is_right() -> bool:
        if _answer("is-active", place.unit) not in ("active", "reloading"):
            return False
        since = int(_shown(place.unit, "InactiveExitTimestampMonotonic") or 0) / 1e6
        booted = time.time() - time.monotonic()
        with suppress(OSError):
            return place.unit_file.stat().st_mtime <= booted + since
        return False

    def do() -> None:
        systemd("systemctl", "reset-failed", place.unit)
        try:
            systemd("systemctl", "restart", place.unit)
        except UnavailableError as error:
            raise UnavailableError(
                f"{place.unit} does not start", f"'journalctl -u {place.unit} -n 50' says why"
            ) from error

    return Action(f"{place.unit} runs", is_right, do)


def stopped(unit: str) -> Action:
    """It neither runs nor starts with the machine."""

    def is_right() -> bool:
        if not _answer("is-enabled", unit).startswith("enabled"):
            return not is_running() or _answer("is-active", unit) != "active"
        return False

    def do() -> None:
        now = ("--now",) if is_running() else ()
        systemd("systemctl", "disable", *now, unit)

    return Action(f"{unit} is stopped", is_right, do)


def forgotten(place: Place) -> Action:
    """It is not known any more."""

    def do() -> None:
        systemd("systemctl", "daemon-reload")
        with suppress(UnavailableError):
            systemd("systemctl", "reset-failed", place.unit)

    return Action(
        f"systemd has forgotten {place.unit}",
        lambda: _shown(place.unit, "LoadState") == "not-found",
        do,
    )


def _shown(unit: str, what: str) -> str:
    return systemd("systemctl", "show", "--value", "--property", what, unit).strip()


def _answer(question: str, unit: str) -> str:
    run = subprocess.run(("systemctl", question, unit), capture_output=True, text=True, check=False)
    return run.stdout.strip()
