"""`python -m depthd.training`: data, training, evaluation, weights and card in one command."""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import cv2
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from depthd.model.network import MidasNet
from depthd.training import card, doom, evaluate, listing, sources, weights
from depthd.training.dataset import Pool, Source
from depthd.training.evaluate import Score
from depthd.training.listing import Listed
from depthd.training.train import Plan, Training, train, untrained

PACKAGE = Path(__file__).parents[1] / "model"
BATCH = 12
SAY_EVERY = 50  # steps or scenes
REAL, ENOUGH = 0.4, 12.0
"""Share of photos with measured depth, reached once there are ENOUGH (a sum of square roots)."""
AGAIN = partial(
    Plan, rate=5e-4, small=0.8, cool_down=0.5, average=0.995, frozen=("layer1", "layer4")
)
"""How to go on from weights that have learned already."""
console = Console(stderr=True)

Figures = dict[str, dict[str, Score]]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m depthd.training", description=__doc__)
    parser.add_argument(
        "action",
        nargs="?",
        choices=("all", "data", "evaluate", "sheet"),
        default="all",
        help="everything (the default); only the data; figures or a contact sheet of --weights",
    )
    parser.add_argument("photos", nargs="*", type=Path, help="photos for the contact sheet")
    parser.add_argument("--data", type=Path, default=Path("training-data"), help="working folder")
    parser.add_argument("--scenes", type=int, default=1800, help="scenes to render, 4 views each")
    parser.add_argument("--frames", type=int, default=30, help="game frames a level")
    parser.add_argument("--steps", type=int, default=7200, help=f"batches of {BATCH} photos")
    parser.add_argument(
        "--rgbd",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="photos with depth to train on in the second part",
    )
    parser.add_argument(
        "--validate",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="photos with depth that are only measured",
    )
    parser.add_argument(
        "--pairs",
        type=Path,
        action="append",
        default=[],
        metavar="CSV",
        help="table of photos with depth: use `train` is trained on, the others are measured",
    )
    parser.add_argument(
        "--looks", type=Path, metavar="DIR", help="folder with hdri/ and models/ for the scenes"
    )
    parser.add_argument(
        "--start", type=Path, metavar="FILE", help="weights to go on from instead of ImageNet's"
    )
    parser.add_argument("--weights", type=Path, default=PACKAGE / "data" / "builtin.safetensors")
    options = parser.parse_args(arguments)
    if options.action == "sheet" and not options.photos:
        parser.error("name photos for the contact sheet")
    return options


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """Shows what is done of a total, with a note: a bar on a terminal, else a line now and then."""
    bars = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"), console=console, disable=not console.is_terminal,
    )  # fmt: skip
    task = bars.add_task(title, total=total, note="")
    said = 0

    def tell(done: int, note: str = "") -> None:
        nonlocal said
        bars.update(task, completed=done, note=note)
        if not console.is_terminal and (done - said >= SAY_EVERY or said < done == total):
            said = done
            console.print(f"{title}: {done} of {total} {note}")

    with bars:
        yield tell


def make_data(options: argparse.Namespace) -> list[Source]:
    """Everything that can be made without photos of one's own."""
    data: Path = options.data
    with progress("scenes", options.scenes) as tell:
        looks = sources.assets(data / "assets", options.looks)
        sources.scenes(data / "scenes", looks, options.scenes, lambda done: tell(done, ""))
    console.print("game frames")
    doom.make(data / "frames", options.frames)
    return [Source("scenes", data / "scenes", 0.9), Source("frames", data / "frames", 0.1)]


def real_sources(options: argparse.Namespace, sets: Sequence[Listed]) -> list[Source]:
    """Photos with depth that may be trained on; the larger a set, the rarer each of its photos."""
    found = [Source(folder.name, folder, 1.0, listing.DOUBT["sensor"]) for folder in options.rgbd]
    for part in sets:
        if part.train:
            weight = listing.PREDICTED_WEIGHT if part.label == "predicted" else 1.0
            found.append(Source(part.name, part.folder, weight, listing.DOUBT[part.label]))
    found = [replace(s, weight=s.weight * len(s.files()) ** 0.5) for s in found]
    total = sum(source.weight for source in found)
    share = REAL * min(1.0, total / ENOUGH)
    return [replace(source, weight=share * source.weight / total) for source in found]


