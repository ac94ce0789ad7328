"""Whether a folder reports events, for those who only want to know."""

from __future__ import annotations

import threading
from pathlib import Path

from depthd.intake.watch import Kind, Watcher
from depthd.system import files


def probe(inbox: Path, patience: float) -> str:
    """Watch a folder and open it, which must be reported; nothing is written.

    Args:
        inbox: the folder.
        patience: seconds to wait for the event.

    Returns:
        what does not work; empty when the event came.
    """
    heard = threading.Event()
    try:
        with files.directory(inbox) as handle:
            watcher = Watcher(handle, heard.set, lambda _: True)
        try:
            watcher.probe(inbox)
            while heard.wait(patience):
                heard.clear()
                if any(
                    happened and happened.kind is Kind.PROBE for happened in watcher.happenings()
                ):
                    return ""
        finally:
            watcher.stop()
    except OSError as error:
        return f"the inbox cannot be watched: {error.strerror or error}"
    return "an event was not reported"
