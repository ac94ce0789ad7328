"""The cage against the kernel: a real process goes in, and tries."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from depthd.system import cage
from depthd.system.cage import Cage

DEADLINE = 60.0  # seconds
CHILD = Path(__file__).with_name("caged.py")
OFFERED = cage.offered()
needs_seccomp = pytest.mark.skipif(not OFFERED.seccomp, reason=str(OFFERED))
needs_landlock = pytest.mark.skipif(not OFFERED.landlock, reason=str(OFFERED))

GOES_ON = {
    "read, write and sync",
    "room on the disk",
    "receive a descriptor",
    "wait for a descriptor",
    "a time-out",
    "memory",
    "threads",
    "random numbers",
    "processors",
    "own limits, read",
    "usage",
    "signal itself",
    "signal own thread",
    "name a thread",
}
# What Landlock alone forbids too, from its first version on.
FILES = [
    "open to read",
    "open in /proc",
    "open a device",
    "open in a new thread",
    "make a file",
    "list a folder",
    "make a folder",
    "make a FIFO",
    "make a link",
    "make a symlink",
    "rename",
    "remove",
    "trace the parent",
]
_SINCE = {3: ["truncate"], 4: ["bind", "connect"], 6: ["signal the parent"]}
OF_LANDLOCK = FILES + [
    what for since in _SINCE if OFFERED.landlock >= since for what in _SINCE[since]
]


def answers(walls: str, folder: Path, *tries: str) -> dict[str, str]:
    """What the child says of each try; see caged.py."""
    (folder / "there").write_bytes(b"bytes")
    (folder / "sent").write_bytes(b"hello")
    ours, theirs = socket.socketpair()
    with (
        ours,
        theirs,
        (folder / "there").open("rb") as reader,
        (folder / "result").open("wb") as writer,
        (folder / "sent").open("rb") as sent,
    ):
        handles = [theirs.fileno(), reader.fileno(), writer.fileno()]
        socket.send_fds(ours, [b"hello"], [sent.fileno()])
        child = subprocess.run(
            [sys.executable, "-P", CHILD, walls, folder, *map(str, handles), *tries],
            pass_fds=handles,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
            start_new_session=True,
        )
    assert child.returncode == 0, child.stderr
    said: dict[str, str] = json.loads(child.stdout)
    return said


@needs_seccomp
@pytest.mark.parametrize("walls", ["both", "seccomp"])
def test_nothing_is_opened_started_or_signalled(walls: str, tmp_path: Path) -> None:
    said = answers(walls, tmp_path)
    held, again = said.pop("cage"), said.pop("again")
    refused = {what for what, answer in said.items() if answer == "PermissionError EPERM"}
    assert said.keys() - refused == GOES_ON
    assert {what for what, answer in said.items() if answer == "went"} == GOES_ON
    assert (tmp_path / "there").read_bytes() == b"bytes"
    assert (tmp_path / "result").read_bytes() == b"bytesbytes"
    assert sorted(os.listdir(tmp_path)) == ["result", "sent", "there"]
    # It cannot go in a second time, and is told so in words.
    if walls == "both":
        assert held == str(OFFERED)
        assert again.startswith("not shut in; no Landlock: forbidden here")
    else:
        assert held == "shut in by a filter of system calls; no Landlock: not in this kernel"
    assert "no seccomp: forbidden here" in again


@needs_landlock
def test_landlock_alone_forbids_files_and_more_with_its_version(tmp_path: Path) -> None:
    said = answers("landlock", tmp_path, *OF_LANDLOCK, "read, write and sync")
    assert said["cage"].startswith(f"shut in by Landlock {OFFERED.landlock}; no seccomp: ")
    refused = {what for what, answer in said.items() if answer.startswith("PermissionError")}
    assert refused == set(OF_LANDLOCK)
    assert said["read, write and sync"] == "went"
    assert sorted(os.listdir(tmp_path)) == ["result", "sent", "there"]
    if OFFERED.landlock < 8:  # which is why the door is for the time before threads
        assert said["list a folder in an earlier thread"] == "went"


def test_outside_the_cage_all_this_goes(tmp_path: Path) -> None:
    harmless = {*OF_LANDLOCK, "a local socket", "fork", "spawn", "look whether the parent lives"}
    harmless -= {"trace the parent", "connect", "remove"}  # not everybody may trace; nobody listens
    said = answers("none", tmp_path, *sorted(harmless))
    assert {what for what in harmless if said[what] == "went"} == harmless


def test_what_is_missing_is_said() -> None:
    assert str(Cage(7, seccomp=True)) == "shut in by a filter of system calls and Landlock 7"
    assert str(Cage(0, seccomp=False, lacking=("no Landlock: x", "no seccomp: y"))) == (
        "not shut in; no Landlock: x; no seccomp: y"
    )
