r"""An entry of the log as one line: printable, valid Unicode, of bounded length.

Control characters, line separators and marks that change the writing direction become JSON
escapes; bytes of a file name that are not UTF-8 become the text `\xNN`. A text that is too long
keeps its beginning and its end, and is named by its hash.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from depthd.contract.events import MEANINGS, Event

LONGEST = 4000  # bytes; with its priority and its end it fits PIPE_BUF, and so is never mixed
_LONGEST_TEXT = 600  # bytes in the line; a name of 255 bytes in UTF-8 is never cut
_KEPT_HEAD, _KEPT_TAIL = 300, 150  # bytes of a text that is longer

_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31"}
_to_json = json.JSONEncoder(ensure_ascii=False, default=str).encode


@dataclass(frozen=True)
class Entry:
    """An event's fields, and the same as JSON on one line."""

    fields: Mapping[str, Any]
    line: str


def entry_of(event: Event, /, **fields: object) -> Entry:
    """An event with its time and its level."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    return bounded({"timestamp": now, "level": MEANINGS[event].level, "event": event, **fields})


def bounded(fields: Mapping[str, Any]) -> Entry:
    """An entry with its texts, and if need be its other values, cut to fit a line."""
    line = encode(fields)
    if len(line.encode()) <= _LONGEST_TEXT:
        return Entry(fields, line)
    short = {k: _shorten(v) if isinstance(v, str) else v for k, v in fields.items()}
    for _ in range(len(short)):
        if len(encode(short).encode()) <= LONGEST:
            break
        sizes = {key: len(encode(value).encode()) for key, value in short.items()}
        longest = max(sizes, key=sizes.__getitem__)
        short[longest] = f"({sizes[longest]} bytes, left out)"
    return Entry(short, encode(short))


def _shorten(text: str) -> str:
    if len(text) <= _LONGEST_TEXT and _size(text) <= _LONGEST_TEXT:
        return text
    head, tail = text[:_KEPT_HEAD], text[-_KEPT_TAIL:]
    while _size(head) > _KEPT_HEAD:
        head = head[: len(head) * 9 // 10]
    while _size(tail) > _KEPT_TAIL:
        tail = tail[-(len(tail) * 9 // 10) :]
    try:
        raw = os.fsencode(text)
    except UnicodeEncodeError:  # no file's name
        raw = text.encode(errors="surrogatepass")
    digest = hashlib.sha256(raw).hexdigest()[:16]
    return f"{head} ... {tail} ({len(raw)} bytes, SHA-256 {digest})"


def _size(text: str) -> int:
    return len(encode(text).encode()) - 2


def encode(value: object) -> str:
    """`value` as JSON on one line."""
    text = _to_json(value)
    return text if text.isprintable() else "".join(map(_escape, text))


def _escape(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that os.fsdecode could not read
        return f"\\\\x{code - 0xDC00:02x}"
    if 0xD800 <= code <= 0xDFFF:
        return f"\\\\u{code:04x}"
    return json.dumps(character)[1:-1]


def for_people(fields: Mapping[str, Any], *, with_colour: bool) -> str:
    """Time, level and event in columns, then the fields."""

    def colour(code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if with_colour else text

    fields = dict(fields)
    head = [_unquoted(fields.pop("timestamp"))] if "timestamp" in fields else []
    level = fields.pop("level")
    head.append(colour(_COLOURS[level], f"{level:<7}"))
    head.append(colour("1", f"{_unquoted(fields.pop('event')):<17}"))
    return " ".join(head + [f"{_unquoted(key)}={_bare(value)}" for key, value in fields.items()])


def _unquoted(text: object) -> str:
    """What stands in a log file may be damaged, or none of ours."""
    return encode(str(text))[1:-1]


def _bare(value: object) -> str:
    """JSON, without quotes where nothing could be misread."""
    text = encode(value)
    if text.startswith('"') and len(text) > 2 and not set(text[1:-1]) & set(' "\\='):
        return text[1:-1]
    return text
