"""One run of `depthd backfill`, step by step. Knows the order of things; prints nothing.

What is wrong with the order is said before Ray is imported.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from depthd.backfill.index import Index, Parts
from depthd.backfill.lease import leased, lost
from depthd.backfill.places import Place
from depthd.backfill.progress import Snapshot
from depthd.backfill.sources import photos
from depthd.backfill.store import open_store
from depthd.backfill.sweep import sweep
from depthd.backfill.task import Task, claim, with_network
from depthd.backfill.units import Layout
from depthd.config import Config
from depthd.contract.errors import NoInputError, UnavailableError, UsageError
from depthd.model.storage import user_cache
from depthd.model.weights import Weights, find_weights

if TYPE_CHECKING:
    from depthd.backfill.joined import Ended

_PATIENCE = 10.0  # seconds for a cluster to take a connection


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    source: str
    target: str
    layout: Layout | None
    address: str | None
    shard_size: int
    unit_size: int
    retry_failed: bool


def run(
    config: Config,
    state: Path | None,
    options: Options,
    report: Callable[[str], None],
    tell: Callable[[Snapshot], None],
) -> Ended:
    """Do what is missing of an archive; only once in a process, which stays joined to Ray.

    Args:
        config: the sections intake, model, worker, output and folders are used.
        state: folder for weights and converted networks on every node; None: the user's cache.
        options: what to do.
        report: told in words what is being done.
        tell: called about once a second, from another thread.

    Raises:
        DepthdError: there is nothing to do it with, from, or to.
    """
    source, target = Place.of(options.source), Place.of(options.target)
    if source.contains(target) or target.contains(source):
        raise UsageError("SOURCE and TARGET lie inside each other", "give TARGET another place")
    _look_for(options.address)
    if next(photos(source, config.intake), None) is None:
        raise NoInputError(f"there is no photo in {source.address}", "see intake.include")
    weights = find_weights(config.model, state or user_cache() / "depthd", report=report)
    store = open_store(target)
    task = _task(config, state, options, source, target, weights)
    claim(task, store)
    with leased(store, target.address, report) as lease:
        parts = Index(store).parts()
        task = replace(task, run=_new_name(parts), owner=lease.owner)
        data = b"" if weights.spec.package_data else weights.path.read_bytes()
        began = time.time()
        if not options.address:
            _keep_others_out()
        from depthd.backfill.joined import Joined  # noqa: PLC0415 - imports Ray

        ended = Joined(options.address, task, data, parts, weights, tell).run()
        if lease.is_lost:
            raise lost(target.address)
        sweep(store, task.run, began)
    return ended


def _keep_others_out() -> None:
    """Let a Ray of our own take nobody in: while it runs it listens on every interface.

    Before Ray is imported. Its own token would lie in the home folder, for everybody to read.
    """
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def _look_for(address: str | None) -> None:
    """Ray itself would take minutes to say that nobody is there."""
    host, mark, port = (address or "").rpartition(":")
    if not mark or not port.isdigit() or "/" in host:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise UnavailableError(
            f"no Ray cluster at {address}: {error}",
            "look at 'ray status' there; --address auto takes the cluster of this machine",
        ) from error


def _task(
    config: Config,
    state: Path | None,
    options: Options,
    source: Place,
    target: Place,
    weights: Weights,
) -> Task:
    return Task(
        config=with_network(config, weights).model_dump_json(),
        source=source,
        target=target,
        layout=options.layout or ("files" if target.is_local else "shards"),
        run="",
        owner="",
        shard_size=options.shard_size,
        unit_size=options.unit_size,
        retry_failed=options.retry_failed,
        threads=0,
        state=str(state) if state else "",
        fallback=weights.fallback,
        weights_sha256="" if weights.spec.package_data else weights.sha256,
    )


def _new_name(parts: Parts) -> str:
    """Of a run that no part is of."""
    while (name := f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}") in parts:
        time.sleep(0.1)
    return name
