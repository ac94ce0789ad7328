"""What a worker says of a job, held against what the supervisor knows of it.

Whoever has taken over a decoder speaks for the worker. Knows messages and jobs, does no I/O; that
files are as long as it says is seen when they are published.
"""

from __future__ import annotations

from typing import get_args

from depthd.channel.messages import Blocked, Broken, Refused, Rendered, Started
from depthd.contract.formats import METRIC
from depthd.contract.manifest import Depth, Facts
from depthd.supervisor.table import Entry

JobMessage = Started | Rendered | Refused | Broken | Blocked

_PERCENTILES = frozenset(
    get_args(get_args(Depth.model_fields["percentiles"].annotation)[0]),
)


def contradiction(message: JobMessage, entry: Entry | None) -> str:
    """Why a worker that does what it should cannot have said this; empty where it can.

    Args:
        message: about a job.
        entry: that job, if the worker has it.
    """
    if entry is None:
        return f"it spoke of a job that it does not have ({message.kind})"
    match message:
        case Started():
            return "it began a job twice" if entry.has_started else ""
        case Rendered():
            return _of_facts(message.facts, entry)
        case Refused() | Broken() | Blocked():
            return ""


def _of_facts(facts: Facts, entry: Entry) -> str:
    made = [file.format for file in facts.files]
    asked = set(entry.outlets.files) if entry.outlets else set()
    if len(set(made)) < len(made) or set(made) - asked or asked - set(made) - METRIC:
        return f"it made {', '.join(made)} where {', '.join(sorted(asked))} was asked for"
    if facts.depth.percentiles.keys() != _PERCENTILES:
        return "it left out percentiles of the depth"
    return ""
