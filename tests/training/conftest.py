from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from depthd.training import pairs


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with six small photos whose right half is nearer and redder."""
    folder = tmp_path / "photos"
    folder.mkdir()
    random = np.random.default_rng(3)
    for k in range(6):
        photo = random.integers(0, 80, (96, 128, 3)).astype(np.uint8)
        photo[:, 64:, 2] += 120
        inverse = np.linspace(0.1, 0.5, 96, dtype=np.float32)[:, None].repeat(128, axis=1)
        inverse[:, 64:] += 0.4
        pairs.write(folder / f"{k}", photo, inverse)
    return folder