def learn(
    network: MidasNet, parts: Sequence[Source], plan: Plan, file: Path, title: str
) -> MidasNet:
    """Train with a progress bar; goes on from `file` where it exists."""
    steps = plan.steps
    training = Training(network, Pool(parts, BATCH), plan, len(os.sched_getaffinity(0)))
    with progress(title, steps) as tell:
        smooth = 0.0

        def report(step: int, error: float, speed: float) -> None:
            nonlocal smooth
            smooth = error if smooth == 0 else 0.98 * smooth + 0.02 * error
            tell(step + 1, f"loss {smooth:.3f}, {speed * BATCH:.1f} photos/s")

        return train(training, file, report)


def figures(network: MidasNet, folders: Sequence[Path], cache: Path | None = None) -> Figures:
    """Scores per folder, kept in `cache` so that an interrupted run need not repeat them.

    Those of other weights or folders are measured anew.
    """
    of = [hashlib.sha256(weights.content(network)).hexdigest(), *map(str, folders)]
    if cache is not None and cache.exists():
        stored = json.loads(cache.read_text())
        if stored.get("of") == of:
            kept = stored["scores"].items()
            return {n: {k: Score(**s) for k, s in kinds.items()} for n, kinds in kept}
    predict = evaluate.predictor(network)
    found: Figures = {}
    for folder in folders:
        found[folder.name] = evaluate.measure(folder, predict)
        console.print(card.table({folder.name: found[folder.name]}).splitlines()[-1])
    if cache is not None:
        plain = {n: {k: asdict(s) for k, s in kinds.items()} for n, kinds in found.items()}
        cache.write_text(json.dumps({"of": of, "scores": plain}, indent=1))
    return found


def run(options: argparse.Namespace) -> None:
    """Data, two parts of training, figures, weights, card."""
    data: Path = options.data
    data.mkdir(parents=True, exist_ok=True)
    made = make_data(options)
    if options.action == "data":
        return
    sets = [part for table in options.pairs for part in listing.read(table, data / "listed")]
    real = real_sources(options, sets)
    checks = [*options.rgbd, *options.validate, sources.motorcycle(data / "motorcycle")]
    checks += [part.folder for part in sets]
    network = weights.load(options.start) if options.start else untrained(sources.backbone())
    begin: Callable[[int], Plan] = AGAIN if options.start else Plan
    first = options.steps if not real else 0 if options.start else round(options.steps * 0.6)
    if first:
        network = learn(network, made, begin(first), data / "made.pt", "training, made data")
    before = figures(network, checks, data / "made.json") if real else {}
    if real:
        share = 1 - sum(source.weight for source in real)
        parts = [*(replace(source, weight=source.weight * share) for source in made), *real]
        plan = begin(options.steps - first)
        network = learn(network, parts, plan, data / "real.pt", "training, with photos")
    if options.start:
        network = weights.blended(weights.load(options.start), network)
    after = figures(network, checks, data / "final.json")
    seen = {source.name for source in real}
    after = {f"{name} *" if name in seen else name: found for name, found in after.items()}
    digest = weights.write(network, options.weights)
    facts = card.Facts(
        date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
        command="python -m depthd.training " + shlex.join(sys.argv[1:]),
        scenes=len(made[0].files()),
        frames=len(made[1].files()),
        photos=sum(len(source.files()) for source in real),
        steps=options.steps,
        batch=BATCH,
        made={f"{name} *" if name in seen else name: found for name, found in before.items()},
        final=after,
        start=hashlib.sha256(options.start.read_bytes()).hexdigest() if options.start else "",
        notes=Path(__file__).with_name("card.notes.md"),
    )
    template = Path(__file__).with_name("card.template.md")
    card.write_card(options.weights.with_suffix(".card.md"), template, network, digest, facts)
    console.print(f"{options.weights}: SHA-256 {digest}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry of the command."""
    options = parse(arguments)
    cv2.setNumThreads(1)
    data: Path = options.data
    torch.set_num_threads(1)  # a part of each batch goes to each core instead
    if options.action == "evaluate":
        sets = [part for table in options.pairs for part in listing.read(table, data / "listed")]
        folders = [*options.validate, *(part.folder for part in sets if not part.train)]
        console.print(card.relative(figures(weights.load(options.weights), folders)))
    elif options.action == "sheet":
        predict = evaluate.predictor(weights.load(options.weights))
        sheet = data / "sheet.png"
        evaluate.contact_sheet(options.photos, predict, sheet)
        console.print(str(sheet))
    else:
        run(options)


if __name__ == "__main__":
    main()
