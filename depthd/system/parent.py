"""A process and the one that started it: how both end."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Let the kernel kill this process as soon as its parent is dead.

    Args:
        parent: process number of who started it.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os.kill(os.getpid(), signal.SIGKILL)


def killer(returncode: int) -> str:
    """The name of the signal that killed a process; most real-time ones have none.

    Args:
        returncode: as `subprocess` has it, below 0.
    """
    try:
        return signal.Signals(-returncode).name
    except ValueError:
        return f"signal {-returncode}"
