"""Where weights are looked for, in which order, and what is said when there are none."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from file_server import Script, serving

from depthd.config import Model
from depthd.contract.errors import (
    ConfigurationError,
    ExitCode,
    NoInputError,
    OutputError,
    TemporaryError,
    UnavailableError,
)
from depthd.model.catalogue import MODELS
from depthd.model.weights import Weights, adopt_file, find_weights, weights_path

CONTENT = b"PK\x03\x04 stands for the published file"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAMES = MODELS["midas_small"].file_names


class Box:
    """A machine's folders, and what was reported."""

    def __init__(self, folder: Path, environment: pytest.MonkeyPatch) -> None:
        self._environment = environment
        self.mirror("http://127.0.0.1:1/weights.pt")
        self.state = folder / "state"
        self.torch_home = folder / "torch"
        self.said: list[str] = []

    def mirror(self, url: str) -> None:
        self._environment.setenv("DEPTHD_WEIGHTS_URL", url)

    def put(self, path: Path, content: bytes = CONTENT) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def find(self, **keys: object) -> Weights:
        return find_weights(Model(**keys), self.state, report=self.said.append)


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    """A box without network, on which the published file is CONTENT."""
    published = replace(MODELS["midas_small"], sha256_prefix=SHA256[:8])
    packaged = tmp_path / "builtin.safetensors"
    packaged.write_bytes(b"12345678{}")
    builtin = replace(
        MODELS["builtin"],
        package_data=str(packaged),
        sha256_prefix=hashlib.sha256(packaged.read_bytes()).hexdigest(),
    )
    monkeypatch.setitem(MODELS, "midas_small", published)
    monkeypatch.setitem(MODELS, "builtin", builtin)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return Box(tmp_path, monkeypatch)


def test_places_in_their_order(box: Box, tmp_path: Path) -> None:
    mine = box.put(tmp_path / "mine.pt", CONTENT + b" retrained")
    state = box.put(box.state / "weights" / NAMES[0])
    hub = [box.put(box.torch_home / "hub" / "checkpoints" / name) for name in NAMES]
    with serving(Script(CONTENT)) as url:
        box.mirror(url)
        assert box.find(weights=mine).path == mine
        found = []
        for path in (state, *hub, state):  # the last one is downloaded
            found.append(box.find())
            assert found[-1].path == path
            path.unlink()
    assert [weights.source for weights in found] == [
        "state folder", "torch hub's cache", "torch hub's cache", "downloaded",
    ]  # fmt: skip
    assert all(weights.published and weights.sha256 == SHA256 for weights in found)
    assert not any(weights.fallback for weights in found)


