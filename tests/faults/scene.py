"""A few photos in a root, and what must be true of them whatever happens to the daemon."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from depthd.contract.names import printable

_STAMP = re.compile(r"~\d{8}T\d{6}\.\d{3}Z(\.\d+)?")
_WORKING = {"log/depthd.jsonl", "state/status.json"}
_INSTANCE = "0123abcd"
_EARLIER = "done/dup.jpg"  # so that the photo of this name gets another one


def _photo(seed: int, kind: str) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, kind)
    return data.getvalue()


@cache
def photos() -> dict[str, bytes]:
    """Names inside the inbox, and contents: good, not UTF-8, a taken name, no picture."""
    return {
        "a.jpg": _photo(1, "JPEG"),
        os.fsdecode(b"cam/\xe9.png"): _photo(2, "PNG"),
        "dup.jpg": _photo(3, "JPEG"),
        "bad.jpg": b"no picture",
    }


def set_out(root: Path) -> None:
    """Drop the photos into a new root; half of them will lie in folders of earlier jobs."""
    for name, data in photos().items():
        path = root / "inbox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (root / "work").mkdir(mode=0o700)
    (root / "work/.lock").write_text(_INSTANCE)
    for job in ("one", "two"):
        spare = root / f"work/.{job}-{_INSTANCE}"
        spare.mkdir()
        (spare / "job.json").write_text("of an earlier job")
    earlier = root / _EARLIER
    earlier.parent.mkdir()
    earlier.write_bytes(b"an earlier photo")


def originals(root: Path) -> Counter[str]:
    """How often each photo is there under a name that anybody would look for."""
    names = {_digest(data): name for name, data in photos().items()}
    places = [*(root / "work").glob("*/original")]
    for folder in ("inbox", "done", "failed"):
        places += [path for path in _files(root / folder) if ".depthd" not in path.parts]
    return Counter(
        names.get(_digest(path.read_bytes()), f"unknown: {path}")
        for path in places
        if not path.name.endswith(".error.json") and path != root / _EARLIER
    )


def broken_results(root: Path, expected: dict[str, str], *, only_listed: bool = False) -> list[str]:
    """Final names in the outbox that are not whole, or not as their manifest says.

    Args:
        root: the root.
        expected: `end_state` of an undisturbed run.
        only_listed: look at what manifests list, not at what no manifest lists yet.
    """
    broken = []
    for path in _files(root / "outbox"):
        if ".depthd" in path.parts:
            continue
        if path.suffix == ".json":
            for file in json.loads(path.read_bytes())["files"]:
                listed = path.with_name(path.name.removesuffix(".json") + file["suffix"])
                if not listed.exists() or _digest(listed.read_bytes()) != file["sha256"]:
                    broken.append(f"{listed} is not as its manifest says")
        elif not only_listed and _digest(path.read_bytes()) not in expected.values():
            broken.append(f"{path} is not whole")
    return broken


def concerned(closed: str) -> set[str]:
    """Photos that cannot come home while a folder such as `done/cam` is closed."""
    folder = closed.partition("/")[2]
    return {name for name in photos() if folder and name.startswith(f"{folder}/")}


def wrongly_aside(root: Path, closed: str) -> list[str]:
    """What is not as it must be after a run while a folder was closed."""
    held, waiting = closed.partition("/")[2], concerned(closed)
    names = {_digest(data): name for name, data in photos().items()}
    aside = {names[_digest(path.read_bytes())] for path in (root / "work").glob("*/original")}
    found = [] if aside == waiting else [f"in work/: {aside}"]
    if any((root / "inbox").rglob("*.*")):
        found.append("photos are left in the inbox")
    if any(path.suffix != ".json" for path in _files(root / "failed") if path.name != "bad.jpg"):
        found.append("another photo was failed")
    status = json.loads((root / "state/status.json").read_bytes())
    if "not permitted" not in status["held_folders"].get(held, ""):
        found.append(f"the status names held folders {status['held_folders']}")
    said = {entry["name"]: entry["reason"] for entry in status["aside"]}
    if said.keys() != {printable(name) for name in waiting} or "" in said.values():
        found.append(f"the status says of those set aside: {said}")
    return found


def end_state(root: Path) -> dict[str, str]:
    """Every file and folder with its content; times and job names are left out.

    So are our private folders, in which only files would be wrong, and folders in work/ that wait
    for a job: a fault may keep the daemon from removing them.
    """
    return {
        _STAMP.sub("~STAMP", str(path.relative_to(root))): _content(path)
        for top, folders, names in os.walk(root, followlinks=True)
        for path in (Path(top, name) for name in folders + names)
        if str(path.relative_to(root)) not in _WORKING
        and path.name != ".depthd"
        and not str(path.relative_to(root)).startswith("work/.")
    }


def _content(path: Path) -> str:
    if path.is_dir():
        return "folder"
    data = path.read_bytes()
    if path.name.endswith(".error.json"):
        return str(json.loads(data)["code"])
    if path.suffix == ".json" and "outbox" in path.parts:
        manifest = json.loads(data)
        files = {_STAMP.sub("~STAMP", file["name"]): file["sha256"] for file in manifest["files"]}
        return f"{manifest['source']['sha256']} {files}"
    return _digest(data)


def _files(folder: Path) -> Iterator[Path]:
    for top, _, names in os.walk(folder):
        for name in names:
            yield Path(top, name)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
