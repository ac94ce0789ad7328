"""From file, environment and command line to one `Config`, with every error at once.

Knows the declaration and YAML; creates and changes nothing. Scalars are taken as text from all
three places and the declaration turns them into values, so that `mode: 0640`, `none` or `1:30`
mean the same everywhere, whatever YAML alone would make of them. Paths become absolute here: those
of a file begin at its folder, all others where one stands.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from depthd.config.declaration import Config
from depthd.config.folders import Folder
from depthd.config.sense import contradictions, obstacles
from depthd.config.settings import (
    FOLDERS,
    REFERENCES_FILE,
    Setting,
    key_path,
    lead,
    read_references,
)
from depthd.config.text import Keys, TextError, parse_document, parse_flow
from depthd.contract.errors import ConfigurationError, UsageError

PREFIX = "DEPTHD_"

# Variables with our prefix that are not keys of the configuration.
OTHER_VARIABLES = {
    "DEPTHD_DEBUG": "1 shows the traceback of an unexpected error",
    "DEPTHD_WEIGHTS_URL": "address of a mirror of the weights",
}


@dataclass(frozen=True)
class Loaded:
    """The effective configuration, and for each key in dotted form where its value came from."""

    config: Config
    sources: Mapping[str, str]


def load(
    file: Path | None,
    environment: Mapping[str, str],
    settings: Sequence[str],
    root: Path | None,
) -> Loaded:
    """Merge defaults < file < environment < command line.

    Args:
        file: YAML file; None reads none.
        environment: variables; all that begin with DEPTHD_ must be known.
        settings: `key=value` texts of --set.
        root: folder of --root; wins over everything else.

    Raises:
        ConfigurationError: with all problems that were found.
        UsageError: for a --set without `=`.
    """
    paths = frozenset(_path_keys())
    problems: list[str] = []
    given = [
        *_from_file(file, problems),
        *_from_environment(environment, problems),
        *_from_command_line(settings, problems),
    ]
    if root is not None:
        given.append(Setting("root", root, "--root"))
    known = tuple(keys())
    chosen: dict[str, Setting] = {}
    for setting in given:
        if setting.key in known or _is_of_a_folder(setting.key):
            is_path = setting.key in paths or key_path(setting.key)[-1] == REFERENCES_FILE
            chosen[setting.key] = lead(setting, problems) if is_path else setting
        else:
            why = _explain_unknown(setting.key, known)
            problems.append(f"{setting.key}: {why} ({setting.source})")
    read_references(chosen, problems)
    config = _validate(chosen, problems)
    if config is not None:
        given_sources = {key: setting.source for key, setting in chosen.items()}
        problems.extend(contradictions(config, given_sources))
    if config is None or problems:
        raise _error(problems)
    sources = {key: chosen[key].source if key in chosen else "default" for key in known}
    sources.update({key: s.source for key, s in chosen.items() if key not in known})
    return Loaded(config, sources)


def load_for_service(
    file: Path | None,
    environment: Mapping[str, str],
    settings: Sequence[str],
    root: Path | None,
) -> Loaded:
    """The same for the daemon on this machine: folders apart in fact, deadlines that agree.

    Raises:
        ConfigurationError: with all problems that were found.
        UsageError: for a --set without `=`.
    """
    loaded = load(file, environment, settings, root)
    microseconds = environment.get("WATCHDOG_USEC", "")
    watchdog = int(microseconds) / 1e6 if microseconds.isdecimal() else 0.0
    if problems := list(obstacles(loaded.config, loaded.sources, watchdog)):
        raise _error(problems)
    return loaded


def keys(model: type[BaseModel] = Config, prefix: str = "") -> Iterator[str]:
    """Every key of the configuration in dotted form, in the order of the declaration."""
    for name, field in model.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            yield from keys(section, f"{prefix}{name}.")
        elif name != FOLDERS:
            yield prefix + name


def _is_of_a_folder(key: str) -> bool:
    path = key_path(key)
    return path[0] == FOLDERS and len(path) == 3 and path[2] in Folder.model_fields


def _from_file(file: Path | None, problems: list[str]) -> Iterator[Setting]:
    if file is None:
        return
    sections = {key.rpartition(".")[0] for key in keys()} | {FOLDERS}

    def is_section(path: Keys) -> bool:
        return ".".join(path) in sections or (path[0] == FOLDERS and len(path) == 2)

    document = parse_document(file, is_section)
    problems.extend(f"{file}{problem}" for problem in document.problems)
    folder = None if file.is_relative_to("/dev") else file.parent
    for entry in document.entries:
        yield Setting(".".join(entry.path), entry.value, f"{file} line {entry.line}", folder)


def _from_environment(environment: Mapping[str, str], problems: list[str]) -> Iterator[Setting]:
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in OTHER_VARIABLES:
            key = name.removeprefix(PREFIX).lower().replace("__", ".")
            yield from _from_text(key, environment[name], f"environment {name}", problems)


def _from_command_line(settings: Sequence[str], problems: list[str]) -> Iterator[Setting]:
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(
                f"--set {setting!r} has no '='.",
                "Write --set KEY=VALUE, such as --set model.engine=torch.",
            )
        yield from _from_text(key.strip(), text, f"--set {key.strip()}", problems)


def _from_text(key: str, text: str, source: str, problems: list[str]) -> Iterator[Setting]:
    try:
        yield Setting(key, parse_flow(text), source)
    except TextError as error:
        problems.append(f"{key}: {error} ({source})")


def _path_keys() -> Iterator[str]:
    """Keys whose value is a path."""
    for key in keys():
        model: type[BaseModel] = Config
        *sections, name = key.split(".")
        for section in sections:
            model = cast("type[BaseModel]", model.model_fields[section].annotation)
        if model.model_fields[name].annotation in (Path, Path | None):
            yield key


def _explain_unknown(unknown: str, known: Sequence[str]) -> str:
    if unknown == FOLDERS or unknown.startswith(f"{FOLDERS}."):
        _, name, leaf = key_path(f"{unknown}." if unknown == FOLDERS else unknown)
        known = [f"{FOLDERS}.{name or leaf or 'NAME'}.{key}" for key in Folder.model_fields]
        if not name:
            return f"is a section; its keys are {', '.join(known)}"
    below = [key for key in known if key.startswith(f"{unknown}.")]
    if below:
        return f"is a section; its keys are {', '.join(below)}"
    name = unknown.rpartition(".")[2]
    near = [key for key in known if key.rpartition(".")[2] == name]  # in the wrong section
    sections = {key.rpartition(".")[0] for key in known} - {""}
    near = near or difflib.get_close_matches(unknown, [*known, *sections], n=1)
    return f"is not a known key; did you mean {near[0]}?" if near else "is not a known key"


def _validate(chosen: Mapping[str, Setting], problems: list[str]) -> Config | None:
    nested: dict[str, Any] = {}
    for key, setting in chosen.items():
        *sections, name = key_path(key)
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = setting.value
    try:
        return Config.model_validate(nested)
    except ValidationError as error:
        problems.extend(_describe(error.errors(include_url=False), chosen))
        return None


def _describe(errors: Sequence[ErrorDetails], chosen: Mapping[str, Setting]) -> Iterator[str]:
    """One line for each key that is wrong; a union's alternatives are joined by "or"."""
    by_key: dict[str, list[str]] = {}
    for error in errors:
        path = [str(part) for part in error["loc"]]
        prefixes = (".".join(path[:length]) for length in range(len(path), 0, -1))
        key = next((prefix for prefix in prefixes if prefix in chosen), ".".join(path))
        reasons = by_key.setdefault(key, [])
        if (reason := _reason(error)) not in reasons:
            reasons.append(reason)
    for key, reasons in by_key.items():
        if key in chosen:
            setting = chosen[key]
            given = str(setting.value) if isinstance(setting.value, Path) else setting.value
            value = "is empty;" if given is None else reprlib.repr(given)
            yield f"{key}: {value} {', or '.join(reasons)} ({setting.source})"
        else:
            for reason in reasons:
                named = [f"{name} from {s.source}" for name, s in chosen.items() if name in reason]
                where = f"{key}: " if key else ""
                yield where + reason + (f" ({', '.join(named)})" if named else "")


_REASONS = {
    "bool_parsing": "should be true or false",
    "bool_type": "should be true or false",
    "int_parsing": "should be a whole number",
    "int_type": "should be a whole number",
    "float_parsing": "should be a number",
    "float_type": "should be a number",
    "tuple_type": "should be a list, such as [a, b]",
    "string_type": "should be text",
    "path_type": "should be a path",
    "missing": "has too few values",
    "too_short": "needs at least one value",
}


def _reason(error: ErrorDetails) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    return _REASONS.get(error["type"]) or error["msg"].replace("Input should", "should")


def _error(problems: Sequence[str]) -> ConfigurationError:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = "".join(f"\n  {problem}" for problem in problems)
    return ConfigurationError(
        f"{count} in the configuration:{lines}",
        "'depthd config schema' and config.example.yaml show what is allowed.",
    )
