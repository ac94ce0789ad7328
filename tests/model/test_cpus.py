"""How many CPUs a process counts that is limited by affinity or by control groups."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from depthd.model.cpus import usable_cpus


def machine(root: Path, groups: str, files: dict[str, str]) -> int:
    for name, text in {"proc/self/cgroup": groups, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return usable_cpus(root)


@pytest.fixture(autouse=True)
def _eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [("max 100000", 8), ("300000 100000", 3), ("150000 100000", 1), ("20000 100000", 1),
     ("1600000 100000", 8), ("50000 25000", 2), ("rubbish", 8), ("", 8)],
)  # fmt: skip
def test_quota_of_version_2(quota: str, cpus: int, tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/system.slice/depthd.service/cpu.max": quota}
    assert machine(tmp_path, "0::/system.slice/depthd.service", files) == cpus


def test_the_tightest_of_all_enclosing_groups_counts(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/a/b/c/cpu.max": "600000 100000",
        "sys/fs/cgroup/a/b/cpu.max": "max 100000",
        "sys/fs/cgroup/a/cpu.max": "200000 100000",
    }
    assert machine(tmp_path, "0::/a/b/c", files) == 2


def test_container_that_sees_only_its_own_group(tmp_path: Path) -> None:
    assert machine(tmp_path, "0::/", {"sys/fs/cgroup/cpu.max": "400000 100000"}) == 4


@pytest.mark.parametrize(("quota", "cpus"), [("-1", 8), ("250000", 2)])
@pytest.mark.parametrize("place", ["docker/1234/", ""])  # without and with a namespace of its own
def test_quota_of_version_1(place: str, quota: str, cpus: int, tmp_path: Path) -> None:
    groups = "5:memory:/docker/1234\n4:cpu,cpuacct:/docker/1234\n1:name=systemd:/docker/1234\n0::/"
    folder = f"sys/fs/cgroup/cpu,cpuacct/{place}"
    files = {f"{folder}cpu.cfs_quota_us": quota, f"{folder}cpu.cfs_period_us": "100000"}
    assert machine(tmp_path, groups, files) == cpus


def test_no_control_groups_at_all(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path) == 8


def test_affinity_of_a_real_process() -> None:
    code = (
        "import os; from depthd.model.cpus import usable_cpus;"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(usable_cpus())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "1"
