"""Readable units: `2s`, `500MB`. Knows text and numbers, nothing of depthd."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_MOST_SECONDS = 100 * 365 * 86400.0
_MOST_BYTES = 2**63 - 1  # what the system's own calls take
_PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")


def _parse(value: object, units: dict[str, float] | dict[str, int], example: str) -> float:
    if isinstance(value, str) and (match := _PATTERN.fullmatch(value)):
        number, unit = match.groups()
        lowered = {name.lower(): factor for name, factor in units.items()}
        if unit.lower() in lowered:
            return float(number) * lowered[unit.lower()]
    if value in (0, "0"):
        return 0.0
    raise ValueError(f"needs a number with one of the units {', '.join(units)}, such as {example}")


def parse_duration(value: object) -> float:
    """Seconds from `500ms`, `2s`, `5m`, `1h`, `7d` or a float that was parsed before."""
    seconds = value if isinstance(value, float) else _parse(value, _SECONDS, "2s")
    if not 0 <= seconds <= _MOST_SECONDS:
        raise ValueError("should be at most 100 years")
    return seconds


def parse_size(value: object) -> int:
    """Bytes from `500MB`, `2GiB`, `0`."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    size = _parse(value, _BYTES, "500MB")
    if size > _MOST_BYTES:
        raise ValueError("is more than any disk or memory holds")
    return int(size)


def format_duration(seconds: float) -> str:
    """The shortest exact text: 0.5 -> `500ms`, 120.0 -> `2m`."""
    if seconds == 0:
        return "0s"
    for unit, factor in reversed(_SECONDS.items()):
        count = seconds / factor
        if count >= 1 and abs(count - round(count)) < 1e-9:
            return f"{round(count)}{unit}"
    return f"{seconds:g}s"


def format_size(size: int) -> str:
    """The shortest exact text: 500000000 -> `500MB`."""
    if size == 0:
        return "0"
    for unit, factor in sorted(_BYTES.items(), key=lambda item: -item[1]):
        if size % factor == 0:
            return f"{size // factor}{unit}"
    raise AssertionError("1 divides every size")


def _schema(units: Iterable[str], example: str) -> WithJsonSchema:
    pattern = rf"^\s*\d+(\.\d+)?\s*({'|'.join(units)})\s*$|^0$"
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration),
    _schema(_SECONDS, "2s"),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(format_size),
    _schema(_BYTES, "500MB"),
]
