"""One unit without Ray: the worker that may die, shards and files, and what counts when."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, patch

import pytest

pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'depthd[test-cluster]'")
pytest.importorskip("duckdb", reason="needs duckdb: pip install 'depthd[test-cluster]'")

import depthd
from depthd.backfill import actor, reading, store
from depthd.backfill.actor import UnitWorker
from depthd.backfill.index import Index
from depthd.backfill.lease import leased
from depthd.backfill.places import Place
from depthd.backfill.reading import Reader
from depthd.backfill.results import Failed
from depthd.backfill.shards import Shards
from depthd.backfill.sources import photos
from depthd.backfill.sweep import sweep
from depthd.backfill.task import Task, claim, with_network
from depthd.backfill.units import Photo, Report, Unit
from depthd.backfill.worker import Job
from depthd.config import Config, Model
from depthd.contract.errors import (
    FaultCode,
    OutputError,
    TemporaryError,
    UnavailableError,
    UsageError,
)
from depthd.model.weights import find_weights

from .archive import fill, in_shards, photo, rows, shards
from .conftest import SABOTAGE, elsewhere, needs

RUN, LATER = "20261127T000000Z", "20261128T000000Z"
PART = f"{RUN}-00000000"


@pytest.fixture
def task(tmp_path: Path, prepared_state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Task]:
    """Of an empty archive."""
    monkeypatch.setenv("PYTHONPATH", str(SABOTAGE))
    (tmp_path / "archive").mkdir()
    limits = {"max_attempts": 2, "timeout": 3.0, "max_memory": 1_000_000_000}
    config = Config.model_validate({"model": {"name": "builtin"}, "worker": limits})
    weights = find_weights(Model(name="builtin"), prepared_state, report=print)
    place = Place.of(str(tmp_path / "depth"))
    with leased(store.open_store(place), place.address, print) as lease:
        yield Task(
            config=with_network(config, weights).model_dump_json(),
            source=Place.of(str(tmp_path / "archive")),
            target=place,
            layout="shards",
            run=RUN,
            owner=lease.owner,
            shard_size=10_000_000,
            unit_size=100,
            retry_failed=False,
            threads=1,
            state=str(prepared_state),
            fallback=False,
            weights_sha256="",
        )


@pytest.fixture
def do(task: Task) -> Iterator[Any]:
    """Does a unit of all photos of the archive."""
    workers = []

    def work(part: str = PART, **changes: Any) -> Report:
        retries = changes.pop("retries", False)
        chosen = changes.pop("photos", None) or listed(task)
        worker = UnitWorker(replace(task, **changes), b"", lambda _report: None)
        workers.append(worker)
        return worker.do(Unit(part, tuple(chosen), retries))

    yield work
    for worker in workers:
        worker.close()


def listed(task: Task) -> list[Photo]:
    return list(photos(task.source, task.settings().intake))


def folder(task: Task) -> Path:
    return Path(task.source.path)


def target(task: Task) -> Path:
    return Path(task.target.path)


def test_photos_that_break_their_worker_are_found_and_all_others_come_through(
    task: Task, do: Any
) -> None:
    good = fill(folder(task), 12)
    killers = {
        "segfault": ("decode", "worker_crashed"),
        "exit": ("render", "worker_crashed"),
        "garbage": ("infer", "worker_crashed"),
        "hang": ("infer", "worker_timeout"),
        "memory": ("decode", "worker_out_of_memory"),
        "bug": ("write", "internal_error"),
    }
    for deed, (stage, _) in killers.items():
        (folder(task) / f"day1/{deed}.jpg").write_bytes(photo(99, f"{stage}:{deed}"))
    descriptors = len(os.listdir("/proc/self/fd"))
    report = do()
    assert (report.done, report.failed, report.error) == (12, 6, "")
    found = {row["name"]: row["code"] for row in rows(target(task))}
    expected = {f"day1/{deed}.jpg": code for deed, (_, code) in killers.items()}
    assert found == dict.fromkeys(good) | expected
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 12  # a worker, a pool, a module


def test_the_files_are_those_of_process(task: Task, do: Any, tmp_path: Path) -> None:
    names = fill(folder(task), 5)
    assert do(layout="files").done == 5
    command = [
        sys.executable, "-P", "-m", "depthd", "process", folder(task), "-o", tmp_path / "out",
        "--set", "model.name=builtin", "--set", f"paths.state={task.state}",
    ]  # fmt: skip
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    for name in names:
        for suffix in (".depth.npy", ".heatmap.png"):
            ours = target(task) / f"files/{name}{suffix}"
            assert ours.read_bytes() == (tmp_path / f"out/{name}{suffix}").read_bytes()
        ours, theirs = (
            json.loads(path.read_bytes())
            for path in (target(task) / f"files/{name}.json", tmp_path / f"out/{name}.json")
        )
        for key in ("job", "times", "milliseconds"):
            ours.pop(key), theirs.pop(key)
        assert ours == theirs


def test_shards_have_the_stated_size_and_readers_find_their_samples(task: Task, do: Any) -> None:
    fill(folder(task), 20)
    assert do(shard_size=60_000).done == 20
    sizes = [(target(task) / name).stat().st_size for name in shards(target(task))]
    assert len(sizes) > 3
    assert max(sizes) <= 60_000 + 10_000  # the manifest comes on top
    found = rows(target(task))
    assert all("." not in row["key"] for row in found)
    assert len({row["key"] for row in found}) == 20
    depth = in_shards(target(task), found, ".depth.npy")
    for name, data in in_shards(target(task), found, ".json").items():
        manifest = json.loads(data)
        assert manifest["source"]["name"] == name
        (row,) = (row for row in found if row["name"] == name)
        assert manifest["depth"]["percentiles"]["50"] == row["depth_p50"]
        (npy,) = (file for file in row["files"] if file["format"] == "npy")
        assert hashlib.sha256(depth[name]).hexdigest() == npy["sha256"]
        assert [(f["format"], f["sha256"]) for f in row["files"]] == [
            (f["format"], f["sha256"]) for f in manifest["files"]
        ]


def test_the_page_s_five_lines_read_it_back(task: Task, do: Any) -> None:
    needs("webdataset")
    fill(folder(task), 3)
    (folder(task) / "bad.jpg").write_text("no photo")
    do()
    page = (Path(depthd.__file__).parent / "docs/cluster.md").read_text(encoding="utf-8")
    start = page.index("    import duckdb")
    lines = page[start : page.index("\n\n", start)].replace("/depth/", f"{target(task)}/")
    code = "\n".join(line.removeprefix("    ") for line in lines.splitlines())
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "not_an_image" in shown
    assert shown.count("(48, 64)") == 3


def test_nothing_counts_before_its_part_is_written_and_what_is_left_is_swept(
    task: Task, do: Any
) -> None:
    fill(folder(task), 6)
    with (
        patch.object(Index, "write", side_effect=KeyboardInterrupt),  # killed just before
        pytest.raises(KeyboardInterrupt),
    ):
        do()
    left = shards(target(task))
    assert left
    assert not list((target(task)).glob("index/*"))
    assert do().done == 6
    found = {row["shard"] for row in rows(target(task))}
    assert shards(target(task)) == left | found
    (target(task) / "shards/.0123456789abcdef.part").touch()
    sweep(store.open_store(task.target), RUN, began=1.0)
    assert set(os.listdir(target(task) / "shards")) == {n[7:] for n in found}
    assert len(in_shards(target(task), rows(target(task)), ".depth.npy")) == 6


def test_a_sweep_leaves_what_another_run_has_just_written(task: Task, do: Any) -> None:
    fill(folder(task), 2)
    assert do().done == 2
    for each in (target(task) / "index").iterdir():
        each.unlink()
    sweep(store.open_store(task.target), LATER, began=1.0)
    assert shards(target(task))


class Refuses:
    """Stands for a worker that finds no photo in what it gets."""

    def __init__(self, _config: Config) -> None: ...

    def work(self, jobs: Iterator[Job]) -> Iterator[Failed]:
        for job in jobs:
            os.close(job.original)
            yield Failed(job.id, FaultCode.NOT_AN_IMAGE, "")


def test_while_a_unit_is_written_out_the_next_one_is_at_the_worker(task: Task) -> None:
    fill(folder(task), 4)
    there = listed(task)
    first, second = Unit(PART, tuple(there[:2])), Unit(f"{RUN}-00000001", tuple(there[2:]))
    is_on_its_way_out, may_end = threading.Event(), threading.Event()

    def commit(_shards: Shards) -> None:
        if not is_on_its_way_out.is_set():
            is_on_its_way_out.set()
            assert may_end.wait(10)

    with (
        patch.object(actor, "PhotoWorker", Refuses),
        patch.object(Shards, "commit", commit),
        ThreadPoolExecutor() as pool,
    ):
        worker = UnitWorker(task, b"", lambda _report: None)
        slow = pool.submit(worker.do, first)
        assert is_on_its_way_out.wait(10)
        assert worker.do(second).failed == 2
        assert not slow.done()
        may_end.set()
        assert slow.result().failed == 2
    assert len(rows(target(task))) == 4


@pytest.fixture(params=["FTP", "Google's"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty target elsewhere."""
    return elsewhere(request, tmp_path.name)


