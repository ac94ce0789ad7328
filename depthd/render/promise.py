"""How many bytes the results of a photo will take, from its size alone. Knows the formats."""

from __future__ import annotations

from depthd.config import FolderPolicy
from depthd.contract.formats import Format

# At most; a heatmap's PNG is smaller by as much as it can be packed.
_BYTES_A_PIXEL = {
    Format.HEATMAP: 1,
    Format.NPY: 4,
    Format.PNG16: 2,
    Format.PFM: 4,
}
_OVERHEAD = 4096  # bytes of headers, a file
_PREVIEW = 300_000  # bytes at most; it is never large


def promised_bytes(width: int, height: int, policy: FolderPolicy, input_size: int) -> int:
    """What a photo of so many pixels will take, an upper bound.

    Args:
        width: pixels of the photo.
        height: the same.
        policy: which formats, at what size.
        input_size: longest side in pixels that the network sees.
    """
    longest = max(width, height)
    if policy.size == "original":
        wanted = longest
    else:
        wanted = input_size if policy.size == "model" else int(policy.size)
    scale = min(1.0, wanted / longest)
    pixels = int(width * scale + 1) * int(height * scale + 1)
    return sum(
        _PREVIEW if kind is Format.PREVIEW else pixels * _BYTES_A_PIXEL[kind] + _OVERHEAD
        for kind in policy.formats
    )
