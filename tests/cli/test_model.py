"""`depthd model`: weights without network."""

from __future__ import annotations

import dataclasses
import hashlib
import socket
from pathlib import Path

import pytest
from random_weights import save_random_weights

from depthd import cli
from depthd.model.catalogue import MODELS

PREFIX = "midas_v21_small_256.pt"


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that counts as the published one; no network, no torch hub's cache."""
    file = tmp_path / "stick" / "weights.safetensors"
    file.parent.mkdir()
    save_random_weights(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    spec = dataclasses.replace(MODELS["midas_small"], sha256_prefix=digest[:8])
    monkeypatch.setitem(MODELS, "midas_small", spec)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("DEPTHD_WEIGHTS_URL", f"http://127.0.0.1:{port}/refused.pt")
    return file


def test_fetch_from_a_file_puts_it_where_it_is_found(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = ["--root", str(tmp_path)]
    own = [*root, "--set", "model.fallback=none"]
    assert cli.main(["model", "verify", *own]) == 69
    fetch = f"run 'depthd model fetch {' '.join(own)} --from FILE' here"
    assert fetch in capsys.readouterr().err
    assert cli.main(["model", "fetch", *root, "--from", str(published)]) == 0
    out = capsys.readouterr().out
    target = tmp_path / "state/weights" / PREFIX
    assert str(target) in out
    assert target.read_bytes() == published.read_bytes()
    assert "the first 8 digits" in out
    assert cli.main(["model", "verify", *root, "--set", "model.fallback=none"]) == 0
    out = capsys.readouterr().out
    assert hashlib.sha256(target.read_bytes()).hexdigest() in out
    assert "all 64 digits" in out
    assert "it loads" in out
    assert cli.main(["model", "fetch", *root]) == 0  # nothing to do, and no network to do it

    target.write_bytes(b"rot")
    assert cli.main(["model", "verify", *root, "--set", "model.fallback=none"]) == 69
    assert "is not used: its SHA-256 begins" in capsys.readouterr().err


def test_verify_loads(published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["model", "verify", "--root", str(tmp_path), "--set"]
    assert cli.main([*command, "model.name=builtin"]) == 0
    out = capsys.readouterr().out
    assert "published file, package" in out
    assert "all 64 digits" in out
    own = tmp_path / "own.safetensors"
    own.write_bytes(published.read_bytes()[:1_000_000])  # a copy that was cut off
    assert cli.main([*command, f"model.weights={own}"]) == 69
    assert "own.safetensors cannot be loaded as weights" in capsys.readouterr().err
    own.write_bytes(published.read_bytes())
    assert cli.main([*command, f"model.weights={own}"]) == 0
    own.write_bytes(save_random_weights(tmp_path / "other.safetensors", "builtin").read_bytes())
    assert cli.main([*command, f"model.weights={own}"]) == 69
    assert "does not hold weights of midas_small" in capsys.readouterr().err


@pytest.mark.usefixtures("published")
def test_a_mirror_that_is_no_address_is_a_wrong_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEPTHD_WEIGHTS_URL", "http://[::1/weights.pt")
    assert cli.main(["model", "fetch", "--root", str(tmp_path)]) == 78
    err = capsys.readouterr().err
    assert "DEPTHD_WEIGHTS_URL: 'http://[::1/weights.pt' is not an http or https address" in err
    assert cli.main(["model", "prepare", "--root", str(tmp_path)]) == 0
    assert "built-in, stands in" in capsys.readouterr().out


@pytest.mark.usefixtures("published")
def test_fetch_refuses_another_file_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.pt"
    wrong.write_bytes(b"something else")
    assert cli.main(["model", "fetch", "--root", str(tmp_path), "--from", str(wrong)]) == 69
    assert "is not the published file" in capsys.readouterr().err
    assert not (tmp_path / "state/weights" / PREFIX).exists()
    missing = ["--from", str(tmp_path / "none.pt")]
    assert cli.main(["model", "fetch", "--root", str(tmp_path), *missing]) == 66


def test_list_says_what_is_here(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def line() -> str:
        assert cli.main(["model", "list", "--root", str(tmp_path)]) == 0
        return next(
            row for row in capsys.readouterr().out.splitlines() if row.startswith("midas_small")
        )

    assert f"not here; get them by 'depthd model fetch --root {tmp_path}'" in line()
    assert line().rstrip().endswith("configured")
    assert cli.main(["model", "fetch", "--root", str(tmp_path), "--from", str(published)]) == 0
    capsys.readouterr()
    assert str(tmp_path / "state/weights" / PREFIX) in line()
