"""The manifest that is published with every photo's results: its fields, declared once.

`manifest.schema.json` is generated from this module (`python -m depthd.contract.manifest`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from depthd.contract.formats import FORMATS, Format
from depthd.contract.names import readable


def _iso_milliseconds(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[
    datetime,
    PlainSerializer(_iso_milliseconds),
    Field(description="UTC, ISO 8601 with milliseconds"),
]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Milliseconds = Annotated[float, Field(ge=0)]
Shown = Annotated[
    tuple[float, float] | None,
    Field(
        description="heatmap and preview: depth drawn darkest and brightest, in metres where the "
        "manifest has metres",
    ),
]


class Part(BaseModel):
    """Base of all parts: nothing unknown, nothing changes, no NaN or infinity."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        json_schema_serialization_defaults_required=True,
    )


class Source(Part):
    """The photo as it was dropped."""

    name: str = Field(description="path inside the inbox; bytes outside UTF-8 appear as \\xNN")
    name_base64: str | None = Field(
        description="the exact bytes of the name where it is not UTF-8, else null"
    )
    sha256: Sha256
    size: int = Field(ge=0, description="bytes")

    @classmethod
    def of(cls, name: str, sha256: str, size: int) -> Source:
        """From a name as Python holds it (undecodable bytes as surrogates)."""
        text = readable(name)
        raw = name.encode("utf-8", "surrogateescape")
        exact = None if text == name else base64.b64encode(raw).decode("ascii")
        return cls(name=text, name_base64=exact, sha256=sha256, size=size)


class Photo(Part):
    """What the decoder found."""

    format: str = Field(description="of the content, whatever the name says")
    width: int = Field(gt=0, description="pixels of the upright photo")
    height: int = Field(gt=0, description="pixels of the upright photo")
    orientation: int = Field(ge=1, le=8, description="EXIF orientation that was applied")
    notes: tuple[str, ...] = Field(description="what had to be assumed, for people")


class Model(Part):
    """The network that made this depth, and how it was run."""

    name: str
    weights_sha256: Sha256
    fallback: bool = Field(description="true: the built-in network, because no weights were found")
    published: bool = Field(description="true: the weights are the published checkpoint")
    engine: str
    engine_version: str
    precision: str
    input_width: int = Field(gt=0, description="pixels that the network saw")
    input_height: int = Field(gt=0, description="pixels that the network saw")
    preprocess: Literal["exact", "fast"]


class Depth(Part):
    """The depth array in numbers."""

    width: int = Field(gt=0)
    height: int = Field(gt=0)
    min: float
    max: float
    percentiles: dict[Literal["2", "25", "50", "75", "98"], float] = Field(
        description="of the depth at the size of the network's output"
    )
    meaning: Literal[
        "relative inverse depth; larger is nearer; scale and shift unknown per image"
    ] = "relative inverse depth; larger is nearer; scale and shift unknown per image"


class Metres(Part):
    """How depth became metres by the camera's reference points, or why it did not.

    1 / metres = scale * depth + shift, plus a smooth correction where `corrected`.
    """

    reason: str | None = Field(description="why there are no metres; null where there are")
    points: int = Field(ge=0, description="reference points of this camera")
    used: int = Field(ge=0, description="of them, those that agree with each other")
    thrown_out: tuple[int, ...] = Field(
        description="numbers of the points that do not agree, counted from 1"
    )
    leave_one_out_percent: float | None = Field(
        description="mean error of the points used, each as the others see it"
    )
    error_percent: float | None = Field(
        description="mean error to expect in the photo: leave-one-out with the points thrown out "
        "counted as far as the cut, raised for few points"
    )
    nearest: float | None = Field(description="metres of the nearest point used")
    farthest: float | None = Field(description="metres of the farthest point used")
    limit: float | None = Field(description="no metres are given beyond this distance")
    scale: float | None = Field(description="in 1/m for each unit of depth")
    shift: float | None = Field(description="in 1/m")
    corrected: bool = Field(description="the residuals at the points were spread over the photo")


class Space(Part):
    """The camera that points and meshes were made with."""

    unit: Literal["metres", "relative"]
    focal: float = Field(gt=0, description="pixels of the upright photo")
    fov: float = Field(gt=0, description="degrees across the photo's longer side")
    source: Literal["fov", "exif", "guess"] = Field(
        description="setting, photo, or guess: of which only the shape can be believed"
    )


