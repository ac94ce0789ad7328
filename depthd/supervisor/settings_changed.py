"""What a reload has changed, key by key, and when each change counts. In words, for people.

Compares two configurations; changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from depthd.config import Config
from depthd.contract.names import printable

_UNSET = "not set"
_SHOWN = 50  # keys
_LONGEST = 80  # characters of a value

AT_ONCE = "at once"
_NEXT_CLAIM = "for photos that are taken from now on"
_WORKER = "once another worker is ready"
_BOTH = f"{AT_ONCE}, by the worker {_WORKER}"
_HOME = "once what is at work is home"
_PAGE = "when 'depthd page' is started anew"
# By the beginning of the key; the longest that fits counts, else it is at once.
_WHEN = {
    "root": _HOME,
    "paths.": _HOME,
    "paths.log": AT_ONCE,
    "paths.state": _BOTH,
    "disk.min_free": _BOTH,
    "output.": _NEXT_CLAIM,
    "output.mode": _HOME,
    "folders.": _NEXT_CLAIM,
    "intake.include": _BOTH,
    "model.": _WORKER,
    "worker.max_pixels": _WORKER,
    "worker.max_memory": _WORKER,
    "worker.start_timeout": "with the next worker",
    "page.": _PAGE,
}


def settings_changed(old: Config, new: Config) -> tuple[str, ...]:
    """One line for each key that differs: `worker.timeout: 1m -> 2m, at once`."""
    before, after = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    lines = [
        printable(f"{key}: {before.get(key, _UNSET)} -> {after.get(key, _UNSET)}, {_when(key)}")
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key)
    ]
    if len(lines) > _SHOWN:
        lines[_SHOWN:] = [f"and {len(lines) - _SHOWN} more"]
    return tuple(lines)


def _when(key: str) -> str:
    fitting = [start for start in _WHEN if key.startswith(start)]
    return _WHEN[max(fitting, key=len)] if fitting else AT_ONCE


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found.update(_flat(value, f"{prefix}{key}."))
        else:
            found[prefix + key] = _shown(value)
    return found


def _shown(value: object) -> str:
    if value is None:
        return "empty"
    text = value if isinstance(value, str) else json.dumps(value)
    text = text or "empty"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
