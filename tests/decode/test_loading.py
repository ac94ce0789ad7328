"""What is loaded is what the configuration needs, and all of it: nothing is opened later."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from depthd.config import Intake
from depthd.contract.errors import FaultCode, PhotoError
from depthd.contract.photos import PHOTO_FORMATS
from depthd.decode.decoder import load_decoders

HERE = Path(__file__).parent
CORPUS = sorted((HERE / "corpus").iterdir())
ALL = ",".join(Intake().include)
INSTALLED = load_decoders().formats  # all, where all extras are


def child(include: str, *pictures: Path) -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, HERE / "behind_the_door.py", include, *pictures],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    said: dict[str, Any] = json.loads(run.stdout)
    return said


def test_nothing_is_opened_after_loading() -> None:
    said = child(ALL, *CORPUS)
    assert said["opened"] == []
    formats = {said[path.name] for path in CORPUS}
    assert formats >= INSTALLED


def test_only_what_include_names_is_loaded() -> None:
    said = child("*.jpg,*.JPEG", *CORPUS)
    loaded = set(said["modules"])
    assert not {"pillow_heif", "pillow_jxl", "rawpy", "PIL.TiffImagePlugin"} & loaded
    assert not [name for name in loaded if name.startswith("PIL.") and name.endswith("Plugin")]
    assert said["baseline.jpg"] == "jpeg"
    reason = "unsupported: it is PNG, and intake.include names no such photos"
    assert said["colour.png"] == reason
    assert said["opened"] == []


@pytest.mark.parametrize(
    ("include", "formats"),
    [
        (["*.png"], {"png"}),
        (["cam?/*.PNG", "x.gif"], {"png", "gif"}),
        (["*.jp*g"], {"jpeg"}),
        (["*.tif?"], {"tiff"}),
        (["holiday-*"], set(PHOTO_FORMATS)),
        (["*.[jp]*"], set(PHOTO_FORMATS)),
        (["*"], set(PHOTO_FORMATS)),
        ([], set()),
    ],
    ids=lambda value: " ".join(sorted(value)),
)
def test_patterns_choose_formats(include: list[str], formats: set[str]) -> None:
    assert load_decoders(include).formats == formats & INSTALLED


@pytest.mark.parametrize(
    ("module", "picture", "command"),
    [
        ("pillow_heif", "colour.heic", "HEIC needs \"pip install 'depthd[heic]'\""),
        ("pillow_jxl", "lossy.jxl", "JPEG XL needs \"pip install 'depthd[jpegxl]'\""),
        ("rawpy", "sensor.dng", "camera raw needs \"pip install 'depthd[raw]'\""),
    ],
)
def test_missing_extra_is_said_with_its_command(
    module: str, picture: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(PHOTO_FORMATS) - INSTALLED <= {"heif", "jpegxl", "raw"}
    for name in [n for n in sys.modules if n.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    for name in [n for n in sys.modules if n.startswith("depthd.decode.")]:
        if name.endswith((".heif", ".jpegxl", ".raw")):
            monkeypatch.delitem(sys.modules, name)
    with pytest.raises(PhotoError) as caught:
        load_decoders().header((HERE / "corpus" / picture).read_bytes())
    assert (caught.value.code, caught.value.detail) == (FaultCode.UNSUPPORTED, command)
