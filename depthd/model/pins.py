"""The whole SHA-256 of a published file, written down when it is first seen.

The authors publish eight digits of it. Whoever makes another file with the same eight can deceive
depthd once, on a box that has never had the right one; from then on all 64 must agree. Knows files.
"""

from __future__ import annotations

import re
from pathlib import Path

from depthd.model.catalogue import ModelSpec
from depthd.model.storage import exclusive, publish

_LINE = re.compile(r"([0-9a-f]{64})  [^\n]*\n?")


class Pin:
    """What is known of a network's published file: all digits, or those in the catalogue.

    Args:
        spec: which network.
        state: the folder state/; the pin lies in state/weights/, as `sha256sum --check` reads it.
    """

    def __init__(self, spec: ModelSpec, state: Path) -> None:
        self._name = spec.file_names[0]
        self._published = spec.sha256_prefix
        self.path = state / "weights" / f"{self._name}.sha256"
        self.known = self._read() or spec.sha256_prefix
        self.digits = len(self.known)

    @property
    def advice(self) -> str:
        """What to do when a file does not agree, in words."""
        return f"if the published file has really changed, remove {self.path}"

    def fault(self, sha256: str) -> str:
        """How a file's SHA-256 does not agree, in words; empty where it does."""
        if self.known and sha256.startswith(self.known):
            return ""
        if not sha256.startswith(self._published) or not self._published:
            return f"its SHA-256 begins {sha256[:8]}, not {self._published[:8]}"
        return f"its SHA-256 is {sha256}, not {self.known}, which was noted in {self.path}"

    def set(self, sha256: str) -> None:
        """Write down all digits, unless they are.

        Raises:
            OSError: they cannot be written.
        """
        if self.known == sha256:
            return
        with exclusive(self.path.parent, lambda _: None):
            temporary = self.path.with_name(self.path.name + ".part")
            temporary.write_text(f"{sha256}  {self._name}\n", encoding="ascii")
            publish(temporary, self.path)

    def _read(self) -> str:
        """Empty where there is none, or where it is not of this file."""
        try:
            line = _LINE.fullmatch(self.path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return ""
        is_right = line is not None and line[1].startswith(self._published)
        return line[1] if line is not None and is_right else ""
