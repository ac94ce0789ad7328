"""The options of every command that takes a configuration."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from depthd.config import Config
from depthd.config.load import Loaded, load

DEFAULT_FILE = Path("/etc/depthd/config.yaml")


@dataclass(frozen=True)
class Configured:
    """What the command line says about the configuration."""

    file: Path | None
    root: Path | None
    settings: tuple[str, ...]

    def load(self) -> Loaded:
        """Read file and environment; raises ConfigurationError with everything that is wrong."""
        file = self.file
        if file is None and os.access(DEFAULT_FILE, os.R_OK):
            file = DEFAULT_FILE
        return load(file, os.environ, self.settings, self.root)

    def config(self) -> Config:
        return self.load().config


def configured(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command -c, --root and --set; it gets a `Configured` as its first argument."""

    @click.option(
        "-c",
        "--config",
        "file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help=f"Configuration; {DEFAULT_FILE} is read if it is there and this is not given.",
    )
    @click.option(
        "--root",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Folder that holds inbox, outbox and all others.",
    )
    @click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Set one key, such as model.engine=torch. Can be repeated.",
    )
    @functools.wraps(function)
    def wrapper(
        *args: Any, file: Path | None, root: Path | None, settings: tuple[str, ...], **kwargs: Any
    ) -> Any:
        return function(Configured(file, root, settings), *args, **kwargs)

    return wrapper