def test_results_in_other_stores_are_those_on_a_disk(task: Task, do: Any, place: Place) -> None:
    names = fill(folder(task), 3)
    odd = "a[1]?.jpg"  # that fsspec would take for a pattern, or for options
    (folder(task) / odd).write_bytes(photo(7))
    names.add(odd)
    far = store.open_store(place)
    with patch.object(store, "_SETTLES", 0.0):
        claim(replace(task, target=place), far)
        with leased(far, "", print) as lease:
            report = do(target=place, owner=lease.owner)
            assert (report.done, report.error) == (4, "")
            sweep(far, RUN, began=0.0)
            listed = Index(far).rows(PART)
            assert listed is not None
            assert {row["name"] for row in listed[0]} == names
            (name,) = {row["shard"] for row in listed[0]}
            shard = far.read(name)
            assert shard is not None
            with tarfile.open(fileobj=io.BytesIO(shard)) as tar:
                assert len([member for member in tar if member.name.endswith(".json")]) == 4
            assert do(target=place, owner=lease.owner, part="x", layout="files").done == 4
    assert do(part="near", layout="files").done == 4
    for name in names:
        path = f"files/{name}.depth.npy"
        assert far.read(path) == (target(task) / path).read_bytes()


def test_a_unit_that_comes_again_is_passed_over(task: Task, do: Any) -> None:
    fill(folder(task), 3)
    first = do()
    before = rows(target(task))
    with patch.object(actor.PhotoWorker, "work", side_effect=AssertionError):
        assert do() == first
    assert rows(target(task)) == before


