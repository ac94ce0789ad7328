"""What is on the disk before what, read from a trace of a whole run's system calls."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults import scene, sweep
from faults.forkserver import Forks, Order

_TRACED = (
    *("fsync", "fdatasync", "write", "linkat"),
    *("?rename", "?renameat", "renameat2", "?rmdir", "?mkdir"),
)
_MADE = ("mkdir", "rename")  # the folder of a job: a new one, or that of an earlier job
_FOLDER_AND_NAME = re.compile(r'\d+<([^>]*)>, "([^"]*)"')
_HANDLE = re.compile(r"\(\d+<([^>]*)>")


@dataclass(frozen=True)
class Call:
    """A call that succeeded. `begin` and `end` are lines of the trace."""

    begin: int
    end: int
    name: str
    paths: tuple[str, ...]


def _read(trace: Path) -> list[Call]:
    calls = []
    unfinished: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(trace.read_text(errors="replace").splitlines()):
        thread, _, text = line.partition(" ")
        text, begin = text.strip(), number
        if text.endswith("<unfinished ...>"):
            unfinished[thread] = number, text.removesuffix("<unfinished ...>")
            continue
        if text.startswith("<... "):
            begin, start = unfinished.pop(thread)
            text = start + text.partition("resumed>")[2]
        if " = -1 " in text or "(" not in text:
            continue
        name = text.partition("(")[0]
        pairs = [f"{folder}/{base}" for folder, base in _FOLDER_AND_NAME.findall(text)]
        handle = _HANDLE.search(text)
        plain = text.split('"')[1::2]
        paths = pairs if len(pairs) == 2 else [handle[1]] if handle else plain
        if paths:
            calls.append(Call(begin, number, name, tuple(paths)))
    return calls


class History:
    """Answers what came before what."""

    def __init__(self, calls: list[Call]) -> None:
        self.calls = calls

    def is_synced(self, path: str, *, after: int, before: int) -> bool:
        return any(
            call.name in ("fsync", "fdatasync")
            and call.paths == (path,)
            and after <= call.begin
            and call.end < before
            for call in self.calls
        )

    def last_write(self, path: str, before: int) -> int:
        ends = [
            call.end
            for call in self.calls
            if call.name == "write" and call.paths == (path,) and call.end < before
        ]
        return ends[-1]

    def moves(self, source: str, target: str) -> list[Call]:
        return [
            call
            for call in self.calls
            if call.name.startswith(("rename", "link"))
            and re.search(source, call.paths[0])
            and re.search(target, call.paths[1])
        ]


@pytest.fixture
def history(tmp_path: Path) -> History:
    """Of a whole run: the supervisor's threads, and the worker."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    root = tmp_path / "root"
    scene.set_out(root)
    traced = tuple(f"{call}:error=EIO:when=60000" for call in _TRACED)
    order = Order(str(root), sweep.SETTINGS, supervisor=traced, file_threads=3, with_paths=True)
    with Forks() as forks:
        assert forks.run(order) == 1  # a photo is bad
    return History(_read(root.with_name("root.supervisor.strace")))


def test_data_before_names_and_names_before_moves(history: History) -> None:
    links = history.moves(r"/outbox/\.depthd/", r"/outbox/")
    for link in links:
        hidden, _ = link.paths
        written = history.last_write(hidden, link.begin)
        assert history.is_synced(hidden, after=written, before=link.begin), link
    jobs = {link.paths[0].rpartition("/")[2].split("Z-")[0] for link in links}
    assert len(links) == 3 * len(jobs) == 9

    claims = history.moves(r"/inbox/", r"/work/[^/]*/original$")
    assert len(claims) == 4
    for claim in claims:
        folder, _, _ = claim.paths[1].rpartition("/")
        record = f"{folder}/job.json"
        (made,) = (c for c in history.calls if c.paths[-1] == folder and c.name in _MADE)
        written = history.last_write(record, claim.begin)
        assert history.is_synced(record, after=written, before=claim.begin)
        if made.name == "mkdir":
            assert history.is_synced(folder, after=written, before=claim.begin)
            assert history.is_synced(folder.rpartition("/")[0], after=made.end, before=claim.begin)
        assert history.is_synced(folder, after=claim.end, before=1 << 60)

    homes = history.moves(r"/work/[^/]*/original$", r"/done/")
    assert len(homes) == 3
    for home in homes:
        job = home.paths[0].split("/")[-2]
        mine = [link for link in links if f"/{job}." in link.paths[0]]
        assert mine[-1].paths[0].endswith(".json"), "the manifest is last"
        outbox = mine[-1].paths[1].rpartition("/")[0]
        assert history.is_synced(outbox, after=mine[-1].end, before=home.begin)

    failures = history.moves(r"/failed/\.depthd/[^/]*\.error\.json$", r"/failed/.*\.error\.json$")
    assert len(failures) == 1
    assert history.is_synced(
        failures[0].paths[0],
        after=history.last_write(failures[0].paths[0], failures[0].begin),
        before=failures[0].begin,
    )
    for home in homes + history.moves(r"/work/[^/]*/original$", r"/failed/"):
        job = home.paths[0].rpartition("/")[0]
        (gone,) = history.moves(f"^{re.escape(job)}$", r"/work/\.")
        kept = home.paths[1].rpartition("/")[0]
        assert history.is_synced(kept, after=home.end, before=gone.begin)
