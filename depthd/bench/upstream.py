"""Child process: upstream's own loop (run.py of isl-org/MiDaS), to compare with.

`python -m depthd.bench.upstream`; see `child`. Network and transforms are upstream's code from
the package atoolkitdpt, the backbone is geffnet's, as torch.hub would bring it; both are in the
extra `test`. Each photo is read, and the same results as depthd's are written: the Inferno
heatmap as a PNG of three channels, and the float array.
"""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

from depthd.bench.child import Answer, answer
from depthd.contract.errors import UnavailableError

_MODEL = "midas_v21_small_256"


def check() -> None:
    """Look for what `setup` needs, without loading it.

    Raises:
        UnavailableError: it is not installed.
    """
    missing = [name for name in ("geffnet", "torch", "atoolkitdpt") if find_spec(name) is None]
    if missing:
        raise _not_installed(f"{' and '.join(missing)}")


def _not_installed(what: object) -> UnavailableError:
    return UnavailableError(
        f"upstream's code is not installed: {what}",
        "run \"pip install 'depthd[test]'\" in depthd's environment",
    )


def setup(weights: str, folder: str, threads: int) -> tuple[Answer, Callable[..., Answer]]:
    """Load upstream's network with the given weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both packages are years old
        try:
            import geffnet  # noqa: PLC0415
            import torch  # noqa: PLC0415
            from atoolkitdpt.midas.model_loader import load_model  # noqa: PLC0415
        except ImportError as error:
            raise _not_installed(error) from error

        def backbone(_repository: str, name: str, **options: Any) -> Any:
            return getattr(geffnet, name)(**options)

        torch.set_num_threads(threads)
        with patch("torch.hub.load", backbone), redirect_stdout(io.StringIO()):
            network, transform, _, _ = load_model(
                torch.device("cpu"), weights, _MODEL, optimize=False
            )
    loop = _Loop(network, transform, Path(folder))
    return {"torch": torch.__version__, "threads": torch.get_num_threads()}, loop.run


class _Loop:
    """What run.py does for each photo."""

    def __init__(self, network: Any, transform: Any, folder: Path) -> None:
        self._network = network
        self._transform = transform
        self._folder = folder

    def run(self, photos: list[str]) -> Answer:
        """Seconds for all photos together."""
        started = time.perf_counter()
        for number, photo in enumerate(photos):
            self._one(photo, self._folder / f"{number:06d}")
        return {"seconds": time.perf_counter() - started}

    def _one(self, photo: str, target: Path) -> None:
        import cv2  # noqa: PLC0415
        import numpy as np  # noqa: PLC0415
        import torch  # noqa: PLC0415

        image = cv2.cvtColor(np.asarray(cv2.imread(photo)), cv2.COLOR_BGR2RGB) / 255.0
        batch = self._transform({"image": image})["image"]
        with torch.no_grad():
            prediction = self._network.forward(torch.from_numpy(batch).unsqueeze(0))
            depth = (
                torch.nn.functional.interpolate(
                    prediction.unsqueeze(1),
                    size=image.shape[:2],
                    mode="bicubic",
                    align_corners=False,
                )
                .squeeze()
                .numpy()
            )
        low, high = depth.min(), depth.max()
        shown = 255 * (depth - low) / (high - low) if high > low else np.zeros_like(depth)
        heatmap = cv2.applyColorMap(shown.astype(np.uint8), cv2.COLORMAP_INFERNO)
        cv2.imwrite(f"{target}.png", heatmap)
        np.save(f"{target}.npy", depth)


if __name__ == "__main__":
    answer(setup)
