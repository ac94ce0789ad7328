"""Photo in, depth out: the public Python interface and the very code that the worker runs.

Three stages that may run in different threads: `prepare` (CPU, one photo each), `infer` (the
engine; as many at once as it has streams), `finish`. Knows decoder, transform and engine; writes no
files.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from depthd.config import Config, FolderPolicy
from depthd.contract import manifest
from depthd.contract.errors import NoInputError, UnavailableError
from depthd.contract.formats import METRIC, Format
from depthd.decode.decoder import Header, Photo, check_cost, load_decoders
from depthd.decode.lens import read_lens
from depthd.estimate.estimate import Estimate, Info, metres_facts
from depthd.estimate.pictures import Picture, as_photo
from depthd.estimate.transform import (
    network_size,
    output_size,
    preprocess,
    resize_depth,
    with_longest_side,
)
from depthd.metres.lens import Lens
from depthd.metres.references import References, Undetermined
from depthd.model.engine_choice import open_engine
from depthd.model.storage import user_cache
from depthd.model.weights import find_weights

PERCENTILES = (2, 25, 50, 75, 98)
PREVIEW_SIDE = 640  # longest side in pixels of the photo kept for the preview
PICTURE_SIDE = 2048  # longest side at most of the photo kept for points and meshes
_IN_SPACE = frozenset({Format.PLY, Format.GLB})


@dataclass(frozen=True)
class Prepared:
    """A photo ready for the network; its full pixels are gone."""

    batch: NDArray[np.float32]  # (1, 3, h, w)
    photo: manifest.Photo
    thumbnail: NDArray[np.uint8] | None  # RGB, longest side PREVIEW_SIDE; only for previews
    milliseconds: dict[str, float]
    picture: NDArray[np.uint8] | None = None  # RGB, longest side PICTURE_SIDE; only for ply and glb
    lens: Lens | None = None


class _Stopwatch:
    """Milliseconds between two calls."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        now = time.perf_counter()
        elapsed, self._last = now - self._last, now
        return round(elapsed * 1000, 3)


def _silent(_text: str) -> None:
    pass


