"""`depthd demo`: the real daemon, the bundled photos, and what came out."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import IO, Any

import click

from depthd.cli.options import path_option
from depthd.cli.page import demand_extra
from depthd.cli.report import report
from depthd.config import Config
from depthd.config.load import load
from depthd.contract.errors import DepthdError, ExitCode, OutputError, UnavailableError
from depthd.contract.events import LOG_FILE, Event
from depthd.contract.manifest import Manifest
from depthd.system.python import module

_DEADLINE = 900.0  # seconds; a first start may download and convert the network
_STOP_DEADLINE = 30.0
_LOOK_EVERY = 0.05
# Set for some real daemon, these would lead the demo into its inbox, or hide the log that it reads.
_NOT_OURS = ("DEPTHD_PATHS__", "DEPTHD_LOG__")


@dataclass
class _Story:
    """What the daemon's log has told so far."""

    model: dict[str, Any] = field(default_factory=dict)
    dropped: dict[str, float] = field(default_factory=dict)  # when, by name
    published: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)  # from the drop to done or failed
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        return bool(self.dropped) and len(self.seconds) == len(self.dropped)


@click.command("demo")
@click.option(
    "--root",
    type=path_option,
    metavar="DIR",
    help="New folder for the daemon; depthd-demo here if this is not given.",
)
@click.option(
    "--page", "with_page", is_flag=True, help="Then show it all in a browser, until Ctrl-C."
)
def command(root: Path | None, *, with_page: bool) -> ExitCode:
    """Show it at work: start the daemon, drop bundled photos.

    Then what came out is shown and the daemon is stopped. Exit code 0 if every photo became depth.

    \b
    Examples:
      depthd demo --root /tmp/depth
      depthd demo --page
    """
    if with_page:
        demand_extra()
    samples = sorted(Path(str(files("depthd") / "samples")).glob("*.jpg"))
    if not samples:
        raise UnavailableError("the bundled photos are missing", "install depthd again")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)
    }
    config = load(None, environment, (), _new_root(root).absolute()).config
    with _daemon(config, environment) as (daemon, words):
        story = _watch(daemon, words, config, samples)
        if with_page:
            result = _tell(story, config)
            _show_page(config)
            return result
    return _tell(story, config)


def _show_page(config: Config) -> None:
    """Serve the page, with the daemon beside it, until somebody ends it."""
    from depthd.page.server import serve  # noqa: PLC0415 - an extra

    def open_browser(address: str) -> None:
        if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
            webbrowser.open(address)
        report("Drop photos there too; Ctrl-C ends it.")

    free = config.page.model_copy(update={"port": 0, "address": "127.0.0.1"})
    serve(config.model_copy(update={"page": free}), report, open_browser)


def _new_root(wanted: Path | None) -> Path:
    """A folder that is new or empty; without a wish the first free depthd-demo here."""
    number = 1
    root = wanted or Path("depthd-demo")
    while wanted is None and root.exists():
        number += 1
        root = Path(f"depthd-demo-{number}")
    try:
        root.mkdir(parents=True, exist_ok=True)
        if any(root.iterdir()):
            raise OutputError(f"{root} is not empty", "give --root a folder that is not there yet")
    except OSError as error:
        raise OutputError(f"cannot create {root}: {error.strerror}") from error
    return root


