"""The preview: photo and heatmap side by side, with a legend from near to far.

Knows arrays, the scale and how to draw; made for people, not for programs.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from depthd.render.scale import Scale

_LEAST_HEIGHT = 160  # pixels; the legend needs them
_MARGIN = 12
_BAR = 18  # width of the legend's colour bar
_LABEL = 52  # room for its words
_TICK = 4
_BACKGROUND = 24  # dark grey
_INK = (220, 220, 220)
_QUALITY = 90


def preview_jpeg(
    photo: NDArray[np.uint8],
    indices: NDArray[np.uint8],
    palette: NDArray[np.uint8],
    scale: Scale,
) -> bytes:
    """JPEG of the two pictures and the legend.

    Args:
        photo: uint8 (h, w, 3) RGB.
        indices: uint8 (h, w), palette index of each pixel's depth.
        palette: uint8 (256, 3) RGB.
        scale: what the indices mean.
    """
    height, width = indices.shape
    canvas_height = max(height, _LEAST_HEIGHT)
    left = 2 * width + 2 * _MARGIN
    canvas = np.full((canvas_height, left + _BAR + _LABEL, 3), _BACKGROUND, np.uint8)
    top = (canvas_height - height) // 2
    canvas[top : top + height, :width] = photo
    canvas[top : top + height, width + _MARGIN : 2 * width + _MARGIN] = palette[indices]
    _draw_legend(canvas, left, palette, scale)
    return encode_jpeg(canvas)


def _draw_legend(
    canvas: NDArray[np.uint8], left: int, palette: NDArray[np.uint8], scale: Scale
) -> None:
    top, bottom = _MARGIN, canvas.shape[0] - _MARGIN
    ramp = np.linspace(255, 0, bottom - top).round().astype(np.uint8)
    canvas[top:bottom, left : left + _BAR] = palette[ramp][:, None]
    edge = left + _BAR
    for share, text in scale.ticks():
        row = bottom - 1 - round(share * (bottom - 1 - top))
        canvas[row, edge : edge + _TICK] = _INK
        _write(canvas, text, edge + _TICK + 2, min(max(row + 4, top + 10), bottom))
    if not scale.is_metres:
        _write(canvas, "near", edge + 5, top + 10)
        _write(canvas, "far", edge + 5, bottom)


def _write(canvas: NDArray[np.uint8], text: str, left: int, baseline: int) -> None:
    place = (left, baseline)
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)


def encode_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """JPEG of uint8 (H, W, 3) RGB."""
    quality = (cv2.IMWRITE_JPEG_QUALITY, _QUALITY)
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality)
    return encoded.tobytes()