class Times(Part):
    """When things happened."""

    claimed: Moment
    started: Moment
    published: Moment = Field(description="when the manifest was written, just before it appears")


class FileFacts(Part):
    """One result before it has a name; depth = value * scale + offset where scale is given."""

    format: Format
    sha256: Sha256
    bytes: int = Field(ge=0)
    scale: float | None = None
    offset: float | None = None
    shown: Shown = None


class OutputFile(Part):
    """One file of the set; depth = value * scale + offset where scale is given (png16)."""

    format: Format
    name: str = Field(description="beside the manifest; bytes outside UTF-8 appear as \\xNN")
    suffix: str = Field(description="what follows the photo's name, such as .depth.npy")
    sha256: Sha256
    bytes: int = Field(ge=0)
    scale: float | None = None
    offset: float | None = None
    shown: Shown = None

    @classmethod
    def of(cls, facts: FileFacts, target: str) -> OutputFile:
        """The file of a set whose base name is `target`."""
        suffix = FORMATS[facts.format].suffix
        return cls(name=readable(target + suffix), suffix=suffix, **facts.model_dump())


class Facts(Part):
    """What was found out about one photo by working on it, wherever that was done.

    It knows neither job nor names: who has these makes the manifest of both (`Manifest.of`).
    """

    source_sha256: Sha256
    source_size: int = Field(ge=0, description="bytes")
    photo: Photo
    model: Model
    depth: Depth
    metres: Metres | None = Field(None, description="null: no reference points for this folder")
    space: Space | None = Field(None, description="null: neither ply nor glb was asked for")
    started: Moment
    milliseconds: dict[str, Milliseconds] = Field(description="time of each stage")
    files: tuple[FileFacts, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth saying of this photo, for people."""
        if self.metres is None or self.metres.reason is None:
            return self.photo.notes
        return (*self.photo.notes, f"no metres: {self.metres.reason}")


class Manifest(Part):
    """All that is known of one photo and its results."""

    schema_name: Literal["depthd.manifest/1"] = Field("depthd.manifest/1", alias="schema")
    depthd: str = Field(description="version that wrote this")
    job: str
    attempts: int = Field(ge=1)
    source: Source
    photo: Photo
    model: Model
    depth: Depth
    metres: Metres | None = Field(None, description="null: no reference points for this folder")
    space: Space | None = Field(None, description="null: neither ply nor glb was asked for")
    times: Times
    milliseconds: dict[str, Milliseconds] = Field(description="time of each stage")
    files: tuple[OutputFile, ...]

    @classmethod
    def of(
        cls,
        facts: Facts,
        *,
        depthd: str,
        job: str,
        attempts: int,
        name: str,
        target: str,
        claimed: datetime,
        published: datetime,
        milliseconds: Mapping[str, float] = MappingProxyType({}),
    ) -> Manifest:
        """What the worker found out, with what only the one who publishes knows.

        Args:
            facts: of the work.
            depthd: version that publishes.
            job: its id.
            attempts: this one included.
            name: of the photo inside the inbox, as Python holds it.
            target: base name of the set in the outbox; its files are `target` + suffix.
            claimed: when the photo was taken.
            published: now.
            milliseconds: of the stages after the work.
        """
        return cls(
            depthd=depthd,
            job=job,
            attempts=attempts,
            source=Source.of(name, facts.source_sha256, facts.source_size),
            photo=facts.photo,
            model=facts.model,
            depth=facts.depth,
            metres=facts.metres,
            space=facts.space,
            times=Times(claimed=claimed, started=facts.started, published=published),
            milliseconds={**facts.milliseconds, **milliseconds},
            files=tuple(OutputFile.of(file, target) for file in facts.files),
        )

    def to_bytes(self) -> bytes:
        """UTF-8 JSON, indented for people, ending in a newline."""
        return self.model_dump_json(by_alias=True, indent=2).encode() + b"\n"


def json_schema() -> dict[str, Any]:
    """The schema of published manifests, as shipped in `manifest.schema.json`."""
    schema = Manifest.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text() -> str:
    """Exactly what `manifest.schema.json` holds."""
    return json.dumps(json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("manifest.schema.json").write_text(schema_text(), encoding="utf-8")