@contextmanager
def _daemon(
    config: Config, environment: dict[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """The running daemon and its standard error; it is stopped at the end."""
    command = module("depthd", "run", "-c", os.devnull, "--root", str(config.root))
    with tempfile.TemporaryFile() as words:
        daemon = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=words, stderr=words
        )
        try:
            yield daemon, words
        finally:
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(_STOP_DEADLINE)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def _watch(
    daemon: subprocess.Popen[bytes], words: IO[bytes], config: Config, samples: list[Path]
) -> _Story:
    """Follow the daemon's log until every photo is done or failed."""
    report(f"starting the daemon on {config.root}")
    story = _Story()
    deadline = time.monotonic() + _DEADLINE
    log = config.folder("log") / LOG_FILE
    position = 0
    while not story.is_over:
        if daemon.poll() is not None:
            raise _DaemonEndedError(daemon.returncode, words)
        if time.monotonic() > deadline:
            raise UnavailableError(f"no result after {_DEADLINE:g} s", f"look into {log}")
        lines, position = _read_lines(log, position)
        for line in lines:
            _hear(json.loads(line), story, config, samples)
        time.sleep(_LOOK_EVERY)
    return story


class _DaemonEndedError(DepthdError):
    """The daemon ended by itself; its last words say why, its exit code is passed on."""

    def __init__(self, code: int, words: IO[bytes]) -> None:
        words.seek(0)
        said = [line for line in words.read().decode(errors="replace").splitlines() if line]
        own = [line for line in said if not line.startswith("{")]
        super().__init__("the daemon ended by itself:\n" + "\n".join((own or said)[-5:]))
        self.exit_code = ExitCode(code) if code in list(ExitCode) else ExitCode.TEMPORARY


def _read_lines(log: Path, position: int) -> tuple[list[bytes], int]:
    """The complete lines of the log behind a position, and the position behind them."""
    try:
        with log.open("rb") as file:
            file.seek(position)
            data = file.read()
    except FileNotFoundError:
        return [], position
    whole = data[: data.rfind(b"\n") + 1]
    return whole.splitlines(), position + len(whole)


def _hear(entry: dict[str, Any], story: _Story, config: Config, samples: list[Path]) -> None:
    name = entry.get("name", "")
    match entry["event"]:
        case Event.MODEL_STEP:
            report(f"  {entry['text']}")
        case Event.WORKER_READY:
            story.model = entry
        case Event.SERVICE_READY if not story.dropped:
            report(f"copying {len(samples)} photos to {config.folder('inbox')}")
            for sample in samples:
                shutil.copy(sample, config.folder("inbox"))
                story.dropped[sample.name] = time.monotonic()
        case Event.PHOTO_PUBLISHED:
            story.published[name] = entry
        case Event.PHOTO_DONE:
            story.seconds[name] = time.monotonic() - story.dropped[name]
        case Event.PHOTO_FAILED:
            story.seconds[name] = time.monotonic() - story.dropped[name]
            story.failed[name] = f"{entry['code']}: {entry['detail']}"


def _tell(story: _Story, config: Config) -> ExitCode:
    from depthd.cli.tables import show  # noqa: PLC0415 - only for people

    rows = [_row(name, story, config) for name in sorted(story.dropped)]
    show(rows, head=("photo", "pixels", "network", "in the worker", "from drop to done", "heatmap"))
    model = story.model
    click.echo(f"\nServed by {model['model']} on {model['engine']}, {model['precision']}.")
    if model["fallback"]:
        click.echo(
            "That is the small built-in network, because the weights of midas_small could not be\n"
            "had. Its depth is coarser; 'depthd model fetch --root DIR' gets the real one into DIR."
        )
    click.echo(
        f"A photo counts as whole after {config.intake.settle:g} s of quiet (intake.settle)."
    )
    click.echo(f"Look into {config.folder('outbox')}")
    return ExitCode.FAILURE if story.failed else ExitCode.OK


def _row(name: str, story: _Story, config: Config) -> tuple[str, ...]:
    waited = f"{story.seconds[name]:.1f} s"
    if name in story.failed:
        return name, "", "", "", waited, f"failed: {story.failed[name]}"
    base = config.folder("outbox") / story.published[name]["output"]
    manifest = Manifest.model_validate_json(base.with_name(base.name + ".json").read_bytes())
    times, photo = manifest.times, manifest.photo
    worked = (times.published - times.started).total_seconds()
    heatmaps = [file.name for file in manifest.files if file.format == "heatmap"]
    return (
        name,
        f"{photo.width} x {photo.height}",
        f"{manifest.milliseconds['infer']:.0f} ms",
        f"{worked * 1000:.0f} ms",
        waited,
        *heatmaps,
    )
