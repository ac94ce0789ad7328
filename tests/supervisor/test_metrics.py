"""Heartbeat and metrics by a clock that is set, and what is built on the metrics' names."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import socket
import stat
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError

import depthd
from depthd.config import Config
from depthd.contract import status
from depthd.contract.errors import FaultCode
from depthd.contract.events import Event
from depthd.contract.health import Cause, Judged, judge
from depthd.supervisor.events_out import EventBus
from depthd.supervisor.filework import FileWork
from depthd.supervisor.metrics import Metrics
from depthd.supervisor.telling import Telling

DOCS = Path(depthd.__file__).parent / "docs"
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]
PUBLISHED = {"bytes": 4000, "infer_ms": 20.0, "decode_ms": 1.0, "job": "j", "name": "a"}


def made(**changes: Any) -> status.Status:
    plain = status.Status(
        version="1",
        pid=os.getpid(),
        state="running",
        started=NOW - timedelta(hours=1),
        updated=NOW,
        queue=status.Queue(
            waiting=7, in_work=3, aside=1, oldest_waiting=NOW - timedelta(minutes=2)
        ),
        done=90,
        failed=2,
        rates=status.Rates(last_minute=1, last_15_minutes=12.5),
        worker=status.Worker(pid=1, ready=True, restarts=4),
        model=status.Model(
            name="builtin", sha256="a" * 64, fallback=True, engine="openvino", precision="f32"
        ),
        disk=status.Disk(free=10**9, min_free=200, bytes_a_photo=4000, days_left=0.5),
    )
    return plain.model_copy(update=changes)


def judged(**changes: Any) -> Judged:
    return judge(made(**changes), NOW, 3600.0)


def series(text: bytes) -> Series:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(text: bytes, name: str, **labels: str) -> float:
    return series(text)[name, tuple(sorted(labels.items()))]


# figures ----------------------------------------------------------------------------------------


def test_events_are_counted() -> None:
    metrics = Metrics()
    for event, fields in (
        (Event.PHOTO_CLAIMED, {}),
        (Event.PHOTO_PUBLISHED, PUBLISHED),
        (Event.PHOTO_DONE, {"total_ms": 400}),
        (Event.PHOTO_SKIPPED, {"newer": "b.jpg"}),
        (Event.PHOTO_FAILED, {"code": "empty"}),
        (Event.PHOTO_RETRIED, {"code": "worker_crashed"}),
        (Event.WORKER_DIED, {}),
        (Event.WORKER_KILLED, {}),
    ):
        metrics.count(event, fields)
    text = metrics.text(judged())
    for name in ("photos_claimed", "photos_done", "photos_skipped", "worker_died", "worker_killed"):
        assert value(text, f"depthd_{name}_total") == 1
    assert value(text, "depthd_photos_failed_total", code="empty") == 1
    assert value(text, "depthd_photos_retried_total", code="worker_crashed") == 1
    assert value(text, "depthd_events_total", level="error") == 3
    assert value(text, "depthd_result_bytes_total") == 4000
    assert value(text, "depthd_stage_seconds_sum", stage="infer") == 0.02
    assert value(text, "depthd_stage_seconds_bucket", stage="infer", le="0.025") == 1
    assert value(text, "depthd_photo_seconds_bucket", le="0.25") == 0
    assert value(text, "depthd_photo_seconds_bucket", le="0.5") == 1


def test_the_status_is_told() -> None:
    text = Metrics().text(judged())
    assert value(text, "depthd_running") == value(text, "depthd_degraded") == 1
    assert value(text, "depthd_queue_photos", place="inbox") == 7
    assert value(text, "depthd_queue_oldest_age_seconds") == 120
    assert value(text, "depthd_worker_restarts") == 4
    assert value(text, "depthd_model_fallback") == 1
    assert value(text, "depthd_disk_left_seconds") == 43_200
    assert value(text, "depthd_updated_timestamp_seconds") == NOW.timestamp()
    causes = {cause for cause in Cause if value(text, "depthd_cause", cause=cause.value)}
    assert causes == {Cause.FALLBACK, Cause.DISK_FILLS}
    stopped = Metrics().text(judged(state="stopped", disk=None, model=None))
    assert value(stopped, "depthd_running") == 0
    free = value(stopped, "depthd_disk_free_bytes")
    assert free != free  # not a number: nobody knows


def test_nothing_that_a_worker_says_makes_new_series() -> None:
    metrics = Metrics()
    before = series(metrics.text(judged())).keys()
    for number in range(100):
        metrics.count(Event.PHOTO_PUBLISHED, {f"stage{number}_ms": 1.0, "bytes": "many"})
        metrics.count(Event.PHOTO_FAILED, {"code": f"code{number}"})
        metrics.count(Event.PHOTO_DONE, {"total_ms": -5})
    assert series(metrics.text(judged())).keys() == before
    assert len(before) < 300


def test_every_event_and_code_can_be_counted() -> None:
    metrics = Metrics()
    for event in Event:
        for code in FaultCode:
            metrics.count(event, {"code": code.value})


# when it is told --------------------------------------------------------------------------------


class Heard:
    """A service's ear: what is logged, and the telling under test."""

    def __init__(self, **sections: dict[str, Any]) -> None:
        self.events: list[tuple[Event, dict[str, object]]] = []
        self.bus = EventBus(self._log)
        self.filework = FileWork(0, lambda: None)
        self.telling = Telling(config(**sections), self.bus, self.filework, now=0.0)

    def _log(self, event: Event, /, **fields: object) -> None:
        self.events.append((event, fields))

    def at(self, now: float, **changes: Any) -> None:
        self.telling.tell(made(**changes), now)
        self.filework.deliver()

    def names(self) -> list[str]:
        return [event.value for event, _ in self.events]


