"""Reference points drawn onto a photo, numbered, with what the fit makes of each.

Knows pixels and how to draw; made for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from depthd.estimate.transform import with_longest_side
from depthd.render.preview import encode_jpeg

_SIDE = 1280  # longest side of the drawing
_USED, _THROWN, _NEXT = (60, 200, 80), (240, 70, 60), (80, 170, 255)
_DARK = (16, 16, 16)


@dataclass(frozen=True)
class Mark:
    """A point at x, y in pixels of the photo; `is_used` is None for a place to measure next."""

    x: float
    y: float
    text: str
    is_used: bool | None


def draw_marks(photo: NDArray[np.uint8], marks: Sequence[Mark]) -> bytes:
    """JPEG of a photo, uint8 (H, W, 3) RGB, with the marks; green used, red thrown out."""
    scale = _SIDE / max(photo.shape[:2])
    canvas = np.ascontiguousarray(with_longest_side(photo, _SIDE))
    for mark in marks:
        centre = (round(mark.x * scale), round(mark.y * scale))
        colour = _NEXT if mark.is_used is None else _USED if mark.is_used else _THROWN
        for ink, thickness in ((_DARK, 5), (colour, 2)):
            cv2.circle(canvas, centre, 9, ink, thickness, cv2.LINE_AA)
            if mark.is_used is False:
                _cross(canvas, centre, ink, thickness)
        _label(canvas, mark.text, centre, colour)
    return encode_jpeg(canvas)


def _cross(
    canvas: NDArray[np.uint8],
    centre: tuple[int, int],
    ink: tuple[int, int, int],
    thickness: int,
) -> None:
    x, y = centre
    cv2.line(canvas, (x - 6, y - 6), (x + 6, y + 6), ink, thickness, cv2.LINE_AA)
    cv2.line(canvas, (x - 6, y + 6), (x + 6, y - 6), ink, thickness, cv2.LINE_AA)


def _label(
    canvas: NDArray[np.uint8],
    text: str,
    centre: tuple[int, int],
    colour: tuple[int, int, int],
) -> None:
    """Beside the point, and inside the picture."""
    font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.5
    (width, height), _ = cv2.getTextSize(text, font, size, 1)
    x = min(centre[0] + 14, canvas.shape[1] - width - 4)
    y = min(max(centre[1] + height // 2, height + 4), canvas.shape[0] - 4)
    if x < centre[0] + 14:
        y = y - 18 if y > height + 22 else y + 18
    box = canvas[max(y - height - 3, 0) : y + 5, max(x - 3, 0) : x + width + 3]
    box //= 4  # dark, and what is behind it still to be seen
    cv2.putText(canvas, text, (x, y), font, size, colour, 1, cv2.LINE_AA)
