"""A folder full of modules that tell when they are run: an inbox of somebody who is no friend."""

from __future__ import annotations

import sys
from pathlib import Path

_LIBRARIES = (
    "PIL", "click", "cv2", "isal", "numpy", "openvino", "pillow_heif", "pydantic", "pydantic_core",
    "rich", "safetensors", "sitecustomize", "structlog", "timm", "torch", "torchvision",
    "typing_extensions", "usercustomize", "watchdog", "yaml",
)  # fmt: skip


class ForeignCode:
    """Modules in a folder that is going to be the working directory.

    Args:
        folder: made if it is missing.
        depthd: also a `depthd.py`, from which `python -m depthd` cannot be safe.
    """

    def __init__(self, folder: Path, *, depthd: bool = True) -> None:
        self.folder = folder
        self._mark = folder / "mark"
        folder.mkdir(parents=True, exist_ok=True)
        names = {*sys.stdlib_module_names, *_LIBRARIES, *(("depthd",) if depthd else ())}
        for name in names:
            text = f"open({str(self._mark)!r}, 'a').write({name!r} + chr(10))\n"
            (folder / f"{name}.py").write_text(text, encoding="utf-8")

    def was_run(self) -> list[str]:
        """Names of the modules that were imported."""
        return self._mark.read_text(encoding="utf-8").split() if self._mark.exists() else []
