"""The pages: their tables are those of the code, and their links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from doc_tables import PAGES, PROJECT, TABLES, renew

from depthd.contract.errors import EXIT_MEANINGS, FAULTS, ExitCode, FaultCode
from depthd.contract.events import MEANINGS, Event
from depthd.contract.states import TRANSITIONS, State

README = PROJECT / "README.md"
MOST_LINES = 250  # of the README; the rest is for the pages


def name(page: Path) -> str:
    return page.stem


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_pages_hold_the_tables_of_the_code(page: Path) -> None:
    assert renew(text(page)) == text(page), "run: python .ci/doc_tables.py"


@pytest.mark.parametrize("table", TABLES)
def test_each_table_stands_in_one_page(table: str) -> None:
    everything = "".join(text(page) for page in PAGES)
    assert everything.count(f"<!-- {table} -->\n") == everything.count(f"<!-- /{table} -->") == 1


@pytest.mark.parametrize("table", TABLES)
def test_renew_replaces_what_stands_between_the_markers(table: str) -> None:
    stale = f"before\n<!-- {table} -->\nstale \\1\n<!-- /{table} -->\nafter\n"
    renewed = renew(stale)
    assert renewed.startswith(f"before\n<!-- {table} -->\n| ")
    assert renewed.endswith(f" |\n<!-- /{table} -->\nafter\n")
    assert "stale" not in renewed
    assert renew(renewed) == renewed


def anchors(page: Path) -> set[str]:
    """Of its headings, as Markdown viewers make them."""
    headings = re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(page: Path) -> Iterator[str]:
    for link in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if not link.startswith("https://"):
            place, _, anchor = link.partition("#")
            target = page.parent / place if place else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                yield link


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    assert not list(dead_links(page))


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    assert len(text(README).splitlines()) < MOST_LINES
    for page in PAGES[1:]:
        assert f"](depthd/docs/{page.name})" in text(README)


@pytest.mark.parametrize(
    ("declared", "explained"),
    [
        (Event, MEANINGS),
        (FaultCode, FAULTS),
        (ExitCode, EXIT_MEANINGS),
        (State, TRANSITIONS),
    ],
)
def test_everything_declared_is_explained(declared: type, explained: dict[object, object]) -> None:
    assert list(declared) == list(explained)
