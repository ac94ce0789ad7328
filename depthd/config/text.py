"""YAML as depthd takes it: a plain tree of texts, with line numbers and without surprises.

Knows YAML, nothing of the configuration's keys. Scalars stay text (only an empty value or
`null` becomes None), a key that is given twice is an error, anchors are not expanded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 1_000_000
_NULL = "tag:yaml.org,2002:null"


Keys = tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One key by its path, its value (text, None, lists and mappings of them), its line."""

    path: Keys
    value: Any
    line: int


@dataclass(frozen=True)
class Document:
    """What could be read of a file, and what could not, to be put behind the file's name."""

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]


class TextError(Exception):
    """The text cannot be taken at all."""


def parse_document(file: Path, is_section: Callable[[Keys], bool]) -> Document:
    """The entries of a YAML file of at most 1 MB of UTF-8.

    A file that cannot be read, is not YAML, holds something else than keys, or one key twice
    has problems; the rest of it is returned all the same, so that all errors are seen at once.

    Args:
        file: where it is.
        is_section: whether the mapping at this path is to be descended into.
    """
    try:
        node = _compose(_read(file))
    except TextError as error:
        return Document((), (str(error),))
    problems: list[str] = []
    entries = _walk(node, (), is_section, problems) if node is not None else ()
    return Document(tuple(entries), tuple(problems))


def parse_flow(text: str) -> Any:
    """The value of an environment variable or --set: `[a, b]` is a list, all else is text.

    Raises:
        TextError: brackets that are not YAML.
    """
    if not text.lstrip().startswith(("[", "{")):
        return text or None
    try:
        node = _compose(text)
    except TextError:
        node = None
    if node is None:
        raise TextError(f'{text} cannot be read as a list; quote patterns, as in ["*.jpg"]')
    return _plain(node, set())


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise TextError(f": cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise TextError(": is larger than 1 MB, so it is no configuration")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TextError(f" line {line}: is not UTF-8 text") from error


def _compose(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = error.problem or "is not YAML"
        if "'\\t'" in problem:
            problem = "a tab; YAML is indented with spaces"
        raise TextError(f" line {line}: {problem}") from error
    except (yaml.YAMLError, RecursionError) as error:  # characters that YAML forbids; absurd depth
        raise TextError(": is not YAML") from error


def _walk(
    node: yaml.Node, section: Keys, is_section: Callable[[Keys], bool], problems: list[str]
) -> Iterator[Entry]:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode) and node.tag == _NULL:
        return  # a section whose keys are all commented out
    if not isinstance(node, yaml.MappingNode):
        where = ".".join(section) or "the file"
        problems.append(f" line {line}: {where} holds no keys; write 'key: value' lines")
        return
    seen: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        name = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
        path = (*section, name)
        if name in seen:
            problems.append(
                f" line {line}: {'.'.join(path)} is given twice, first on line {seen[name]}"
            )
            continue
        seen[name] = line
        if is_section(path):
            yield from _walk(value_node, path, is_section, problems)
            continue
        try:
            yield Entry(path, _plain(value_node, set()), line)
        except TextError as error:
            problems.append(f" line {line}: {'.'.join(path)} {error}")


def _plain(node: yaml.Node, seen: set[int]) -> Any:
    if id(node) in seen:  # also keeps a few lines from growing into gigabytes
        raise TextError("uses anchors and aliases, which are not supported")
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, seen) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _plain(value, seen) for key, value in node.value}
    return None if node.tag == _NULL else node.value