def test_torch_hubs_cache_where_torch_would_look(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = box.put(tmp_path / "cache" / "torch" / "hub" / "checkpoints" / NAMES[0])
    assert box.find().path == path
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = box.put(tmp_path / "home" / ".cache" / "torch" / "hub" / "checkpoints" / NAMES[0])
    assert box.find().path == path


def test_own_weights_are_used_and_not_called_published(box: Box, tmp_path: Path) -> None:
    content = CONTENT + b" retrained"
    weights = box.find(weights=box.put(tmp_path / "mine.pt", content))
    assert weights.sha256 == hashlib.sha256(content).hexdigest()
    assert (weights.published, weights.fallback, weights.source) == (False, False, "configured")
    assert box.find(weights=box.put(tmp_path / "same.pt")).published


@pytest.mark.parametrize("place", ["missing.pt", "folder.pt", "page.pt"])
def test_a_configured_file_that_is_wrong_is_never_replaced(
    place: str, box: Box, tmp_path: Path
) -> None:
    box.put(box.state / "weights" / NAMES[0])  # would be right, but was not asked for
    (tmp_path / "folder.pt").mkdir()
    box.put(tmp_path / "page.pt", b"<!DOCTYPE html>")
    with pytest.raises(UnavailableError, match=place):
        box.find(weights=tmp_path / place)


def test_wrong_files_in_caches_are_reported_and_passed_over(box: Box) -> None:
    wrong = box.put(box.state / "weights" / NAMES[0], b"half a fi")
    (box.torch_home / "hub" / "checkpoints" / NAMES[0]).mkdir(parents=True)
    right = box.put(box.torch_home / "hub" / "checkpoints" / NAMES[1])
    assert box.find().path == right
    assert str(wrong) in box.said[0]
    assert SHA256[:8] in box.said[0]
    assert "directory" in box.said[1]


def test_fallback_says_so(box: Box) -> None:
    weights = box.find()
    assert (weights.spec.name, weights.fallback, weights.source) == ("builtin", True, "package")
    assert "refused" in box.said[-1]
    assert "model fetch --from" in box.said[-1]


def test_builtin_by_choice_is_no_fallback_and_needs_no_network(box: Box) -> None:
    assert not box.find(name="builtin", fallback="none").fallback
    assert box.said == []


def test_without_fallback_the_message_says_what_to_put_where(box: Box) -> None:
    with serving(Script(CONTENT, status=404)) as url:
        box.mirror(url)
        with pytest.raises(UnavailableError) as caught:
            box.find(fallback="none")
    assert caught.value.exit_code == ExitCode.UNAVAILABLE
    for part in (MODELS["midas_small"].url, "MiB", SHA256[:8], "depthd model fetch --from",
                 str(box.state / "weights" / NAMES[0]), "DEPTHD_WEIGHTS_URL"):  # fmt: skip
        assert part in caught.value.hint


def test_what_may_pass_is_tried_again(box: Box) -> None:
    for address in ("http://127.0.0.1:1/x", "http://late-name-server.invalid/x"):
        box.mirror(address)
        with pytest.raises(TemporaryError, match="no weights for midas_small") as caught:
            box.find(fallback="none")
        assert caught.value.exit_code == ExitCode.TEMPORARY
        assert "model fetch --from" in caught.value.hint


def test_state_that_cannot_be_written_is_not_called_lack_of_weights(box: Box) -> None:
    box.state.write_bytes(b"a file where the folder should be")
    with serving(Script(CONTENT)) as url:
        box.mirror(url)
        with pytest.raises(OutputError, match="cannot write to") as caught:
            box.find(fallback="none")
    assert caught.value.exit_code == ExitCode.CANNOT_CREATE
    assert "make room" in caught.value.hint


@pytest.mark.parametrize(
    "address",
    ["weights.pt", "htp://host/x", "http://", "http:///x", "http://host:port/x", "http://[::1/x",
     "http://host/a b", "http://host:99999/x", "http://h\u00f6st/x", "file:///x",
     "http://host/\tx"],
)  # fmt: skip
def test_a_malformed_mirror_is_a_wrong_configuration(address: str, box: Box) -> None:
    box.mirror(address)
    with pytest.raises(ConfigurationError, match=r"DEPTHD_WEIGHTS_URL: .* is not an") as caught:
        box.find(fallback="none")
    assert caught.value.exit_code == ExitCode.CONFIGURATION
    assert box.find().fallback
    assert "DEPTHD_WEIGHTS_URL: " in box.said[-1]


def test_a_password_in_the_mirrors_address_is_refused_and_not_told(box: Box) -> None:
    box.mirror("https://me:secret@host/x")
    assert box.find().fallback
    assert "user name" in box.said[-1]
    assert "secret" not in "".join(box.said)


def test_all_digits_are_noted_at_first_sight_and_compared_from_then_on(box: Box) -> None:
    hub = box.put(box.torch_home / "hub" / "checkpoints" / NAMES[0])
    pin = box.state / "weights" / f"{NAMES[0]}.sha256"
    assert find_weights(Model(), box.state, report=print, online=False).compared == 8
    assert not pin.exists()  # who only looks writes nothing
    assert box.find().compared == 8
    assert pin.read_text() == f"{SHA256}  {NAMES[0]}\n"
    assert box.find().compared == 64
    assert find_weights(Model(), box.state, report=print, online=False).compared == 64

    pin.write_text(f"{SHA256[:8]}{'0' * 56}  {NAMES[0]}\n")  # as if another had come first
    assert box.find().fallback
    assert f"{hub} is not used: its SHA-256 is {SHA256}" in box.said[0]
    with serving(Script(CONTENT)) as url:
        box.mirror(url)
        assert box.find().fallback
    assert "is not the file asked for" in box.said[-1]
    with pytest.raises(UnavailableError, match="noted in") as caught:
        adopt_file(MODELS["midas_small"], hub, box.state)
    assert f"remove {pin}" in caught.value.hint
    own = box.find(weights=hub)
    assert (own.published, own.compared) == (False, 0)
    pin.unlink()
    assert box.find().path == hub


@pytest.mark.parametrize("way", ["download", "adopt"])
def test_what_is_fetched_is_noted(way: str, box: Box, tmp_path: Path) -> None:
    if way == "adopt":
        stick = box.put(tmp_path / "stick.pt")
        assert adopt_file(MODELS["midas_small"], stick, box.state).compared == 8
    else:
        with serving(Script(CONTENT)) as url:
            box.mirror(url)
            assert box.find().compared == 8
    folder = box.state / "weights"
    check = ["sha256sum", "--check", f"{NAMES[0]}.sha256"]
    assert subprocess.run(check, cwd=folder, check=False, capture_output=True).returncode == 0
    assert box.find().compared == 64


@pytest.mark.parametrize("content", ["", "rubbish", f"{'1' * 64}  x\n", SHA256])
def test_a_note_that_is_not_one_is_written_anew(content: str, box: Box) -> None:
    path = box.put(box.state / "weights" / NAMES[0])
    pin = box.put(path.with_name(f"{NAMES[0]}.sha256"), content.encode())
    assert box.find().compared == 8
    assert pin.read_text().startswith(SHA256)


def test_a_note_that_cannot_be_written_is_said_and_the_file_serves(box: Box) -> None:
    hub = box.put(box.torch_home / "hub" / "checkpoints" / NAMES[0])
    box.state.write_bytes(b"a file where the folder should be")
    assert box.find().path == hub
    assert "cannot be noted" in box.said[-1]


def test_the_packages_weights_are_those_of_the_catalogue(box: Box, tmp_path: Path) -> None:
    assert box.find(name="builtin").compared == 64
    (tmp_path / "builtin.safetensors").write_bytes(b"12345678{ }")
    with pytest.raises(UnavailableError, match="are damaged"):
        box.find(name="builtin")


def test_fallback_without_its_file_is_an_error_too(box: Box, tmp_path: Path) -> None:
    (tmp_path / "builtin.safetensors").unlink()
    with pytest.raises(UnavailableError, match="own weights are missing"):
        box.find()


def test_state_that_cannot_be_written_still_serves(box: Box) -> None:
    box.state.write_bytes(b"a file where the folder should be")
    with serving(Script(CONTENT)) as url:
        box.mirror(url)
        assert box.find().fallback
    assert "state" in box.said[-1]


def test_offline_asks_nobody(box: Box) -> None:
    script = Script(CONTENT)
    with serving(script) as url:
        box.mirror(url)
        assert find_weights(Model(), box.state, report=print, online=False).fallback
    assert script.asked == []


def test_a_stick_that_is_pulled_out_is_not_blamed_on_the_state_folder(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stick = box.put(tmp_path / "stick" / "x.pt")
    copyfile = shutil.copyfile

    def pulled_out(source: Path, target: Path) -> None:
        source.unlink()
        copyfile(source, target)

    monkeypatch.setattr(shutil, "copyfile", pulled_out)
    with pytest.raises(NoInputError, match=f"cannot read {stick}"):
        adopt_file(MODELS["midas_small"], stick, box.state)


def test_adopted_file_is_found(box: Box, tmp_path: Path) -> None:
    adopted = adopt_file(MODELS["midas_small"], box.put(tmp_path / "stick" / "x.pt"), box.state)
    assert adopted.path == weights_path(adopted.spec, box.state)
    assert box.find() == replace(adopted, compared=64)
    files = {path.name for path in adopted.path.parent.iterdir()}
    assert files == {NAMES[0], f"{NAMES[0]}.sha256", ".lock"}


def test_other_files_are_not_adopted(box: Box, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="not the published file"):
        adopt_file(MODELS["midas_small"], box.put(tmp_path / "x.pt", b"other"), box.state)
    with pytest.raises(NoInputError, match="No such file"):
        adopt_file(MODELS["midas_small"], tmp_path / "absent.pt", box.state)
    assert not (box.state / "weights").exists()


def test_the_catalogue_names_the_published_file() -> None:
    spec = MODELS["midas_small"]
    assert spec.url.endswith(f"/v2_1/{spec.file_names[0]}")
    assert spec.sha256_prefix == "70d6b9c8"
    builtin = MODELS["builtin"]
    assert find_weights(Model(name="builtin"), Path(), report=print).sha256 == builtin.sha256_prefix


def test_light_modules_stay_light() -> None:
    modules = ("catalogue", "weights", "download", "engine", "prepare", "ir_cache", "cpus")
    names = ", ".join(f"depthd.model.{name}" for name in modules)
    heavy = json.dumps(["torch", "torchvision", "timm", "cv2", "numpy", "openvino"])
    code = f"import sys, {names}; print(*set({heavy}) & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
