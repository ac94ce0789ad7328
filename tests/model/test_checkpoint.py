"""Weights files: both containers, strict, and no code run from any of them."""

from __future__ import annotations

import hashlib
import io
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from random_weights import random_network, random_tensors, save_random_weights
from safetensors.numpy import save_file

from depthd.contract.errors import UnavailableError
from depthd.model import checkpoint, tensor_pickle, torch_file
from depthd.model.architecture import counters
from depthd.model.catalogue import MODELS
from depthd.model.checkpoint import read_tensors
from depthd.model.stored import Stored

torch = pytest.importorskip("torch")

SPEC = MODELS["builtin"]
Tensors = dict[str, NDArray[np.float32]]


def load(path: Path) -> Tensors:
    return read_tensors(SPEC, path, hashlib.sha256(path.read_bytes()).hexdigest())


def same(ours: Tensors, theirs: Tensors) -> bool:
    return ours.keys() == theirs.keys() and all(
        np.array_equal(array, theirs[name]) for name, array in ours.items()
    )


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])  # a state_dict carries versions of modules
def test_both_containers_of_torch(legacy: bool, wrapped: bool, tmp_path: Path) -> None:
    state = random_network("builtin").state_dict()
    path = tmp_path / "weights.pt"
    torch.save(state if wrapped else dict(state), path, _use_new_zipfile_serialization=not legacy)
    assert same(load(path), random_tensors("builtin"))


def test_tensors_that_share_numbers_or_lie_otherwise_in_memory(tmp_path: Path) -> None:
    state = dict(random_network("builtin").state_dict())
    name = "scratch.layer1_rn.weight"
    state[name] = state[name].to(memory_format=torch.channels_last)
    both = torch.arange(96.0)
    state["scratch.refinenet1.out_conv.bias"] = both[:48]
    state["scratch.refinenet2.out_conv.bias"] = both[1:97:2]
    state["scratch.refinenet3.out_conv.bias"] = torch.nn.Parameter(both[48:])
    torch.save(state, tmp_path / "weights.pt")
    loaded = load(tmp_path / "weights.pt")
    assert np.array_equal(loaded[name], random_tensors("builtin")[name])
    assert np.array_equal(loaded["scratch.refinenet1.out_conv.bias"], np.arange(48))
    assert np.array_equal(loaded["scratch.refinenet2.out_conv.bias"], np.arange(1, 97, 2))
    assert np.array_equal(loaded["scratch.refinenet3.out_conv.bias"], np.arange(48, 96))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_every_float_type_becomes_float32(dtype: torch.dtype, suffix: str, tmp_path: Path) -> None:
    from safetensors.torch import save_file as save_safetensors  # noqa: PLC0415

    state = {name: torch.from_numpy(a).to(dtype) for name, a in random_tensors("builtin").items()}
    path = tmp_path / f"weights{suffix}"
    (torch.save if suffix == ".pt" else save_safetensors)(state, path)
    expected = {name: value.float().numpy() for name, value in state.items()}
    loaded = load(path)
    assert same(loaded, expected)
    assert {array.dtype for array in loaded.values()} == {np.dtype(np.float32)}


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (Path("exploded"),)


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle", "inside a state_dict"])
def test_code_in_a_file_is_not_run(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pt"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Bomb(), protocol=2))
    elif kind == "inside a state_dict":
        torch.save(dict(random_network("builtin").state_dict()) | {"x": Bomb()}, path)
    else:
        torch.save({"weights": Bomb()}, path, _use_new_zipfile_serialization=kind == "zip")
    with pytest.raises(UnavailableError, match=r"cannot be loaded as weights: it asks for "):
        load(path)
    assert not (tmp_path / "exploded").exists()


PICKLES = {
    "protocol 4": pickle.dumps({"a": 1}, protocol=4),
    "attributes of a function": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}b.",
    "attributes of a tuple": b"\x80\x02)}b.",
    "a call of a tuple": b"\x80\x02))R.",
    "a call with too little": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
    "a tensor without a storage": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x00))tR.",
    "an inner module": b"\x80\x02ctorch.serialization\nload\n.",
    "eval": b"\x80\x02c__builtin__\neval\nX\x01\x00\x00\x001\x85R.",
    "a key of nested tuples": b"\x80\x02}" + b")" + b"2\x86" * 60 + b"K\x01s.",
    "nested keys without duplication": b"\x80\x02})q\x00" + b"h\x00\x86q\x00" * 60 + b"K\x01s.",
    "an empty stack": b"\x80\x020.",
    "no end": b"\x80\x02}",
    "two results": b"\x80\x02}}.",
    "a reference to nothing": b"\x80\x02h\x05.",
    "a storage that is none": b"\x80\x02X\x01\x00\x00\x00aQ.",
    "a storage of unknown type": pickle.dumps(("storage", "torch.X", "0", "cpu", 4), 2)[:-1]
    + b"Q.",
}


