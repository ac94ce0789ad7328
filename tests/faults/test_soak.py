"""The short form of `soak`, for every change; see there for the long one."""

from __future__ import annotations

from pathlib import Path

from faults.soak import run


def test_nothing_is_lost_and_nothing_piles_up(tmp_path: Path) -> None:
    print(run(tmp_path, photos=450, seed=1))
