"""The few steps of a pickle that a state_dict needs, run on plain values.

A pickle is a program that may import and call anything. This module never imports what a pickle
names: it recognises a handful of names, and refuses every other one and every other step. Time
and memory are bounded by the number of steps. Knows nothing of files and archives.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from depthd.model.stored import Stored

_MOST_STEPS = 1_000_000  # midas_small's checkpoint has 20,000
_STORAGES = {
    "torch FloatStorage": "F32",
    "torch DoubleStorage": "F64",
    "torch HalfStorage": "F16",
    "torch BFloat16Storage": "BF16",
    "torch LongStorage": "I64",
    "torch IntStorage": "I32",
    "torch ShortStorage": "I16",
    "torch CharStorage": "I8",
    "torch ByteStorage": "U8",
    "torch BoolStorage": "BOOL",
}


@dataclass(frozen=True)
class Storage:
    """Numbers that tensors look at: byte order and type as in `Stored`, and where the bytes are."""

    dtype: str
    content: Callable[[], bytes | memoryview]


FindStorage = Callable[[str, str, int], Storage]
"""From a type, a key and a number of elements."""


def load(file: io.BytesIO, find_storage: FindStorage) -> object:
    """Run one pickle to its end.

    Returns:
        Dicts, lists, tuples, plain values and `Stored` tensors.

    Raises:
        ValueError, TypeError, LookupError: it is damaged, or asks for more than tensors.
    """
    machine = _Machine(find_storage)
    for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if opcode.name == "STOP":
            break
        if opcode.name not in _STEPS or number > _MOST_STEPS:
            raise ValueError(f"its pickle has a step {opcode.name}, at {number}")
        _STEPS[opcode.name](machine, argument)
    (result,) = machine.stack
    return result


class _Machine:
    def __init__(self, find_storage: FindStorage) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self._find_storage = find_storage

    def take(self, number: int) -> list[Any]:
        taken = self.stack[-number:]
        if len(taken) < number or any(value is _MARK for value in taken):
            raise ValueError("its pickle takes more than there is")
        del self.stack[-number:]
        return taken

    def take_to_mark(self) -> list[Any]:
        taken = []
        while (value := self.stack.pop()) is not _MARK:
            taken.append(value)
        return taken[::-1]

    def extend(self, values: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise TypeError("its pickle adds to something that is no list")
        self.stack[-1].extend(values)

    def fill(self, pairs: list[Any]) -> None:
        """Keys are strings alone: the hash of a nested tuple can take for ever."""
        keys = pairs[::2]
        if type(self.stack[-1]) is not dict or not all(type(key) is str for key in keys):
            raise TypeError("its pickle fills something that is no state_dict")
        self.stack[-1].update(zip(keys, pairs[1::2], strict=True))

    def name(self, name: str) -> None:
        if name not in _STORAGES and name not in _CALLABLE:
            raise ValueError(f"it asks for {name.replace(' ', '.')[:100]}, not only for tensors")
        self.stack.append(_Name(name))

    def call(self) -> None:
        function, arguments = self.take(2)
        self.stack.append(_CALLABLE[function.name](*arguments))

    def find_storage(self) -> None:
        ((kind, named, key, _location, length, *view),) = self.take(1)
        if (kind, type(key), type(length), any(view)) != ("storage", str, int, False) or length < 0:
            raise ValueError("its pickle refers to something that is no storage")
        self.stack.append(self._find_storage(_STORAGES[named.name], key, length))

    def forget_attributes(self) -> None:
        """Of an OrderedDict: torch keeps versions of the modules there."""
        self.take(1)
        if type(self.stack[-1]) is not dict:
            raise TypeError("its pickle sets attributes")


@dataclass(frozen=True)
class _Name:
    name: str


_MARK = object()


def _ordered_dict() -> dict[str, Any]:
    return {}


def _tensor(
    storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_rest: object
) -> Stored:
    if type(storage) is not Storage or type(shape) is not tuple or type(strides) is not tuple:
        raise TypeError("a tensor is not described as one")
    return Stored(storage.dtype, shape, strides, offset, storage.content)


def _parameter(tensor: Stored, *_rest: object) -> Stored:
    return tensor


_CALLABLE: dict[str, Callable[..., object]] = {
    "collections OrderedDict": _ordered_dict,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_tensor": _tensor,
    "torch._utils _rebuild_parameter": _parameter,
}


def _push(machine: _Machine, value: object) -> None:
    machine.stack.append(value)


def _remember(machine: _Machine, number: int) -> None:
    machine.memo[number] = machine.stack[-1]


def _recall(machine: _Machine, number: int) -> None:
    machine.stack.append(machine.memo[number])


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda *_: None,
    "MARK": lambda machine, _: machine.stack.append(_MARK),
    "NONE": lambda machine, _: machine.stack.append(None),
    "NEWTRUE": lambda machine, _: machine.stack.append(True),
    "NEWFALSE": lambda machine, _: machine.stack.append(False),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_TUPLE": lambda machine, _: machine.stack.append(()),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"), _push),
    **dict.fromkeys(("BINUNICODE", "BINSTRING", "SHORT_BINSTRING"), _push),
    "TUPLE1": lambda machine, _: machine.stack.append(tuple(machine.take(1))),
    "TUPLE2": lambda machine, _: machine.stack.append(tuple(machine.take(2))),
    "TUPLE3": lambda machine, _: machine.stack.append(tuple(machine.take(3))),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.take_to_mark())),
    "APPEND": lambda machine, _: machine.extend(machine.take(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.take_to_mark()),
    "SETITEM": lambda machine, _: machine.fill(machine.take(2)),
    "SETITEMS": lambda machine, _: machine.fill(machine.take_to_mark()),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _remember),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _recall),
    "GLOBAL": lambda machine, name: machine.name(name),
    "BINPERSID": lambda machine, _: machine.find_storage(),
    "REDUCE": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.forget_attributes(),
}