@pytest.mark.parametrize("name", PICKLES)
def test_every_other_pickle_is_refused(name: str) -> None:
    def never(dtype: str, key: str, length: int) -> tensor_pickle.Storage:
        raise AssertionError(key)

    with pytest.raises((ValueError, TypeError, LookupError, AttributeError)):
        tensor_pickle.load(io.BytesIO(PICKLES[name]), never)


def test_a_place_in_the_memo_costs_nothing() -> None:
    assert tensor_pickle.load(io.BytesIO(b"\x80\x02}r\xff\xff\xff\x7f."), lambda *_: None) == {}


def test_a_pickle_that_goes_on_for_ever_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_pickle, "_MOST_STEPS", 100)
    endless = io.BytesIO(b"\x80\x02]" + b"N" * 1000 + b".")
    with pytest.raises(ValueError, match="at 101"):
        tensor_pickle.load(endless, lambda *_: None)


def rezipped(path: Path, change: Callable[[str, bytes], tuple[bytes, int]]) -> Path:
    """The same archive with other entries; a change gives content and compression."""
    target = path.with_name("changed.pt")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as archive:
        for entry in source.infolist():
            content, compression = change(entry.filename, source.read(entry))
            archive.writestr(entry.filename, content, compression)
    return target


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A state_dict of one tensor, which is read before it is found to be the wrong one."""
    torch.save({"a": torch.arange(4.0)}, tmp_path / "small.pt")
    return tmp_path / "small.pt"


@pytest.mark.parametrize("entry", ["data.pkl", "data/0"])
def test_compressed_entries_are_refused(entry: str, small: Path) -> None:
    def bomb(name: str, content: bytes) -> tuple[bytes, int]:
        if name.endswith(entry):
            return content + bytes(50_000_000), zipfile.ZIP_DEFLATED
        return content, zipfile.ZIP_STORED

    with pytest.raises(UnavailableError, match="compressed"):
        load(rezipped(small, bomb))


@pytest.mark.parametrize("size", [0, 15, 17])
def test_numbers_of_another_length_are_refused(size: int, small: Path) -> None:
    def cut(name: str, content: bytes) -> tuple[bytes, int]:
        return bytes(size) if name.endswith("data/0") else content, zipfile.ZIP_STORED

    with pytest.raises(UnavailableError, match="cannot be loaded as weights: data/0"):
        load(rezipped(small, cut))


def test_missing_and_changed_numbers_are_refused(small: Path) -> None:
    missing = small.with_name("missing.pt")
    with zipfile.ZipFile(small) as source, zipfile.ZipFile(missing, "w") as archive:
        for entry in source.infolist():
            if not entry.filename.endswith("data/0"):
                archive.writestr(entry, source.read(entry))
    with pytest.raises(UnavailableError, match="data/0 is missing"):
        load(missing)
    numbers = struct.pack("<4f", 0, 1, 2, 3)
    content = small.read_bytes()
    assert content.count(numbers) == 1
    small.write_bytes(content.replace(numbers, bytes(16)))
    with pytest.raises(UnavailableError, match="CRC"):
        load(small)


def test_numbers_of_a_machine_with_the_other_byte_order(small: Path) -> None:
    def swap(name: str, content: bytes) -> tuple[bytes, int]:
        if name.endswith("data/0"):
            content = struct.pack(">4f", 0, 1, 2, 3)
        return b"big" if name.endswith("byteorder") else content, zipfile.ZIP_STORED

    (tensor,) = torch_file.read(rezipped(small, swap).read_bytes()).values()
    assert tensor.array().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [((5,), (1,), 0), ((4,), (1,), 1), ((2, 2), (3, 1), 0), ((4,), (2,), 0), ((0,), (1,), 0),
     ((1 << 39, 1), (1, 1), 0)],
)  # fmt: skip
def test_a_tensor_never_reaches_beyond_its_storage(
    shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> None:
    with pytest.raises(ValueError, match="larger than its storage"):
        Stored("<F32", shape, strides, offset, lambda: bytes(16)).array()


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [((4,), (-1,), 3), ((4,), (1,), -1), ((-1,), (1,), 0), ((4,), (), 0), ((True,), (1,), 0),
     ((4,), ("1",), 0), ((1 << 60,), (0,), 0)],
)  # fmt: skip
def test_impossible_tensors_are_refused(
    shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> None:
    with pytest.raises(ValueError, match="impossible"):
        Stored("<F32", shape, strides, offset, lambda: bytes(16))


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 broken", b"12345678{broken", b"\x80\x02", b"<html>"]
)
def test_rubbish_is_an_error_in_words(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(UnavailableError, match=r"weights\.pt"):
        load(path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", "legacy"])
def test_truncated_files_are_an_error_in_words(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == "legacy":
        state = random_network("builtin").state_dict()
        torch.save(state, path, _use_new_zipfile_serialization=False)
    else:
        save_random_weights(path, "builtin")
    whole = path.read_bytes()
    for size in (len(whole) - 1, 1_000_000, 1000, 20, 1):
        path.write_bytes(whole[:size])
        with pytest.raises(UnavailableError, match="cannot be loaded as weights"):
            load(path)


def test_a_file_without_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "LARGEST_FILE", 1 << 20)
    with (tmp_path / "weights.pt").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UnavailableError, match="more than 1 MiB"):
        read_tensors(SPEC, tmp_path / "weights.pt", "0" * 64)


@pytest.mark.parametrize("content", [torch.zeros(3), {"model": {}, "epoch": 3}, [1], {}])
def test_other_things_saved_by_torch_are_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "weights.pt")
    with pytest.raises(UnavailableError, match=r"no state_dict|Missing key"):
        load(tmp_path / "weights.pt")


def test_weights_of_another_network_are_refused(random_weights: Path) -> None:
    with pytest.raises(UnavailableError, match=r"does not hold weights of builtin: .*key"):
        load(random_weights)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize(
    ("change", "words"),
    [("shape", "size mismatch"), ("missing", "Missing key"), ("more", "Unexpected key"),
     ("integers", "of type I64"), ("nan", "not finite"), ("infinite", "not finite")],
)  # fmt: skip
def test_one_wrong_tensor_is_refused(change: str, words: str, suffix: str, tmp_path: Path) -> None:
    tensors, name = random_tensors("builtin"), "scratch.output_conv.4.bias"
    if change == "missing":
        del tensors[name]
    else:
        tensors["other" if change == "more" else name] = {
            "shape": np.zeros(2, np.float32),
            "more": np.zeros(1, np.float32),
            "integers": np.zeros(1, np.int64),
            "nan": np.full(1, np.nan, np.float32),
            "infinite": np.full(1, np.inf, np.float32),
        }[change]
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save({key: torch.from_numpy(array) for key, array in tensors.items()}, path)
    else:
        save_file(tensors, path)
    with pytest.raises(UnavailableError, match=words) as caught:
        load(path)
    assert name in caught.value.message or change == "more"


def test_the_counters_of_training_may_be_there_or_not(tmp_path: Path) -> None:
    tensors = random_tensors("builtin")
    save_file(tensors, tmp_path / "without.safetensors")
    count = {name: np.array(5) for name in counters(SPEC)}
    save_file(tensors | count, tmp_path / "with.safetensors")
    assert same(load(tmp_path / "without.safetensors"), load(tmp_path / "with.safetensors"))


def test_file_that_changed_since_its_check_is_refused(tmp_path: Path) -> None:
    path = save_random_weights(tmp_path / "weights.safetensors", "builtin")
    with pytest.raises(UnavailableError, match="has changed"):
        read_tensors(SPEC, path, "0" * 64)


def test_random_bytes_in_a_pickle_never_do_anything_else_than_fail() -> None:
    """Every byte of a real pickle changed in turn: an error, or a value of the known kinds."""
    buffer = io.BytesIO()
    torch.save({"a": torch.arange(4.0), "b": torch.ones(2, 3).half()}, buffer)
    with zipfile.ZipFile(buffer) as archive:
        (pickled,) = (archive.read(n) for n in archive.namelist() if n.endswith("data.pkl"))
    assert len(list(pickletools.genops(pickled))) > 50

    def storage(dtype: str, key: str, length: int) -> tensor_pickle.Storage:
        return tensor_pickle.Storage("<" + dtype, lambda: bytes(64))

    refused = 0
    for place in range(len(pickled)):
        for value in (pickled[place] ^ 1, pickled[place] ^ 0x40, 0, 255):
            changed = pickled[:place] + bytes([value]) + pickled[place + 1 :]
            try:
                tensor_pickle.load(io.BytesIO(changed), storage)
            except (ValueError, TypeError, LookupError, AttributeError, UnicodeDecodeError):
                refused += 1
    assert refused > 2 * len(pickled)
