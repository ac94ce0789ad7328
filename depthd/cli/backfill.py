"""`depthd backfill`: an archive of photos, on Ray Data."""

from __future__ import annotations

import importlib.util
import json
from typing import Literal

import click

from depthd.cli.attended import attend
from depthd.cli.options import Configured, configured
from depthd.config.units import parse_size
from depthd.contract.errors import UnavailableError
from depthd.system.python import module

_NEEDS = ("ray", "pyarrow", "pandas", "boto3")


def _size(_context: click.Context, _option: click.Parameter, text: str) -> int:
    try:
        size = parse_size(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if size < 1_000_000:
        raise click.BadParameter("a shard has at least 1MB.")
    return size


@click.command("backfill")
@configured
@click.argument("source")
@click.argument("target")
@click.option(
    "--address",
    metavar="ADDRESS",
    help="A Ray cluster, such as HOST:6379; auto is that of this machine. Else it runs here.",
)
@click.option(
    "--layout",
    type=click.Choice(["shards", "files"]),
    help="What is written; files for a folder and shards else, unless this is given.",
)
@click.option(
    "--shard-size",
    default="1GB",
    show_default=True,
    callback=_size,
    metavar="SIZE",
    help="A shard has no more, unless one photo has.",
)
@click.option(
    "--unit",
    type=click.IntRange(1, 100_000),
    default=500,
    show_default=True,
    metavar="N",
    help="Photos that are done together; as many are lost when a node dies.",
)
@click.option("--retry-failed", is_flag=True, help="Also try those again that failed.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON a minute on standard output.")
def command(
    configured: Configured,
    source: str,
    target: str,
    address: str | None,
    layout: Literal["shards", "files"] | None,
    shard_size: int,
    unit: int,
    *,
    retry_failed: bool,
    as_json: bool,
) -> int:
    """Turn an archive into depth, on this machine or on a Ray cluster.

    SOURCE is a folder, a bucket (s3://BUCKET/PREFIX, gs://...) or a list of addresses: a Parquet or
    CSV file with a column address. TARGET is a folder or a bucket of its own. Run it again and it
    does what is missing; only one run at a time may use a TARGET. Exit code 0 if all photos are
    done, 1 if some failed, 75 if some were not reached.

    \b
    Examples:
      depthd backfill /archive /depth
      depthd backfill s3://photos/2019 s3://depth/2019 --address auto
      depthd backfill list.parquet s3://depth/list --set output.size=model
    """
    lacking = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if lacking:
        raise UnavailableError(
            f"a backfill needs {', '.join(lacking)}",
            "run \"pip install 'depthd[cluster]'\" in depthd's environment",
        )
    loaded = configured.load()
    is_chosen = any(loaded.sources[key] != "default" for key in ("root", "paths.state"))
    state = loaded.config.folder("state") if is_chosen else None
    order: dict[str, object] = {
        "config": loaded.config.model_dump(mode="json"),
        "state": str(state) if state else None,
        "options": [source, target, layout, address, shard_size, unit, retry_failed],
        "as_json": as_json,
    }
    return attend(module("depthd.cli.backfill_run"), json.dumps(order).encode())
