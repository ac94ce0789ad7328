"""`depthd bench`: what this machine can do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click

from depthd.cli.options import Configured, configured, path_option
from depthd.cli.report import report
from depthd.cli.room import megabytes, outlook
from depthd.contract.errors import OutputError

if TYPE_CHECKING:
    from depthd.bench.session import Results, Served
    from depthd.bench.sizes import Sizes

_LEAST = 2  # photos; a rate needs more than one


@click.command("bench")
@configured
@click.option("--against", type=click.Choice(["upstream"]), help="Also run upstream's own loop.")
@click.option("--json", "target", type=path_option, metavar="FILE", help="Also write all figures.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Turns.")
@click.option(
    "--small", type=click.IntRange(_LEAST), default=60, show_default=True,
    help="640x480 photos a round.",
)  # fmt: skip
@click.option(
    "--large", type=click.IntRange(_LEAST), default=12, show_default=True,
    help="12-megapixel photos a round.",
)  # fmt: skip
@click.option(
    "--latency", type=click.IntRange(_LEAST), default=30, show_default=True,
    help="Photos one by one.",
)  # fmt: skip
@click.option(
    "--backlog", type=click.IntRange(0), default=0, show_default=True,
    help="Also start on so many waiting files.",
)  # fmt: skip
@click.option(
    "--sizes", "only_sizes", is_flag=True, help="Only what a photo takes on the disk; quick."
)
@click.option(
    "--reading", "only_reading", is_flag=True, help="Only how long each kind of file takes to read."
)
def command(
    configured: Configured,
    *,
    against: str | None,
    target: Path | None,
    rounds: int,
    small: int,
    large: int,
    latency: int,
    backlog: int,
    only_sizes: bool,
    only_reading: bool,
) -> None:
    """Measure what this machine can do.

    The real daemon runs on a temporary folder, with photos made from the bundled samples. Each part
    is shown when it is measured. Nothing is downloaded, and no folder of the configuration is
    touched. Stop whatever else keeps the machine busy.

    \b
    Examples:
      depthd bench
      depthd bench --against upstream --json bench.json
      depthd bench --sizes
    """
    from depthd.bench.session import Plan, Session, scratch  # noqa: PLC0415 - OpenCV, numpy

    config = configured.config()
    compares = against == "upstream"
    plan = Plan(rounds, small, large, latency, backlog, compares, only_sizes, only_reading)
    with _writing(target) as write, scratch(config.root) as folder:
        session = Session(config, plan, folder, report)
        _tell_machine(session.results)
        for part in session.run():
            write(session.results)
            _TELL[part](session.results)
            if part == "sizes":
                click.echo(f"{outlook(config, session.results.sizes)}\n")


@contextmanager
def _writing(target: Path | None) -> Iterator[Callable[[Results], None]]:
    """What writes results into a file; one that cannot be written is told before the block."""
    if target is None:
        yield lambda _: None
        return
    try:
        with target.open("a", encoding="utf-8") as file:

            def write(results: Results) -> None:
                if file.seekable():  # a pipe gets one line of JSON after the other
                    file.truncate(0)
                file.write(json.dumps(asdict(results), indent=2) + "\n")
                file.flush()

            yield write
    except OSError as error:
        if error.filename not in (None, str(target)):
            raise
        raise OutputError(f"cannot write {target}: {error.strerror}") from error


def _tell_machine(results: Results) -> None:
    machine = results.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    click.echo(f"{machine.date}: {machine.processor}, {machine.cpus} CPUs")
    click.echo(f"{' '.join(machine.flags)}; {machine.memory / 1e9:.0f} GB; Linux {machine.kernel}")
    click.echo(f"{versions}; load {machine.load:.1f} at the beginning")
    click.echo(f"Network: {results.model}\n")


def _tell_engines(results: Results) -> None:
    from depthd.cli.tables import show  # noqa: PLC0415 - only for people

    rows = [
        (
            speed.engine,
            speed.precision,
            speed.why or f"{speed.milliseconds:.1f} ms",
            _share(speed.mean),
            _share(speed.most),
        )
        for speed in results.engines
    ]
    differences = ("differs from the first by, of its range", "at most")
    click.echo(f"{results.threads} threads")
    show(rows, head=("engine", "precision", "one inference", *differences))
    click.echo()


def _tell_stages(results: Results) -> None:
    from depthd.cli.tables import show  # noqa: PLC0415 - only for people

    kinds = list(results.stages)
    stages = [
        (stage, *(f"{results.stages[kind][stage]:.1f} ms" for kind in kinds))
        for stage in results.stages[kinds[0]]
    ]
    show(stages, head=("stage, by itself", *kinds))
    click.echo()


def _tell_sizes(results: Results) -> None:
    from depthd.cli.tables import show  # noqa: PLC0415 - only for people

    kinds = list(dict.fromkeys(kind for each in results.sizes.values() for kind in each.formats))
    rows = [
        (name, megabytes(each.total), *(_of_format(each, kind) for kind in kinds))
        for name, each in results.sizes.items()
    ]
    show(rows, head=("a photo of 12 megapixels", "on the disk", *kinds))


def _tell_reading(results: Results) -> None:
    from depthd.cli.tables import show  # noqa: PLC0415 - only for people

    rows = [
        (
            kind,
            megabytes(int(each["bytes"])),
            f"{each['decode']:.0f} ms",
            f"{each['preprocess']:.0f} ms",
        )
        for kind, each in results.reading.items()
    ]
    show(rows, head=("12 megapixels as", "file", "decode", "scale for the network"))


def _of_format(sizes: Sizes, kind: str) -> str | None:
    return megabytes(sizes.formats[kind]) if kind in sizes.formats else None


def _share(value: float | None) -> str:
    """A share in percent, whether it is 3 or a millionth."""
    return "" if value is None else f"{100 * value:.2g} %"


def _tell_rates(results: Results) -> None:
    from depthd.cli.tables import show  # noqa: PLC0415 - only for people

    compares = any(served.upstream for served in results.served)
    rows = [
        (
            served.kind,
            served.precision,
            f"{served.rate:.1f}",
            f"{served.of_engine:.0%}",
            *(_compared(served) if compares else ()),
            f"{max(run.memory for run in served.runs) / 1e6:.0f} MB",
            f"{median(run.supervisor_ms for run in served.runs):.1f} ms",
        )
        for served in results.served
    ]
    head = ["run --once", "precision", "photos/s", "of the engine's own rate"]
    head += ["upstream's photos/s", "ratio"] * compares
    show(rows, head=(*head, "memory, peak", "supervisor's CPU a photo"))
    click.echo()


def _compared(served: Served) -> tuple[str, str]:
    return f"{median(served.upstream):.1f}", f"{served.of_upstream:.1f} x"


def _tell_idle(results: Results) -> None:
    from depthd.cli.tables import show  # noqa: PLC0415 - only for people

    if (idle := results.idle) is None:
        return
    rows = [
        ("start to ready", f"{idle.start:.2f} s"),
        ("one 640x480 photo into an idle daemon, median", f"{idle.median:.1f} ms"),
        ("99th percentile", f"{idle.p99:.1f} ms"),
        ("of which inference, median", f"{idle.infer:.1f} ms"),
        ("memory after that", f"{idle.memory / 1e6:.0f} MB"),
        ("idle", f"{idle.cpu:.2%} of a core"),
    ]
    show(rows)


def _tell_backlog(results: Results) -> None:
    from depthd.cli.tables import show  # noqa: PLC0415 - only for people

    if (backlog := results.backlog) is None:
        return
    rows = [
        (f"{backlog.files} files waiting: first result", f"{backlog.first:.1f} s"),
        ("supervisor's CPU a photo, later half", f"{backlog.supervisor_ms:.2f} ms"),
        ("supervisor's memory, peak", f"{backlog.supervisor_memory / 1e6:.0f} MB"),
    ]
    show(rows)


# By the field of the results that was measured.
_TELL: dict[str, Callable[[Results], None]] = {
    "engines": _tell_engines,
    "stages": _tell_stages,
    "sizes": _tell_sizes,
    "reading": _tell_reading,
    "served": _tell_rates,
    "idle": _tell_idle,
    "backlog": _tell_backlog,
}
