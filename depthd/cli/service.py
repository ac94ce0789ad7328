"""`depthd service`: depthd as a service of this box, made and taken away by one command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import click

from depthd.config.load import load
from depthd.contract.errors import DepthdError, ExitCode, UnavailableError, UsageError
from depthd.service import place as places
from depthd.service.actions import Action, is_running
from depthd.service.place import Place
from depthd.service.plan import laying, removing, starting

_WIDTH = 8  # of the word that says what became of an action


@click.group("service")
def command() -> None:
    """Make depthd a service of this box (systemd), or take it away."""


_name = click.argument("name", required=False, default="")
_dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")


@command.command("install")
@_name
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder that holds inbox, outbox and all others; else the one it has, or /var/lib/depthd.",
)
@click.option(
    "--user", metavar="U", help="Who it runs as; made if not there. Else who it has, or depthd."
)
@_dry_run
def install(name: str, root: Path | None, user: str | None, *, dry_run: bool) -> int:
    """Install, start and repair the service of this depthd.

    Makes the unit, the user with its groups, the folders, log rotation, the manual and a link in
    /usr/local/bin; gets the weights; checks; starts. Run it again at any time, and after an
    upgrade: what is right is left alone. With NAME it is one more depthd beside the others, with a
    root, user and /etc/depthd/NAME.yaml of its own: depthd@NAME.service.

    \b
    Examples (with sudo):
      depthd service install
      depthd service install --root /srv/depth --dry-run
      depthd service install hall
    """
    place, has_root = _wanted(places.checked_name(name), root, user)
    python = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent}
    places.refuse_what_cannot_be(place, (place.program, *sorted(python)))
    if not dry_run:
        _need_root("install")
    _carry_out(laying(place, _pages()), dry_run=dry_run)
    if not has_root:
        _carry_out([_root_is_set(place)], dry_run=dry_run)
    _carry_out([_weights(place)], dry_run=dry_run)
    if dry_run:
        _carry_out(starting(place), dry_run=True)
        return ExitCode.OK
    if not _check(place):
        return ExitCode.FAILURE
    _carry_out(starting(place), dry_run=False)
    if not is_running():
        click.echo("systemd does not run here: depthd starts with the machine.")
    click.echo(f"\nPhotos go into {place.root}/inbox; who drops them needs the group {place.user}.")
    return ExitCode.OK


@command.command("uninstall")
@_name
@_dry_run
def uninstall(name: str, *, dry_run: bool) -> int:
    """Take the service away; photos and results stay.

    Folders that hold none go, and so do log, weights and, where nothing is left that belongs to
    them, the user and the groups. A configuration that sets something stays. The package itself is
    left to whatever brought it.

    \b
    Example (with sudo):
      depthd service uninstall --dry-run
    """
    place, _ = _wanted(places.checked_name(name), None, None)
    if not dry_run:
        _need_root("uninstall")
    settings = set(_settings(place.settings_file)) - {"root"}
    _carry_out(removing(place, _pages(), settings=bool(settings)), dry_run=dry_run)
    return ExitCode.OK


def _wanted(name: str, root: Path | None, user: str | None) -> tuple[Place, bool]:
    """The place, and whether a root that is not the usual one need not be written down any more."""
    had_root, had_user = places.remembered(name)
    file = places.settings_file(name)
    set_root = _settings(file).get("root")
    if root is not None and set_root is not None and root.absolute() != set_root:
        raise UsageError(
            f"{file} says root: {set_root}, --root says {root}",
            "change the file, or leave --root out",
        )
    chosen = set_root or root or had_root or places.default_root(name)
    place = Place(
        name, _program(), chosen.absolute(), user or had_user or places.default_user(name)
    )
    return place, place.root == (set_root or places.default_root(""))


def _settings(file: Path) -> dict[str, Path]:
    """Keys that a configuration file sets; the value of `root` only."""
    try:
        loaded = load(file if file.exists() else None, {}, [], None)
    except PermissionError as error:
        raise UsageError(f"{file}: {error.strerror}", "use sudo") from error
    return {
        key: loaded.config.root for key, source in loaded.sources.items() if source != "default"
    }


def _program() -> Path:
    """The command of the environment that this runs in."""
    program = Path(sys.prefix, "bin/depthd")
    if not program.exists():
        raise UnavailableError(
            f"there is no {program}", "install depthd into an environment: pip install WHEEL"
        )
    return program


def _need_root(what: str) -> None:
    if os.geteuid() != 0:
        raise UsageError(
            f"only root can {what} a service", f"sudo {_program()} service {what}; or --dry-run"
        )


def _pages() -> dict[Path, str]:
    from depthd.cli import depthd  # noqa: PLC0415 - it imports this module
    from depthd.cli.manual import pages  # noqa: PLC0415

    return pages(depthd)


def _carry_out(actions: Iterable[Action], *, dry_run: bool) -> None:
    for action in actions:
        if action.is_right():
            _say("right", action.words)
        elif dry_run:
            _say("to do", action.words)
        else:
            found = action.do()
            _say("done", action.words + (f" ({found})" if found else ""))


def _root_is_set(place: Place) -> Action:
    """The configuration says where the root is, so that every command finds it."""
    file = place.settings_file

    def do() -> None:
        with file.open("a", encoding="utf-8") as opened:
            opened.write(f"root: {place.root}\n")
        if _settings(file).get("root") != place.root:
            raise UsageError(f"{file} has no room for root: {place.root}", "write it there")

    return Action(f"root: {place.root} in {file}", lambda: False, do)


def _weights(place: Place) -> Action:
    """The network's weights, so that the service itself needs no network."""
    from depthd.model.weights import find_weights  # noqa: PLC0415 - for this command only

    def is_right() -> bool:
        with suppress(DepthdError, OSError):
            config = load(_file(place), {}, [], place.root).config
            state = config.folder("state")
            return not find_weights(
                config.model, state, report=lambda _: None, online=False
            ).fallback
        return False

    def do() -> str | None:
        _as_user(place, "model", "prepare", stdout=subprocess.DEVNULL)  # progress is shown
        return None if is_right() else "not to be had; the built-in network serves"

    return Action("weights of the network", is_right, do)


def _check(place: Place) -> bool:
    run = _as_user(place, "check", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    _say("right" if run.returncode == 0 else "WRONG", "depthd check")
    if run.returncode != 0:
        click.echo(run.stdout, nl=False)
        click.echo("Not started. Run this again when it is mended.", err=True)
    return run.returncode == 0


def _as_user(
    place: Place, *arguments: str, stdout: int, stderr: int | None = None
) -> subprocess.CompletedProcess[str]:
    """One of our own commands with the service's rights and settings."""
    from depthd.cli.identity import named  # noqa: PLC0415 - for this command only

    settings = ("--config", str(place.settings_file))
    return named(place.user).start(*arguments, *settings, stdout=stdout, stderr=stderr)


def _file(place: Place) -> Path | None:
    return place.settings_file if place.settings_file.exists() else None


def _say(verdict: str, what: str) -> None:
    click.echo(f"{verdict:<{_WIDTH}}{what}")
