"""How many bytes a photo's results can have, known from its header alone.

So room can be reserved before the work: a few bytes of a header may promise gigabytes. Knows sizes
and formats, no pixels.
"""

from __future__ import annotations

import math

from depthd.config import FolderPolicy
from depthd.contract.formats import Format
from depthd.estimate.estimator import PICTURE_SIDE, PREVIEW_SIDE
from depthd.estimate.transform import network_size, output_size
from depthd.render.space import MOST_POINTS, MOST_VERTICES

_FRAME = 4096  # bytes of headers, palettes and checksums
_MANIFEST = 16384
# As if the photo in them were not compressed.
_PICTURE = {
    Format.PREVIEW: 3 * (2 * PREVIEW_SIDE + 100) * (PREVIEW_SIDE + 100),
    Format.GLB: 3 * PICTURE_SIDE**2,
}
_PNG = (Format.HEATMAP, Format.PNG16, Format.MILLIMETRES)
_BYTES_A_PIXEL = {
    Format.HEATMAP: 1.01,
    Format.NPY: 4,
    Format.PNG16: 2.02,
    Format.PFM: 4,
    Format.METRES: 4,
    Format.MILLIMETRES: 2.02,
}
_IN_SPACE = {Format.PLY: (15, MOST_POINTS), Format.GLB: (44, MOST_VERTICES)}  # and how many across


def promised_bytes(width: int, height: int, policy: FolderPolicy, input_size: int) -> int:
    """The most bytes that the results and the manifest of a photo can have together.

    Args:
        width: of the upright photo, in pixels.
        height: of the upright photo, in pixels.
        policy: its formats and size count.
        input_size: `model.input_size`.
    """
    across, down = output_size(width, height, policy.size, input_size)
    total = float(_MANIFEST)
    for kind in policy.formats:
        total += _PICTURE.get(kind, 0) + _FRAME
        if kind in _IN_SPACE:
            bytes_each, most = _IN_SPACE[kind]
            total += bytes_each * min(across, most) * min(down, most)
        elif kind is Format.MODEL:
            total += 4 * math.prod(network_size(width, height, input_size))
        elif kind in _BYTES_A_PIXEL:
            total += _BYTES_A_PIXEL[kind] * across * down
        if kind in _PNG:
            total += 2 * down  # each row has a byte more than its pixels
    return int(total)
