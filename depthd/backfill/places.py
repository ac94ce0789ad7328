"""Addresses: a folder of this machine, or what pyarrow or fsspec can open. Reads and lists.

Paths are cut out of addresses here and nowhere else, so that a key may hold any letter.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

from pyarrow import ArrowInvalid, ArrowNotImplementedError
from pyarrow import fs as arrow

from depthd.contract.errors import (
    DepthdError,
    NoInputError,
    PhotoError,
    UnavailableError,
    UsageError,
)

# What shows an object only when all of it is there.
OBJECT_STORES = frozenset({"s3", "gs", "gcs", "abfs", "abfss"})
_OF_ARROW = OBJECT_STORES | {"hdfs", "viewfs"}
_LOCAL = ("file", "local")
_QUERY, _CHAIN = "\ufdd0", "\ufdd1"  # no letters: fsspec cuts an address at a ? or a ::
_PATIENCE = "60"  # seconds of tries; without credentials Google's own library would take 15 minutes


@dataclass(frozen=True, slots=True)
class Place:
    """A folder or a file.

    Attributes:
        scheme: empty on this machine.
        host: the bucket, mostly; empty on this machine.
        path: absolute on this machine, else without a slash at its beginning.
        options: what stood behind the question mark, such as endpoint_override=HOST.
    """

    scheme: str
    host: str
    path: str
    options: str = ""

    @classmethod
    def of(cls, text: str) -> Place:
        """From what somebody typed; options may follow a question mark.

        Raises:
            UsageError: it is no address.
        """
        scheme, mark, rest = text.partition("://")
        if not mark:
            return cls("", "", os.path.abspath(os.path.expanduser(text)))
        if scheme in _LOCAL:
            return cls("", "", os.path.abspath(rest))
        address, _, options = rest.partition("?")
        host, _, path = address.partition("/")
        if not scheme or not host:
            raise UsageError(f"{text} is no address", "write SCHEME://BUCKET/PREFIX, or a folder")
        return cls(scheme, host, path.strip("/"), options)

    @property
    def is_local(self) -> bool:
        return not self.scheme

    @property
    def address(self) -> str:
        """Without the options."""
        return self.path if self.is_local else f"{self.scheme}://{self.host}/{self.path}"

    def file(self, address: str) -> Place:
        """The place of a photo that was listed here, or in a list that lies here."""
        scheme, mark, rest = address.partition("://")
        if not mark or scheme in _LOCAL:
            return Place("", "", rest if mark else address)
        host, _, path = rest.partition("/")
        return Place(scheme, host, path, self.options if scheme == self.scheme else "")

    def below(self, name: str) -> Place:
        path = f"{self.path}/{name}" if self.path else name
        return Place(self.scheme, self.host, path, self.options)

    def contains(self, other: Place) -> bool:
        """Whether the other one is this one or lies in it."""
        if (self.scheme, self.host) != (other.scheme, other.host):
            return False
        paths = [place.path for place in (self, other)]
        if self.is_local:
            paths = [os.path.realpath(path) for path in paths]
        return f"{paths[1]}/".startswith(f"{paths[0]}/" if paths[0] else "")

    def opened(self) -> tuple[arrow.FileSystem, str]:
        """The file system, and the path as that takes it."""
        if self.is_local:
            return arrow.LocalFileSystem(), self.path
        if self.scheme not in _OF_ARROW:
            return _of_fsspec(self)
        system = _system(self.scheme, self.host, self.options)
        return system, self.path if self.scheme in ("hdfs", "viewfs") else self.in_bucket

    def forget(self) -> None:
        """Connect anew the next time, where a connection is kept."""
        if not self.is_local and self.scheme not in _OF_ARROW:
            from fsspec import get_filesystem_class  # noqa: PLC0415 - rarely needed

            get_filesystem_class(self.scheme).clear_instance_cache()

    @property
    def in_bucket(self) -> str:
        bucket = self.host.rpartition("@")[2]  # gs://anonymous@BUCKET
        return f"{bucket}/{self.path}".rstrip("/")


@lru_cache(maxsize=64)
def _system(scheme: str, host: str, options: str) -> arrow.FileSystem:
    given = dict(parse_qsl(options))
    if scheme in ("gs", "gcs"):
        given = {"retry_limit_seconds": _PATIENCE} | given
    query = f"?{urlencode(given)}" if given else ""
    try:
        return arrow.FileSystem.from_uri(f"{scheme}://{host}/{query}")[0]
    except (ArrowInvalid, ArrowNotImplementedError, OSError) as error:
        raise NoInputError(f"{scheme}://{host} cannot be opened: {error}") from error


def _of_fsspec(place: Place) -> tuple[arrow.FileSystem, str]:
    """Of the calling thread alone: few of them may be used by two."""
    from fsspec.core import url_to_fs  # noqa: PLC0415 - rarely needed

    try:
        with as_os_error():
            masked = replace(place, path=place.path.replace("?", _QUERY).replace("::", _CHAIN))
            system, path = url_to_fs(masked.address, **dict(parse_qsl(place.options)))
            path = path.replace(_QUERY, "?").replace(_CHAIN, "::")
            system.invalidate_cache()  # others write there
            with suppress(FileNotFoundError):
                system.info(path)  # raises what is wrong; `exists` and others would just say no
    except (ValueError, ImportError) as error:
        raise UnavailableError(
            f"{place.scheme}:// cannot be opened: {error}",
            "install the fsspec package for it beside depthd, on every node",
        ) from error
    return arrow.PyFileSystem(_Handler(system)), path


class _Handler(arrow.FSSpecHandler):  # type: ignore[misc]
    def delete_file(self, path: str) -> None:
        self.fs.rm_file(path)  # `rm` takes a name such as a[1].jpg for a pattern


@contextmanager
def as_os_error() -> Iterator[None]:
    """Whatever a file system of fsspec raises: each has errors of its own."""
    try:
        yield
    except (OSError, ValueError, ImportError, DepthdError, PhotoError):
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


@dataclass(frozen=True, slots=True)
class Entry:
    """What a folder holds."""

    name: str
    is_folder: bool


def entries(place: Place) -> Iterator[Entry]:
    """Folders and files of one folder, in the order of the paths below them; of S3 see `keys`."""
    kinds = {arrow.FileType.File: False, arrow.FileType.Directory: True}
    with as_os_error():
        system, path = place.opened()
        found = [
            Entry(info.base_name, kinds[info.type])
            for info in system.get_file_info(arrow.FileSelector(path))
            if info.type in kinds
        ]
    yield from sorted(found, key=_as_path)


def _as_path(entry: Entry) -> bytes:
    return os.fsencode(entry.name) + (b"/" if entry.is_folder else b"")


def s3_client(place: Place) -> Any:
    """Of boto3, with the options of an address.

    Raises:
        OSError: the credentials cannot be had, or an option is wrong.
    """
    import boto3  # noqa: PLC0415 - only for S3
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    options = dict(parse_qsl(place.options))
    more: dict[str, str] = {}
    if endpoint := options.get("endpoint_override"):
        more["endpoint_url"] = f"{options.get('scheme', 'https')}://{endpoint}"
    if region := options.get("region"):
        more["region_name"] = region
    try:
        return boto3.session.Session().client("s3", **more)  # boto3's own is for one thread
    except (BotoCoreError, ValueError) as error:
        raise OSError(str(error)) from error


def keys(place: Place) -> Iterator[tuple[str, float]]:
    """Key below the prefix and time of each object of S3, page by page, in S3's order.

    What stands for an empty folder is left out: no key below it, or one that ends in a slash.

    Raises:
        OSError: it cannot be listed.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    prefix = f"{place.path}/" if place.path else ""
    pager = s3_client(place).get_paginator("list_objects_v2")
    pages = pager.paginate(Bucket=place.host, Prefix=prefix)
    try:
        for page in pages:
            for item in page.get("Contents", ()):
                name = item["Key"][len(prefix) :]
                if name and not name.endswith("/"):
                    yield name, item["LastModified"].timestamp()
    except (BotoCoreError, ClientError) as error:
        raise OSError(str(error)) from error
