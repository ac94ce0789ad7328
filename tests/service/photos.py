"""Small photos, each with bytes of its own."""

from __future__ import annotations

import cv2
import numpy as np


def photo(seed: int, marker: str = "") -> bytes:
    """A small JPEG; a marker behind its end makes a sabotaged worker do what it says."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 255, (6, 8, 3), np.uint8)
    pixels = cv2.resize(coarse, (160, 120), interpolation=cv2.INTER_CUBIC)
    content = cv2.imencode(".jpg", pixels)[1].tobytes()
    return content + (f"SABOTAGE:{marker}".encode() if marker else b"")