def test_a_retry_replaces_rows_and_keeps_the_others(task: Task, do: Any) -> None:
    fill(folder(task), 3)
    bad = folder(task) / "day0/bad.jpg"
    bad.write_bytes(b"")
    assert do().failed == 1
    before = rows(target(task))
    bad.write_bytes(photo(9))
    again = [each for each in listed(task) if each.name == "day0/bad.jpg"]
    for _ in range(2):  # the second time it is there
        report = do(run=LATER, photos=again, retries=True)
        assert (report.done, report.failed) == (1, 0)
    after = rows(target(task))
    assert [row for row in after if row["name"] != "day0/bad.jpg"] == [
        row for row in before if row["name"] != "day0/bad.jpg"
    ]
    assert all(row["done"] for row in after)
    sweep(store.open_store(task.target), LATER, began=1.0)
    assert len(in_shards(target(task), after, ".depth.npy")) == 4


def test_photos_that_cannot_be_read_are_rows(task: Task, do: Any) -> None:
    fill(folder(task), 2)
    gone = Photo("gone.jpg", str(folder(task) / "gone.jpg"))
    closed = Photo("z/", str(folder(task) / "z"), trouble="Permission denied")
    os.mkfifo(folder(task) / "pipe.jpg")
    pipe = Photo("pipe.jpg", str(folder(task) / "pipe.jpg"))
    report = do(photos=[*listed(task), gone, pipe, closed])
    assert (report.done, report.failed) == (2, 3)
    failed = {row["name"]: row["detail"] for row in rows(target(task)) if not row["done"]}
    assert failed == {
        "gone.jpg": "No such file or directory",
        "pipe.jpg": "it is no regular file",
        "z/": "Permission denied",
    }


