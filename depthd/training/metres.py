"""`python -m depthd.training.metres`: how far metres from reference points are off, measured.

Takes photos whose depth was measured, draws points on them at random as if with a tape (1 % off),
makes some grossly wrong (by a factor of 1.5 to 4, nearer or farther), fits, and compares every
pixel. A folder holds either pairs.csv (columns photo, depth, set, kind, div, max_m; kind `metric`
is taken) or NAME.jpg with NAME.depth.png (16 bits, millimetres, 0 = none).
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from depthd.config import Config
from depthd.estimate.estimator import DepthEstimator
from depthd.metres.measure import measure
from depthd.metres.references import References, Undetermined
from depthd.training.evaluate import ramp

CASES = ((3, 0), (4, 0), (6, 0), (6, 1), (12, 0), (12, 2), (12, 4), (30, 5))
"""Points, and how many of them are grossly wrong."""
CHOSEN_ON = frozenset(
    {"aims", "nyu_basement", "slambook", "slambook_icl", "lab_corner", "bin_parts"}
)
"""Sets on which the constants of `depthd.metres` were chosen; bin_parts: when to refuse."""
TRAINED_ON = frozenset(
    {"hololens", "slambook", "slambook_icl", "nyu_basement", "osd", "plane_desk", "arc", "redwood"}
    | {"dgp_street", "arc2017", "pose_annotator", "kpick", "cleargrasp", "cleargrasp_synthetic"}
    | {"tum_fr1_rpy", "tum_more", "tum_cabinet", "pcl", "jsk_arc"}
)
"""Sets with metres that the built-in network was trained on: its card lists them."""
OUTDOORS = frozenset({"nuscenes_demo"})

_TAPE = 0.01
_WRONG = (1.5, 4.0)  # factors
_SEED = 20261127

Depth = NDArray[np.float32]
Network = Callable[[Path], Depth]


@dataclass(frozen=True)
class Measured:
    """A photo and its measured depth: float32 (H, W) in metres, NaN where there is none."""

    name: str
    group: str
    photo: Path
    metres: Depth


@dataclass(frozen=True)
class Outcome:
    """One fit; shares, not per cent. `refused` says why there are no metres."""

    group: str
    refused: str = ""
    error: float = 0.0  # mean relative error of the pixels that got metres
    said: float = 0.0  # what the fit itself expected
    without: float = 0.0  # share of the known pixels that got no metres
    seconds: float = 0.0


def photos(folder: Path, most: int) -> Iterator[Measured]:
    """The pairs of a folder, of each set at most so many, evenly picked.

    Raises:
        ValueError: a file is missing or of another kind.
    """
    table = folder / "pairs.csv"
    if table.exists():
        rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
        for group in dict.fromkeys(row["set"] for row in rows if row["kind"] == "metric"):
            chosen = [row for row in rows if row["set"] == group]
            for row in chosen[:: -(-len(chosen) // most)]:
                limit = float(row["max_m"] or "inf")
                depth, divisor = folder / row["depth"], float(row["div"])
                yield _pair(group, folder / row["photo"], depth, divisor, limit)
        return
    files = sorted(folder.glob("*.depth.png"))
    for file in files[:: max(1, -(-len(files) // most))]:
        photo = file.with_name(file.name.replace(".depth.png", ".jpg"))
        yield _pair(folder.name, photo, file, 1000.0, float("inf"))


def _pair(group: str, photo: Path, depth: Path, divisor: float, limit: float) -> Measured:
    stored = cv2.imread(str(depth), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.ndim != 2:
        raise ValueError(f"{depth}: missing, damaged or of another kind")
    metres = stored.astype(np.float32) / np.float32(divisor)
    metres[(stored == 0) | (metres > limit)] = np.nan
    return Measured(photo.name, group, photo, metres)


def draw(metres: Depth, points: int, wrong: int, random: np.random.Generator) -> References:
    """Points at random pixels whose depth is known; the first `wrong` of them are wrong."""
    rows, columns = np.nonzero(np.isfinite(metres))
    chosen = random.choice(len(rows), points, replace=False)
    x, y = columns[chosen] + 0.5, rows[chosen] + 0.5
    taped = metres[rows[chosen], columns[chosen]] * np.exp(random.normal(0, _TAPE, points))
    low, high = np.log(_WRONG)
    factor = np.exp(random.uniform(low, high, wrong))
    taped[:wrong] *= np.where(random.random(wrong) < 0.5, factor, 1 / factor)
    triples = zip(x.tolist(), y.tolist(), taped.tolist(), strict=True)
    return References(tuple(triples))


def attempt(pair: Measured, depth: Depth, references: References) -> Outcome:
    """Fit and compare."""
    height, width = pair.metres.shape
    low, high = np.percentile(depth, [2, 98])
    started = time.thread_time()
    try:
        found = measure(depth, (width, height), (float(low), float(high)), references)
    except Undetermined as reason:
        return Outcome(pair.group, refused=str(reason))
    seconds = time.thread_time() - started
    known = np.isfinite(pair.metres)
    off = np.abs(found.depth[known] / pair.metres[known] - 1)
    got = np.isfinite(off)
    return Outcome(
        pair.group,
        error=float(off[got].mean()) if got.any() else 1.0,
        said=found.fit.error,
        without=float(1 - got.mean()),
        seconds=seconds,
    )


def networks(names: Sequence[str], state: Path) -> Iterator[tuple[str, Network]]:
    """`builtin`, `midas_small` or `midas_small=FILE`, and `ramp`, which sees nothing."""
    for name in names:
        if name == "ramp":
            yield name, _ramp
            continue
        kind, _, weights = name.partition("=")
        model: dict[str, str] = {"name": kind, "fallback": "none"}
        if weights:
            model["weights"] = weights
        estimator = DepthEstimator(Config.model_validate({"model": model}), state=state)
        yield kind, partial(_estimate, estimator)


def _estimate(estimator: DepthEstimator, photo: Path) -> Depth:
    return estimator.estimate(photo).depth


def _ramp(photo: Path) -> Depth:
    pixels = cv2.imread(str(photo), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError(f"{photo}: missing or damaged")
    return ramp(pixels.astype(np.uint8))


def run(
    pairs: Sequence[Measured], network: Network, draws: int
) -> dict[tuple[int, int], list[Outcome]]:
    """All cases on all photos, `draws` times each."""
    found: dict[tuple[int, int], list[Outcome]] = {case: [] for case in CASES}
    for number, pair in enumerate(pairs):
        depth = network(pair.photo)
        if depth.shape != pair.metres.shape:
            raise ValueError(f"{pair.photo}: photo and depth differ in size")
        for points, wrong in CASES:
            random = np.random.default_rng((_SEED, number, points, wrong))
            found[points, wrong] += [
                attempt(pair, depth, draw(pair.metres, points, wrong, random)) for _ in range(draws)
            ]
    return found


def line(title: str, outcomes: Sequence[Outcome]) -> str:
    """A row of the table; each set counts alike, however many photos it has."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if not outcome.refused:
            groups.setdefault(outcome.group, []).append(outcome)
    refused = sum(bool(outcome.refused) for outcome in outcomes) / max(len(outcomes), 1)
    if not groups:
        return f"| {title} | | | | | | {100 * refused:.0f} |"

    def mean(value: Callable[[Outcome], float]) -> float:
        return 100 * float(np.mean([np.mean([value(o) for o in g]) for g in groups.values()]))

    worst = float(np.mean([np.percentile([o.error for o in g], 95) for g in groups.values()]))
    cells = (
        mean(lambda o: o.error),
        100 * worst,
        mean(lambda o: o.said),
        mean(lambda o: float(o.said < o.error / 2)),
        mean(lambda o: o.without),
    )
    return (
        f"| {title} | " + " | ".join(f"{cell:.1f}" for cell in cells) + f" | {100 * refused:.0f} |"
    )


