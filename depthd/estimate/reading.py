"""Published depth, read back at the photo's size.

Knows manifests, arrays and the one resize that is also the worker's; no engine.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from depthd.contract.errors import NoInputError
from depthd.contract.formats import FORMATS, MANIFEST_SUFFIX, Format
from depthd.contract.manifest import Manifest
from depthd.estimate.transform import resize_depth

_LONGEST_HEADER = 1024  # bytes
_HINT = "add model to output.formats (0.2 MB a photo), or set output.size to original or model"


def read_depth(manifest: str | Path) -> NDArray[np.float32]:
    """Depth of a photo at its own size, whatever `output.size` was.

    The very numbers that `output.size: original` would have written, to the last bit on the same
    processor with the same OpenCV: the network's own array is resized as the worker does it.

    Args:
        manifest: path of a published manifest; the files that it lists lie beside it.

    Returns:
        float32 (H, W) of the upright photo: relative inverse depth, larger is nearer.

    Raises:
        NoInputError: there is no such manifest, a file of it is missing or another one, or none of
            them holds those numbers (`png16` is rounded; a size in pixels was resized already).
    """
    path = Path(manifest)
    said = _read(path)
    photo, model = said.photo, said.model
    at_photo, at_network = (photo.height, photo.width), (model.input_height, model.input_width)
    shapes = {Format.MODEL: at_network}
    depth = (said.depth.height, said.depth.width)
    if depth in (at_photo, at_network):
        shapes.update({Format.NPY: depth, Format.PFM: depth})
    there = {file.format for file in said.files}
    for kind in (Format.NPY, Format.PFM, Format.MODEL):
        if kind in there and kind in shapes:
            base = path.name.removesuffix(MANIFEST_SUFFIX)
            array = _array(path.with_name(base + FORMATS[kind].suffix), kind, shapes[kind])
            return resize_depth(array, photo.width, photo.height)
    raise NoInputError(f"{path}: no file of this set has depth that makes the photo's size", _HINT)


def _read(path: Path) -> Manifest:
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        raise NoInputError(f"{path} is not a manifest of this version of depthd") from error


def _array(path: Path, kind: Format, shape: tuple[int, int]) -> NDArray[np.float32]:
    read = _pfm if kind is Format.PFM else _npy
    try:
        array = read(path, shape)
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise NoInputError(f"{path}: {error}") from error
    if array.shape != shape or array.dtype != np.float32:
        raise NoInputError(f"{path}: it is not what its manifest tells of")
    return np.asarray(array, np.float32)


def _npy(path: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Nothing is reserved for what only a header promises."""
    if path.stat().st_size > 4 * shape[0] * shape[1] + _LONGEST_HEADER:
        raise ValueError("it is longer than its manifest tells")
    array: NDArray[np.float32] = np.load(path, allow_pickle=False)
    return array


def _pfm(path: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Bottom row first, little-endian, as `render` writes it."""
    height, width = shape
    header = f"Pf\n{width} {height}\n-1.000000\n".encode("ascii")
    data = path.read_bytes()
    if not data.startswith(header) or len(data) != len(header) + 4 * width * height:
        raise ValueError("it is not what its manifest tells of")
    upside_down = np.frombuffer(data, "<f4", offset=len(header)).reshape(shape)
    return np.ascontiguousarray(upside_down[::-1])
