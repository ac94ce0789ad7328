"""What the manifest of one photo says, for people and for the scripts that draw it.

A manifest may be of another version: whatever it lacks is left out. Knows manifests and words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from depthd.contract.formats import Format
from depthd.page.present import decimal, key_of, shown_time
from depthd.page.strings import Words
from depthd.publish.sets import Set

# From exact to approximate: what the scripts read depth and metres from.
_DEPTH = (Format.NPY, Format.PFM, Format.PNG16)
_METRES = (Format.METRES, Format.MILLIMETRES)


def part(manifest: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of a manifest, empty where there is none."""
    found = manifest.get(name)
    return found if isinstance(found, Mapping) else {}


def picture_facts(found: Set, *, can_show: bool) -> Mapping[str, Any]:
    """What a script needs to draw a photo's depth: where the numbers are and what they mean."""
    formats = {file.format for file in found.files}
    listed = found.manifest.get("files")
    entries = {
        str(entry.get("format")): entry
        for entry in (listed if isinstance(listed, list) else [])
        if isinstance(entry, dict)
    }
    depth = next((kind for kind in _DEPTH if kind in formats), None)
    metres = next((kind for kind in _METRES if kind in formats), None)
    heatmap = entries.get(Format.HEATMAP, {})
    png16 = entries.get(Format.PNG16, {})
    about = part(found.manifest, "metres")
    photo = part(found.manifest, "photo")
    return {
        "key": key_of(found.name),
        "photo": can_show,
        "heatmap": Format.HEATMAP in formats,
        "depth": depth,
        "scale": png16.get("scale"),
        "offset": png16.get("offset"),
        "metres": metres,
        "shown": heatmap.get("shown"),
        "fit": {key: about.get(key) for key in ("scale", "shift", "limit", "corrected", "reason")},
        "has_metres": bool(about) and about.get("reason") is None,
        "percentiles": part(found.manifest, "depth").get("percentiles"),
        "width": photo.get("width"),
        "height": photo.get("height"),
        "space": part(found.manifest, "space") or None,
    }


def published(manifest: Mapping[str, Any]) -> tuple[str, str] | None:
    """When it was, as `shown_time` has it."""
    try:
        moment = datetime.fromisoformat(str(part(manifest, "times").get("published")))
        return shown_time(int(moment.timestamp() * 1e9))
    except (ValueError, OverflowError):
        return None


def stages(manifest: Mapping[str, Any], words: Words) -> list[tuple[str, str]]:
    """Each stage and its milliseconds."""
    return [
        (str(stage), f"{time:.0f}" if time >= 10 else decimal(f"{time:.1f}", words))
        for stage, time in part(manifest, "milliseconds").items()
        if isinstance(time, int | float)
    ]


def warnings(manifest: Mapping[str, Any], words: Words) -> Iterator[str]:
    """What is worth knowing before one believes a result."""
    if part(manifest, "model").get("fallback"):
        yield words["fallback_warning"]
    notes = part(manifest, "photo").get("notes")
    yield from (str(note) for note in (notes if isinstance(notes, list) else []))
    about = part(manifest, "metres")
    if about.get("reason") is not None:
        yield words["no_metres"].format(reason=about["reason"])
