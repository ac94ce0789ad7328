"""config.example.yaml and the JSON schema are held to the declaration."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from depthd.config import Config
from depthd.config.example import example, schema
from depthd.config.load import keys, load

FILE = Path(__file__).parents[2] / "config.example.yaml"


def test_file_is_what_the_declaration_makes() -> None:
    assert FILE.read_text(encoding="utf-8") == example(), (
        "run: python -m depthd.config.example > config.example.yaml"
    )


def test_file_loads_to_the_defaults_and_sets_every_key() -> None:
    loaded = load(FILE, {}, [], None)
    assert loaded.config == Config()
    assert list(loaded.sources) == list(keys())
    assert all(source.startswith(str(FILE)) for source in loaded.sources.values())


def test_every_key_is_described() -> None:
    lines = FILE.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line and not line.lstrip().startswith("#") and not line.startswith(" " * 6):
            assert lines[number - 1].lstrip().startswith("# "), line


def test_schema_is_valid_and_accepts_the_file() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(yaml.safe_load(FILE.read_text(encoding="utf-8")), schema())


@pytest.mark.parametrize(
    "wrong",
    [
        {"intake": {"settle": 2}},
        {"intake": {"settle": "2 parsecs"}},
        {"disk": {"min_free": "much"}},
        {"model": {"engine": "onnx"}},
        {"model": {"enigne": "torch"}},
        {"output": {"formats": ["gif"]}},
        {"mode": {}},
    ],
)
def test_schema_refuses_what_loading_refuses(wrong: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema())
