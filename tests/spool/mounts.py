"""File systems that treat names and links in their own way, mounted for a test."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_IMAGE_SIZE = 48 << 20


def _ntfs(image: Path, folder: Path) -> None:
    """As a Windows share: it refuses names, knows no owners and cannot rename without replacing."""
    _run("mkfs.ntfs", "-q", "-F", image)
    _run("ntfs-3g", "-o", "windows_names", image, folder)


def _exfat(image: Path, folder: Path) -> None:
    """No hard links, no rename without replacing, no owners; `A` and `a` are one name."""
    _run("mkfs.exfat", image)
    device = _run("losetup", "--find", "--show", image)
    try:
        _run("mount.exfat-fuse", device, folder)
    finally:
        _run("losetup", "--detach", device)  # as soon as it is not mounted any more


def _encfs(image: Path, folder: Path) -> None:
    """Names of at most 175 bytes, as encrypting file systems have them (eCryptfs: 143)."""
    image.unlink()
    image.mkdir()
    _run("encfs", "--standard", "--stdinpass", image, folder, words="secret")


KINDS: dict[str, tuple[tuple[str, ...], Callable[[Path, Path], None]]] = {
    "ntfs": (("mkfs.ntfs", "ntfs-3g"), _ntfs),
    "exfat": (("mkfs.exfat", "mount.exfat-fuse", "losetup"), _exfat),
    "encfs": (("encfs",), _encfs),
}


def lacking(kind: str) -> str:
    """What this machine has not to mount it; empty where it has all."""
    tools = [tool for tool in KINDS[kind][0] if shutil.which(tool) is None]
    if tools:
        return f"needs {', '.join(tools)}"
    if os.geteuid() != 0 or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "mounting needs root and /dev/fuse"
    return ""


@contextmanager
def mounted(kind: str, place: Path) -> Iterator[Path]:
    """A new file system in a folder of `place`, gone afterwards."""
    image, folder = place / f"{kind}.image", place / kind
    folder.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(_IMAGE_SIZE)
    KINDS[kind][1](image, folder)
    try:
        yield folder
    finally:
        _run("umount", folder)


def _run(*command: str | Path, words: str = "") -> str:
    run = subprocess.run(
        command, input=words, capture_output=True, check=True, text=True, timeout=60
    )
    return run.stdout.strip()