def test_addresses_that_lead_nowhere_are_rows(task: Task, do: Any) -> None:
    """A list may say anything; one line of it must not end every run."""
    fill(folder(task), 2)
    os.mkfifo(folder(task) / "pipe.jpg")
    top = str(folder(task))
    bad = [f"{top}/a\0b.jpg", "", "nothing://there/x.jpg", "s3:///x.jpg", "gs://", "://x"]
    bad += ["ftp://127.0.0.1:port/x.jpg", f"file://{top}/pipe.jpg", "file:///dev/zero"]
    chosen = [Photo(f"{number}.jpg", address) for number, address in enumerate(bad)]
    good = Photo("good.jpg", f"file://{top}/day0/p000000.v1.jpg")
    report = do(photos=[*chosen, *listed(task), good])
    assert (report.done, report.failed, report.error) == (3, len(bad), "")
    assert {row["code"] for row in rows(target(task)) if not row["done"]} == {"unreadable"}


def test_what_only_this_machine_lacks_fails_no_photo(task: Task) -> None:
    fill(folder(task), 1)
    photos = [*listed(task), Photo("x.jpg", "ftp://127.0.0.1/x.jpg")]
    with patch("fsspec.core.url_to_fs", side_effect=ImportError("no package")):
        read = Reader(task.source, 1_000_000).read(photos)
        next(read).close()
        with pytest.raises(UnavailableError, match="no package"):
            next(read)


def test_a_file_is_bounded_whatever_the_store_says_of_it(task: Task) -> None:
    file = MagicMock(size=lambda: 0)
    file.read.side_effect = [bytes(4_000_000)] * 5  # then it raises
    file.__enter__.return_value = file
    with patch("depthd.backfill.reading._open_remote", return_value=file):
        (fetched,) = Reader(task.source, 1_000_000).read([Photo("x.jpg", "ftp://h/x.jpg")])
    assert fetched.error is not None
    assert fetched.error.code == "too_large"


