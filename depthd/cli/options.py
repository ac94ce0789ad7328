"""The options of every command that takes a configuration, and what a path is on the way."""

from __future__ import annotations

import functools
import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from depthd.config import Config
from depthd.config.load import Loaded, load, load_for_service
from depthd.contract.errors import DepthdError

DEFAULT_FILE = Path("/etc/depthd/config.yaml")
# Commands that a hint names and that take these options.
_NAMED = re.compile(
    r"(')?\bdepthd"
    r" (check|explain|hold|logs|model \w+|prune|release|reload|requeue|retry|run|status)\b"
    # What belongs to it, lest a name in it be taken for a command.
    r"((?(1)[^']*|(?: (?:-- )?(?:[\w@%+=:,./-]+|(?:'[^']*'|\"'\")+|\$'(?:\\.|[^'\\])*'))?))(?(1)')"
)
_UNIT = re.compile(r"\b(systemctl \w+|journalctl -u) depthd\b")


def path_option(text: str | Path) -> Path:
    """The type of options that take a path; shells do not expand the ~ of --root=~/x.

    Raises:
        click.BadParameter: it leads nowhere.
    """
    if not str(text):
        raise click.BadParameter("it is empty; give a path.")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise click.BadParameter(f"nobody's home is known here by {str(text)!r}.") from error


@dataclass(frozen=True)
class Configured:
    """What the command line says about the configuration."""

    file: Path | None
    root: Path | None
    settings: tuple[str, ...]

    def load(self) -> Loaded:
        """Read file and environment; raises ConfigurationError with everything that is wrong."""
        return load(self.file_in_use(), os.environ, self.settings, self.root)

    def with_setting(self, key: str, value: str) -> Configured:
        """As if --set KEY=VALUE had been given as well."""
        return replace(self, settings=(*self.settings, f"{key}={value}"))

    def config(self) -> Config:
        return self.load().config

    def load_for_service(self) -> Loaded:
        """The same, held against the folders and the service manager of this machine."""
        return load_for_service(self.file_in_use(), os.environ, self.settings, self.root)

    def arguments(self) -> tuple[str, ...]:
        """The same on a command line, from any folder."""
        named = (("--config", self.file), ("--root", self.root))
        paths = (part for name, path in named if path for part in (name, str(path.absolute())))
        settings = (part for setting in self.settings for part in ("--set", setting))
        return *paths, *settings

    def in_hint(self, hint: str) -> str:
        """A hint whose commands act on the same service as this command line.

        They stand in quotes as before, unless the options bring some.
        """
        options = shlex.join(self.arguments())

        def whole(named: re.Match[str]) -> str:
            around, verb, rest = named.groups()
            mark = around if around and "'" not in options else ""
            return f"{mark}depthd {verb} {options}{rest}{mark}"

        if self.file and self.file.parent == DEFAULT_FILE.parent and self.file != DEFAULT_FILE:
            hint = _UNIT.sub(rf"\1 depthd@{self.file.stem}", hint)
        return _NAMED.sub(whole, hint) if options else hint

    def file_in_use(self) -> Path | None:
        """The file that was given, else the usual one unless it is not there."""
        return self.file or (DEFAULT_FILE if _is_there(DEFAULT_FILE) else None)


def _is_there(file: Path) -> bool:
    """False only where there is surely nothing; a file that is hidden must not be passed over."""
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def configured(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command -c, --root and --set; it gets a `Configured` as its first argument."""

    @click.option(
        "-c",
        "--config",
        "file",
        type=path_option,
        metavar="FILE",
        help=f"Configuration; {DEFAULT_FILE} is read if it is there and this is not given.",
    )
    @click.option(
        "--root",
        type=path_option,
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
        configured = Configured(file, root, settings)
        try:
            return function(configured, *args, **kwargs)
        except DepthdError as error:
            error.hint = configured.in_hint(error.hint)
            raise

    return wrapper
