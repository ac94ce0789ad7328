"""Weights files: both containers, strict, and no code run from any of them."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from random_weights import random_network, save_random_weights

from depthd.contract.errors import UnavailableError
from depthd.model.catalogue import MODELS
from depthd.model.checkpoint import load_network

SPEC = MODELS["builtin"]


def load(path: Path) -> torch.nn.Module:
    return load_network(SPEC, path, hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize("legacy", [False, True])
def test_both_containers_of_torch(legacy: bool, tmp_path: Path) -> None:
    network = random_network("builtin")
    path = tmp_path / "weights.pt"
    torch.save(dict(network.state_dict()), path, _use_new_zipfile_serialization=not legacy)
    for ours, theirs in zip(load(path).parameters(), network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_half_precision_safetensors_become_float32(tmp_path: Path) -> None:
    network = load(save_random_weights(tmp_path / "weights.safetensors", "builtin"))
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    assert not network.training
    photos = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = random_network("builtin")(photos).numpy()
        assert np.allclose(network(photos).numpy(), expected, rtol=0.02, atol=1)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("exploded"),)


@pytest.mark.parametrize("pickled", [True, False])
def test_code_in_a_file_is_not_run(
    pickled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pt"
    if pickled:
        path.write_bytes(pickle.dumps(Bomb(), protocol=2))
    else:
        torch.save({"weights": Bomb()}, path)
    with pytest.raises(UnavailableError, match="cannot be loaded as weights"):
        load(path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 broken", b"12345678{broken", b"\x80\x02", b"<html>"]
)
def test_rubbish_is_an_error_in_words(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(UnavailableError, match=r"weights\.pt"):
        load(path)


def test_truncated_file_is_an_error_in_words(tmp_path: Path) -> None:
    path = save_random_weights(tmp_path / "weights.safetensors", "builtin")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UnavailableError, match="cannot be loaded"):
        load(path)


@pytest.mark.parametrize("content", [torch.zeros(3), {"model": {}, "epoch": 3}])
def test_other_things_saved_by_torch_are_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "weights.pt")
    with pytest.raises(UnavailableError, match="no state_dict"):
        load(tmp_path / "weights.pt")


def test_weights_of_another_network_are_refused(random_weights: Path) -> None:
    with pytest.raises(UnavailableError, match=r"does not hold weights of builtin: .*key"):
        load(random_weights)


def test_one_wrong_shape_is_refused(tmp_path: Path) -> None:
    tensors = dict(random_network("builtin").state_dict())
    tensors["scratch.output_conv.4.bias"] = torch.zeros(2)
    torch.save(tensors, tmp_path / "weights.pt")
    with pytest.raises(UnavailableError, match="size mismatch"):
        load(tmp_path / "weights.pt")


def test_file_that_changed_since_its_check_is_refused(tmp_path: Path) -> None:
    path = save_random_weights(tmp_path / "weights.safetensors", "builtin")
    with pytest.raises(UnavailableError, match="has changed"):
        load_network(SPEC, path, "0" * 64)
