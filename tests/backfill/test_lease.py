"""One run at a time in a target: who has it, who takes it over, and who has lost it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

import pytest

pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'depthd[test-cluster]'")

from depthd.backfill import lease, store
from depthd.backfill.lease import Lease, leased, owner_of
from depthd.backfill.places import Place
from depthd.backfill.store import Store, open_store
from depthd.contract.errors import OutputError, TemporaryError

from .conftest import elsewhere

PATH = "held/object"


@pytest.fixture(params=["a folder", "S3", "another store", "FTP", "Google's"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each kind of store, empty."""
    if request.param == "a folder":
        yield open_store(Place.of(str(tmp_path / "target")))
        return
    if request.param in ("FTP", "Google's"):
        with patch.object(store, "_SETTLES", 0.0):
            yield open_store(elsewhere(request, tmp_path.name))
        return
    s3: str = request.getfixturevalue("s3")
    import boto3  # noqa: PLC0415 - of the extra

    bucket = f"b{secrets.token_hex(8)}"
    boto3.client("s3", endpoint_url=f"http://{s3}").create_bucket(Bucket=bucket)
    place = Place.of(f"s3://{bucket}/target?endpoint_override={s3}&scheme=http")
    if request.param == "S3":
        yield open_store(place)
        return
    with patch.object(store, "_SETTLES", 0.0):
        yield store._Objects(place)


def test_what_is_exchanged_was_what_one_thought(target: Store) -> None:
    assert not target.exchange(PATH, b"old", b"new")
    assert target.exchange(PATH, None, b"first")
    assert not target.exchange(PATH, None, b"second")
    assert not target.exchange(PATH, b"another", b"second")
    assert target.read(PATH) == b"first"
    assert target.exchange(PATH, b"first", b"second")
    assert not target.exchange(PATH, b"first", None)
    assert target.exchange(PATH, b"second", None)
    assert target.read(PATH) is None


def test_no_path_is_taken_for_a_pattern(target: Store) -> None:
    for path in ("a/b[1]", "a/b1", "a/b?"):
        store.put(target, path, [path.encode()])
    target.remove("a/b[1]")
    target.remove("a/b?")
    assert [each.name for each in target.list("a")] == ["b1"]


@pytest.mark.parametrize("old", [None, b"old"])
def test_of_many_at_once_one_is_told_that_it_was_done(tmp_path: Path, old: bytes | None) -> None:
    target = open_store(Place.of(str(tmp_path)))
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            if old is not None:
                assert target.exchange(PATH, None, old)
            tries = [b"%d" % number for number in range(8)]
            done = list(pool.map(lambda new: target.exchange(PATH, old, new), tries))
            assert sum(done) == 1
            assert target.read(PATH) == tries[done.index(True)]
            target.remove(PATH)


def test_a_store_that_knows_no_conditions_is_asked_twice(s3: str, tmp_path: Path) -> None:
    import boto3  # noqa: PLC0415 - of the extra
    from botocore.exceptions import ClientError  # noqa: PLC0415

    boto3.client("s3", endpoint_url=f"http://{s3}").create_bucket(Bucket="plain")
    target = open_store(Place.of(f"s3://plain/t?endpoint_override={s3}&scheme=http"))
    refusal = ClientError({"Error": {"Code": "NotImplemented"}}, "PutObject")
    with (
        patch.object(store, "_SETTLES", 0.0),
        patch.object(store, "s3_client") as client,
    ):
        client().put_object.side_effect = refusal
        assert target.exchange(PATH, None, b"first")
        assert not target.exchange(PATH, None, b"second")
    assert target.read(PATH) == b"first"


def test_s3_removes_nothing_that_was_replaced_in_between(s3: str) -> None:
    import boto3  # noqa: PLC0415 - of the extra

    boto3.client("s3", endpoint_url=f"http://{s3}").create_bucket(Bucket="race")
    place = Place.of(f"s3://race/t?endpoint_override={s3}&scheme=http")
    target = open_store(place)
    assert target.exchange(PATH, None, b"mine")
    real = store.s3_client(place)

    def read_and_lose(**where: str) -> object:
        found = real.get_object(**where)
        real.put_object(**where, Body=b"another's")
        return found

    with patch.object(store, "s3_client") as client:
        client().get_object.side_effect = read_and_lose
        client().delete_object.side_effect = real.delete_object
        assert not target.exchange(PATH, b"mine", None)
    assert target.read(PATH) == b"another's"


