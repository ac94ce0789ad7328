"""Which files are results of depthd, and which photos have theirs. Reads manifests, bounded.

A manifest lies where others may write too, so one that is not understood is none.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from depthd.config import Config, FolderPolicy
from depthd.contract.formats import ERROR_SUFFIX, FORMATS, MANIFEST_SUFFIX, METRIC
from depthd.contract.names import readable
from depthd.model.storage import sha256_file

_LARGEST = 1 << 20  # bytes; a manifest has some thousand
_SUFFIXES = (*(meaning.suffix for meaning in FORMATS.values()), MANIFEST_SUFFIX)


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Source(_Part):
    name: str
    sha256: str


class _File(_Part):
    format: str
    suffix: str


class _Metres(_Part):
    reason: str | None = None
    points: int = 0


class _Manifest(_Part):
    """What is needed here of a manifest of any version."""

    schema_name: str = Field(alias="schema", pattern=r"^depthd\.manifest/\d+$")
    source: _Source
    files: tuple[_File, ...]
    metres: _Metres | None = None

    @property
    def formats(self) -> set[str]:
        """What is there, and what cannot be there because the photo has no metres."""
        has_metres = self.metres is not None and self.metres.reason is None
        return {file.format for file in self.files} | (set() if has_metres else set(METRIC))

    def covers(self, policy: FolderPolicy) -> bool:
        """Whether all formats are there, and reference points were used if there are some now."""
        was_tried = not policy.references or (self.metres is not None and self.metres.points > 0)
        return was_tried and self.formats.issuperset(policy.formats)


def is_result(path: Path) -> bool:
    """Whether depthd wrote this file: the manifest beside it says so, or it is one.

    Its own suffix comes first, so that most photos are not looked at.
    """
    if path.name.endswith(ERROR_SUFFIX) or not path.name.endswith(_SUFFIXES):
        return False
    if path.name.endswith(MANIFEST_SUFFIX):
        return _read(path) is not None
    for suffix in _SUFFIXES:
        if path.name.endswith(suffix):
            photo = path.name.removesuffix(suffix)
            manifest = _read(path.with_name(photo + MANIFEST_SUFFIX))
            if manifest and any(file.suffix == suffix for file in manifest.files):
                return True
    return False


class Done:
    """Photos whose results are in a folder.

    Args:
        folder: where results go.
        config: says what a photo must have to be done.
    """

    def __init__(self, folder: Path, config: Config) -> None:
        self._folder = folder
        self._config = config
        self._known = cache(self._in)

    def has(self, photo: Path, name: str) -> bool:
        """Whether a photo of this name and these bytes is done.

        Raises:
            OSError: the photo cannot be read.
        """
        digests = self._known(os.path.dirname(name)).get(readable(name))
        return digests is not None and sha256_file(photo) in digests

    def _in(self, folder: str) -> dict[str, set[str]]:
        """By name, the SHA-256 of each photo that one folder holds all results of."""
        known: dict[str, set[str]] = {}
        policy = self._config.policy(f"{folder}/")
        try:
            names = os.listdir(self._folder / folder)
        except OSError:
            return known
        for name in names:
            if not name.endswith(MANIFEST_SUFFIX) or name.startswith("."):
                continue
            manifest = _read(self._folder / folder / name)
            if manifest and manifest.covers(policy):
                known.setdefault(manifest.source.name, set()).add(manifest.source.sha256)
        return known


def _read(path: Path) -> _Manifest | None:
    try:
        with open(path, "rb", opener=_open) as file:
            return _Manifest.model_validate_json(file.read(_LARGEST))
    except (OSError, ValidationError):
        return None


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)  # a FIFO would wait for a writer