def test_large_files_do_not_lie_in_memory(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_IN_MEMORY", 10)
    for size, place in ((10, "/memfd:photo"), (11, tempfile.gettempdir())):
        file = io.BytesIO(bytes(size))
        file.size = lambda size=size: size  # type: ignore[attr-defined]
        with patch("depthd.backfill.reading._open_remote", return_value=file):
            (fetched,) = Reader(task.source, 1_000_000).read([Photo("x.jpg", "ftp://h/x.jpg")])
        assert os.readlink(f"/proc/self/fd/{fetched.handle}").startswith(place)
        assert os.fstat(fetched.handle).st_size == size
        fetched.close()


def test_names_that_the_target_has_no_place_for_are_rows(task: Task, do: Any) -> None:
    names = fill(folder(task), 3)
    for name in ("b.jpg", "b.jpg.json/c.jpg", "d.jpg.heatmap.png/e.jpg", "d.jpg"):
        (folder(task) / name).parent.mkdir(exist_ok=True)
        (folder(task) / name).write_bytes(photo(7))
    report = do(layout="files")
    assert (report.done, report.failed, report.error) == (5, 2, "")
    found = {row["name"]: row["code"] for row in rows(target(task)) if not row["done"]}
    assert len(found) == 2
    assert set(found.values()) == {"no_place"}
    held = {path for path in target(task).rglob("*") if path.name.endswith(".part")}
    assert not held
    assert names <= {row["name"] for row in rows(target(task)) if row["done"]}


def test_a_name_that_the_target_refuses_gets_a_portable_one(
    task: Task, do: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As exFAT refuses a colon."""
    (folder(task) / "a:b.jpg").write_bytes(photo(1))
    monkeypatch.setattr(store, "_HiddenFile", _WithoutColons)
    assert do(layout="files").done == 1
    (manifest,) = (target(task) / "files").glob("*.json")
    assert manifest.name.startswith("a_b~")
    listed = json.loads(manifest.read_bytes())["files"]
    assert all((manifest.parent / file["name"]).exists() for file in listed)


class _WithoutColons(store._HiddenFile):
    def __init__(self, final: Path, *, replaces: bool = True) -> None:
        if ":" in final.name:
            raise OSError(errno.EINVAL, "Invalid argument")
        super().__init__(final, replaces=replaces)


def test_a_target_that_is_full_fails_no_photo(task: Task, do: Any) -> None:
    fill(folder(task), 2)
    full = OSError(errno.ENOSPC, "No space left on device")
    with patch.object(store._HiddenFile, "write", side_effect=full):
        report = do(layout="files")
    assert "No space left" in report.error
    assert not list(target(task).glob("index/*"))


def test_a_store_that_is_away_fails_no_photo(task: Task, do: Any) -> None:
    fill(folder(task), 40)
    with patch("depthd.backfill.reading._open_local", side_effect=OSError("no route")):
        report = do()
    assert "the source cannot be read" in report.error
    assert report.exit_code == 75
    assert not list(target(task).glob("index/*"))


def test_a_folder_that_goes_away_fails_no_photo(task: Task, tmp_path: Path) -> None:
    """As when it is unmounted: its photos are not there any more."""
    fill(folder(task), 20)
    read = Reader(task.source, 1_000_000).read(listed(task))
    next(read).close()
    folder(task).rename(tmp_path / "away")

    def read_on() -> None:
        for fetched in read:
            assert fetched.error is None
            fetched.close()

    with pytest.raises(TemporaryError, match="the source cannot be read"):
        read_on()


def test_a_network_that_cannot_be_had_is_said(task: Task, do: Any) -> None:
    fill(folder(task), 1)
    config = task.settings()
    model = config.model.model_copy(update={"name": "midas_small", "weights": Path("/none.pt")})
    report = do(config=config.model_copy(update={"model": model}).model_dump_json())
    assert "/none.pt is not there" in report.error
    assert report.exit_code == 69


def test_a_run_whose_target_another_has_taken_over_adds_nothing_to_the_index(
    task: Task, do: Any
) -> None:
    fill(folder(task), 2)
    report = do(owner="of the run before")
    assert "another run has taken" in report.error
    assert report.exit_code == 75
    assert not list(target(task).glob("index/*"))


def test_a_target_belongs_to_one_archive_and_its_settings(task: Task, tmp_path: Path) -> None:
    task = replace(task, target=Place.of(str(tmp_path / "new")))
    place = store.open_store(task.target)
    claim(task, place)
    claim(replace(task, run=LATER, threads=2), place)
    with pytest.raises(UsageError, match="begun with another layout"):
        claim(replace(task, layout="files"), place)
    with pytest.raises(UsageError, match="begun with another source"):
        claim(replace(task, source=Place.of("/somewhere/else")), place)
    (target(task) / "backfill.json").rename(target(task) / "other.json")
    with pytest.raises(OutputError, match="holds something else"):
        claim(task, place)
