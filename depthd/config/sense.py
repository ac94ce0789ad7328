"""What is wrong with values that are right by themselves. Each problem is one line of words."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from depthd.config.declaration import Config, Paths
from depthd.config.hooks import Hooks
from depthd.config.units import format_duration, format_size
from depthd.system.nesting import nested


def contradictions(config: Config, sources: Mapping[str, str]) -> Iterator[str]:
    """Keys that contradict each other.

    Args:
        config: the values.
        sources: where they came from, of those that were given; defaults contradict nobody.
    """
    worker = config.worker
    if "worker.stop_timeout" in sources and worker.stop_timeout > worker.timeout:
        yield (
            f"worker.stop_timeout: {format_duration(worker.stop_timeout)} is longer than "
            f"worker.timeout ({format_duration(worker.timeout)}), after which no photo is waited "
            f"for ({sources['worker.stop_timeout']})"
        )
    retention = config.retention
    if retention.min_free is not None and retention.min_free <= config.disk.min_free:
        yield (
            f"retention.min_free: {format_size(retention.min_free)} is not more than disk.min_free "
            f"({format_size(config.disk.min_free)}), at which the service pauses "
            f"({sources['retention.min_free']})"
        )


def _unsayable(config: Config, sources: Mapping[str, str]) -> Iterator[str]:
    """Paths that are not UTF-8: worker and retention are told of theirs in JSON."""
    for key, source in sources.items():
        value: object = config
        for part in key.split("."):
            value = getattr(value, part, None)  # no path that a folder of the inbox has is told
        try:
            str(value if isinstance(value, Path) else "").encode()
        except UnicodeEncodeError:
            yield f"{key}: {str(value)!a} is not UTF-8, as the daemon's paths must be ({source})"


def _unusable(hooks: Hooks, sources: Mapping[str, str]) -> Iterator[str]:
    """What hooks lack on this machine."""
    if hooks.mqtt and find_spec("paho") is None:
        yield (
            "hooks.mqtt: paho-mqtt is not installed; pip install 'depthd[mqtt]' brings it "
            f"({sources['hooks.mqtt']})"
        )
    for key in ("webhook_secret_file", "mqtt_password_file"):
        file = getattr(hooks, key)
        if file is not None and not os.access(file, os.R_OK):
            yield f"hooks.{key}: {file} cannot be read ({sources[f'hooks.{key}']})"


def obstacles(config: Config, sources: Mapping[str, str], watchdog: float) -> Iterator[str]:
    """What keeps the daemon from working on this machine.

    Looks at the folders, so it waits where a network share does.

    Args:
        config: the values.
        sources: where each came from.
        watchdog: seconds after which the service manager takes a silent daemon for dead; 0 is
            never.
    """
    if unsayable := list(_unsayable(config, sources)):
        yield from unsayable
        return
    for problem in nested({f"paths.{name}": config.folder(name) for name in Paths.model_fields}):
        given = [f"{key} from {sources[key]}" for key in sources if key in problem]
        yield f"{problem}; give each folder a place of its own ({', '.join(given)})"
    yield from _unusable(config.hooks, sources)
    if watchdog and config.worker.stop_timeout > watchdog / 2:
        yield (
            f"worker.stop_timeout: {format_duration(config.worker.stop_timeout)} is more than half "
            f"of the service's WatchdogSec={format_duration(watchdog)} "
            f"({sources['worker.stop_timeout']})"
        )
