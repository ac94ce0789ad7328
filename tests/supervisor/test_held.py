"""What an operator holds, and a file of it that cannot be read for a while."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from depthd.contract.events import Event
from depthd.spool.holds import HoldsFile
from depthd.supervisor.held import Held
from depthd.system import files


def test_a_file_that_cannot_be_read_once_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[Event, dict[str, Any]]] = []
    held = Held(tmp_path, lambda event, **fields: said.append((event, fields)))
    HoldsFile(tmp_path).change(lambda _: {"cam": 1.0})

    def failing(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files, "open_regular", failing)
    assert [held.look() for _ in range(3)] == [False] * 3
    reason = "holds.json cannot be read: Input/output error"
    assert said == [(Event.HOLDS_UNCLEAR, {"reason": reason})]  # once
    monkeypatch.undo()
    assert held.look()
    assert held.since == {"cam": 1.0}
    assert not held.look()