def config(**sections: dict[str, Any]) -> Config:
    return Config.model_validate(sections)


def test_a_heartbeat_says_the_figures_as_often_as_it_is_asked_to() -> None:
    heard = Heard(log={"heartbeat": "1m"})
    for now in (1, 59, 60, 61, 119, 120):
        heard.at(now)
    assert heard.names() == ["service.heartbeat"] * 2
    fields = heard.events[0][1]
    assert json.loads(json.dumps(fields)) == {
        "health": "degraded",
        "causes": ["fallback", "disk_fills"],
        "state": "running",
        "waiting": 7,
        "in_work": 3,
        "aside": 1,
        "oldest_s": 120,
        "done": 90,
        "failed": 2,
        "a_minute": 12.5,
        "worker_ready": True,
        "restarts": 4,
        "model": "builtin",
        "fallback": True,
        "free": 10**9,
        "bytes_a_photo": 4000,
        "days_left": 0.5,
    }


def test_no_heartbeat_and_another_after_a_reload() -> None:
    heard = Heard(log={"heartbeat": "0"})
    heard.at(10_000.0)
    assert heard.events == []
    heard.telling.renew(config(log={"heartbeat": "1m"}), 10_000.0)
    heard.at(10_059.0)
    heard.at(10_060.0)
    assert heard.names() == ["service.heartbeat"]


def test_the_file_is_written_now_and_then_whole_and_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "depthd.prom"
    heard = Heard(metrics={"textfile": path})
    heard.at(0.0)
    with path.open("rb") as old:
        first = path.stat()
        assert stat.S_IMODE(first.st_mode) == 0o644
        heard.bus.emit(Event.PHOTO_CLAIMED)
        heard.at(9.0)
        assert path.stat().st_ino == first.st_ino
        heard.at(10.0)
        assert value(old.read(), "depthd_photos_claimed_total") == 0
    assert value(path.read_bytes(), "depthd_photos_claimed_total") == 1
    assert os.listdir(tmp_path) == ["depthd.prom"]
    heard.telling.close(made(state="stopped"))
    assert value(path.read_bytes(), "depthd_running") == 0