class DepthEstimator:
    """Holds weights and engine; load once, use for many photos.

    Make one in each process: after a fork the engine's threads are gone, so a copy that was
    inherited refuses to work. `Config` can be pickled and sent to spawned processes.

    Args:
        config: model.*, worker.max_pixels, intake.include (which decoders are loaded), and for
            photos without a policy of their own the section output are used.
        state: folder for weights and converted models; by default that of `config`, and without
            a `config` one in the user's cache.
        report: called with what is being done (finding, downloading, converting).
        is_busy: be arranged for a stream of photos from the beginning, not for single ones.

    Raises:
        UnavailableError: weights or engine cannot be had.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        state: Path | None = None,
        report: Callable[[str], None] = _silent,
        is_busy: bool = False,
    ) -> None:
        if state is None:
            state = config.folder("state") if config else user_cache() / "depthd"
        self.config = config or Config()
        if self.config.model.threads:
            cv2.setNumThreads(self.config.model.threads)
        self.weights = find_weights(self.config.model, state, report=report)
        self.engine = open_engine(
            self.config.model, self.weights, state, report=report, is_busy=is_busy
        )
        self.decoders = load_decoders(self.config.intake.include)
        self._process = os.getpid()

    def estimate(
        self, photo: str | Path | bytes | Picture, policy: FolderPolicy | None = None
    ) -> Estimate:
        """Depth of one photo.

        Args:
            photo: a path; a file's bytes; a PIL image of any mode, turned upright by its EXIF; or
                uint8 pixels, upright, (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA.
            policy: formats, size and reference points; None takes the section output of `config`.

        Raises:
            PhotoError: the photo itself is at fault; `code` says how.
            NoInputError: the path cannot be read.
            TypeError: it is none of these.
        """
        policy = policy or self.config.policy("")
        data = _read(photo) if isinstance(photo, str | Path) else photo
        prepared = self.prepare(data, policy)
        if isinstance(data, bytes) and prepared.lens is None:
            prepared = replace(prepared, lens=read_lens(data))
        started = _Stopwatch()
        raw = self.infer(prepared)
        milliseconds = {**prepared.milliseconds, "infer": started.lap()}
        return self.finish(replace(prepared, milliseconds=milliseconds), raw, policy)

    def header(self, data: bytes) -> Header:
        """What a file says of itself, before the work.

        Raises:
            PhotoError: it cannot be read, or would take too much time or memory.
        """
        header = self.decoders.header(data)
        check_cost(header, self.config.worker.max_pixels)
        return header

    def prepare(self, data: bytes | Picture, policy: FolderPolicy) -> Prepared:
        """Decode and preprocess; the photo's full pixels do not outlive this call."""
        clock = _Stopwatch()
        photo = self._decode(data) if isinstance(data, bytes) else as_photo(data)
        decoded = clock.lap()
        size = network_size(photo.width, photo.height, self.config.model.input_size)
        batch = preprocess(photo.pixels, size)
        thumbnail, picture, lens = None, None, None
        if Format.PREVIEW in policy.formats:
            thumbnail = with_longest_side(photo.pixels, PREVIEW_SIDE)
        if _IN_SPACE & set(policy.formats):
            side = min(PICTURE_SIDE, max(self._output_size(photo, policy)))
            picture = with_longest_side(photo.pixels, side)
            lens = read_lens(data) if isinstance(data, bytes) else None
        return Prepared(
            batch=batch,
            photo=manifest.Photo(
                format=photo.format,
                width=photo.width,
                height=photo.height,
                orientation=photo.orientation,
                notes=photo.notes,
            ),
            thumbnail=thumbnail,
            picture=picture,
            lens=lens,
            milliseconds={"decode": decoded, "preprocess": clock.lap()},
        )

    def infer(self, prepared: Prepared) -> NDArray[np.float32]:
        """Raw depth, float32 (h, w), at the network's size."""
        if os.getpid() != self._process:
            raise UnavailableError(
                "This DepthEstimator was made before a fork and its engine is not usable here.",
                "Make a DepthEstimator in each process, or use the spawn start method.",
            )
        return self.engine.infer(prepared.batch)

    def finish(
        self, prepared: Prepared, raw: NDArray[np.float32], policy: FolderPolicy
    ) -> Estimate:
        """Resize to the size that the policy asks for, and describe.

        Raises:
            UnavailableError: the network gave NaN or infinity.
        """
        if not np.isfinite(raw).all():
            raise UnavailableError(
                f"{self.weights.path}: the network's depth is not finite",
                "Use other weights; if model.precision is bf16, set it to f32.",
            )
        clock = _Stopwatch()
        width, height = self._output_size(prepared.photo, policy)
        depth = resize_depth(raw, width, height)
        milliseconds = {**prepared.milliseconds, "resize": clock.lap()}
        statistics = describe(depth, raw)
        info = Info(prepared.photo, statistics, self._model(prepared), milliseconds)
        estimate = Estimate(
            depth, info, prepared.thumbnail, prepared.picture, prepared.lens, policy.fov, raw=raw
        )
        return _in_space(_in_metres(estimate, policy), policy)

    def _decode(self, data: bytes) -> Photo:
        """`fast` changes depth by 1 % of its range on average, 9 % at most (samples enlarged)."""
        fast = self.config.model.preprocess == "fast"
        return self.decoders.decode(
            data,
            max_pixels=self.config.worker.max_pixels,
            reduce_to=self.config.model.input_size if fast else None,
        )

    def _output_size(self, photo: Photo | manifest.Photo, policy: FolderPolicy) -> tuple[int, int]:
        input_size = self.config.model.input_size
        return output_size(photo.width, photo.height, policy.size, input_size)

    def _model(self, prepared: Prepared) -> manifest.Model:
        height, width = prepared.batch.shape[2:]
        engine = self.engine.description
        return manifest.Model(
            name=self.weights.spec.name,
            weights_sha256=self.weights.sha256,
            fallback=self.weights.fallback,
            published=self.weights.published,
            engine=engine.engine,
            engine_version=engine.engine_version,
            precision=engine.precision,
            input_width=width,
            input_height=height,
            preprocess=self.config.model.preprocess,
        )


def _in_metres(estimate: Estimate, policy: FolderPolicy) -> Estimate:
    """With metres, or with the reason why there are none; as it was where nobody wants them."""
    if not policy.references and METRIC.isdisjoint(policy.formats):
        return estimate
    clock = _Stopwatch()
    references = References(policy.references, policy.references_size)
    try:
        measured, why = estimate.metres(references), ""
    except Undetermined as undetermined:
        measured, why = None, str(undetermined)
    milliseconds = {**estimate.info.milliseconds, "metres": clock.lap()}
    facts = metres_facts(references, measured or why)
    info = replace(estimate.info, metres=facts, milliseconds=milliseconds)
    return replace(estimate, info=info, measured=measured)


def _in_space(estimate: Estimate, policy: FolderPolicy) -> Estimate:
    """With what the manifest says of points and meshes, where there are some."""
    if not _IN_SPACE & set(policy.formats):
        return estimate
    camera = estimate.camera
    facts = manifest.Space(
        unit="relative" if estimate.measured is None else "metres",
        focal=camera.focal,
        fov=camera.fov,
        source=camera.source,
    )
    return replace(estimate, info=replace(estimate.info, space=facts))


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror}") from error


def describe(depth: NDArray[np.float32], raw: NDArray[np.float32]) -> manifest.Depth:
    """Exact minimum and maximum; percentiles of the network's own output, which is smaller."""
    low, high, _, _ = cv2.minMaxLoc(depth)
    # A whole sort uses the processor's vectors; np.percentile takes four times as long.
    ranked = np.sort(raw, axis=None)
    ranks = np.rint(np.array(PERCENTILES) / 100 * (ranked.size - 1)).astype(int)
    values = np.clip(ranked[ranks], low, high)
    return manifest.Depth(
        width=depth.shape[1],
        height=depth.shape[0],
        min=low,
        max=high,
        percentiles={str(p): float(v) for p, v in zip(PERCENTILES, values, strict=True)},
    )
