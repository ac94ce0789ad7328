"""What a reload says of each key."""

from __future__ import annotations

from typing import Any

import pytest

from depthd.config import Config
from depthd.supervisor.settings_changed import settings_changed


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return list(settings_changed(Config.model_validate(before), Config.model_validate(after)))


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ({}, {"worker": {"timeout": "2m"}}, "worker.timeout: 1m -> 2m, at once"),
        (
            {},
            {"model": {"precision": "bf16"}},
            "model.precision: f32 -> bf16, once another worker is ready",
        ),
        (
            {"output": {"formats": ["npy"]}},
            {},
            'output.formats: ["npy"] -> ["heatmap", "npy"], for photos that are taken from now on',
        ),
        (
            {},
            {"output": {"mode": "0600"}},
            "output.mode: 0640 -> 0600, once what is at work is home",
        ),
        (
            {},
            {"paths": {"outbox": "/srv/out"}},
            "paths.outbox: empty -> /srv/out, once what is at work is home",
        ),
        ({}, {"paths": {"log": "/srv/log"}}, "paths.log: empty -> /srv/log, at once"),
        (
            {},
            {"paths": {"state": "/srv/state"}},
            "paths.state: empty -> /srv/state, at once, by the worker once another worker is ready",
        ),
        (
            {},
            {"disk": {"min_free": "2GB"}},
            "disk.min_free: 200MB -> 2GB, at once, by the worker once another worker is ready",
        ),
        (
            {},
            {"folders": {"cam\n1": {"retention": "7d"}}},
            r"folders.cam\n1.retention: not set -> 7d, for photos that are taken from now on",
        ),
        (
            {},
            {"page": {"port": 8081}},
            "page.port: 8080 -> 8081, when 'depthd page' is started anew",
        ),
        ({}, {"retention": {"done": "30d"}}, "retention.done: empty -> 30d, at once"),
    ],
)
def test_a_line_says_what_was_what_is_and_when(
    before: dict[str, Any], after: dict[str, Any], line: str
) -> None:
    assert changed(before, after) == [line]


def test_many_and_long_ones_are_shortened() -> None:
    exclude = ["x" * 1000]
    folders = {f"cam{number}": {"priority": "first"} for number in range(60)}
    lines = changed({}, {"intake": {"exclude": exclude}, "folders": folders})
    assert len(lines) == 51
    assert lines[-1] == "and 11 more"
    assert all(len(line) < 300 for line in lines)


def test_the_same_changes_nothing() -> None:
    assert changed({"folders": {"a": {}}}, {"folders": {"a": {}}}) == []
