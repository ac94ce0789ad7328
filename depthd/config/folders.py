"""What a photo's folder decides: its keys, declared once, and which entry of `folders` holds.

Knows units, formats and names inside the inbox; does no I/O.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from depthd.config.section import Section
from depthd.config.units import Duration
from depthd.contract.formats import SIZED, Format
from depthd.metres.references import Point, parse_points, parse_size

_WILD = "*?["


def _parse_output_size(value: object) -> str | int:
    if value in ("original", "model"):
        return str(value)
    text = str(value)
    if text.isdigit() and 16 <= int(text) <= 16384:
        return int(text)
    raise ValueError("needs original, model, or the longest side in pixels (16 to 16384)")


Range = str | tuple[float, float]


def _check_range(value: Range) -> Range:
    if isinstance(value, tuple) and not -math.inf < value[0] < value[1] < math.inf:
        raise ValueError("needs two finite values, the smaller one first")
    return value


class FolderPolicy(Section):
    """What a photo's folder decides; resolved when the photo is claimed, and kept with it."""

    formats: tuple[Format, ...] = Field(
        (Format.HEATMAP, Format.NPY), min_length=1, description=f"any of {', '.join(Format)}"
    )
    size: Annotated[Literal["original", "model"] | int, BeforeValidator(_parse_output_size)] = (
        Field("original", description="original, model, or the longest side in pixels")
    )
    colormap: Literal["inferno", "magma", "viridis", "turbo", "gray"] = Field(
        "inferno", description="colours of heatmap and preview; bright is near"
    )
    range: Annotated[
        Literal["minmax", "percentile", "rolling"] | tuple[float, float],
        AfterValidator(_check_range),
    ] = Field(
        "minmax",
        description="depth shown as darkest and brightest: minmax, percentile (2nd and 98th), "
        "rolling (percentiles over the folder's last photos), or two values such as [0, 1000] that "
        "make pictures comparable; with references the nearest and farthest metres, which "
        "otherwise come from the points",
    )
    references: Annotated[tuple[Point, ...], BeforeValidator(parse_points)] = Field(
        (),
        description="points whose distance from the camera is known, for depth in metres, as "
        "[x, y, metres]: pixels from the upright photo's left and top edge, distance along the "
        "optical axis",
    )
    references_size: Annotated[tuple[float, float] | None, BeforeValidator(parse_size)] = Field(
        None,
        description="width and height of the photo that the points were measured on, where photos "
        "can have other sizes; [1, 1] for points given as fractions",
    )
    references_file: Path | None = Field(
        None,
        description="CSV file with columns x,y,metres instead of references; columns width,height "
        "stand for references_size",
    )
    fov: float | None = Field(
        None,
        gt=1,
        lt=170,
        description="field of view in degrees across the photo's longer side, for ply and glb; "
        "empty takes it from the photo's EXIF, else a guess",
    )

    @field_validator("formats")
    @classmethod
    def _formats_are_given_once(cls, formats: tuple[Format, ...]) -> tuple[Format, ...]:
        twice = [kind for number, kind in enumerate(formats) if kind in formats[:number]]
        if twice:
            raise ValueError(f"names {twice[0]} twice")
        return formats

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if self.references and isinstance(self.range, tuple) and self.range[0] <= 0:
            raise ValueError("range is in metres where there are references, so above 0")
        if self.references_file is not None and not self.references:
            raise ValueError(
                "references_file is read when a configuration is loaded; without one give "
                "references=References.read(file).points"
            )
        return self


class FolderRules(Section):
    """What holds for a folder of the inbox and is no matter of a single photo's results."""

    retention: Duration | Literal["forever"] | None = Field(
        None,
        description="age at which this folder's photos go from done and failed, in place of "
        "retention.done and retention.failed; forever keeps them whatever the disk says",
    )
    priority: Literal["first", "normal", "last"] = Field(
        "normal",
        description="whose photos are taken before those of other folders; one turn in eight goes "
        "to the next class all the same",
    )
    order: Literal["arrival", "oldest", "newest"] = Field(
        "arrival",
        description="which photo of the folder comes first: by when it was found whole, or by the "
        "file's own time",
    )
    policy: Literal["all", "latest"] = Field(
        "all",
        description="latest works on one photo of the folder at a time, the newest; those that "
        "waited beside it go to done, each with a note, and have no results",
    )


class Folder(FolderPolicy, FolderRules):
    """An entry of `folders`."""


def check_names(folders: Mapping[str, Folder]) -> Mapping[str, Folder]:
    """Names and patterns that could never fit are errors."""
    for key in folders:
        if not _parts(key) or {".", ".."} & set(_parts(key)):
            raise ValueError(f"{key!r} is no folder inside the inbox")
    return folders


# What one entry says of metres holds as a whole: points with another photo's size, or a range of
# relative values for metres, would be wrong.
_TOGETHER = frozenset({"references", "references_size", "references_file", "range"})


_Kind = TypeVar("_Kind", FolderPolicy, FolderRules)


def resolve(base: _Kind, folders: Mapping[str, Folder], name: str) -> _Kind:
    """What holds for a photo, or for a folder.

    Args:
        base: what holds for photos of no special folder; its keys are looked for.
        folders: entries by name or pattern. They fit the photo's folder or one above it.
        name: of the photo inside the inbox, or of the folder with a slash behind it.
    """
    wanted = type(base).model_fields.keys()
    parents = tuple(part for part in name.split("/")[:-1] if part)
    fitting = [key for key in folders if _fits(key, parents)]
    chosen: dict[str, object] = {}
    for key in sorted(fitting, key=_exactness):
        given = {
            field: getattr(folders[key], field) for field in folders[key].model_fields_set & wanted
        }
        if "references" in given:
            chosen.update({field: FolderPolicy.model_fields[field].default for field in _TOGETHER})
        chosen.update(given)
    return base.model_copy(update=chosen)


def with_the_networks_own(policy: FolderPolicy) -> FolderPolicy:
    """A depth of a size in pixels says no more what it would be at the photo's: keep what does."""
    formats = policy.formats
    if not isinstance(policy.size, int) or SIZED.isdisjoint(formats) or Format.MODEL in formats:
        return policy
    return policy.model_copy(update={"formats": (*formats, Format.MODEL)})


def _parts(key: str) -> tuple[str, ...]:
    return tuple(part for part in key.split("/") if part)


def _fits(key: str, parents: tuple[str, ...]) -> bool:
    parts = _parts(key)
    return len(parts) <= len(parents) and all(map(fnmatchcase, parents, parts))


def _exactness(key: str) -> tuple[int, bool, int, str]:
    """Deeper beats higher, a name beats a pattern, more letters beat fewer."""
    literal = sum(character not in _WILD for character in key)
    return len(_parts(key)), not any(wild in key for wild in _WILD), literal, key
