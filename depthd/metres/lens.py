"""What a camera's lens says of its photos: from angles and focal lengths to intrinsics.

Knows numbers only; no NumPy, no files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

GUESS = 60.0  # degrees across the longer side: between a phone's and a webcam's
_SANE = (5.0, 170.0)
_FILM_DIAGONAL = math.hypot(36, 24)  # mm
# Widths in mm of sensors whose makers write a focal length into the photo but not its 35 mm
# equivalent: Raspberry Pi's camera modules 1, 2, 3 and High Quality, by their data sheets.
_SENSOR_WIDTHS = {"ov5647": 3.76, "imx219": 3.68, "imx708": 6.45, "imx477": 6.287}


@dataclass(frozen=True)
class Lens:
    """What EXIF says, 0 where it says nothing.

    Attributes:
        focal_35mm: focal length of a lens that sees as much on 35 mm film, mm.
        focal: real focal length, mm.
        pixels_per_mm: of the sensor.
        sensor_pixels: longer side of the photo that `pixels_per_mm` holds for.
        model: the camera's name.
    """

    focal_35mm: float = 0.0
    focal: float = 0.0
    pixels_per_mm: float = 0.0
    sensor_pixels: float = 0.0
    model: str = ""


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera.

    A point at (x right, y down, z forward) metres is seen at column `focal * x / z + cx` and row
    `focal * y / z + cy`, where the middle of the first pixel is at 0.5, 0.5 (Hartley and Zisserman,
    Multiple View Geometry, section 6.1). Pixels are square, the axis goes through the middle.

    Attributes:
        focal: in pixels.
        width, height: of the photo, pixels.
        source: where the angle comes from; of a guess only the shape can be believed.
    """

    focal: float
    width: int
    height: int
    source: Literal["fov", "exif", "guess"]

    @property
    def cx(self) -> float:
        return self.width / 2

    @property
    def cy(self) -> float:
        return self.height / 2

    @property
    def fov(self) -> float:
        """Degrees across the longer side."""
        return 2 * math.degrees(math.atan(max(self.width, self.height) / 2 / self.focal))

    @classmethod
    def from_fov(
        cls, fov: float, width: int, height: int, source: Literal["fov", "exif", "guess"] = "fov"
    ) -> Intrinsics:
        """From the angle in degrees across the longer side of a photo."""
        focal = max(width, height) / 2 / math.tan(math.radians(fov) / 2)
        return cls(focal, width, height, source)

    def scaled(self, width: int, height: int) -> Intrinsics:
        """The same camera's for a photo of another size."""
        return Intrinsics(self.focal * width / self.width, width, height, self.source)


def intrinsics(width: int, height: int, fov: float | None, lens: Lens | None) -> Intrinsics:
    """The best that is known: what was set, else the photo's EXIF, else a guess of 60 degrees.

    Args:
        width: pixels of the upright photo.
        height: pixels of the upright photo.
        fov: degrees across the longer side, if it is known.
        lens: what EXIF says.
    """
    if fov is not None:
        return Intrinsics.from_fov(fov, width, height)
    focal = 0.0 if lens is None else _focal(lens, width, height)
    if focal > 0:
        found = Intrinsics(focal, width, height, "exif")
        if _SANE[0] < found.fov < _SANE[1]:
            return found
    return Intrinsics.from_fov(GUESS, width, height, "guess")


def _focal(lens: Lens, width: int, height: int) -> float:
    """Focal length in pixels of a photo of this size, 0 where it is not known."""
    longer = max(width, height)
    if lens.focal_35mm > 0:  # by the diagonal: CIPA DCG-001
        return lens.focal_35mm / _FILM_DIAGONAL * math.hypot(width, height)
    if lens.focal > 0 and lens.pixels_per_mm > 0:
        return lens.focal * lens.pixels_per_mm * longer / (lens.sensor_pixels or longer)
    model = lens.model.lower()
    sensor = next((mm for name, mm in _SENSOR_WIDTHS.items() if name in model), 0.0)
    return lens.focal / sensor * longer if sensor else 0.0
