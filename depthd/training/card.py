"""The model card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from depthd.training.evaluate import Score

EASY = 0.005
"""Where the ramp has fewer pixels off than this share, there is no ratio to it."""

Figures = Mapping[str, Mapping[str, Score]]


@dataclass(frozen=True)
class Facts:
    """What a training run says of itself.

    Attributes:
        date: of the run, ISO 8601.
        command: how to repeat it.
        scenes, frames, photos: number of rendered views, of game frames, of real photos.
        steps, batch: batches in all, photos in each.
        made, final: figures after made data alone, or of the weights that training started from
            (empty without real photos), and at the end.
        start: SHA-256 of the weights that training started from; empty: ImageNet's.
        notes: file with what people saw in the heatmaps of the weights it names by SHA-256.
    """

    date: str
    command: str
    scenes: int
    frames: int
    photos: int
    steps: int
    batch: int
    made: Figures
    final: Figures
    start: str
    notes: Path


def table(figures: Figures) -> str:
    """Scores as a Markdown table, in percent."""
    lines = [
        "| photos | network | constant | ramp | network, order | constant | ramp | edges | true |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, kinds in figures.items():
        order = ("network", "constant", "ramp")
        cells = [f"{100 * kinds[kind].over:.1f}" for kind in order]
        cells += [f"{100 * kinds[kind].disordered:.1f}" for kind in order]
        borders = kinds["network"].complete, kinds["network"].accurate
        cells += ["" if share is None else f"{100 * share:.0f}" for share in borders]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def relative(figures: Figures) -> str:
    """The network's errors in percent of the ramp's, mean over the sets that were not seen."""
    over, order, worse = [], [], []
    for name, kinds in figures.items():
        if name.endswith("*"):
            continue
        network, ramp = kinds["network"], kinds["ramp"]
        turned = network.disordered / max(ramp.disordered, 1e-6)
        order.append(turned)
        off = network.over / max(ramp.over, 1e-6)
        if ramp.over >= EASY:
            over.append(off)
        if turned >= 1 or (ramp.over >= EASY and off >= 1):
            worse.append(name)
    if not over:
        return ""
    return (
        f"Mean over the sets that were only measured, in percent of the ramp's: pixels off"
        f" {100 * sum(over) / len(over):.0f} ({len(over)} sets), pairs in the wrong order"
        f" {100 * sum(order) / len(order):.0f} ({len(order)} sets)."
        f" Not better than the ramp by both: {', '.join(worse) or 'none'}."
    )


def notes(file: Path, digest: str) -> str:
    """What people wrote of these weights, or that nobody has looked at them yet."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    head, _, rest = text.partition("\n")
    if head.strip() == digest:
        return rest.strip()
    return (
        "## What it looks like\n\n"
        "Nobody has looked at the heatmaps of these weights yet: make a sheet of them with"
        " `python -m depthd.training sheet PHOTO...`."
    )


def write_card(file: Path, template: Path, network: nn.Module, digest: str, facts: Facts) -> None:
    """Fill the card's template, whose text people wrote, with the facts of this run."""
    made = ""
    if facts.made:
        title = (
            f"Before, the weights that training started from (SHA-256 `{facts.start}`):"
            if facts.start
            else "After the first part of the training, on made data alone, before the network had"
            " seen any photo with measured depth:"
        )
        made = f"{title}\n\n{table(facts.made)}\n\n{relative(facts.made)}"
    parameters = sum(p.numel() for p in network.parameters())
    text = template.read_text(encoding="utf-8").format(
        date=facts.date,
        command=facts.command,
        digest=digest,
        parameters=f"{parameters / 1e6:.2f}",
        scenes=facts.scenes,
        frames=facts.frames,
        photos=facts.photos,
        steps=facts.steps,
        batch=facts.batch,
        start=f" from the weights `{facts.start[:12]}...` on" if facts.start else "",
        final=f"{table(facts.final)}\n\n{relative(facts.final)}",
        made=made,
        notes=notes(facts.notes, digest),
    )
    file.write_text(text, encoding="utf-8")
