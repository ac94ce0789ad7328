"""Places, spool and publisher on real folders, and what the worker would do between them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from depthd.config import Config
from depthd.contract.formats import FORMATS, Format
from depthd.contract.manifest import FileFacts
from depthd.contract.names import SetName, readable
from depthd.intake import Candidate
from depthd.publish.places import Places
from depthd.publish.publisher import Claimed, MakeManifest, Outlets, Publisher
from depthd.spool import Job, Spool, make_folders, original_path
from depthd.system import files

RESULTS: Mapping[Format, bytes] = {Format.HEATMAP: b"picture", Format.NPY: b"numbers"}


@dataclass
class Parts:
    """One root, without a worker."""

    root: Path
    config: Config
    places: Places
    spool: Spool
    publisher: Publisher

    @classmethod
    @contextmanager
    def open(cls, root: Path, **paths: Path) -> Iterator[Parts]:
        """The parts of a root; `paths` as in the configuration."""
        parts = cls.start(Config.model_validate({"root": root, "paths": paths}))
        try:
            yield parts
        finally:
            parts.spool.close()

    @classmethod
    def start(cls, config: Config) -> Parts:
        make_folders(config)
        places = Places(*(config.folder(name) for name in ("outbox", "done", "failed")))
        spool = Spool(config, places)
        publisher = Publisher(places, config.output.mode, spool.instance)
        return cls(config.root, config, places, spool, publisher)

    def claim(self, name: str = "cam/a.jpg", content: bytes = b"photo") -> Job:
        return self.spool.claim(drop(self.root, name, content))

    def publish(self, job: Job, results: Mapping[Format, bytes] = RESULTS) -> SetName:
        return publish(self.publisher, claimed(job), results)

    def original(self, job: Job) -> bytes:
        return original_path(self.root / "work", job.id).read_bytes()

    def jobs(self) -> list[str]:
        """Folders in work/ but those that wait to be used again."""
        return sorted(name for name in os.listdir(self.root / "work") if not name.startswith("."))


def drop(root: Path, name: str = "cam/a.jpg", content: bytes = b"photo") -> Candidate:
    """A photo in the inbox."""
    path = root / "inbox" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return look(root, name)


def look(root: Path, name: str) -> Candidate:
    about = os.lstat(root / "inbox" / name)
    return Candidate.of(name, about)


def claimed(job: Job) -> Claimed:
    """What publishing needs to know of a job."""
    return Claimed(job.id, job.name, job.stamp)


def fill(outlets: Outlets, results: Mapping[Format, bytes] = RESULTS) -> list[FileFacts]:
    """What the worker does: the contents, and what it says of them."""
    for kind, content in results.items():
        os.truncate(outlets.files[kind], 0)
        os.lseek(outlets.files[kind], 0, os.SEEK_SET)
        files.write_all(outlets.files[kind], content)
    return [facts(kind, content) for kind, content in results.items()]


def facts(kind: Format, content: bytes) -> FileFacts:
    sha256 = hashlib.sha256(content).hexdigest()
    return FileFacts(format=kind, sha256=sha256, bytes=len(content))


def manifest_maker(job: Claimed, listed: list[FileFacts]) -> MakeManifest:
    return partial(_manifest, job, listed)


def _manifest(job: Claimed, listed: list[FileFacts], name: SetName) -> bytes:
    entries = [
        {
            "suffix": FORMATS[each.format].suffix,
            "name": readable(name.result(each.format)),
            "sha256": each.sha256,
        }
        for each in listed
    ]
    return json.dumps({"schema": "depthd.manifest/1", "job": job.id, "files": entries}).encode()


def publish(
    publisher: Publisher, job: Claimed, results: Mapping[Format, bytes] = RESULTS
) -> SetName:
    """Publish a set from opening its files to its name."""
    outlets = publisher.open(job.id, list(results))
    try:
        listed = fill(outlets, results)
        return publisher.publish(job, outlets, listed, manifest_maker(job, listed))
    finally:
        outlets.close()


def visible(folder: Path) -> set[str]:
    """Files with final names."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and ".depthd" not in path.parts
    }


def hidden(folder: Path) -> list[str]:
    """Files that have no final name."""
    private = folder / ".depthd"
    return sorted(os.listdir(private)) if private.exists() else []
