from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inbox_loop import Loop, Start


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts an intake over `tmp_path`, and stops it at the end."""
    loops: list[Loop] = []

    def begin(**options: Any) -> Loop:
        loop = Loop(tmp_path, **{"settle": "50ms", **options})
        loops.append(loop)
        return loop.start()

    yield begin
    for loop in loops:
        loop.close()
