"""Manifest, its shipped schema and real manifests hold together."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from depthd.contract import manifest
from depthd.contract.names import readable

SCHEMA = Path(manifest.__file__).with_name("manifest.schema.json")


def example(name: str = "cam1/IMG_1.jpg") -> manifest.Manifest:
    moment = datetime(2026, 11, 23, 6, 45, 0, 123456, tzinfo=UTC)
    return manifest.Manifest(
        depthd="0.1.0",
        job="j1",
        attempts=1,
        source=manifest.Source.of(name, "a" * 64, 1234),
        photo=manifest.Photo(format="jpeg", width=4, height=3, orientation=6, notes=("x",)),
        model=manifest.Model(
            name="midas_small",
            weights_sha256="b" * 64,
            fallback=False,
            published=True,
            engine="openvino",
            engine_version="2026.4",
            precision="f32",
            input_width=256,
            input_height=192,
            preprocess="exact",
        ),
        depth=manifest.Depth(
            width=4,
            height=3,
            min=0.5,
            max=9.0,
            percentiles={"2": 1, "25": 2, "50": 3, "75": 4, "98": 5},
        ),
        times=manifest.Times(claimed=moment, started=moment, published=moment),
        milliseconds={"decode": 1.5},
        files=(
            manifest.OutputFile(
                format="png16",
                name=readable(name) + ".depth.png",
                suffix=".depth.png",
                sha256="c" * 64,
                bytes=7,
                scale=0.1,
                offset=0.5,
            ),
        ),
    )


def test_shipped_schema_is_the_models() -> None:
    """Where this fails: `python -m depthd.contract.manifest`."""
    assert SCHEMA.read_text(encoding="utf-8") == manifest.schema_text()


def test_manifest_fits_its_schema_and_reads_back() -> None:
    data = example().to_bytes()
    document = json.loads(data)
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)
    assert document["schema"] == "depthd.manifest/1"
    assert document["times"]["claimed"] == "2026-11-23T06:45:00.123Z"
    assert document["depth"]["meaning"].startswith("relative inverse depth; larger is nearer")
    assert manifest.Manifest.model_validate_json(data).to_bytes() == data


@pytest.mark.parametrize("part", ["schema", "job", "files", "photo", "times"])
def test_schema_demands_every_part(part: str) -> None:
    document = json.loads(example().to_bytes())
    del document[part]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, manifest.json_schema())


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"caf\xe9.jpg", "caf\\xe9.jpg"),
        ("café\n.jpg".encode(), "café\n.jpg"),
        (b"\xff\xfe", "\\xff\\xfe"),
    ],
)
def test_names_are_readable_and_exact(raw: bytes, shown: str) -> None:
    document = json.loads(example(os.fsdecode(raw)).to_bytes())
    source = document["source"]
    assert source["name"] == shown
    if shown.encode() == raw:
        assert source["name_base64"] is None
    else:
        assert base64.b64decode(source["name_base64"]) == raw
    jsonschema.validate(document, manifest.json_schema())


def test_facts_and_names_make_the_manifest() -> None:
    """Through JSON, as the facts travel from one process to another."""
    whole = example("cam1/IMG_1.jpg")
    facts = manifest.Facts(
        source_sha256=whole.source.sha256,
        source_size=whole.source.size,
        photo=whole.photo,
        model=whole.model,
        depth=whole.depth,
        started=whole.times.started,
        milliseconds={"decode": 1.5},
        files=(
            manifest.FileFacts(format="png16", sha256="c" * 64, bytes=7, scale=0.1, offset=0.5),
        ),
    )
    made = manifest.Manifest.of(
        manifest.Facts.model_validate_json(facts.model_dump_json()),
        depthd=whole.depthd,
        job=whole.job,
        attempts=whole.attempts,
        name="cam1/IMG_1.jpg",
        target="IMG_1~x.jpg",
        claimed=whole.times.claimed,
        published=whole.times.published,
        milliseconds={"publish": 2.5},
    )
    (file,) = made.files
    assert (file.name, file.suffix) == ("IMG_1~x.jpg.depth.png", ".depth.png")
    assert made.milliseconds == {"decode": 1.5, "publish": 2.5}
    expected = whole.model_copy(update={"files": made.files, "milliseconds": made.milliseconds})
    assert made.to_bytes() == expected.to_bytes()


def test_depth_that_is_no_number_is_refused() -> None:
    fields = example().depth.model_dump() | {"max": float("nan")}
    with pytest.raises(ValidationError, match="finite"):
        manifest.Depth(**fields)


def test_importing_it_is_cheap() -> None:
    program = (
        "import sys, depthd.contract.manifest; print({'numpy', 'cv2', 'torch'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert run.stdout.strip() == b"set()"
