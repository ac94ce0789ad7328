"""What comes out for one photo: depth, metres, points, and what the manifest says of them.

Knows arrays and the manifest's parts; no decoder, no engine, no files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from depthd.contract import manifest
from depthd.metres import lens, space
from depthd.metres.lens import Intrinsics, Lens
from depthd.metres.measure import Metres, measure
from depthd.metres.references import References


@dataclass(frozen=True)
class Info:
    """What the manifest says of an estimate."""

    photo: manifest.Photo
    depth: manifest.Depth
    model: manifest.Model
    milliseconds: dict[str, float]
    metres: manifest.Metres | None = None
    space: manifest.Space | None = None

    @property
    def far_and_near(self) -> tuple[float, float]:
        """2nd and 98th percentile of the depth."""
        return self.depth.percentiles["2"], self.depth.percentiles["98"]


@dataclass(frozen=True)
class Estimate:
    """Depth of one photo.

    Attributes:
        depth: float32 (H, W) of the upright photo: relative inverse depth, larger is nearer.
        info: what the manifest says.
        thumbnail: uint8 RGB for previews, where the policy asks for them.
        picture: uint8 RGB for points and meshes, where the policy asks for them.
        lens: what the photo's EXIF says, where it was read.
        fov: degrees across the longer side, where the policy says.
        measured: metres, where the policy has reference points and they determine them.
        raw: float32 (h, w), the same depth at the network's size; None where nobody has kept it.
    """

    depth: NDArray[np.float32]
    info: Info
    thumbnail: NDArray[np.uint8] | None = None
    picture: NDArray[np.uint8] | None = None
    lens: Lens | None = None
    fov: float | None = None
    measured: Metres | None = None
    raw: NDArray[np.float32] | None = None

    def metres(self, references: References) -> Metres:
        """Depth in metres from points whose distance is known, with the error to expect.

        See `depthd.metres.fit` for the method and its sources.

        Args:
            references: at least three points of the upright photo, better twelve; up to a third
                of them may be wrong or covered.

        Raises:
            Undetermined: the points do not say what the metres are; the text says why.
        """
        photo = self.info.photo
        size = photo.width, photo.height
        return measure(self.depth, size, self.info.far_and_near, references)

    def points(self, camera: Intrinsics | None = None) -> NDArray[np.float32]:
        """The point in space that each pixel sees.

        Args:
            camera: its angle; None takes `self.camera`.

        Returns:
            float32 (H, W, 3): x right, y down, z forward, from the camera. In metres where
            `measured` is there, NaN where that has none; else without a unit, the nearest at
            about 1, and of the right shape only as far as a typical photo's depth ratio holds.
        """
        return space.unproject(self.distance, camera or self.camera)

    @property
    def distance(self) -> NDArray[np.float32]:
        """float32 (H, W) along the optical axis: metres if there are some, else without a unit."""
        if self.measured is not None:
            return self.measured.depth
        return space.relative_distance(self.depth, self.info.far_and_near)

    @property
    def camera(self) -> Intrinsics:
        """Intrinsics by setting, EXIF or guess, for the size of the photo."""
        photo = self.info.photo
        return lens.intrinsics(photo.width, photo.height, self.fov, self.lens)


def metres_facts(references: References, found: Metres | str) -> manifest.Metres:
    """What the manifest says of metres, or of the reason why there are none."""
    count = len(references.points)
    if isinstance(found, str):
        return manifest.Metres(
            reason=found,
            points=count,
            used=0,
            thrown_out=(),
            leave_one_out_percent=None,
            error_percent=None,
            nearest=None,
            farthest=None,
            limit=None,
            scale=None,
            shift=None,
            corrected=False,
        )
    fit = found.fit
    return manifest.Metres(
        reason=None,
        points=count,
        used=int(fit.used.sum()),
        thrown_out=tuple(int(index) + 1 for index in np.flatnonzero(~fit.used)),
        leave_one_out_percent=round(100 * fit.leave_one_out, 2),
        error_percent=round(100 * fit.error, 2),
        nearest=fit.nearest,
        farthest=fit.farthest,
        limit=fit.reach,
        scale=fit.scale,
        shift=fit.shift,
        corrected=fit.residuals is not None,
    )
