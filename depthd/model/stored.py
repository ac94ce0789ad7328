"""A tensor as a weights file describes it, before its numbers are touched. Knows numpy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_KINDS = {  # safetensors' names of types
    "F64": "f8", "F32": "f4", "F16": "f2", "BF16": "u2", "I64": "i8", "I32": "i4", "I16": "i2",
    "I8": "i1", "U8": "u1", "BOOL": "b1",
}  # fmt: skip
_FLOATS = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True)
class Stored:
    """Where a tensor's numbers lie.

    Attributes:
        dtype: byte order (`<` or `>`) and type, such as `<F32`.
        shape, strides, offset: in elements.
        content: gives the bytes of the storage that the tensor looks at.
    """

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    content: Callable[[], bytes | memoryview]

    def __post_init__(self) -> None:
        numbers = (*self.shape, *self.strides, self.offset)
        if len(self.shape) != len(self.strides) or not all(
            type(number) is int and 0 <= number < 1 << 40 for number in numbers
        ):
            raise ValueError("a tensor's shape, strides or offset are impossible")

    @staticmethod
    def item_size(dtype: str) -> int:
        """Bytes of one element; `dtype` without byte order."""
        return np.dtype(_KINDS[dtype]).itemsize

    @property
    def is_float(self) -> bool:
        return self.dtype[1:] in _FLOATS

    def array(self) -> NDArray[np.float32]:
        """Its numbers as float32, contiguous, in memory of their own.

        Only for shapes that were found right: memory is needed for all of it.

        Raises:
            ValueError: the storage is smaller than the tensor.
        """
        kind = np.dtype(self.dtype[0] + _KINDS[self.dtype[1:]])
        flat = np.frombuffer(self.content(), kind)
        steps = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((length - 1) * stride for length, stride in steps)
        if not math.prod(self.shape) or last >= flat.size:
            raise ValueError("a tensor is larger than its storage")
        strides = [stride * kind.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, strides)
        if self.dtype[1:] == "BF16":  # the upper half of a float32
            return (view.astype(np.uint32) << 16).view(np.float32)
        return np.array(view, np.float32, order="C")
