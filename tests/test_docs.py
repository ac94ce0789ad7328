"""The README's tables are those of the code."""

from __future__ import annotations

from pathlib import Path

import pytest
from readme_tables import TABLES, renew

from depthd.contract.errors import EXIT_MEANINGS, FAULTS, ExitCode, FaultCode
from depthd.contract.events import MEANINGS, Event
from depthd.contract.states import TRANSITIONS, State

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.skipif(not README.exists(), reason="README.md is not written yet")
def test_readme_holds_the_tables_of_the_code() -> None:
    text = README.read_text(encoding="utf-8")
    for name in TABLES:
        assert text.count(f"<!-- {name} -->\n") == text.count(f"<!-- /{name} -->") == 1
    assert renew(text) == text, "run: python .ci/readme_tables.py README.md"


@pytest.mark.parametrize("name", TABLES)
def test_renew_replaces_what_stands_between_the_markers(name: str) -> None:
    text = f"before\n<!-- {name} -->\nstale \\1\n<!-- /{name} -->\nafter\n"
    renewed = renew(text)
    assert renewed.startswith(f"before\n<!-- {name} -->\n| ")
    assert renewed.endswith(f" |\n<!-- /{name} -->\nafter\n")
    assert "stale" not in renewed
    assert renew(renewed) == renewed


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
