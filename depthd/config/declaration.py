"""The configuration, declared once: every key, default, unit and reason.

`config.example.yaml`, `depthd config schema`, the environment variables and the tests are made
from this module. It may know units and paths; it does no I/O.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    WithJsonSchema,
    field_serializer,
    model_validator,
)

from depthd.config.folders import (
    Folder,
    FolderPolicy,
    FolderRules,
    check_names,
    resolve,
    with_the_networks_own,
)
from depthd.config.hooks import Hooks
from depthd.config.litter import LITTER
from depthd.config.retention import Retention
from depthd.config.section import Section
from depthd.config.units import Duration, Size
from depthd.contract.photos import PHOTO_FORMATS

PHOTO_SUFFIXES = tuple(suffix for photo in PHOTO_FORMATS.values() for suffix in photo.suffixes)


def _parse_mode(value: object) -> int:
    """File mode from octal text, or from YAML's own octal integers."""
    try:
        mode = int(value, 8) if isinstance(value, str) else int(str(value))
    except ValueError:
        mode = -1
    if 0o400 <= mode <= 0o777:
        return mode
    raise ValueError('needs an octal file mode, such as "0640"')


class Paths(Section):
    """Each folder of the root can lie elsewhere; empty means ROOT/NAME."""

    inbox: Path | None = Field(None, description="where photos are dropped")
    work: Path | None = Field(
        None, description="claimed photos; must lie on the inbox's file system"
    )
    outbox: Path | None = Field(None, description="where results appear")
    done: Path | None = Field(None, description="originals that were processed")
    failed: Path | None = Field(None, description="originals that were not, with the reason")
    log: Path | None = Field(None, description="depthd.jsonl")
    state: Path | None = Field(None, description="weights, converted models, status.json")


class Intake(Section):
    """What is taken from the inbox, and when."""

    recursive: bool = Field(True, description="also take photos from sub-folders")
    include: tuple[str, ...] = Field(
        tuple(f"*.{suffix}" for suffix in PHOTO_SUFFIXES),
        min_length=1,
        description="names to take, as patterns; letter case does not matter",
    )
    exclude: tuple[str, ...] = Field(
        (), description="names or paths inside the inbox to leave alone, such as thumbs/*"
    )
    litter: tuple[str, ...] = Field(
        LITTER,
        description="what NAS systems, desktops and photo programs keep in a share; passed over "
        "in any folder, as hidden names are; [] takes photos from there too",
    )
    watch: Literal["auto", "native", "polling"] = Field(
        "auto",
        description="auto probes for native events and polls where they do not work "
        "(network shares)",
    )
    poll_interval: Duration = Field(
        5.0, gt=0, description="time between two looks when polling; shorter finds photos sooner"
    )
    rescan_interval: Duration = Field(
        60.0, gt=0, description="time between full scans that find what events missed"
    )
    settle: Duration = Field(
        2.0,
        ge=0,
        description="quiet time before a photo counts as whole; raise it for writers that pause",
    )


class Model(Section):
    """Which network, on which engine."""

    name: Literal["midas_small", "builtin"] = Field("midas_small", description="the network")
    weights: Path | None = Field(
        None, description="weights file; empty looks in state/, torch hub's cache, then the network"
    )
    fallback: Literal["builtin", "none"] = Field(
        "builtin",
        description="what to use when no weights can be had; none makes that an error (exit 69)",
    )
    engine: Literal["auto", "openvino", "torch"] = Field(
        "auto", description="auto is openvino where it is installed; torch is the reference"
    )
    precision: Literal["f32", "bf16"] = Field(
        "f32", description="bf16 is faster on CPUs that have it, and slightly less exact"
    )
    input_size: int = Field(
        256,
        ge=64,
        le=1024,
        multiple_of=32,
        description="longest side in pixels that the network sees; 256 is what it was trained on",
    )
    threads: int = Field(0, ge=0, le=256, description="0 takes the CPUs that this process may use")
    preprocess: Literal["exact", "fast"] = Field(
        "exact",
        description="fast lets the JPEG decoder scale large photos down; depth differs slightly",
    )


class Worker(Section):
    """The process that holds the network."""

    timeout: Duration = Field(60.0, gt=0, description="longest time for one photo")
    start_timeout: Duration = Field(
        600.0, gt=0, description="longest time until the worker is ready, download included"
    )
    stop_timeout: Duration = Field(
        20.0, ge=0, description="time to finish the photo at hand when the service stops"
    )
    max_attempts: int = Field(
        3, ge=1, le=100, description="tries before a photo that kills the worker is failed"
    )
    max_pixels: int = Field(
        100_000_000, ge=1024, le=2**30, description="larger photos fail before a pixel is decoded"
    )
    max_memory: Size = Field(
        4_000_000_000,
        description="resident memory that the worker may have, to about 100MB; a photo that needs "
        "more fails; 0 sets no limit",
    )


class Output(FolderPolicy):
    """What is written for each photo."""

    mode: Annotated[
        int,
        BeforeValidator(_parse_mode),
        PlainSerializer("{:04o}".format),
        WithJsonSchema({"type": ["string", "integer"], "examples": ["0640"]}),
    ] = Field(0o640, description="rights of result files; their group is the folder's")


class Disk(Section):
    """Room that depthd leaves free."""

    min_free: Size = Field(
        200_000_000, description="pause while the outbox's disk has less free space than this"
    )


