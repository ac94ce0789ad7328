"""What every node must know of a run, and how a node gets ready for it. Knows no Ray."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from dataclasses import dataclass
from pathlib import Path

from depthd import __version__
from depthd.backfill.places import Place
from depthd.backfill.store import ON_ITS_WAY, Store
from depthd.backfill.units import Layout
from depthd.config import Config
from depthd.contract.errors import OutputError, UnavailableError, UsageError
from depthd.model.storage import sha256_file, user_cache
from depthd.model.weights import Weights
from depthd.system import files

_ABOUT = "backfill.json"
_SCHEMA = "depthd.backfill/1"


@dataclass(frozen=True)
class Task:
    """One run of `depthd backfill`; goes to every node.

    Attributes:
        config: as JSON.
        run: name of this run.
        owner: of the lease that this run has on the target.
        shard_size: bytes.
        unit_size: photos that get into the index together.
        threads: of the network in each actor.
        state: folder for weights and converted networks on every node; empty: the user's cache.
        fallback: the built-in network stands in for the configured one.
        weights_sha256: of what is sent with the task; empty where the package holds them.
    """

    config: str
    source: Place
    target: Place
    layout: Layout
    run: str
    owner: str
    shard_size: int
    unit_size: int
    retry_failed: bool
    threads: int
    state: str
    fallback: bool
    weights_sha256: str
    version: str = __version__

    def settings(self) -> Config:
        return Config.model_validate_json(self.config)


def with_network(config: Config, weights: Weights) -> Config:
    """The same network and engine on every node, whatever each of them would choose."""
    engine = config.model.engine
    if engine == "auto":
        engine = "openvino" if importlib.util.find_spec("openvino") else "torch"
    update = {"name": weights.spec.name, "weights": None, "fallback": "none", "engine": engine}
    return config.model_copy(update={"model": config.model.model_copy(update=update)})


def on_this_node(task: Task, weights: bytes) -> Config:
    """The configuration of this node's worker, with the weights on its own disk.

    Raises:
        UnavailableError: another version of depthd is installed here.
        OutputError: the folder for the weights cannot be written.
    """
    if task.version != __version__:
        raise UnavailableError(
            f"a node has depthd {__version__}, and the run was started by {task.version}",
            "install the same version on all nodes",
        )
    config = task.settings()
    state = Path(task.state) if task.state else user_cache() / "depthd"
    model: dict[str, object] = {"threads": config.model.threads or task.threads}
    disk = config.disk.model_copy(update={"min_free": 0})  # results pass through memory
    paths = config.paths.model_copy(update={"state": state})
    update: dict[str, object] = {"disk": disk, "paths": paths}
    if task.weights_sha256:
        model["weights"] = _kept(weights, state / "backfill", task.weights_sha256)
    update["model"] = config.model.model_copy(update=model)
    return config.model_copy(update=update)


def _kept(data: bytes, folder: Path, sha256: str) -> Path:
    path = folder / sha256
    try:
        if not path.is_file() or sha256_file(path) != sha256:
            folder.mkdir(parents=True, exist_ok=True)
            files.write_atomic(path, data)
    except OSError as error:
        raise OutputError(
            f"the weights cannot be written to {folder} on this node: {error.strerror}",
            "make room there, or set paths.state to a folder that every node can write",
        ) from error
    return path


def claim(task: Task, store: Store) -> None:
    """Make sure that the target is new, or was begun by a run that asked for the same.

    Raises:
        UsageError: it was begun with other settings.
        OutputError: it holds something else, or cannot be written.
    """
    asked = _asked(task)
    where = task.target.address
    try:
        found = store.read(_ABOUT)
        if found is None:
            others = {each.name for each in store.list("")} - {_ABOUT}
            foreign = [name for name in others if not ON_ITS_WAY.fullmatch(name)]
            if foreign and store.read(_ABOUT) is None:
                raise OutputError(
                    f"{where} holds something else", "give an empty place, or a new one"
                )
            store.exchange(_ABOUT, None, json.dumps(asked, indent=2).encode() + b"\n")
            found = store.read(_ABOUT) or b""  # of whoever was first
    except OSError as error:
        raise OutputError(
            f"{where} cannot be written: {error}", "look at its rights, and at who runs this"
        ) from error
    try:
        before = json.loads(found)
    except ValueError:
        before = {}
    if before != asked:
        other = [key for key in asked if before.get(key) != asked[key]]
        raise UsageError(
            f"{where} was begun with another {', '.join(other)}",
            f"give another TARGET, or the settings that its {_ABOUT} holds",
        )


def _asked(task: Task) -> dict[str, str]:
    """All that decides what the results are."""
    config = task.settings()
    deciding = {
        "model": config.model.model_dump(mode="json", exclude={"threads", "weights"}),
        "output": config.output.model_dump(mode="json"),
        "folders": config.model_dump(mode="json")["folders"],
        "max_pixels": config.worker.max_pixels,
    }
    settings = json.dumps(deciding, sort_keys=True).encode()
    return {
        "schema": _SCHEMA,
        "source": os.fsencode(task.source.address).decode(errors="backslashreplace"),
        "layout": task.layout,
        "formats": ", ".join(config.output.formats),
        "network": f"{config.model.name} {task.weights_sha256}".strip(),
        "settings": hashlib.sha256(settings).hexdigest(),
    }
