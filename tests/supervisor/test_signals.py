"""A request to stop is never lost, not even while another version takes over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from depthd.config import Config
from depthd.contract.errors import ExitCode
from depthd.supervisor import loop

_TAKE_OVER = """
import os, sys
from depthd.supervisor.signals import Signals, let_end
with Signals():
    pass
let_end()
os.execv(sys.executable, [sys.executable, "-c", "import os; os.kill(os.getpid(), 15)"])
"""


@pytest.fixture
def _handlers() -> Iterator[None]:
    """As they were."""
    former = {number: signal.getsignal(number) for number in (1, 2, 15)}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


def test_what_takes_over_can_be_ended_at_once() -> None:
    ended = subprocess.run([sys.executable, "-c", _TAKE_OVER], check=False)
    assert ended.returncode == -signal.SIGTERM


@pytest.mark.usefixtures("_handlers")
def test_a_stop_while_the_service_is_closed_for_another_version_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closing:
        """A service that is asked to stop in its last moment."""

        def __init__(self, *_: object, **__: object) -> None: ...

        def serve(self) -> loop.Result:
            return loop.Result(ExitCode.OK, begin_anew=True)

        def close(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(loop, "Service", Closing)
    config = Config(root=tmp_path)
    assert not loop.run(config, reload=lambda: config).begin_anew