def test_a_second_run_is_told_who_has_it(target: Store) -> None:
    with (
        leased(target, "/depth", print),
        pytest.raises(TemporaryError, match=rf"/depth is in use by a run: process {os.getpid()} "),
        leased(target, "/depth", print),
    ):
        pass
    assert target.read(lease.NAME) is None
    with leased(target, "/depth", print):
        pass


DIES = """
import os, sys
from depthd.backfill.lease import leased
from depthd.backfill.places import Place
from depthd.backfill.store import open_store
with leased(open_store(Place.of(sys.argv[1])), "", print):
    os._exit(0)
"""


def test_the_lease_of_a_process_that_is_gone_is_taken_at_once(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-P", "-c", DIES, str(tmp_path)])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # its number is kept, as by a lazy init
    target = open_store(Place.of(str(tmp_path)))
    left = target.read(lease.NAME)
    assert left is not None
    with (
        patch.object(lease.time, "sleep", side_effect=AssertionError),
        leased(target, "/depth", print) as mine,
    ):
        assert owner_of(target.read(lease.NAME) or b"") == mine.owner != owner_of(left)
    child.wait()


class Clock:
    """Time that goes on when somebody sleeps; something may happen meanwhile."""

    def __init__(self, happens: Callable[[float], None]) -> None:
        self.now = 0.0
        self._happens = happens

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self._happens(self.now)


def of_another_machine(told: str = "") -> bytes:
    holder = lease._myself()
    return lease.replace(holder, machine="another", host="box7", told=told).to_bytes()


@pytest.mark.parametrize("content", [of_another_machine(), b"", b'{"no": "lease"}'])
def test_one_that_says_nothing_for_a_minute_lapses(tmp_path: Path, content: bytes) -> None:
    target = open_store(Place.of(str(tmp_path)))
    assert target.exchange(lease.NAME, None, content)
    clock = Clock(lambda _now: None)
    said: list[str] = []
    with patch.object(lease, "time", clock), leased(target, "/depth", said.append) as mine:
        assert clock.now == 60
        assert owner_of(target.read(lease.NAME) or b"") == mine.owner
    assert "still at work" in said[0]


def test_one_that_is_told_anew_on_another_machine_holds(tmp_path: Path) -> None:
    target = open_store(Place.of(str(tmp_path)))
    first, second = of_another_machine("1"), of_another_machine("2")
    assert target.exchange(lease.NAME, None, first)

    def tell(now: float) -> None:
        if now == 10:
            assert target.exchange(lease.NAME, first, second)

    clock = Clock(tell)
    with (
        patch.object(lease, "time", clock),
        pytest.raises(TemporaryError, match=r"in use by a run: process .* on box7"),
        leased(target, "/depth", print),
    ):
        pass
    assert clock.now == 10
    assert target.read(lease.NAME) == second


def test_one_that_is_given_back_meanwhile_is_taken(tmp_path: Path) -> None:
    target = open_store(Place.of(str(tmp_path)))
    other = of_another_machine()
    assert target.exchange(lease.NAME, None, other)
    clock = Clock(lambda _now: target.remove(lease.NAME))
    with patch.object(lease, "time", clock), leased(target, "/depth", print):
        assert clock.now == 1


def test_who_was_silent_for_too_long_knows_it_and_leaves_the_other_s_alone(target: Store) -> None:
    with leased(target, "/depth", print) as mine:
        _tell(mine)
        assert not mine.is_lost
        mine._content = b"what it said before an answer got lost"
        _tell(mine)
        assert not mine.is_lost
        other = of_another_machine()
        target.remove(lease.NAME)
        assert target.exchange(lease.NAME, None, other)
        _tell(mine)
        assert mine.is_lost
    assert target.read(lease.NAME) == other


def _tell(held: Lease) -> None:
    held._tell()


def test_it_is_told_again_and_again(tmp_path: Path) -> None:
    target = open_store(Place.of(str(tmp_path)))
    with patch.object(lease, "_TOLD", 0.001), leased(target, "/depth", print) as mine:
        told = set[str]()
        while len(told) < 3:
            told.add(json.loads(target.read(lease.NAME) or b"{}")["told"])
        assert not mine.is_lost


def test_a_target_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    target = open_store(Place.of(str(tmp_path / "file")))
    with (
        pytest.raises(OutputError, match="/depth cannot be written"),
        leased(target, "/depth", print),
    ):
        pass
