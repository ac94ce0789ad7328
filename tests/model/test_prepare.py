"""The cache of converted networks: checked, rebuilt, shared, and never half written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

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
def test_whatever_the_result_depends_on_makes_a_new_entry(
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
    assert len(entries(tmp_path)) == 2
    assert set(before) < set(entries(tmp_path))


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


def test_several_are_kept_and_those_used_last_stay(
    weights: Weights, tmp_path: Path, converter: Converter
) -> None:
    others = [replace(weights, sha256=f"{number:064}") for number in range(6)]
    first = run(weights, tmp_path)
    for other in others:
        run(other, tmp_path)
        assert run(weights, tmp_path) == first  # in use: never the one that goes
    assert converter.runs == 1 + len(others)
    assert len(entries(tmp_path)) == ir_cache.MOST_ENTRIES
    assert prepare.is_prepared(others[-1], tmp_path)
    assert not prepare.is_prepared(others[0], tmp_path)


def test_full_disk_is_no_fault_of_the_weights(
    random_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = find_weights(Model(weights=random_weights), tmp_path, report=print)
    place = os.statvfs(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result([*place[:4], 100, *place[5:]]))
    with pytest.raises(OutputError, match="No space left") as caught:
        prepare.prepare(weights, tmp_path, report=print)
    assert caught.value.exit_code == 73
    assert entries(tmp_path) == []


def test_a_disk_that_fills_up_while_openvino_writes(random_weights: Path, tmp_path: Path) -> None:
    limited = (
        "import resource, sys; from pathlib import Path\n"
        "from depthd.config import Model\n"
        "from depthd.model.prepare import prepare\n"
        "from depthd.model.weights import find_weights\n"
        "weights = find_weights(Model(weights=sys.argv[1]), Path(), report=print)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "prepare(weights, Path(sys.argv[2]), report=print)\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", limited, str(random_weights), str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "OutputError: cannot write to" in child.stderr
    assert "OpenVINO could not write model.xml" in child.stderr
    assert entries(tmp_path) == []


def test_network_gone_after_the_check_is_an_error_in_words(
    weights: Weights, prepared_state: Path
) -> None:
    from depthd.model.engine_openvino import OpenVinoEngine  # noqa: PLC0415

    path = run(weights, prepared_state)
    shutil.rmtree(path.parent)
    with pytest.raises(UnavailableError, match="cannot load"):
        OpenVinoEngine(Model(), path)
