"""What `depthd service install` does with the rights of the service's user: weights and check."""

from __future__ import annotations

import subprocess
from contextlib import suppress

from depthd.cli.identity import named
from depthd.config.load import load
from depthd.contract.errors import DepthdError
from depthd.model.weights import find_weights
from depthd.service.actions import Action
from depthd.service.place import Place


def weights(place: Place) -> Action:
    """The network's weights, so that the service itself needs no network."""
    file = place.settings_file

    def is_right() -> bool:
        with suppress(DepthdError, OSError):
            config = load(file if file.exists() else None, {}, [], place.root).config
            found = find_weights(config.model, config.folder("state"), report=_unsaid, online=False)
            return not found.fallback
        return False

    def do() -> str | None:
        _run(place, "model", "prepare", stdout=subprocess.DEVNULL)  # its progress is shown
        return None if is_right() else "not to be had; the built-in network serves"

    return Action("weights of the network", is_right, do)


def check(place: Place) -> str:
    """What `depthd check` says when something is wrong, else nothing."""
    run = _run(place, "check", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return run.stdout if run.returncode else ""


def _run(
    place: Place, *arguments: str, stdout: int, stderr: int | None = None
) -> subprocess.CompletedProcess[str]:
    settings = ("--config", str(place.settings_file))
    return named(place.user).start(*arguments, *settings, stdout=stdout, stderr=stderr)


def _unsaid(text: str) -> None:
    """What is looked at beforehand is said when it is done."""
