"""What the fit makes of reference points in photos of a camera; heavy to import."""

from __future__ import annotations

import heapq
import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from depthd.cli.report import report
from depthd.cli.tables import show
from depthd.config import Config, FolderPolicy
from depthd.config.load import Loaded
from depthd.contract.errors import (
    ConfigurationError,
    ExitCode,
    NoInputError,
    OutputError,
    PhotoError,
)
from depthd.contract.formats import Format
from depthd.contract.names import printable
from depthd.estimate.estimate import Estimate
from depthd.estimate.estimator import DepthEstimator
from depthd.intake.patterns import Names
from depthd.metres.advice import where_next
from depthd.metres.references import Point, References, Undetermined
from depthd.model.storage import user_cache
from depthd.render.marks import Mark, draw_marks
from depthd.system.walking import walk

_OFTEN = 0.5  # share of the photos in which a good point may be thrown out


@dataclass(frozen=True)
class _Look:
    """One photo, its points in its own pixels, and where one more would help."""

    estimate: Estimate
    points: tuple[Point, ...]
    reason: str  # why there are no metres
    wanted: tuple[float, float] | None

    @property
    def used(self) -> list[bool | None]:
        measured = self.estimate.measured
        return [None] * len(self.points) if measured is None else measured.fit.used.tolist()

    @property
    def seen(self) -> list[float | None]:
        """Metres at each point by what the other points say."""
        measured = self.estimate.measured
        return [None] * len(self.points) if measured is None else measured.fit.predicted.tolist()


def show_camera(loaded: Loaded, camera: str, photo: Path | None, output: Path | None) -> ExitCode:
    """Draw one photo and print its points.

    Raises:
        DepthdError: no points, no photo, or the drawing cannot be written.
    """
    config = loaded.config
    policy = _policy(config, camera)
    path = photo or next(iter(_newest(config, camera, 1)), None)
    if path is None:
        raise NoInputError(
            f"there is no photo of {camera} in {config.folder('done')}", "give one with --photo"
        )
    look = _look(_estimator(loaded), path, policy)
    target = output or Path(f"{camera.strip('/').replace('/', '-')}.points.jpg")
    try:
        target.write_bytes(_draw(look))
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror}") from error
    show(list(_rows([look])), head=("point", "x", "y", "measured", "seen", "off", ""))
    click.echo(_verdict(look))
    click.echo(printable(f"{path} with its points: {target}"))
    return ExitCode.OK if look.estimate.measured else ExitCode.FAILURE


def check_cameras(loaded: Loaded, cameras: Sequence[str], count: int) -> ExitCode:
    """Print for each camera how its points do in its newest photos.

    Raises:
        DepthdError: a camera has no points or no photos, or there is no camera.
    """
    config = loaded.config
    chosen = [camera.strip("/") for camera in cameras] or list(_with_points(config))
    if not chosen:
        raise NoInputError(
            f"no folder in {config.folder('done')} has both photos and reference points",
            "set folders.NAME.references, or name a camera to see what it lacks",
        )
    estimator = _estimator(loaded)
    bad = [camera for camera in chosen if not _check(config, estimator, camera, count)]
    return ExitCode.FAILURE if bad else ExitCode.OK


def _check(config: Config, estimator: DepthEstimator, camera: str, count: int) -> bool:
    """Whether most of the camera's photos have metres."""
    policy = _policy(config, camera)
    looks = []
    for path in _newest(config, camera, count):
        try:
            looks.append(_look(estimator, path, policy))
        except PhotoError as error:
            report(f"{path}: {error.code}: {error.detail}")
    if not looks:
        raise NoInputError(f"there is no photo of {camera} in {config.folder('done')}")
    good = [look for look in looks if look.estimate.measured is not None]
    click.echo(f"{printable(camera)}: {len(good)} of {len(looks)} photos have metres")
    show(list(_rows(looks)), head=("point", "x", "y", "measured", "seen", "off", ""))
    click.echo(_verdict(looks[0]))
    return 2 * len(good) > len(looks)


