"""How depthd starts modules of its own as processes. Knows the interpreter, nothing else."""

from __future__ import annotations

import sys


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs `python -m NAME` without code from the working directory.

    Whoever runs depthd may stand in a folder where others put files: without `-P` a `numpy.py`
    there would be imported instead of numpy.
    """
    return [sys.executable, "-P", "-m", name, *arguments]
