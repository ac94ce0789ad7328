"""`depthd backfill` on a real Ray: what comes out, and what survives which death."""

from __future__ import annotations

import glob
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from foreign_code import ForeignCode

from .archive import fill, in_shards, photo, rows, shards
from .conftest import DEADLINE, Cluster, FileTransfer, needs, until


def listed(target: Path) -> int:
    return len(glob.glob(f"{target}/index/*.parquet"))


def names_once(target: Path) -> set[str]:
    """Names in the index, each in one row; nothing lies in the target that is not listed."""
    found = rows(target)
    names = {row["name"] for row in found}
    assert len(names) == len(found)
    assert shards(target) == {row["shard"] for row in found if row["done"]}
    assert len(in_shards(target, found, ".json")) == sum(row["done"] for row in found)
    return names


def test_the_same_bytes_as_process_and_what_is_missing_later(
    cluster: Cluster, tmp_path: Path, settings: list[str]
) -> None:
    """On a Ray of its own that takes nobody in, from a folder where somebody's modules lie."""
    source, target = tmp_path / "archive", tmp_path / "depth"
    good = fill(source, 24)
    (source / "day0/bad.jpg").write_text("no photo")
    (source / "day1/killer.jpg").write_bytes(photo(99, "infer:segfault"))
    (source / "day1/hidden.txt").write_text("no photo either")
    foreign = ForeignCode(tmp_path / "of others")
    command = cluster.command(
        "backfill", source, target, "--layout", "shards", "--unit", "7", "--json", *settings
    )
    alone = {k: v for k, v in cluster.environment.items() if not k.startswith("RAY_AUTH")}
    run = subprocess.run(
        command, cwd=foreign.folder, env=alone | {"HOME": str(tmp_path)}, capture_output=True,
        text=True, timeout=2 * DEADLINE, check=False,
    )  # fmt: skip
    assert run.returncode == 1, run.stderr
    assert not (tmp_path / ".ray").exists()  # where others could read Ray's own token
    assert foreign.was_run() == []
    last = json.loads(run.stdout.splitlines()[-1])
    assert (last["done"], last["failed"], last["total"], last["finished"]) == (24, 2, 26, True)
    found = rows(target)
    assert names_once(target) == good | {"day0/bad.jpg", "day1/killer.jpg"}
    failed = {row["name"]: row["code"] for row in found if not row["done"]}
    assert failed == {"day0/bad.jpg": "not_an_image", "day1/killer.jpg": "worker_crashed"}

    subprocess.run(
        cluster.command("process", source / "day2", "-o", tmp_path / "out", *settings),
        env=cluster.environment, capture_output=True, timeout=DEADLINE, check=True,
    )  # fmt: skip
    depth = in_shards(target, found, ".depth.npy")
    for name in (name for name in good if name.startswith("day2/")):
        assert depth[name] == (tmp_path / f"out/{name[5:]}.depth.npy").read_bytes()

    (source / "day0/bad.jpg").write_bytes(photo(98))
    good |= fill(source, 5, first=100) | {"day0/bad.jpg"}
    run = cluster.run(source, target, "--layout", "shards", "--retry-failed", *settings)
    assert run.returncode == 1, run.stderr
    assert run.stdout.startswith("6 done, 1 failed, 24 listed before")
    assert names_once(target) == good | {"day1/killer.jpg"}
    assert {row["name"] for row in rows(target) if row["done"]} == good
    before = rows(target)
    run = cluster.run(source, target, "--layout", "shards", *settings)
    assert run.stdout.startswith("0 done, 0 failed, 31 listed before"), run.stderr
    assert rows(target) == before


