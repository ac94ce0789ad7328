"""The fork server of the fault tests as the service's own user: all is imported, then root is gone.

Imported before, because the interpreter may lie where only root can read.
"""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Self

from attacks.users import SERVICE
from faults import forkserver

_LEFT_OUT = ("depthd.training", "depthd.bench", "depthd.cli", "depthd.__main__")


class UnprivilegedForks(forkserver.Forks):
    """Starts daemons that have no rights but those of their user and group."""

    def __enter__(self) -> Self:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "attacks.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            cwd=Path(__file__).parents[1],
        )
        return self


def _import_all() -> None:
    import depthd  # noqa: PLC0415

    forkserver._import_everything()
    for module in pkgutil.walk_packages(depthd.__path__, "depthd."):
        if not module.name.startswith(_LEFT_OUT):
            try:
                importlib.import_module(module.name)
            except ImportError:  # an extra that is not installed
                continue


if __name__ == "__main__":
    _import_all()
    SERVICE.become()
    forkserver.serve()
