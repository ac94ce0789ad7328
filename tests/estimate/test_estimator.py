"""The whole chain from photo to full-size depth, from Python and as the worker uses it."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from pictures import SAMPLES, depth_of, exif, photograph, saved
from PIL import Image
from upstream import Upstream

import depthd
from depthd.config import Config, Intake, Model, Output, Worker
from depthd.contract.errors import FaultCode, NoInputError, PhotoError, UnavailableError
from depthd.estimate.estimator import DepthEstimator
from depthd.worker.pipeline import rehearse


def configuration(weights: Path, *, engine: str = "torch", **sections: object) -> Config:
    model = Model(weights=weights, engine=engine, threads=2)
    return Config(model=model, **sections)


@pytest.fixture(scope="module", params=["torch", "openvino"])
def either(
    request: pytest.FixtureRequest, random_weights: Path, _prepared_once: Path
) -> DepthEstimator:
    config = configuration(random_weights, engine=request.param)
    return DepthEstimator(config, state=_prepared_once)


@pytest.fixture(scope="module")
def loaded(random_weights: Path, _prepared_once: Path) -> DepthEstimator:
    return DepthEstimator(configuration(random_weights), state=_prepared_once)


def with_config(loaded: DepthEstimator, **sections: object) -> DepthEstimator:
    """The loaded network under another configuration."""
    other = object.__new__(DepthEstimator)
    other.__dict__.update(loaded.__dict__)
    other.config = Config(model=loaded.config.model).model_copy(update=sections)
    return other


PHOTOS = {
    "landscape": ((600, 400), "RGB"),
    "portrait": ((300, 400), "RGB"),
    "tiny": ((40, 30), "RGB"),
    "panorama": ((900, 200), "RGB"),
    "odd": ((257, 131), "RGB"),
    "grey": ((400, 300), "L"),
}


@pytest.mark.parametrize(("shape", "mode"), PHOTOS.values(), ids=PHOTOS)
def test_depth_is_upstreams(
    shape: tuple[int, int], mode: str, either: DepthEstimator, upstream: Upstream
) -> None:
    image = photograph("temple.jpg").resize(shape).convert(mode)
    data = saved(image, "JPEG", quality=92)
    rgb = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), 1), cv2.COLOR_BGR2RGB)
    expected = upstream.depth(rgb)
    estimate = either.estimate(data)
    assert estimate.depth.shape == shape[::-1]
    assert estimate.depth.dtype == np.float32
    assert abs(estimate.depth - expected).max() <= 1e-4 * np.ptp(expected)


def test_path_bytes_and_array_give_the_same(loaded: DepthEstimator) -> None:
    path = SAMPLES / "coffee.jpg"
    depth = loaded.estimate(path).depth
    assert np.array_equal(loaded.estimate(str(path)).depth, depth)
    assert np.array_equal(loaded.estimate(path.read_bytes()).depth, depth)
    assert np.array_equal(loaded.estimate(np.asarray(photograph())).depth, depth)


def test_pictures_in_memory_give_what_their_files_give(loaded: DepthEstimator) -> None:
    photo = photograph()
    depth = loaded.estimate(photo).depth
    assert np.array_equal(depth, loaded.estimate(saved(photo, "PNG")).depth)
    opaque = np.asarray(photo.convert("RGBA"))
    assert np.array_equal(loaded.estimate(opaque).depth, depth)
    mirrored = np.asarray(photo)[:, ::-1]
    same = loaded.estimate(np.ascontiguousarray(mirrored)).depth
    assert np.array_equal(loaded.estimate(mirrored).depth, same)
    grey = photo.convert("L")
    expected = loaded.estimate(saved(grey, "PNG")).depth
    for form in (grey, np.asarray(grey), np.asarray(grey)[:, :, None]):
        assert np.array_equal(loaded.estimate(form).depth, expected)


def test_a_pil_image_is_turned_upright(loaded: DepthEstimator) -> None:
    path = SAMPLES / "astronaut.jpg"
    with Image.open(path) as image:
        estimate = loaded.estimate(image)
    assert estimate.info.photo.orientation == 6
    assert np.array_equal(estimate.depth, loaded.estimate(path).depth)


def test_what_is_known_of_an_estimate(loaded: DepthEstimator) -> None:
    estimate = loaded.estimate(SAMPLES / "astronaut.jpg")
    info = estimate.info
    assert (info.photo.width, info.photo.height, info.photo.orientation) == (384, 512, 6)
    assert estimate.depth.shape == (512, 384)
    assert (info.model.input_width, info.model.input_height) == (192, 256)
    assert (info.model.engine, info.model.precision) == ("torch", "f32")
    assert info.depth.min == estimate.depth.min()
    assert info.depth.max == estimate.depth.max()
    percentiles = list(info.depth.percentiles.values())
    assert percentiles == sorted(percentiles)
    middle = np.median(estimate.depth)
    assert abs(info.depth.percentiles["50"] - middle) < 0.02 * np.ptp(estimate.depth)
    assert set(info.milliseconds) == {"decode", "preprocess", "infer", "resize"}
    assert all(value > 0 for value in info.milliseconds.values())


def test_stages_apart_give_what_estimate_gives(loaded: DepthEstimator) -> None:
    data = (SAMPLES / "cat.jpg").read_bytes()
    prepared = loaded.prepare(data, loaded.config.output)
    assert prepared.batch.shape[:2] == (1, 3)
    assert prepared.thumbnail is None
    estimate = loaded.finish(prepared, loaded.infer(prepared), loaded.config.output)
    assert np.array_equal(estimate.depth, loaded.estimate(data).depth)


@pytest.mark.parametrize(
    ("size", "expected"),
    [("original", (600, 400)), ("model", (256, 160)), (300, (300, 200)), (5000, (600, 400))],
)
def test_output_size(size: str | int, expected: tuple[int, int], loaded: DepthEstimator) -> None:
    estimator = with_config(loaded, output=Output(size=size))
    estimate = estimator.estimate(SAMPLES / "coffee.jpg")
    assert estimate.depth.shape == expected[::-1]
    assert (estimate.info.depth.width, estimate.info.depth.height) == expected


def test_preview_keeps_a_small_upright_photo(loaded: DepthEstimator) -> None:
    estimator = with_config(loaded, output=Output(formats=("preview",)))
    thumbnail = estimator.prepare(
        (SAMPLES / "astronaut.jpg").read_bytes(), estimator.config.output
    ).thumbnail
    assert thumbnail is not None
    assert thumbnail.shape == (640, 480, 3)


def test_fast_preprocessing_is_close_and_said(loaded: DepthEstimator) -> None:
    data = saved(photograph("temple.jpg").resize((2560, 1706)), "JPEG", quality=92, exif=exif(8))
    fast = with_config(loaded, model=loaded.config.model.model_copy(update={"preprocess": "fast"}))
    exact_estimate, fast_estimate = loaded.estimate(data), fast.estimate(data)
    assert fast_estimate.info.model.preprocess == "fast"
    assert fast_estimate.depth.shape == exact_estimate.depth.shape == (2560, 1706)
    difference = abs(fast_estimate.depth - exact_estimate.depth).mean()
    assert 0 < difference < 0.1 * np.ptp(exact_estimate.depth)


@pytest.mark.parametrize("level", [0, 255])
def test_flat_photos_give_finite_depth(level: int, loaded: DepthEstimator) -> None:
    depth = loaded.estimate(np.full((48, 64, 3), level, np.uint8)).depth
    assert np.isfinite(depth).all()


def test_a_worker_for_one_format_rehearses_too(random_weights: Path, prepared_state: Path) -> None:
    config = configuration(random_weights, engine="openvino", intake=Intake(include=("*.gif",)))
    estimator = DepthEstimator(config, state=prepared_state)
    assert estimator.decoders.formats == {"gif"}
    rehearse(estimator)
    with pytest.raises(PhotoError, match=r"intake\.include names no such photos"):
        estimator.estimate(SAMPLES / "coffee.jpg")


# faults ---------------------------------------------------------------------------------------


def test_limit_of_pixels_comes_from_the_configuration(loaded: DepthEstimator) -> None:
    estimator = with_config(loaded, worker=Worker(max_pixels=100_000))
    with pytest.raises(PhotoError) as caught:
        estimator.estimate(SAMPLES / "coffee.jpg")
    assert caught.value.code == FaultCode.TOO_MANY_PIXELS


def test_missing_path_is_no_input(loaded: DepthEstimator, tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match=r"none\.jpg: No such file"):
        loaded.estimate(tmp_path / "none.jpg")


@pytest.mark.parametrize(
    "photo",
    [
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
        [[1, 2]],
        None,
    ],
    ids=str,
)
def test_what_is_no_photo_is_a_type_error_in_words(photo: object, loaded: DepthEstimator) -> None:
    with pytest.raises(TypeError, match="a photo is a path, the bytes of a file, a PIL image"):
        loaded.estimate(photo)


def test_network_that_gives_no_numbers_is_unusable(loaded: DepthEstimator) -> None:
    prepared = loaded.prepare((SAMPLES / "cat.jpg").read_bytes(), loaded.config.output)
    raw = np.full(prepared.batch.shape[2:], np.nan, np.float32)
    with pytest.raises(UnavailableError, match="not finite"):
        loaded.finish(prepared, raw, loaded.config.output)


# in somebody else's processes ------------------------------------------------------------------


def test_works_in_somebody_elses_process_pool(loaded: DepthEstimator, prepared_state: Path) -> None:
    path = SAMPLES / "coffee.jpg"
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        depth = pool.submit(depth_of, loaded.config, prepared_state, path).result(timeout=120)
    assert np.allclose(depth, loaded.estimate(path).depth, rtol=1e-4, atol=0.01)


def test_says_that_a_forked_copy_is_unusable(
    loaded: DepthEstimator, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = loaded.prepare((SAMPLES / "cat.jpg").read_bytes(), loaded.config.output)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(UnavailableError, match="fork"):
        loaded.infer(prepared)


def test_is_what_the_package_exports() -> None:
    assert depthd.DepthEstimator is DepthEstimator
    assert depthd.Estimate.__module__ == "depthd.estimate.estimate"
    assert depthd.References.of([(1, 2, 3)]).points == ((1, 2, 3),)
    assert depthd.Intrinsics.from_fov(90, 20, 10).focal == pytest.approx(10)


def test_bundled_samples_are_small_and_credited() -> None:
    text = (SAMPLES / "CREDITS.md").read_text(encoding="utf-8")
    photos = sorted(SAMPLES.glob("*.jpg"))
    assert len(photos) >= 4
    for photo in photos:
        assert photo.stat().st_size <= 150_000
        assert f"`{photo.name}`" in text