class Status(Section):
    """When `depthd status` calls the service degraded."""

    max_wait: Duration = Field(
        3600.0, description="a photo that has waited longer is too much; 0 sets no limit"
    )


class Log(Section):
    """Where and how events are written."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe events to write"
    )
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="standard error: auto is console on a terminal, JSON else"
    )
    file: bool = Field(True, description="also write log/depthd.jsonl")
    heartbeat: Duration = Field(
        3600.0,
        description="time between two service.heartbeat events with the figures of the status; 0 "
        "writes none",
    )


def _check_textfile(path: Path | None) -> Path | None:
    if path is not None and path.suffix != ".prom":
        raise ValueError("needs a name that ends in .prom: node_exporter reads no other")
    return path


class Metrics(Section):
    """Figures for Prometheus."""

    textfile: Annotated[Path | None, AfterValidator(_check_textfile)] = Field(
        None,
        description="file for node_exporter's textfile collector, such as "
        "/var/lib/prometheus/node-exporter/depthd.prom; empty writes none",
    )


class Page(Section):
    """The web page of `depthd page`; the daemon itself needs none of this."""

    address: str = Field(
        "127.0.0.1",
        min_length=1,
        description="where it listens; any other than this machine's own demands a password",
    )
    port: int = Field(8080, ge=0, le=65535, description="0 takes one that is free")
    password_file: Path | None = Field(
        None,
        description="its first line is the password; empty makes one where one is demanded, shown "
        "once at the first start",
    )
    readonly: bool = Field(False, description="look only: no upload, no retry, no reference points")
    max_upload: Size = Field(200_000_000, gt=0, description="largest file that is taken")
    max_uploads: int = Field(4, ge=1, le=100, description="uploads at the same time")
    max_waiting: int = Field(
        1000,
        ge=1,
        le=1_000_000,
        description="photos from the page that may wait in the inbox; more are refused",
    )
    max_connections: int = Field(256, ge=8, le=10_000, description="at the same time")
    state: Path | None = Field(
        None,
        description="folder of the page's own, for the key of its cookies and the password that it "
        "made; empty means page/ in paths.state",
    )


class Config(Section):
    """Everything that can be set."""

    root: Path = Field(Path("/var/lib/depthd"), description="folder that holds all others")
    paths: Paths = Paths()
    intake: Intake = Intake()
    model: Model = Model()
    worker: Worker = Worker()
    output: Output = Output()
    folders: Annotated[dict[str, Folder], AfterValidator(check_names)] = Field(
        {},
        description="Folders of the inbox that differ from the section output, by their name or a "
        "pattern such as cam*; sub-folders belong to them. Each takes the keys of output but mode, "
        "and some of its own. Where several fit, each key comes from the most exact one that gives "
        "it.",
        examples=[
            {
                "cam*": {"formats": ["heatmap", "preview"], "range": "rolling"},
                "door": {"priority": "first", "policy": "latest", "retention": "7d"},
                "cam1": {
                    "references": [[120, 400, 1.5], [610, 380, 2.25], [350, 200, 6]],
                    "references_size": [1280, 720],
                    "formats": ["heatmap", "metres"],
                },
            }
        ],
    )
    disk: Disk = Disk()
    status: Status = Status()
    retention: Retention = Retention()
    hooks: Hooks = Hooks()
    log: Log = Log()
    metrics: Metrics = Metrics()
    page: Page = Page()

    def folder(self, name: str) -> Path:
        """Absolute path of inbox, work, outbox, done, failed, log or state."""
        path: Path | None = getattr(self.paths, name)
        return (self.root / (path or name)).absolute()

    def policy(self, name: str) -> FolderPolicy:
        """What holds for a photo of this name inside the inbox."""
        base = FolderPolicy.model_construct(
            **{key: getattr(self.output, key) for key in FolderPolicy.model_fields}
        )
        return with_the_networks_own(resolve(base, self.folders, name))

    def rules(self, folder: str) -> FolderRules:
        """What holds for a folder of the inbox, empty for the inbox itself."""
        return resolve(FolderRules(), self.folders, f"{folder}/")

    def wants_latest(self, folder: str) -> bool:
        """Whether a folder of the inbox has only its latest photo worked on."""
        return self.rules(folder).policy == "latest"

    @cached_property
    def skips(self) -> bool:
        """Whether any folder does."""
        return any(folder.policy == "latest" for folder in self.folders.values())

    @property
    def removes(self) -> bool:
        """Whether anything is ever removed by itself."""
        return self.retention.is_asked_for or any(
            isinstance(folder.retention, float) for folder in self.folders.values()
        )

    @field_serializer("folders")
    def _only_what_was_given(self, folders: dict[str, Folder]) -> dict[str, Any]:
        """What a folder does not say is not its default but that of the next one that fits."""
        return {
            name: folder.model_dump(mode="json", exclude_unset=True)
            for name, folder in folders.items()
        }

    @model_validator(mode="after")
    def _folders_lie_apart(self) -> Self:
        folders = {name: self.folder(name) for name in Paths.model_fields}
        for inner, inner_path in folders.items():
            for outer, outer_path in folders.items():
                if inner != outer and inner_path.is_relative_to(outer_path):
                    raise ValueError(
                        f"paths.{inner} ({inner_path}) lies inside paths.{outer} ({outer_path}); "
                        "give each folder a place of its own"
                    )
        return self
