"""`depthd camera`: a camera's reference points, and what the fit makes of them."""

from __future__ import annotations

from pathlib import Path

import click

from depthd.cli.options import Configured, configured, path_option
from depthd.contract.errors import ExitCode


@click.group("camera")
def command() -> None:
    """Show and check the reference points of a camera."""


@command.command("show")
@configured
@click.argument("camera", metavar="CAMERA")
@click.option(
    "--photo",
    type=path_option,
    metavar="FILE",
    help="Photo to look at; else the newest of this camera in done/.",
)
@click.option(
    "-o",
    "--output",
    type=path_option,
    metavar="FILE",
    help="JPEG to write; else CAMERA.points.jpg in this folder.",
)
def show(configured: Configured, camera: str, photo: Path | None, output: Path | None) -> ExitCode:
    """Draw CAMERA's numbered points onto one of its photos.

    CAMERA is a folder of the inbox. Green points agree with each other, red ones were thrown out.
    A blue one marks where one more would help most. Exit code 1 if the photo has no metres.

    \b
    Examples:
      depthd camera show cam1
      depthd camera show cam1 --photo today.jpg -o points.jpg
    """
    from depthd.cli.camera_looks import show_camera  # noqa: PLC0415 - numpy, OpenCV, the network

    return show_camera(configured.load(), camera, photo, output)


@command.command("check")
@configured
@click.argument("cameras", nargs=-1, metavar="[CAMERA...]")
@click.option(
    "--photos",
    "count",
    type=click.IntRange(1, 100),
    default=5,
    show_default=True,
    help="How many of a camera's newest photos in done/ are looked at.",
)
def check(configured: Configured, cameras: tuple[str, ...], count: int) -> ExitCode:
    """Say which points are bad, and where one more would help most.

    Without a CAMERA all that have points and photos are checked. Exit code 1 if one of them has no
    metres in most of its photos.

    \b
    Example:
      depthd camera check cam1 --photos 20
    """
    from depthd.cli.camera_looks import check_cameras  # noqa: PLC0415 - as above

    return check_cameras(configured.load(), cameras, count)
