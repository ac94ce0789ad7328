"""File names: how the set of a photo is called, and how a name is shown. Pure text, no I/O."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from shlex import quote

from depthd.contract.formats import ERROR_SUFFIX, FORMATS, MANIFEST_SUFFIX, Format

MAX_DEPTH = 64  # folders inside each other, in the inbox and so everywhere
_LONGEST_NAME = 255  # bytes, on every common Linux file system
_LONGEST_PORTABLE = 120  # bytes; encrypting file systems take 143
_LONGEST_SUFFIX = max(
    len(suffix) for suffix in (ERROR_SUFFIX, *(meaning.suffix for meaning in FORMATS.values()))
)
_CANDIDATES = 10
_MARK = re.compile(r"~\d{8}T\d{6}\.\d{3}Z(\.\d+)?$")  # of a set that got another name before
# What NTFS, exFAT and SMB refuse: these characters, these names, a dot or space at the end.
_REFUSED = re.compile(r'[<>:"\\|?*\x00-\x1f\x7f\udc80-\udcff\ufffe\uffff]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SetName:
    """The name of a photo's set: the same for its files in outbox, done and failed.

    Attributes:
        folders: names of nested folders.
        base: the photo's own name, `os.fsdecode`d; results are called `base` plus a suffix.
    """

    folders: tuple[str, ...]
    base: str

    @classmethod
    def of(cls, path: str) -> SetName:
        """From a path inside the inbox, separated by slashes."""
        *folders, base = path.split("/")
        return cls(tuple(folders), base)

    @property
    def path(self) -> str:
        return "/".join((*self.folders, self.base))

    @property
    def folder(self) -> str:
        """Path of the folder; empty for the top."""
        return "/".join(self.folders)

    @property
    def manifest(self) -> str:
        return self.base + MANIFEST_SUFFIX

    @property
    def error_note(self) -> str:
        return self.base + ERROR_SUFFIX

    def result(self, kind: Format) -> str:
        return self.base + FORMATS[kind].suffix

    def portable(self) -> SetName:
        """A form that every file system takes; the name itself where it is such a form.

        What was changed stays readable and ends in a hash of the true name, so that no two names
        get one form.
        """
        stem, extension = _halves(self.base)
        return SetName(
            tuple(_portable(folder, "") for folder in self.folders), _portable(stem, extension)
        )


def set_names(path: str, stamp: str) -> Iterator[SetName]:
    """The names that a photo's set may get, in the order in which they are tried.

    The plain name, then with the time of the claim: `IMG_1~20261123T064500.123Z.jpg`, which takes
    the place of an earlier such mark. Names that leave no room for the longest suffix are shortened
    and marked with a hash of the whole name.
    """
    name = SetName.of(path)
    stem, extension = _halves(name.base)
    for number in range(_CANDIDATES):
        mark = "" if number == 0 else f"~{stamp}" if number == 1 else f"~{stamp}.{number}"
        yield SetName(
            name.folders, _fit(stem if not mark else _MARK.sub("", stem), mark, extension)
        )


def timestamp(seconds: float) -> str:
    """UTC with milliseconds, fit for file names: 20261123T064500.123Z."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03d}Z"


def readable(name: str) -> str:
    r"""A name as real Unicode, fit for strict JSON: undecodable bytes appear as \xNN."""
    return os.fsencode(name).decode(errors="backslashreplace")


def printable(name: str) -> str:
    """A name as one safe line of real Unicode: undecodable bytes and controls are escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in readable(name)
    )


def command_for(verb: str, name: str) -> str:
    """What a shell takes, in quotes where the name brings none; no name is taken for an option."""
    words = f"depthd {verb} {'-- ' if name.startswith('-') else ''}{shell_word(name)}"
    return f"'{words}'" if quote(name) == name else words


def shell_word(name: str) -> str:
    r"""A name as a shell takes it, on one line: $'a\nb' where it holds what cannot be shown."""
    if printable(name) == name:
        return quote(name)
    return "$'" + "".join(map(_shell_letter, name)) + "'"


def _shell_letter(char: str) -> str:
    if char in "\\'":
        return f"\\{char}"
    if char.isprintable():
        return char
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(char))


def _halves(base: str) -> tuple[str, str]:
    """Stem and extension; a name that begins or ends with its only dot has none."""
    dot = base.rfind(".")
    return (base[:dot], base[dot:]) if 0 < dot < len(base) - 1 else (base, "")


def _fit(stem: str, mark: str, extension: str) -> str:
    room = _LONGEST_NAME - _LONGEST_SUFFIX - len(mark)
    if len(os.fsencode(stem + extension)) <= room:
        return stem + mark + extension
    return _shorten(stem, mark, extension, _digest(stem + extension), room)


def _portable(stem: str, extension: str) -> str:
    whole = stem + extension
    clean = _REFUSED.sub("_", whole).rstrip(". ")
    is_device = _DEVICES.fullmatch(clean) is not None
    if clean == whole and not is_device and len(os.fsencode(whole)) <= _LONGEST_PORTABLE:
        return whole
    clean_extension = _REFUSED.sub("_", extension).rstrip(". ")
    clean_stem = ("_" if is_device else "") + _REFUSED.sub("_", stem).rstrip(". ")
    return _shorten(clean_stem, "", clean_extension, _digest(whole), _LONGEST_PORTABLE)


def _shorten(stem: str, mark: str, extension: str, digest: str, room: int) -> str:
    """As much of the stem as there is room for, and the digest."""
    end = os.fsencode(extension)[:16]
    kept = os.fsencode(stem)[: room - len(end) - len(digest) - 1]
    kept = kept.decode(errors="ignore").encode() or kept  # do not cut a letter in two
    return os.fsdecode(kept + f"~{digest}{mark}".encode() + end)


def _digest(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