def test_a_reload_begins_and_ends_it_and_counts_on(tmp_path: Path) -> None:
    heard = Heard()
    heard.bus.emit(Event.PHOTO_CLAIMED)
    first, second = tmp_path / "a.prom", tmp_path / "b.prom"
    heard.telling.renew(config(metrics={"textfile": first}), 1.0)
    heard.bus.emit(Event.PHOTO_CLAIMED)
    heard.at(1.0)
    assert value(first.read_bytes(), "depthd_photos_claimed_total") == 1
    heard.telling.renew(config(metrics={"textfile": second}), 2.0)
    heard.bus.emit(Event.PHOTO_CLAIMED)
    heard.at(2.0)
    assert value(second.read_bytes(), "depthd_photos_claimed_total") == 2
    assert not first.exists()  # the collector refuses figures that come twice
    heard.telling.renew(config(), 3.0)
    heard.at(30.0)
    assert not second.exists()


def test_a_file_that_cannot_be_written_is_told_once_for_each_reason(tmp_path: Path) -> None:
    path = tmp_path / "none/depthd.prom"
    heard = Heard(metrics={"textfile": path}, log={"heartbeat": "0"})
    for now in (0.0, 10.0, 20.0):
        heard.at(now)
    (event, fields), *more = heard.events
    assert event is Event.METRICS_LOST
    assert fields == {"file": str(path), "reason": "No such file or directory"}
    assert more == []
    path.parent.mkdir()
    heard.at(30.0)
    assert path.exists()
    shutil.rmtree(path.parent)
    heard.at(40.0)
    assert heard.names() == ["metrics.lost"] * 2
    heard.telling.close(made(state="stopped"))


def test_a_counter_that_fails_is_told_and_harms_nobody() -> None:
    heard = Heard()

    def broken(event: Event, fields: object) -> None:
        raise ZeroDivisionError("no")

    heard.bus.count_by("broken", broken)
    heard.bus.emit(Event.PHOTO_CLAIMED)
    heard.bus.emit(Event.PHOTO_DONE)
    assert heard.names() == ["photo.claimed", "consumer.failed", "photo.done"]
    assert heard.events[1][1] == {"consumer": "broken", "reason": "ZeroDivisionError: no"}


def test_other_names_are_refused_because_nobody_would_read_them() -> None:
    with pytest.raises(ValidationError, match=r"ends in \.prom"):
        config(metrics={"textfile": "/x/depthd.txt"})


# what is built on the names ---------------------------------------------------------------------


RULES, DASHBOARD = DOCS / "depthd.rules.yml", DOCS / "depthd.dashboard.json"
NAME = re.compile(r"\bdepthd_[a-z_]+\b")


def expressions(file: Path) -> list[str]:
    """What the rules or the dashboard ask Prometheus."""
    if file is RULES:
        groups = yaml.safe_load(file.read_text())["groups"]
        return [rule["expr"] for group in groups for rule in group["rules"]]
    dashboard = json.loads(file.read_text())
    asked = [each["expr"] for panel in dashboard["panels"] for each in panel["targets"]]
    return [*asked, *(each["query"] for each in dashboard["templating"]["list"])]


@pytest.mark.parametrize("file", [RULES, DASHBOARD], ids=["rules", "dashboard"])
def test_rules_and_dashboard_ask_for_what_is_written(file: Path) -> None:
    written = {name for name, _ in series(Metrics().text(judged()))}
    asked = {name for expression in expressions(file) for name in NAME.findall(expression)}
    assert len(asked) > 5
    assert asked <= written


def test_labels_that_are_asked_for_have_such_values() -> None:
    written = {pair for _, labels in series(Metrics().text(judged())) for pair in labels}
    pairs = {
        (label, one)
        for file in (RULES, DASHBOARD)
        for expression in expressions(file)
        for label, values in re.findall(r'(\w+)!?[=~]+"([a-z_|]+)"', expression)
        for one in values.split("|")
    }
    assert ("stage", "infer") in pairs
    assert pairs <= written


