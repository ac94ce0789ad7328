"""What travels between the one who lists, the actors and the driver. Knows no files and no Ray."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import Literal

Layout = Literal["shards", "files"]
Order = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Photo:
    """One entry of the source.

    Attributes:
        name: inside the source, as Python holds it (undecodable bytes as surrogates).
        address: where its bytes are.
        position: in a list of addresses, from 0; -1 where the names themselves are in order.
        trouble: why it cannot even be looked at (a folder that is closed); empty where it can.
    """

    name: str
    address: str
    position: int = -1
    trouble: str = ""

    @property
    def order(self) -> Order:
        """Grows from each photo of a source to the next, in every run."""
        return (self.position, b"") if self.position >= 0 else (-1, os.fsencode(self.name))


@dataclass(frozen=True, slots=True)
class Unit:
    """Photos that get into the index together.

    Attributes:
        part: name of that part of the index.
        retries: the part is there, and these photos of it failed.
    """

    part: str
    photos: tuple[Photo, ...]
    retries: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Unit:
        fields = json.loads(text)
        photos = tuple(Photo(**photo) for photo in fields.pop("photos"))
        return cls(photos=photos, **fields)


@dataclass(frozen=True, slots=True)
class Failure:
    """A photo that failed, for people."""

    name: str
    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Report:
    """How a unit went, or how it goes so far; `error` where it came to nothing.

    Attributes:
        exit_code: of `error`.
        hint: what to do about `error`.
    """

    part: str
    done: int = 0
    failed: int = 0
    failures: tuple[Failure, ...] = ()
    error: str = ""
    hint: str = ""
    exit_code: int = 0

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Report:
        fields = json.loads(text)
        failures = tuple(Failure(**failure) for failure in fields.pop("failures"))
        return cls(failures=failures, **fields)
