"""The README's tables, made from the declarations.

`python .ci/readme_tables.py README.md` renews them.

A table `NAME` stands between `<!-- NAME -->` and `<!-- /NAME -->`. Knows the declarations only.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from depthd.contract.errors import EXIT_MEANINGS, FAULTS
from depthd.contract.events import MEANINGS
from depthd.contract.formats import FORMATS
from depthd.contract.photos import PHOTO_FORMATS
from depthd.contract.states import TRANSITIONS


def events() -> str:
    """Every log event with its level."""
    rows = ((f"`{event}`", meaning.level, meaning.text) for event, meaning in MEANINGS.items())
    return _table(("event", "level", "meaning"), rows)


def exit_codes() -> str:
    """Every exit code."""
    return _table(("code", "meaning"), ((f"{c:d}", text) for c, text in EXIT_MEANINGS.items()))


def faults() -> str:
    """Every reason for which a photo goes to failed/."""
    rows = ((f"`{code}`", fault.sentence, fault.hint) for code, fault in FAULTS.items())
    return _table(("code", "meaning", "what to do"), rows)


def photos() -> str:
    """Every kind of photo that is read."""
    rows = (
        (photo.name, ", ".join(f"`.{suffix}`" for suffix in photo.suffixes), photo.extra or "")
        for photo in PHOTO_FORMATS.values()
    )
    return _table(("format", "names end in", "extra"), rows)


def formats() -> str:
    """Every kind of result."""
    rows = ((f"`{kind}`", f"`{meaning.suffix}`", meaning.text) for kind, meaning in FORMATS.items())
    return _table(("format", "file", "content"), rows)


def states() -> str:
    """Every state of a photo, and what may follow it."""
    rows = (
        (f"`{state}`", ", ".join(f"`{follower}`" for follower in sorted(followers)))
        for state, followers in TRANSITIONS.items()
    )
    return _table(("state", "followed by"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "events": events,
    "exit-codes": exit_codes,
    "faults": faults,
    "formats": formats,
    "photos": photos,
    "states": states,
}


def renew(text: str) -> str:
    """A text with the tables between its markers replaced by those of the code."""
    for name, make in TABLES.items():
        between = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)
        text = between.sub(make().replace("\\", r"\\"), text)
    return text


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    readme = Path(sys.argv[1])
    readme.write_text(renew(readme.read_text(encoding="utf-8")), encoding="utf-8")