def test_a_node_an_actor_and_the_driver_may_be_killed(
    cluster: Cluster, tmp_path: Path, settings: list[str]
) -> None:
    source, target = tmp_path / "archive", tmp_path / "depth"
    names = fill(source, 240)
    node = cluster.add_node()
    arguments = (source, target, "--layout", "shards", "--unit", "4", *settings)
    driver = cluster.start(*arguments)
    try:
        until(lambda: listed(target) >= 2, "the first units")
        second = cluster.run(*arguments)
        assert second.returncode == 75
        assert "is in use by a run: process" in second.stderr
        os.kill(driver.pid, signal.SIGKILL)  # the driver
        driver.wait()
        after_driver = listed(target)
        assert after_driver < 60
        driver = cluster.start(*arguments)
        until(lambda: listed(target) >= after_driver + 4, "units after the driver was killed")
        actors = cluster.head.find("ray::MapWorker")  # an actor
        assert actors
        os.kill(actors[0], signal.SIGKILL)
        after_actor = listed(target)
        until(lambda: node.find("ray::MapWorker"), "an actor on the other node")
        until(lambda: listed(target) >= after_actor + 4, "units after an actor was killed")
        node.kill()  # a node
        assert listed(target) < 60
        assert driver.wait(2 * DEADLINE) == 0, (cluster.folder / "driver.log").read_text()
    finally:
        if driver.poll() is None:
            driver.kill()
            driver.wait()
    assert names_once(target) == names


def test_from_s3_to_s3(cluster: Cluster, s3: str, tmp_path: Path, settings: list[str]) -> None:
    needs("webdataset")
    import boto3  # noqa: PLC0415 - of the extra

    client = boto3.client("s3", endpoint_url=f"http://{s3}")
    for bucket in ("photos", "depth"):
        client.create_bucket(Bucket=bucket)
    names = {f"cam/a b%20+?#{seed}.jpg" for seed in range(8)}
    for seed, name in enumerate(sorted(names)):
        client.put_object(Bucket="photos", Key=f"2019/{name}", Body=photo(seed))
    client.put_object(Bucket="photos", Key="2019/cam/empty.jpg", Body=b"")
    options = f"?endpoint_override={s3}&scheme=http"
    run = cluster.run(
        f"s3://photos/2019{options}", f"s3://depth/2019{options}", "--unit", "3", *settings
    )
    assert run.returncode == 1, run.stderr
    for item in client.list_objects_v2(Bucket="depth")["Contents"]:
        path = tmp_path / item["Key"]
        path.parent.mkdir(parents=True, exist_ok=True)
        client.download_file("depth", item["Key"], str(path))
    target = tmp_path / "2019"
    assert names_once(target) == names | {"cam/empty.jpg"}
    assert {r["name"]: r["code"] for r in rows(target) if not r["done"]} == {
        "cam/empty.jpg": "empty"
    }
    code = (
        "import glob, sys, webdataset as wds\n"
        "shards = sorted(glob.glob(sys.argv[1] + '/shards/*.tar'))\n"
        "for sample in wds.WebDataset(shards, shardshuffle=False).decode():\n"
        "    print(sample['json']['source']['name'], sample['depth.npy'].shape)\n"
    )
    read = subprocess.run(
        [sys.executable, "-c", code, str(target)], capture_output=True, text=True, check=True,
        timeout=DEADLINE,
    )  # fmt: skip
    assert set(read.stdout.splitlines()) == {f"{name} (48, 64)" for name in names}


def test_a_source_that_goes_away_fails_no_photo(
    cluster: Cluster, ftp: FileTransfer, tmp_path: Path, settings: list[str]
) -> None:
    """Read by a file system of fsspec, which has a connection that breaks."""
    names, target = fill(tmp_path / "served/archive", 80), tmp_path / "depth"
    arguments = (f"{ftp.address}/archive", target, "--layout", "shards", "--unit", "8", *settings)
    driver = cluster.start(*arguments)
    until(lambda: listed(target) or driver.poll() is not None, "the first unit")
    ftp.stop()
    assert driver.wait(2 * DEADLINE) == 75, (cluster.folder / "driver.log").read_text()
    assert "the source cannot be read" in (cluster.folder / "driver.log").read_text()
    assert 0 < len(found := rows(target)) < 80
    assert all(row["done"] for row in found)
    ftp.start()
    run = cluster.run(*arguments)
    assert run.returncode == 0, run.stderr
    assert names_once(target) == names
