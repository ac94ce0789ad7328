"""`depthd model`: the networks and their weights."""

from __future__ import annotations

from pathlib import Path

import click

from depthd.cli.options import Configured, configured, path_option
from depthd.cli.report import report
from depthd.config import Config
from depthd.contract.errors import DepthdError
from depthd.contract.names import printable
from depthd.model.catalogue import MODELS
from depthd.model.weights import Weights, adopt_file, find_weights


@click.group("model")
def command() -> None:
    """List, fetch, verify and prepare the network's weights."""


@command.command("list")
@configured
def list_models(configured: Configured) -> None:
    """Show the networks, and whether their weights are here.

    \b
    Example:
      depthd model list --root ~/depth
    """
    from depthd.cli.tables import show  # noqa: PLC0415 - only for people

    config = configured.config()
    rows = []
    for name, spec in MODELS.items():
        found = _look(config, name)
        absent = configured.in_hint("not here; get them by 'depthd model fetch'")
        where = found.path if found is not None else absent
        digest = (found.sha256 if found is not None else spec.sha256_prefix)[:8]
        chosen = "configured" if name == config.model.name else ""
        rows.append((name, digest, where, chosen))
    show(rows, head=("model", "SHA-256", "weights", ""))


@command.command("fetch")
@configured
@click.option(
    "--from",
    "source",
    type=path_option,
    metavar="FILE",
    help="Take the published file from a disk instead of the network.",
)
def fetch(configured: Configured, source: Path | None) -> None:
    """Get the weights into state/.

    Of the published file's SHA-256 eight digits are known beforehand. When it first comes here, all
    64 are noted beside it, and compared from then on.

    \b
    Examples:
      depthd model fetch
      depthd model fetch --from /media/stick/midas_v21_small_256.pt
    """
    config = configured.config()
    spec = MODELS[config.model.name]
    if source is not None:
        weights = adopt_file(spec, source, config.folder("state"))
    else:
        strict = config.model.model_copy(update={"fallback": "none"})
        weights = find_weights(strict, config.folder("state"), report=report)
    _say_found(weights)


@command.command("verify")
@configured
def verify(configured: Configured) -> None:
    """Load the weights that would serve.

    Nothing is downloaded. Every tensor must be there, fit the network, and hold finite numbers.
    Exit code 69 when it is not so, or when there are none and no fallback is allowed.

    \b
    Example:
      depthd model verify --set model.fallback=none
    """
    from depthd.model.checkpoint import read_tensors  # noqa: PLC0415 - numpy

    config = configured.config()
    weights = find_weights(config.model, config.folder("state"), report=report, online=False)
    tensors = read_tensors(weights.spec, weights.path, weights.sha256)
    _say_found(weights)
    numbers = sum(tensor.size for tensor in tensors.values())
    click.echo(f"{len(tensors)} tensors, {numbers / 1e6:.1f} million numbers, all finite: it loads")


@command.command("prepare")
@configured
def prepare(configured: Configured) -> None:
    """Get and convert the network, so that the first start is quick.

    \b
    Example:
      depthd model prepare --root ~/depth
    """
    from depthd.model.engine_choice import open_engine  # noqa: PLC0415 - heavy

    config = configured.config()
    state = config.folder("state")
    weights = find_weights(config.model, state, report=report)
    engine = open_engine(config.model, weights, state, report=report).description
    _say_found(weights)
    click.echo(f"ready for {engine.engine} {engine.engine_version}, {engine.precision}")


def _look(config: Config, name: str) -> Weights | None:
    """The weights of one network that are on this machine already."""
    update = {"name": name, "fallback": "none"}
    if name != config.model.name:
        update["weights"] = None  # type: ignore[assignment]
    try:
        return find_weights(
            config.model.model_copy(update=update),
            config.folder("state"),
            report=report,
            online=False,
        )
    except DepthdError:
        return None


def _say_found(weights: Weights) -> None:
    stands_in = " (built-in, stands in for the real one)" if weights.fallback else ""
    click.echo(f"{weights.spec.name}{stands_in}: {printable(str(weights.path))}")
    origin = "published file" if weights.published else "a file of your own"
    click.echo(f"SHA-256 {weights.sha256} ({origin}, {weights.source})")
    match weights.compared:
        case 0:
            click.echo("there is nothing known to compare it with")
        case 64:
            click.echo("all 64 digits are those that are known")
        case digits:
            click.echo(f"the first {digits} digits are those that are published")
