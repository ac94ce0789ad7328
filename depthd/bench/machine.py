"""What the figures belong to: processor, memory, versions, date. Knows Linux and packages."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from depthd import __version__
from depthd.model.cpus import usable_cpus
from depthd.model.engine import processor_name

_PACKAGES = ("openvino", "torch", "opencv-python-headless", "numpy", "isal")
_TELLING_FLAGS = (  # of x86 and of arm64
    "avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "sha_ni",
    "asimd", "bf16", "i8mm", "sve", "sha2",
)  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """The box. `memory` in bytes; `flags` are those of the processor that matter here."""

    date: str
    processor: str
    cpus: int
    flags: tuple[str, ...]
    memory: int
    kernel: str
    load: float  # average of the last minute: what else was running
    versions: dict[str, str]

    @classmethod
    def here(cls) -> Machine:
        present = set(_cpu_flags())
        return cls(
            date=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            processor=processor_name(),
            cpus=usable_cpus(),
            flags=tuple(flag for flag in _TELLING_FLAGS if flag in present),
            memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            kernel=os.uname().release,
            load=os.getloadavg()[0],
            versions={"depthd": __version__, **_versions()},
        )


def _cpu_flags() -> list[str]:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return value.split()
    return []


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
