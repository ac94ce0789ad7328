"""Texts made from the declaration: config.example.yaml and the JSON schema.

`python -m depthd.config.example > config.example.yaml` writes the file anew; a test compares.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import yaml

from depthd.config.declaration import Config
from depthd.config.folders import FolderRules
from depthd.config.settings import FOLDERS

_HEAD = """\
# Every key of depthd with its default. Keep only what you change; start with -c FILE.
#
# The environment sets the same keys (DEPTHD_MODEL__ENGINE=torch), and so does the command line
# (--set model.engine=torch). The command line beats the environment, which beats this file.
#
# In paths ~ is the home folder. A path that does not begin with / starts at the folder of this
# file; in the environment and on the command line it starts where one stands."""
_WIDTH = 96


def schema() -> dict[str, Any]:
    """JSON schema of the file, defaults written as a person would write them."""
    document = Config.model_json_schema()
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    document["title"] = "depthd configuration"
    values = Config().model_dump(mode="json")
    for name, declared in document["properties"].items():
        reference = declared.get("$ref", "")
        if not reference:
            continue
        declared.pop("default", None)
        section = document["$defs"][reference.rpartition("/")[2]]
        for key, value in section["properties"].items():
            value["default"] = values[name][key]
    document["properties"][FOLDERS]["type"] = ["object", "null"]  # null: all commented out
    return document


def example() -> str:
    """Text of config.example.yaml."""
    document = schema()
    blocks = [_HEAD]
    for name, declared in document["properties"].items():
        reference = declared.get("$ref", "")
        if not reference:
            make = _folders if name == FOLDERS else _key
            blocks.append("\n".join(make(name, declared)))
            continue
        section = document["$defs"][reference.rpartition("/")[2]]
        lines = [*_comment(section["description"], ""), f"{name}:"]
        for key, value in section["properties"].items():
            lines += _key(key, value, "  ")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _folders(name: str, declared: dict[str, Any]) -> Iterator[str]:
    """A section whose keys have names of the user's own: shown by an example, commented out."""
    yield from _comment(declared["description"], "")
    for key, field in FolderRules.model_fields.items():
        yield from _comment(f"{key}: {field.description}", "")
    yield f"{name}:"
    for folder, values in declared["examples"][0].items():
        yield f"  # {folder}:"
        for key, value in values.items():
            yield f"  #   {key}: {_dumped(value)}"


def _key(name: str, declared: dict[str, Any], indent: str = "") -> Iterator[str]:
    yield from _comment(declared["description"] + _allowed(declared), indent)
    value = declared["default"]
    first, *others = _lines(value, len(name) + len(indent)) if value is not None else [""]
    yield f"{indent}{name}: {first}".rstrip()
    yield from (f"{indent}    {line}" for line in others)


def _lines(value: object, used: int) -> list[str]:
    """A value as YAML; a list that is too long for a line breaks between its items."""
    text = _dumped(value)
    if not isinstance(value, list) or used + len(text) <= _WIDTH:
        return [text]
    items = ", ".join(_dumped([item])[1:-1].replace(" ", "\0") for item in value)
    lines = textwrap.wrap(items, _WIDTH - used, break_long_words=False, break_on_hyphens=False)
    return f"[{chr(10).join(lines)}]".replace("\0", " ").split("\n")


def _dumped(value: object) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000)
    return text.removesuffix("...\n").strip()


def _allowed(declared: dict[str, Any]) -> str:
    """What a key takes, as a continuation of its description."""
    choices = [str(choice) for choice in declared.get("enum", ()) if choice is not None]
    if choices:
        return "; one of " + ", ".join(choices)
    optional = next((one for one in declared.get("anyOf", ()) if "pattern" in one), declared)
    if "pattern" in optional:
        units = str(optional["pattern"]).rpartition("(")[2].partition(")")[0]
        return "; in " + units.replace("|", ", ")
    if "maximum" in declared:
        step = declared.get("multipleOf")
        steps = f", a multiple of {step}" if step else ""
        return f"; {declared['minimum']} to {declared['maximum']}{steps}"
    if "minimum" in declared:
        return f"; at least {declared['minimum']}"
    return ""


def _comment(text: str, indent: str) -> Iterator[str]:
    for line in textwrap.wrap(" ".join(text.split()), _WIDTH - len(indent) - 2):
        yield f"{indent}# {line}"


if __name__ == "__main__":
    print(example(), end="")  # noqa: T201 - its only purpose
