"""`depthd config`."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from depthd import cli
from depthd.config.load import load


def test_show_says_where_each_value_came_from_and_can_be_loaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "depthd.yaml"
    file.write_text("root: /srv/größe\nworker:\n  timeout: 90s\n")
    monkeypatch.setenv("DEPTHD_MODEL__ENGINE", "torch")
    settings = ["output.mode=0600", "output.range=[0,1000]", "paths.inbox=/in"]
    options = [part for setting in settings for part in ("--set", setting)]
    assert cli.main(["config", "show", "-c", str(file), *options]) == 0
    out = capsys.readouterr().out
    lines = [line.split(" # ") for line in out.splitlines() if " # " in line]
    origins = {text.strip(): origin for text, origin in lines}
    assert origins["root: /srv/größe"] == f"{file} line 1"
    assert origins["timeout: 90s"] == f"{file} line 3"
    assert origins["engine: torch"] == "environment DEPTHD_MODEL__ENGINE"
    assert origins["mode: '0600'"] == "--set output.mode"
    assert origins["outbox:"] == "/srv/größe/outbox by default"
    assert origins["settle: 2s"] == "default"

    again = tmp_path / "again.yaml"
    again.write_text(out)
    wanted = load(file, {"DEPTHD_MODEL__ENGINE": "torch"}, settings, None).config
    assert load(again, {}, [], None).config == wanted


def test_schema_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["config", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load("worker: {timeout: 5m}"), schema)
