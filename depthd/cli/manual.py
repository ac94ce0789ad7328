"""The pages of the manual, made from the commands, the exit codes and the declared settings.

`man depthd` and `man depthd.yaml`. Knows the form of a page, and the declarations.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from depthd import __version__
from depthd.config.example import schema
from depthd.config.load import OTHER_VARIABLES
from depthd.contract.errors import EXIT_MEANINGS
from depthd.service.place import MADE_BY

_FILES = {
    "/etc/depthd/config.yaml": "settings of the service; see depthd.yaml(5)",
    "/var/lib/depthd": "its folders: inbox, work, outbox, done, failed, log, state",
    "/etc/systemd/system/depthd.service": "the service, made by 'depthd service install'",
}


def pages(program: click.Group) -> dict[Path, str]:
    """Every page, by its path below a folder of manuals."""
    return {
        Path("man1/depthd.1"): "".join(_command_page(program)),
        Path("man5/depthd.yaml.5"): "".join(_settings_page()),
    }


def _command_page(program: click.Group) -> Iterator[str]:
    yield _head("depthd", 1, "turns dropped photos into depth maps on a CPU")
    yield ".SH SYNOPSIS\n.B depthd\n.I command\n[options]\n.SH COMMANDS\n"
    with click.Context(program, info_name="depthd") as context:
        for name in program.list_commands(context):
            yield from _described(program.get_command(context, name), name, context)
    yield ".SH EXIT STATUS\n"
    yield from (_item(f"{code:d}", text) for code, text in EXIT_MEANINGS.items())
    yield ".SH ENVIRONMENT\n"
    yield _item(
        "DEPTHD_SECTION__KEY", "sets a key of the configuration: DEPTHD_MODEL__ENGINE=torch"
    )
    yield from (_item(name, text) for name, text in OTHER_VARIABLES.items())
    yield ".SH FILES\n"
    yield from (_item(name, text) for name, text in _FILES.items())
    yield ".SH SEE ALSO\n.BR depthd.yaml (5),\n.BR systemctl (1),\n.BR journalctl (1)\n"


def _described(command: click.Command | None, name: str, above: click.Context) -> Iterator[str]:
    if command is None:
        return
    with click.Context(command, info_name=name, parent=above) as context:
        words = " ".join(command.collect_usage_pieces(context))
        yield f".SS {_text(f'{context.command_path} {words}')}\n"
        yield from _paragraphs(command.help or "")
        for parameter in command.get_params(context):
            if record := parameter.get_help_record(context):
                yield _item(*record)
        if isinstance(command, click.Group):
            for inner in command.list_commands(context):
                yield from _described(command.get_command(context, inner), inner, context)


def _settings_page() -> Iterator[str]:
    yield _head("depthd.yaml", 5, "settings of depthd")
    yield ".SH DESCRIPTION\n"
    yield from _paragraphs(
        "A YAML file; every key is optional. The service reads /etc/depthd/config.yaml, a command "
        "the file that is given with --config. The environment sets the same keys "
        "(DEPTHD_MODEL__ENGINE=torch), and so does the command line (--set model.engine=torch); "
        "the command line beats the environment, which beats the file. A relative path of the "
        "file begins at the file's folder. 'depthd config show' says what is effective and why."
    )
    yield ".SH KEYS\n"
    document = schema()
    for name, declared in document["properties"].items():
        reference = declared.get("$ref", "")
        if not reference:
            yield _key(name, declared)
            continue
        section = document["$defs"][reference.rpartition("/")[2]]
        yield f".SS {_text(name)}\n"
        yield from _paragraphs(section["description"])
        for key, value in section["properties"].items():
            yield _key(f"{name}.{key}", value)
    yield ".SH SEE ALSO\n.BR depthd (1)\n"


def _key(name: str, declared: dict[str, Any]) -> str:
    default = declared.get("default")
    ends = "" if default in (None, {}, []) else f" (default: {_short(default)})"
    return _item(name, f"{declared['description']}{ends}")


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return textwrap.shorten(text, 200)


def _head(name: str, section: int, what: str) -> str:
    return (
        f'.\\" {MADE_BY}\n.TH {name} {section} "" "depthd {__version__}"\n'
        f".SH NAME\n{name} \\- {what}\n"
    )


def _item(term: str, text: str) -> str:
    return f".TP\n.B {_text(term)}\n{_text(text)}\n"


def _paragraphs(text: str) -> Iterator[str]:
    """Help texts of click: a paragraph that begins with a backspace keeps its lines."""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if paragraph.startswith("\b"):
            lines = paragraph.removeprefix("\b").strip("\n").splitlines()
            yield ".PP\n.nf\n" + "".join(f"{_text(line, keep=True)}\n" for line in lines) + ".fi\n"
        else:
            yield f".PP\n{_text(paragraph)}\n"


def _text(text: str, *, keep: bool = False) -> str:
    """Words that mean nothing to roff; `keep` keeps their spaces."""
    text = text if keep else " ".join(text.split())
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{text}" if text.startswith(".") else text
