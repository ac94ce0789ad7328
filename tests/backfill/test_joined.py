"""What Ray, or what is beside it, may do to a run; no cluster is needed."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock, patch

import pytest

pytest.importorskip("ray", reason="needs ray: pip install 'depthd[test-cluster]'")

from depthd.backfill import cluster, joined
from depthd.backfill.joined import Joined
from depthd.contract.errors import TemporaryError, UnavailableError


def test_a_run_of_which_nobody_knows_what_is_missing_has_not_ended_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def units() -> Any:
        raise OSError("the store is away")

    plan = MagicMock(units=units)
    for name in ("connect", "open_board", "read_board", "nodes"):
        monkeypatch.setattr(joined, name, MagicMock(return_value=[]))
    monkeypatch.setattr(joined, "make_plan", lambda *_: plan)
    monkeypatch.setattr(joined, "reports", lambda *_: iter(()))
    with pytest.raises(TemporaryError, match="cannot be counted: the store is away"):
        Joined(None, MagicMock(), b"", {}, MagicMock(), lambda _: None).run()


def test_whatever_ray_raises_when_it_starts_is_said() -> None:
    """A raylet that does not come up in time is a bare Exception."""
    late = Exception("The current node timed out during startup.\nmore")
    with (
        patch.object(cluster.ray, "init", side_effect=late),
        pytest.raises(UnavailableError, match="cannot be started here: The current node timed out"),
    ):
        cluster.connect(None)
