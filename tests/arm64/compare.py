"""Is the depth in two folders the same? `python tests/arm64/compare.py ONE OTHER`, 1 if not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ALLOWED = 1e-4  # of the range of each photo's depth


def main() -> int:
    one, other = (Path(argument) for argument in sys.argv[1:])
    names = sorted(path.name for path in one.glob("*.npy"))
    assert names == sorted(path.name for path in other.glob("*.npy"))
    assert names
    worst = 0.0
    for name in names:
        depth, theirs = np.load(one / name), np.load(other / name)
        difference = float(abs(depth - theirs).max() / np.ptp(depth))
        print(f"{name}: {depth.shape}, they differ by {difference:.2g} of the range at most")
        worst = max(worst, difference)
    return 0 if worst <= ALLOWED else 1


if __name__ == "__main__":
    sys.exit(main())
