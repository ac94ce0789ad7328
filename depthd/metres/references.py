"""Reference points: places of a photo whose distance from the camera was measured.

Reads CSV files. Knows text and numbers; imported by the configuration, so no NumPy here.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

Point = tuple[float, float, float]
Size = tuple[float, float]

MOST_POINTS = 1000
FARTHEST = 100_000.0  # metres
_MOST_BYTES = 1_000_000
_COLUMNS = ("x", "y", "metres")
_SIZE_COLUMNS = ("width", "height")
_SAME_SHAPE = 0.02  # the aspect ratios of two photos of one camera differ by less


class ReferencesError(ValueError):
    """The points cannot be used; says which one and why."""


class Undetermined(Exception):
    """There are no metres for this photo; the text says why, as it stands in the manifest."""


@dataclass(frozen=True)
class References:
    """What was measured.

    Attributes:
        points: (x, y, metres). x and y count from the left and top edge of the upright photo to
            its width and height, so the middle of the first pixel is at 0.5, 0.5. metres is the
            distance along the optical axis (what a depth camera gives), not along the ray.
        size: width and height of the photo that x and y were measured on; (1, 1) for fractions;
            None for pixels of whatever photo they are used with.
    """

    points: tuple[Point, ...]
    size: Size | None = None

    @classmethod
    def of(cls, points: Sequence[Sequence[float]], size: Sequence[float] | None = None) -> Self:
        """Checked points.

        Raises:
            ReferencesError: a point is no point.
        """
        checked = parse_points(points)
        return cls(checked, None if size is None else parse_size(size))

    @classmethod
    def read(cls, file: str | Path) -> Self:
        """Points from a CSV file.

        The first line names the columns x, y and metres, in any order; with width and height each
        line says the size of the photo that it was measured on, the same in all. Semicolons may
        part the columns; numbers may then have a decimal comma. Lines that begin with # are
        passed over, and so are other columns.

        Raises:
            ReferencesError: the file is not such a file; says which line is wrong.
            OSError: it cannot be read.
        """
        with Path(file).open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise ReferencesError("it is larger than 1 MB, so it holds no points")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ReferencesError("it is not UTF-8 text") from error
        return cls(*_parse_csv(text))

    def on(self, width: int, height: int) -> tuple[Point, ...]:
        """The points in pixels of a photo of this size.

        Raises:
            Undetermined: the photo has another shape, or a point lies outside of it.
        """
        across, down = self.size or (width, height)
        if self.size not in (None, (1.0, 1.0)):
            shape = (width / height) / (across / down)
            if not 1 / (1 + _SAME_SHAPE) < shape < 1 + _SAME_SHAPE:
                raise Undetermined(
                    f"the reference points were measured on a photo of {across:g} x {down:g}, "
                    f"and this one, {width} x {height}, has another shape"
                )
        for number, (x, y, _) in enumerate(self.points, 1):
            if x > across or y > down:
                raise Undetermined(
                    f"reference point {number} at {x:g}, {y:g} lies outside of the photo, which "
                    f"is {across:g} x {down:g}; references_size says which size they are for"
                )
        x_scale, y_scale = width / across, height / down
        return tuple((x * x_scale, y * y_scale, metres) for x, y, metres in self.points)


def parse_points(value: object) -> tuple[Point, ...]:
    """Points from lists of numbers or of texts that are numbers.

    Raises:
        ReferencesError: with the number of the point, counted from 1, and what is wrong with it.
    """
    if not isinstance(value, list | tuple):
        raise ReferencesError("needs a list of points, such as [[120, 400, 1.5], [610, 380, 2.25]]")
    if len(value) > MOST_POINTS:
        raise ReferencesError(f"has {len(value)} points, more than {MOST_POINTS}")
    points = []
    for number, item in enumerate(value, 1):
        if not isinstance(item, list | tuple) or len(item) != len(_COLUMNS):
            raise ReferencesError(f"point {number} needs three numbers, [x, y, metres]")
        points.append(_point(f"point {number}", *(_number(part, number) for part in item)))
    return tuple(points)


def parse_size(value: object) -> Size | None:
    """Width and height, or None.

    Raises:
        ReferencesError: they are no size.
    """
    if value is None:
        return None
    if isinstance(value, list | tuple) and len(value) == 2:
        width, height = (_number(part, None) for part in value)
        if 0 < width < math.inf and 0 < height < math.inf:
            return width, height
    raise ReferencesError("needs width and height, such as [1280, 720]")


def _number(part: object, point: int | None) -> float:
    if isinstance(part, int | float | str) and not isinstance(part, bool):
        try:
            return float(part)
        except (ValueError, OverflowError):  # the latter of a whole number with 309 digits
            pass
    where = "" if point is None else f"point {point}: "
    raise ReferencesError(f"{where}{part!r} is no number")


def _point(where: str, x: float, y: float, metres: float) -> Point:
    if not (0 <= x < math.inf and 0 <= y < math.inf):
        raise ReferencesError(f"{where}: x {x:g} and y {y:g} must not be below 0")
    if not 0 < metres <= FARTHEST:
        raise ReferencesError(f"{where}: {metres:g} m must be above 0 and at most {FARTHEST:g}")
    return x, y, metres


def _parse_csv(text: str) -> tuple[tuple[Point, ...], Size | None]:
    lines = list(_lines(text))
    if not lines:
        raise ReferencesError("it is empty; its first line must be x,y,metres")
    number, head = lines[0]
    mark = next((mark for mark in ";\t" if mark in head), ",")
    names = [name.strip().lower() for name in _cells(head, mark)]
    lacking = [name for name in _COLUMNS if names.count(name) != 1]
    if lacking:
        raise ReferencesError(
            f"line {number}: needs the column {lacking[0]} once; the first line must be x,y,metres"
        )
    has_size = all(names.count(name) == 1 for name in _SIZE_COLUMNS)
    wanted = _COLUMNS + _SIZE_COLUMNS * has_size
    points: list[Point] = []
    sizes: set[Size] = set()
    for number, line in lines[1:]:
        cells = _cells(line, mark)
        if len(cells) != len(names):
            raise ReferencesError(f"line {number}: has {len(cells)} columns and not {len(names)}")
        values = [_cell(number, name, cells[names.index(name)], mark) for name in wanted]
        points.append(_point(f"line {number}", values[0], values[1], values[2]))
        if has_size:
            sizes.add((values[3], values[4]))
    if not points:
        raise ReferencesError("it holds no points")
    if len(points) > MOST_POINTS:
        raise ReferencesError(f"it has {len(points)} points, more than {MOST_POINTS}")
    if len(sizes) > 1 or any(side <= 0 for size in sizes for side in size):
        raise ReferencesError("width and height must be above 0 and the same in all lines")
    return tuple(points), next(iter(sizes), None)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line


def _cells(line: str, mark: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=mark))
    except csv.Error as error:
        raise ReferencesError(f"a line cannot be read: {error}") from error


def _cell(line: int, name: str, text: str, mark: str) -> float:
    plain = text.strip()
    if mark != ",":
        plain = plain.replace(",", ".")
    try:
        value = float(plain)
    except ValueError:
        value = math.nan
    if math.isfinite(value):
        return value
    raise ReferencesError(f"line {line}: {name} is {text.strip()!r}, which is no number")
