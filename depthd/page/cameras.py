"""Reference points of cameras: which there are, and new ones into the file that is named for them.

Only a file that the configuration names as `references_file` is written, and only with points that
the configuration would take. Knows the configuration and files.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from depthd.config import Config
from depthd.config.folders import FolderPolicy
from depthd.metres.references import Point, References, ReferencesError, Size
from depthd.system import files

_MODE = 0o640


@dataclass(frozen=True)
class Camera:
    """A folder of the inbox and its points.

    Attributes:
        folder: its path.
        points: x, y, metres.
        size: of the photo that x and y were measured on; None for whatever photo.
        file: that the configuration names, or None.
    """

    folder: str
    points: tuple[Point, ...]
    size: Size | None
    file: Path | None


class Cameras:
    """The cameras of a configuration."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._saving = threading.Lock()  # two at once would share a temporary name

    def folders(self, seen: Iterable[str]) -> list[str]:
        """Folders with results, and those that the configuration names."""
        named = (name for name in self._config.folders if not set(name) & set("*?["))
        return sorted({folder.strip("/") for folder in (*seen, *named)} - {""})

    def camera(self, folder: str) -> Camera:
        """What holds for a folder; the file as it is now."""
        policy: FolderPolicy = self._config.policy(f"{folder}/photo")
        points, size = policy.references, policy.references_size
        if policy.references_file is not None:
            try:
                read = References.read(policy.references_file)
            except (OSError, ReferencesError):  # what was loaded at the start holds
                read = References(points, size)
            points, size = read.points, read.size or size
        return Camera(folder, points, size, policy.references_file)

    def save(self, folder: str, points: Sequence[Sequence[float]], size: Sequence[float]) -> Path:
        """Write the points to the file of a camera.

        Returns:
            the file.

        Raises:
            ReferencesError: the points are none, or no file is named for this camera.
            OSError: the file cannot be written.
        """
        checked = References.of(points, size)
        target = self.camera(folder).file
        if target is None:
            raise ReferencesError("no references_file is named for this camera")
        if checked.size is None or not checked.points:
            raise ReferencesError("there are no points")
        about = os.stat(target)  # a file that is there; its rights stay
        data = csv(checked).encode()
        with self._saving:
            files.write_atomic(target.resolve(), data, about.st_mode & 0o777 or _MODE)
        return target


def csv(references: References) -> str:
    """As `references_file` takes it."""
    width, height = references.size or (1.0, 1.0)
    lines = ["x,y,metres,width,height"]
    lines += [
        f"{x:.2f},{y:.2f},{metres:g},{width:g},{height:g}" for x, y, metres in references.points
    ]
    return "\n".join(lines) + "\n"