def _rows(looks: Sequence[_Look]) -> Iterator[tuple[object, ...]]:
    """One for each point: where it is, what was measured, what the others say of it."""
    for index, (x, y, metres) in enumerate(looks[0].points):
        seen = [value for look in looks if (value := look.seen[index]) is not None]
        used = [value for look in looks if (value := look.used[index]) is not None]
        where = (index + 1, f"{x:.0f}", f"{y:.0f}", f"{metres:.2f} m")
        if not seen:
            yield (*where, "", "", "no fit")
            continue
        middle = statistics.median(seen)
        thrown = used.count(False)
        words = "used" if not thrown else f"thrown out in {thrown} of {len(used)}"
        if thrown > _OFTEN * len(used):
            words += ": measure it again, or look whether something stands before it"
        yield (*where, f"{middle:.2f} m", f"{100 * (middle / metres - 1):+.0f} %", words)


def _verdict(look: _Look) -> str:
    if look.estimate.measured is None:
        return f"no metres: {look.reason}"
    fit = look.estimate.measured.fit
    text = (
        f"expected error {100 * fit.error:.0f} % (leave-one-out {100 * fit.leave_one_out:.0f} %), "
        f"from {fit.nearest:.2f} to {fit.farthest:.2f} m"
    )
    if look.wanted is not None:
        text += "; one more point would help most at {:.0f}, {:.0f}".format(*look.wanted)
    return text


def _look(estimator: DepthEstimator, path: Path, policy: FolderPolicy) -> _Look:
    # For ply the picture is kept, upright and not too large.
    kept = policy.model_copy(update={"formats": (Format.PLY,), "size": "original"})
    estimate = estimator.estimate(path, kept)
    photo = estimate.info.photo
    references = References(policy.references, policy.references_size)
    facts = estimate.info.metres
    reason = (facts.reason or "") if facts else ""
    try:
        points = references.on(photo.width, photo.height)
    except Undetermined:
        points = references.points
    wanted = None
    if estimate.measured is not None:
        places = np.array([point[:2] for point in points], np.float64)
        size = photo.width, photo.height
        wanted = where_next(
            places, estimate.depth, size, estimate.measured.fit, estimate.measured.depth
        )
    return _Look(estimate, points, reason, wanted)


def _draw(look: _Look) -> bytes:
    picture = look.estimate.picture
    if picture is None:
        raise ValueError("the picture was not kept")
    scale = picture.shape[1] / look.estimate.info.photo.width
    marks = []
    for number, ((x, y, metres), used, seen) in enumerate(
        zip(look.points, look.used, look.seen, strict=True), 1
    ):
        text = f"{number}: {metres:.2f} m"
        text += "" if seen is None else f", seen {seen:.2f}"
        marks.append(Mark(x * scale, y * scale, text, used))
    if look.wanted is not None:
        x, y = look.wanted
        marks.append(Mark(x * scale, y * scale, "one more here", None))
    return draw_marks(picture, marks)


def _policy(config: Config, camera: str) -> FolderPolicy:
    policy = config.policy(f"{camera.strip('/')}/photo")
    if not policy.references:
        raise ConfigurationError(
            f"{camera} has no reference points",
            f"set folders.{camera}.references or folders.{camera}.references_file",
        )
    return policy


def _estimator(loaded: Loaded) -> DepthEstimator:
    is_chosen = any(loaded.sources[key] != "default" for key in ("root", "paths.state"))
    state = loaded.config.folder("state") if is_chosen else user_cache() / "depthd"
    return DepthEstimator(loaded.config, state=state, report=report)


def _with_points(config: Config) -> Iterator[str]:
    """Folders of done/ that have points, and photos in them or below; not those below one."""
    done = config.folder("done")
    for folder, inner, _ in walk(done):
        inner.sort()
        camera = Path(folder).relative_to(done).as_posix()
        if camera != "." and config.policy(f"{camera}/photo").references:
            inner.clear()
            if _newest(config, camera, 1):
                yield camera


def _newest(config: Config, camera: str, count: int) -> list[Path]:
    """A camera's last photos in done/, the newest first."""
    names = Names(config.intake.include, (), config.intake.litter)
    found: list[tuple[float, str]] = []
    for folder, inner, files in walk(config.folder("done") / camera.strip("/")):
        inner[:] = [name for name in inner if not names.skips(name)]
        for name in files:
            path = os.path.join(folder, name)
            with suppress(FileNotFoundError):  # the daemon moves them
                if names.wants(name) and not names.skips(name) and not os.path.islink(path):
                    found.append((os.lstat(path).st_mtime, path))
        found = heapq.nlargest(count, found)
    return [Path(path) for _, path in found]