HEAD = """\
| points | error | 95th percentile | error said | said less than half | pixels without | photos refused |
|---|---:|---:|---:|---:|---:|---:|"""  # noqa: E501 - a row of a table


def report(name: str, found: dict[tuple[int, int], list[Outcome]]) -> str:
    """Tables in Markdown, all in per cent."""
    sets = sorted({outcome.group for outcomes in found.values() for outcome in outcomes})
    held_out = [s for s in sets if s not in CHOSEN_ON | TRAINED_ON]
    parts = {
        "indoors, used for no choice": [s for s in held_out if s not in OUTDOORS],
        "outdoors, used for no choice": [s for s in held_out if s in OUTDOORS],
        "indoors, used to choose the fit's constants and rules": [
            s for s in sets if s in CHOSEN_ON
        ],
        "used to train the network": [s for s in sets if s in TRAINED_ON],
    }
    blocks = []
    for title, members in parts.items():
        if members:
            blocks.append(f"{name}, {title} ({', '.join(members)}):\n\n{HEAD}")
            for (points, wrong), outcomes in found.items():
                label = f"{points}, {wrong} wrong" if wrong else str(points)
                blocks[-1] += "\n" + line(label, [o for o in outcomes if o.group in members])
    by_set = "\n".join(
        line(member, [o for o in found[12, 2] if o.group == member]) for member in sets
    )
    blocks.append(f"{name}, 12 points of which 2 are wrong, by set:\n\n{HEAD}\n{by_set}")
    seconds = [o.seconds for outcomes in found.values() for o in outcomes if not o.refused]
    blocks.append(
        f"Median processor time of a fit with its metres: {1000 * np.median(seconds):.2f} ms."
    )
    return "\n\n".join(blocks)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry of the command."""
    parser = argparse.ArgumentParser(prog="python -m depthd.training.metres", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of photos with depth")
    parser.add_argument(
        "--network",
        action="append",
        metavar="NAME[=WEIGHTS]",
        help="builtin (the default), midas_small, or ramp; can be repeated",
    )
    parser.add_argument("--draws", type=int, default=8, help="times that points are drawn")
    parser.add_argument("--most", type=int, default=40, help="photos of a set at most")
    parser.add_argument("--state", type=Path, default=Path("training-data/state"))
    options = parser.parse_args(arguments)
    pairs = [pair for folder in options.folders for pair in photos(folder, options.most)]
    for name, network in networks(options.network or ["builtin"], options.state):
        sys.stdout.write(report(name, run(pairs, network, options.draws)) + "\n\n")


if __name__ == "__main__":
    main()