def test_the_dashboard_has_a_place_for_each_panel() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


@pytest.fixture
def promtool() -> Callable[..., subprocess.CompletedProcess[str]]:
    if shutil.which("promtool") is None:
        pytest.skip("needs promtool (Debian: prometheus)")

    def run(*arguments: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
        command = ["promtool", *map(str, arguments)]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=False)

    return run


def test_prometheus_takes_metrics_and_rules(
    promtool: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    seen = promtool("check", "metrics", given=Metrics().text(judged()).decode())
    assert (seen.returncode, seen.stderr) == (0, "")
    seen = promtool("check", "rules", RULES)
    assert seen.returncode == 0, seen.stderr


# For each alert a box that is well for an hour, and then is not.
WELL = {
    "depthd_running": "1x60",
    "depthd_updated_timestamp_seconds": "0+60x60",
    'depthd_cause{cause="fallback"}': "0x60",
    "depthd_disk_left_seconds": "90000x60",
    "depthd_queue_oldest_age_seconds": "10x60",
    'depthd_photos_failed_total{code="empty"}': "0+1x60",
    "depthd_photos_done_total": "0+100x60",
}
TROUBLE = {
    "DepthdDown": {"depthd_updated_timestamp_seconds": "0+60x20 1200x40"},
    "DepthdDegraded": {'depthd_cause{cause="fallback"}': "0x20 1x40"},
    "DepthdDiskFills": {"depthd_disk_left_seconds": "90000x20 3600x40"},
    "DepthdPhotosWait": {"depthd_queue_oldest_age_seconds": "10x20 4000x40"},
    "DepthdPhotosFail": {'depthd_photos_failed_total{code="empty"}': "0+50x60"},
}


@pytest.mark.parametrize("alert", [None, *TROUBLE])
def test_each_alert_rings_when_it_should_and_no_other(
    alert: str | None,
    tmp_path: Path,
    promtool: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    rules = [rule["alert"] for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]]
    assert rules == list(TROUBLE)
    values = WELL | (TROUBLE[alert] if alert else {})
    given = [{"series": _of_box(name), "values": each} for name, each in values.items()]
    asked = [
        {
            "expr": f'count(ALERTS{{alertname="{rule}",alertstate="firing"}})',
            "eval_time": "58m",
            "exp_samples": [{"labels": "{}", "value": 1}] if rule == alert else [],
        }
        for rule in rules
    ]
    tests = [{"interval": "1m", "input_series": given, "promql_expr_test": asked}]
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "tests": tests}))
    seen = promtool("test", "rules", file)
    assert seen.returncode == 0, seen.stdout + seen.stderr


def _of_box(name: str) -> str:
    base, _, labels = name.partition("{")
    return f'{base}{{instance="box",{labels or "}"}'


def test_node_exporter_hands_it_on(tmp_path: Path) -> None:
    """As counters: of OpenMetrics' own format it would lose what kind they are."""
    program = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")
    if program is None:
        pytest.skip("needs node_exporter (Debian: prometheus-node-exporter)")
    metrics = Metrics()
    metrics.count(Event.PHOTO_DONE, {"total_ms": 400})
    metrics.write(tmp_path / "depthd.prom", judged())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = ["--collector.disable-defaults", "--collector.textfile"]
    options += [f"--collector.textfile.directory={tmp_path}", f"--web.listen-address={address}"]
    with subprocess.Popen([program, *options], stderr=subprocess.DEVNULL) as exporter:
        try:
            text = _fetch(f"http://{address}/metrics")
        finally:
            exporter.kill()
    assert "node_textfile_scrape_error 0" in text
    assert "# TYPE depthd_photos_done_total counter\ndepthd_photos_done_total 1\n" in text
    assert "# TYPE depthd_photo_seconds histogram" in text


def _fetch(address: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 30
    while True:
        try:
            with opener.open(address, timeout=10) as answer:
                return str(answer.read().decode())
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            select.select([], [], [], 0.05)
