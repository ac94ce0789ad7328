"""The network as OpenVINO reads it, kept under state/models/ and never trusted unseen.

An entry is a folder whose name is a hash of all that its content depends on, with a manifest of
its files' SHA-256. Knows files; it imports nothing heavy.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp

from depthd.model.storage import publish, sha256_file
from depthd.model.weights import Weights

CONVERTER_VERSION = 2  # raise it whenever network.py or convert.py change what comes out
MODEL_FILE = "model.xml"
_FILES = (MODEL_FILE, "model.bin")
_MANIFEST = "manifest.json"
_UNFINISHED = ".tmp-"


class IrCache:
    """The folder state/models/. Only a process that holds its lock may call the methods that write.

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

    def begin(self) -> Path:
        """An empty folder to write a new entry into; leftovers of killed processes go."""
        for leftover in self.folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(leftover)
        return Path(mkdtemp(prefix=_UNFINISHED, dir=self.folder))

    def commit(self, unfinished: Path, entry: Path) -> None:
        """Give a written entry its name and remove all others."""
        manifest = {name: sha256_file(unfinished / name) for name in _FILES}
        (unfinished / _MANIFEST).write_text(json.dumps(manifest), encoding="ascii")
        for other in self.folder.iterdir():
            if other.is_dir() and other != unfinished:
                shutil.rmtree(other)
        publish(unfinished, entry)
