"""The network as OpenVINO reads it, kept under state/models/ and never trusted unseen.

An entry is a folder whose name is a hash of all that its content depends on, with a manifest of
its files' SHA-256. The entries that were used last are kept, so that two networks in turn, or two
programs on one state folder, do not convert again and again. Knows files; it imports nothing heavy.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp

from depthd.model.storage import publish, sha256_file
from depthd.model.weights import Weights

CONVERTER_VERSION = 3  # raise it whenever what graph.py and architecture.py make changes
MOST_ENTRIES = 4  # of 66 MB with midas_small
MODEL_FILE = "model.xml"
_FILES = (MODEL_FILE, "model.bin")
_MANIFEST = "manifest.json"
_UNFINISHED = ".tmp-"


class IrCache:
    """The folder state/models/. Only a process that holds its lock may call `begin` and `commit`.

    Args:
        folder: state/models/.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def entry(self, weights: Weights) -> Path:
        """Where the converted form of these weights lies, or would lie.

        Input size, precision and threads are no part of it: height and width are dynamic, the
        file is float32, and the rest is decided when it is compiled.
        """
        facts = [weights.sha256, weights.spec.name, version("openvino"), str(CONVERTER_VERSION)]
        return self.folder / hashlib.sha256("\n".join(facts).encode()).hexdigest()[:24]

    def is_whole(self, entry: Path) -> bool:
        """Whether the entry's files are there and are those that were written."""
        try:
            manifest = json.loads((entry / _MANIFEST).read_bytes())
            return all(manifest[name] == sha256_file(entry / name) for name in _FILES)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def note_use(self, entry: Path) -> None:
        """Keep it longer than those that were not used since."""
        with suppress(OSError):  # another user's, or read-only: nothing will be removed either
            os.utime(entry)

    def begin(self) -> Path:
        """An empty folder to write a new entry into; leftovers of killed processes go."""
        for leftover in self.folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(leftover)
        return Path(mkdtemp(prefix=_UNFINISHED, dir=self.folder))

    def commit(self, unfinished: Path, entry: Path) -> None:
        """Give a written entry its name; remove those used longest ago beyond MOST_ENTRIES.

        A process that serves from a removed entry is not harmed: it has the files open.
        """
        manifest = {name: sha256_file(unfinished / name) for name in _FILES}
        (unfinished / _MANIFEST).write_text(json.dumps(manifest), encoding="ascii")
        if entry.exists():  # damaged
            shutil.rmtree(entry)
        others = [path for path in self.folder.iterdir() if path.is_dir() and path != unfinished]
        others.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for old in others[MOST_ENTRIES - 1 :]:
            shutil.rmtree(old)
        publish(unfinished, entry)
