"""`depthd config`: what is effective and what is allowed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import click
import yaml

from depthd.cli.options import Configured, configured
from depthd.config.load import Loaded
from depthd.config.settings import key_path
from depthd.contract.names import printable

_WIDTH = 44  # column of the origins


@click.group("config")
def command() -> None:
    """Show the effective configuration, or what is allowed in it."""


@command.command("show")
@configured
def show(configured: Configured) -> None:
    """Print the effective configuration with origins, as YAML.

    \b
    Example:
      depthd config show -c depthd.yaml --set worker.timeout=30s
    """
    for line in _lines(configured.load()):
        click.echo(line)


@command.command("schema")
def schema() -> None:
    """Print the JSON schema of the configuration file.

    \b
    Example:
      depthd config schema > depthd.schema.json
    """
    from depthd.config.example import schema as make_schema  # noqa: PLC0415 - only needed here

    click.echo(json.dumps(make_schema(), indent=2))


def _lines(loaded: Loaded) -> Iterator[str]:
    config = loaded.config
    values = config.model_dump(mode="json")
    section = ""
    for key, source in loaded.sources.items():
        *sections, name = key_path(key)
        parent = ".".join(sections)
        if parent and parent != section:
            yield from _headings(sections, section)
        section = parent
        value: Any = values
        for part in (*sections, name):
            value = value[part]
        if parent == "paths" and value is None:
            source = f"{config.folder(name)} by {source}"  # noqa: PLW2901
        line = f"{'  ' * len(sections)}{name}:{_yaml(value)}"
        yield f"{line:<{_WIDTH}} # {printable(source)}"


def _headings(sections: Sequence[str], before: str) -> Iterator[str]:
    """Lines that open a section, where the section of the last line was another one."""
    for depth, name in enumerate(sections):
        if depth or not before.startswith(f"{name}."):
            yield f"{'  ' * depth}{_yaml(name).strip()}:"


def _yaml(value: Any) -> str:
    if value is None:
        return ""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return " " + text.removesuffix("...\n").strip()
