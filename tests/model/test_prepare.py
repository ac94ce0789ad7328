"""The cache of converted networks: checked, rebuilt, shared, and never half written."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from random_weights import random_network

from depthd.config import Model
from depthd.contract.errors import OutputError, UnavailableError
from depthd.model import ir_cache, prepare
from depthd.model.catalogue import MODELS
from depthd.model.weights import Weights, find_weights


@pytest.fixture
def weights(random_weights: Path, tmp_path: Path) -> Weights:
    return find_weights(Model(weights=random_weights), tmp_path, report=print)


class Converter:
    """In the real one's place: quick, counted, and able to wait or fail."""

    def __init__(self) -> None:
        self.runs = 0
        self.before_it_ends = lambda: None

    def __call__(self, weights: Weights, folder: Path) -> None:
        self.runs += 1
        (folder / "model.bin").write_bytes(b"bin of " + weights.sha256.encode())
        self.before_it_ends()
        (folder / "model.xml").write_text(f"xml, run {self.runs}")


@pytest.fixture
def converter(monkeypatch: pytest.MonkeyPatch) -> Converter:
    converter = Converter()
    monkeypatch.setattr(prepare, "_convert", converter)
    return converter


def run(weights: Weights, state: Path) -> Path:
    path = prepare.prepare(weights, state, report=print)
    assert path.is_file()
    assert prepare.is_prepared(weights, state)
    return path


def entries(state: Path) -> list[str]:
    return sorted(path.name for path in (state / "models").iterdir() if path.name != ".lock")


def test_second_call_converts_nothing(
    weights: Weights, tmp_path: Path, converter: Converter
) -> None:
    assert not prepare.is_prepared(weights, tmp_path)
    assert run(weights, tmp_path) == run(weights, tmp_path)
    assert converter.runs == 1


@pytest.mark.parametrize("name", ["model.xml", "model.bin", "manifest.json"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "changed"])
def test_damaged_entry_is_rebuilt(
    name: str, damage: str, weights: Weights, tmp_path: Path, converter: Converter
) -> None:
    path = run(weights, tmp_path).with_name(name)
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        changed = content[:-1] + bytes([content[-1] ^ 1])
        path.write_bytes(content[:5] if damage == "truncated" else changed)
    assert not prepare.is_prepared(weights, tmp_path)
    run(weights, tmp_path)
    assert converter.runs == 2


@pytest.mark.parametrize("change", ["weights", "openvino", "converter", "model"])
def test_whatever_the_result_depends_on_makes_a_new_entry_in_place_of_the_old(
    change: str,
    weights: Weights,
    tmp_path: Path,
    converter: Converter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(weights, tmp_path)
    before = entries(tmp_path)
    if change == "weights":
        weights = replace(weights, sha256="0" * 64)
    elif change == "model":
        weights = replace(weights, spec=MODELS["builtin"])
    elif change == "openvino":
        monkeypatch.setattr(ir_cache, "version", lambda _: "2099.1")
    else:
        monkeypatch.setattr(ir_cache, "CONVERTER_VERSION", 99)
    run(weights, tmp_path)
    assert len(entries(tmp_path)) == 1
    assert entries(tmp_path) != before


def test_leftovers_of_a_killed_conversion_go(
    weights: Weights, tmp_path: Path, converter: Converter
) -> None:
    leftover = tmp_path / "models" / ".tmp-abc"
    leftover.mkdir(parents=True)
    (leftover / "model.bin").write_bytes(b"half")
    room_was_made: list[bool] = []
    converter.before_it_ends = lambda: room_was_made.append(not leftover.exists())
    run(weights, tmp_path)
    assert room_was_made == [True]
    assert len(entries(tmp_path)) == 1


def test_failed_conversion_leaves_nothing(
    weights: Weights, tmp_path: Path, converter: Converter
) -> None:
    def fail() -> None:
        raise UnavailableError("no")

    converter.before_it_ends = fail
    with pytest.raises(UnavailableError, match="no"):
        prepare.prepare(weights, tmp_path, report=print)
    assert entries(tmp_path) == []


def test_full_disk_is_said_and_leaves_nothing(
    weights: Weights, tmp_path: Path, converter: Converter
) -> None:
    def fill() -> None:
        raise OSError(28, "No space left on device")

    converter.before_it_ends = fill
    with pytest.raises(OutputError, match="No space left"):
        prepare.prepare(weights, tmp_path, report=print)
    assert entries(tmp_path) == []


def test_of_two_at_once_one_converts_and_both_are_served(
    weights: Weights, tmp_path: Path, converter: Converter
) -> None:
    started, waited = threading.Event(), threading.Event()

    def wait_for_the_other() -> None:
        started.set()
        assert waited.wait(20)

    converter.before_it_ends = wait_for_the_other
    thread = threading.Thread(
        target=prepare.prepare, args=(weights, tmp_path), kwargs={"report": print}
    )
    thread.start()
    assert started.wait(20)
    said: list[str] = []

    def report(text: str) -> None:
        said.append(text)
        waited.set()

    prepare.prepare(weights, tmp_path, report=report)
    thread.join(20)
    assert "waiting" in said[0]
    assert converter.runs == 1
    assert len(entries(tmp_path)) == 1


def test_conversion_that_takes_too_long_is_ended(
    weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "DEADLINE", 0.05)
    with pytest.raises(UnavailableError, match="longer than"):
        prepare.prepare(weights, tmp_path, report=print)
    assert entries(tmp_path) == []


def test_conversion_that_is_killed_says_what_it_needs(
    weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "python"
    victim.write_text("#!/bin/sh\nkill -9 $$\n")
    victim.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(victim))
    with pytest.raises(UnavailableError, match="ended by SIGKILL") as caught:
        prepare.prepare(weights, tmp_path, report=print)
    assert "GB of memory" in caught.value.hint
    assert entries(tmp_path) == []


def test_weights_that_give_no_depth_are_refused_in_words(tmp_path: Path) -> None:
    tensors = random_network("builtin").state_dict()
    tensors["scratch.output_conv.4.bias"][0] = float("nan")
    path = tmp_path / "nan.pt"
    torch.save(dict(tensors), path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    weights = Weights(MODELS["builtin"], path, sha256, fallback=False, source="", published=False)
    with pytest.raises(UnavailableError, match=r"OpenVINO failed: .* are the weights finite"):
        prepare.prepare(weights, tmp_path, report=print)
    assert entries(tmp_path) == []


def test_orphaned_conversion_ends(weights: Weights, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "depthd.model.convert", str(os.getpid() + 1)]
    command += [weights.spec.name, str(weights.path), weights.sha256, str(tmp_path)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert child.returncode == 75
    assert "nobody waits" in child.stderr
    assert not (tmp_path / "model.xml").exists()


def test_network_gone_after_the_check_is_an_error_in_words(
    weights: Weights, prepared_state: Path
) -> None:
    from depthd.model.engine_openvino import OpenVinoEngine  # noqa: PLC0415

    path = run(weights, prepared_state)
    shutil.rmtree(path.parent)
    with pytest.raises(UnavailableError, match="cannot load"):
        OpenVinoEngine(Model(), path)
