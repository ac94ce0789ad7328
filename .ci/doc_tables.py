"""The tables of the README and of the pages in depthd/docs/, made from the declarations.

`python .ci/doc_tables.py` renews all of them.

A table `NAME` stands between `<!-- NAME -->` and `<!-- /NAME -->`, in one of the pages. Knows the
declarations only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import get_args, get_origin

import click

from depthd.cli import depthd
from depthd.contract.errors import EXIT_MEANINGS, FAULTS
from depthd.contract.events import MEANINGS
from depthd.contract.formats import FORMATS
from depthd.contract.health import CAUSES, Judged
from depthd.contract.photos import PHOTO_FORMATS
from depthd.contract.states import TRANSITIONS
from depthd.contract.status import Part
from depthd.supervisor.metrics import Metrics

PROJECT = Path(__file__).resolve().parents[1]
PAGES = (PROJECT / "README.md", *sorted((PROJECT / "depthd/docs").glob("*.md")))


def causes() -> str:
    """Every reason for which the service is not well."""
    rows = ((f"`{cause}`", m.health, m.text, m.hint) for cause, m in CAUSES.items())
    return _table(("cause", "health", "meaning", "what to do"), rows)


def commands() -> str:
    """Every command in a line."""
    context = click.Context(depthd)
    found = ((name, depthd.get_command(context, name)) for name in depthd.list_commands(context))
    rows = (
        (f"`depthd {name}`", command.get_short_help_str(120)) for name, command in found if command
    )
    return _table(("command", "does"), rows)


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


def status() -> str:
    """Every field of `depthd status --json`."""
    return _table(("field", "meaning"), _fields(Judged))


def metrics() -> str:
    """Every series that is written for Prometheus."""
    rows = ((f"`{name}`", kind, about) for name, kind, about in Metrics().families())
    return _table(("metric", "kind", "meaning"), rows)


def _fields(part: type[Part], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, field in part.model_fields.items():
        name = f"{prefix}{field.alias or key}"
        inner = next((t for t in _types(field.annotation) if issubclass(t, Part)), None)
        if inner is None:
            yield f"`{name}`", field.description or ""
        else:
            is_list = get_origin(field.annotation) is tuple
            about = field.description or (inner.__doc__ or "").partition("\n")[0]
            yield f"`{name}{'[]' if is_list else ''}`", about
            yield from _fields(inner, f"{name}[]." if is_list else f"{name}.")


def _types(annotation: object) -> list[type]:
    inner = [found for each in get_args(annotation) for found in _types(each)]
    return inner or ([annotation] if isinstance(annotation, type) else [])


TABLES: dict[str, Callable[[], str]] = {
    "causes": causes,
    "commands": commands,
    "events": events,
    "exit-codes": exit_codes,
    "faults": faults,
    "formats": formats,
    "metrics": metrics,
    "photos": photos,
    "states": states,
    "status": status,
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
    for page in PAGES:
        page.write_text(renew(page.read_text(encoding="utf-8")), encoding="utf-8")
