"""One thing that can be put right on this box, or taken away, and how systemd is asked.

Knows systemd's commands.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from depthd.contract.errors import UnavailableError

_RUNNING = Path("/run/systemd/system")


class Kept(str):
    """What is left as it is, and why."""

    __slots__ = ()


@dataclass(frozen=True)
class Action:
    """One thing: its words, whether it is right already, and what makes it so.

    `do` may return words about what it found; `Kept` where it left the thing as it was.
    """

    words: str
    is_right: Callable[[], bool]
    do: Callable[[], str | None]


def is_running() -> bool:
    """Whether systemd manages this machine now; it does not where an image is built."""
    return _RUNNING.is_dir()


def systemd(program: str, *arguments: str) -> str:
    """Standard output of one of systemd's commands.

    Raises:
        UnavailableError: there is none, or it failed; with its own words.
    """
    if shutil.which(program) is None:
        raise UnavailableError(
            f"there is no {program} here", "depthd can be a service only where systemd is"
        )
    run = subprocess.run((program, *arguments), capture_output=True, text=True, check=False)
    if run.returncode != 0:
        said = (run.stderr or run.stdout).strip() or f"it ended with {run.returncode}"
        raise UnavailableError(f"{program} {' '.join(arguments)}: {said}")
    return run.stdout
