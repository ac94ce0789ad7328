"""The preview: photo and heatmap side by side, with a legend from near to far.

Knows arrays and how to draw; made for people, not for programs.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_LEAST_HEIGHT = 160  # pixels; the legend needs them
_MARGIN = 12
_BAR = 18  # width of the legend's colour bar
_LABEL = 44  # room for its words
_BACKGROUND = 24  # dark grey
_INK = (220, 220, 220)
_QUALITY = 90


def preview_jpeg(
    photo: NDArray[np.uint8], indices: NDArray[np.uint8], palette: NDArray[np.uint8]
) -> bytes:
    """JPEG of the two pictures and the legend.

    Args:
        photo: uint8 (h, w, 3) RGB.
        indices: uint8 (h, w), palette index of each pixel's depth.
        palette: uint8 (256, 3) RGB.
    """
    height, width = indices.shape
    canvas_height = max(height, _LEAST_HEIGHT)
    left = 2 * width + 2 * _MARGIN
    canvas = np.full((canvas_height, left + _BAR + _LABEL, 3), _BACKGROUND, np.uint8)
    top = (canvas_height - height) // 2
    canvas[top : top + height, :width] = photo
    canvas[top : top + height, width + _MARGIN : 2 * width + _MARGIN] = palette[indices]
    _draw_legend(canvas, left, palette)
    return encode_jpeg(canvas)


def _draw_legend(canvas: NDArray[np.uint8], left: int, palette: NDArray[np.uint8]) -> None:
    top, bottom = _MARGIN, canvas.shape[0] - _MARGIN
    ramp = np.linspace(255, 0, bottom - top).round().astype(np.uint8)
    canvas[top:bottom, left : left + _BAR] = palette[ramp][:, None]
    for word, baseline in (("near", top + 10), ("far", bottom)):
        place = (left + _BAR + 5, baseline)
        cv2.putText(canvas, word, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)


def encode_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """JPEG of uint8 (H, W, 3) RGB."""
    quality = (cv2.IMWRITE_JPEG_QUALITY, _QUALITY)
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality)
    return encoded.tobytes()
