"""A pass in a process of its own, of the lowest priority: `python -m depthd.retention.main`.

Standard input holds the configuration; each line of standard output is a `Word`. The daemon reads
them and writes the log. It can be killed at any moment.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from contextlib import suppress

from depthd.config import Config
from depthd.contract.names import printable
from depthd.retention.items import Kind, Removed
from depthd.retention.passing import Busy, one_pass, only_pass

_NICE = 19
_IDLE_DISK = 3 << 13  # ioprio: the class of those who wait for everybody else
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_SHARE = 0.25  # of the time is spent on removals: they make the disk's journal wait
_LONGEST_REST = 1.0  # seconds
_TROUBLES = 20
_PASSES = 1000  # in a row, while there is more than one of them can remember


def describe(gone: Removed, now: float) -> dict[str, object]:
    """What the log says of something that went."""
    return {
        "kind": gone.item.kind.value,
        "name": gone.item.name.path,
        "job": gone.job,
        "why": gone.why.value,
        "bytes": gone.size,
        "results": gone.results,
        "age_s": round(now - gone.item.since),
    }


def main() -> None:
    _be_last()
    config = Config.model_validate(json.load(sys.stdin))
    try:
        with only_pass(config.folder("state")):
            _pass_until_complete(config)
    except Busy:
        _say({"end": "busy"})


def _pass_until_complete(config: Config) -> None:
    removed, size, troubles = 0, 0, []
    after: Mapping[Kind, float] | None = None
    for _ in range(_PASSES):
        outcome = one_pass(
            config,
            lambda gone: _say({"removed": describe(gone, time.time())}),
            rest=_rest,
            after=after,
        )
        removed, size, after = removed + outcome.removed, size + outcome.size, outcome.until
        troubles += [printable(trouble) for trouble in outcome.troubles]
        if after is None:
            break
    _say({"end": "complete", "removed": removed, "bytes": size, "troubles": troubles[:_TROUBLES]})


def _rest(seconds: float) -> None:
    time.sleep(min(_LONGEST_REST, seconds * (1 / _SHARE - 1)))


def _say(word: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(word) + "\n")
    sys.stdout.flush()


def _be_last() -> None:
    """Whoever else wants the processors or the disk comes first."""
    with suppress(OSError):
        os.nice(_NICE)
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None:  # where it is refused, nice has lowered it already
        ctypes.CDLL(None).syscall(number, 1, 0, _IDLE_DISK)


if __name__ == "__main__":
    main()
