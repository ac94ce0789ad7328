"""`depthd service`: depthd as a service of this box, made and taken away by one command."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from depthd.config.declaration import Paths
from depthd.config.load import load
from depthd.contract.errors import (
    ConfigurationError,
    ExitCode,
    UnavailableError,
    UsageError,
)
from depthd.service import place as places
from depthd.service.actions import Action, Kept, is_running
from depthd.service.place import Place
from depthd.service.plan import laying, removing, starting
from depthd.service.templates import TEMPLATES

_NOWHERE = Path()  # where a key leads that is no folder
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
    from depthd.cli.service_user import check, weights  # noqa: PLC0415 - for this command only

    settings = _settings(places.checked_name(name))
    place = _wanted(name, root, user, settings.get("root"))
    python = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent}
    places.refuse_what_cannot_be(place, (place.program, *sorted(python)))
    if not dry_run:
        _need_root("install")
    _carry_out(laying(place, _pages()), dry_run=dry_run)
    if place.root not in (settings.get("root"), places.default_root("")):
        _carry_out([_root_is_set(place)], dry_run=dry_run)
    _carry_out([weights(place)], dry_run=dry_run)
    _say_what_is_outside(settings, place)
    if dry_run:
        _carry_out(starting(place), dry_run=True)
        return ExitCode.OK
    wrong = check(place)
    _say("WRONG" if wrong else "right", "depthd check")
    if wrong:
        click.echo(wrong, nl=False)
        click.echo("Not started. Run this again when it is mended.", err=True)
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
    try:
        settings = _settings(places.checked_name(name))
    except ConfigurationError:  # a wrong one is somebody's all the same
        settings = {"root": places.remembered(name)[0] or places.default_root(name), "": _NOWHERE}
    place = _wanted(name, None, None, settings.get("root"))
    if not dry_run:
        _need_root("uninstall")
    are_set = bool(settings.keys() - {"root"})
    _carry_out(removing(place, _pages(), settings=are_set), dry_run=dry_run)
    return ExitCode.OK


def _wanted(name: str, root: Path | None, user: str | None, set_root: Path | None) -> Place:
    """The place that is meant, by the options, its settings, and what an earlier run has made."""
    had_root, had_user = places.remembered(name)
    file = places.settings_file(name)
    if root is not None and set_root is not None and root.absolute() != set_root:
        raise UsageError(
            f"{file} says root: {set_root}, --root says {root}",
            "change the file, or leave --root out",
        )
    chosen = set_root or root or had_root or places.default_root(name)
    whose = user or had_user or places.default_user(name)
    return Place(name, _program(), chosen.absolute(), whose)


def _settings(name: str) -> dict[str, Path]:
    """The keys that a place's configuration sets, and where those lead that are folders."""
    file = places.settings_file(name)
    try:
        loaded = load(file if file.exists() else None, {}, [], None)
    except PermissionError as error:
        raise UsageError(f"{file}: {error.strerror}", "use sudo") from error
    config = loaded.config
    folders = {f"paths.{folder}": config.folder(folder) for folder in Paths.model_fields}
    folders["root"] = config.root
    set_keys = (key for key, source in loaded.sources.items() if source != "default")
    return {key: folders.get(key, _NOWHERE) for key in set_keys}


def _say_what_is_outside(settings: Mapping[str, Path], place: Place) -> None:
    outside = [
        key
        for key, path in settings.items()
        if path != _NOWHERE and not path.is_relative_to(place.root)
    ]
    if outside:
        click.echo(
            f"The service may write in {place.root} alone, not where {', '.join(outside)} leads: "
            f"see {TEMPLATES}/drop-ins/shared-folder.conf"
        )


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
            if isinstance(found, Kept):
                _say("kept", found)
            else:
                _say("done", action.words + (f" ({found})" if found else ""))


def _root_is_set(place: Place) -> Action:
    """The configuration says where the root is, so that every command finds it."""
    file = place.settings_file

    def do() -> None:
        with file.open("a", encoding="utf-8") as opened:
            opened.write(f"root: {place.root}\n")
        if _settings(place.name).get("root") != place.root:
            raise UsageError(f"{file} has no room for root: {place.root}", "write it there")

    return Action(f"root: {place.root} in {file}", lambda: False, do)


def _say(verdict: str, what: str) -> None:
    click.echo(f"{verdict:<{_WIDTH}}{what}")
