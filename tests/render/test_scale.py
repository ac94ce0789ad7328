"""Colours and legend in metres, comparable from photo to photo."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import FIT, MODEL, PHOTO, photograph
from PIL import Image

from depthd.config import FolderPolicy
from depthd.estimate.estimate import Estimate, Info
from depthd.estimate.estimator import describe
from depthd.metres.measure import Metres
from depthd.render.render import Rendered, render
from depthd.render.scale import Scale

POINTS = ((1, 1, 1.5), (2, 2, 2), (3, 3, 4))


def estimate(depth: NDArray[np.float32]) -> Estimate:
    info = Info(PHOTO, describe(depth, depth), MODEL, {})
    return Estimate(depth, info, np.asarray(photograph().resize((320, 240))))


def measured(metres: Any, span: tuple[float, float] = (1.5, 4.0)) -> Estimate:
    values = np.array(metres, np.float32)
    plain = estimate(np.nan_to_num(1 / values).astype(np.float32))
    return replace(plain, measured=Metres(values, FIT, span))


def made(kind: str, of: Estimate, **policy: Any) -> tuple[Rendered, bytes]:
    (result,) = render(of, FolderPolicy(formats=(kind,), references=POINTS, **policy))
    return result, b"".join(result.parts)


def indices(data: bytes) -> list[int]:
    return np.asarray(Image.open(io.BytesIO(data)))[0].tolist()  # type: ignore[no-any-return]


def test_colours_are_steps_of_the_distances_logarithm() -> None:
    row = [[1.0, 2.0, 4.0, 8.0, 16.0, np.nan, 0.5]]
    result, data = made("heatmap", measured(row), range=(1, 16))
    assert indices(data) == [255, 191, 127, 63, 0, 0, 255]
    assert result.shown == (16, 1)


def test_the_range_comes_from_the_points_and_stays() -> None:
    shown = {made("heatmap", measured([[m, 2 * m]]))[0].shown for m in (0.7, 1.8, 30.0)}
    assert shown == {(6.0, 1.0)}  # 1.5 times farther and nearer than the points


def test_without_metres_for_once_the_range_in_metres_does_not_count() -> None:
    plain = estimate(np.array([[0, 50, 100]], np.float32))
    result, data = made("heatmap", plain, range=(1, 16))
    assert indices(data) == [0, 127, 255]
    assert result.shown == (0, 100)


def test_rolling_without_a_photo_before_is_the_photos_own_percentiles() -> None:
    plain = estimate(np.linspace(0, 100, 101, dtype=np.float32)[None])
    result = render(plain, FolderPolicy(formats=("heatmap",), range="rolling"))[0]
    assert result.shown == (2, 98)


def test_metres_are_npy_with_nan() -> None:
    result, data = made("metres", measured([[1.5, np.nan]]))
    assert result.suffix == ".metres.npy"
    values = np.load(io.BytesIO(data))
    assert values.dtype == np.float32
    assert np.array_equal(values, [[1.5, np.nan]], equal_nan=True)


def test_millimetres_are_what_depth_cameras_write() -> None:
    result, data = made("millimetres", measured([[1.2345, np.nan, 65.535, 65.536, 0.0004]]))
    assert result.suffix == ".millimetres.png"
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert values.dtype == np.uint16
    assert values[0].tolist() == [1234, 0, 65535, 0, 0]


@pytest.mark.parametrize("kind", ["metres", "millimetres"])
def test_a_photo_without_metres_has_no_such_file(kind: str) -> None:
    plain = estimate(np.ones((2, 2), np.float32))
    assert render(plain, FolderPolicy(formats=(kind, "npy"), references=POINTS))[0].format == "npy"


@pytest.mark.parametrize(
    ("near", "far", "words"),
    [
        (1, 10, ["1 m", "1.5 m", "2 m"]),
        (0.3, 0.8, ["0.3 m", "0.4 m"]),
        (0.05, 500, ["0.1 m", "1 m", "10 m", "100 m"]),
        (2.1, 2.9, ["2.1 m", "2.9 m"]),
    ],
)
def test_ticks_are_round_and_few(near: float, far: float, words: list[str]) -> None:
    ticks = list(Scale(far, near, is_metres=True).ticks())
    assert set(words) <= {text for _, text in ticks} or far == 10
    assert 2 <= len(ticks) <= 7
    shares = [share for share, _ in ticks]
    assert shares == sorted(shares, reverse=True)
    assert all(0 <= share <= 1 for share in shares)
    assert not list(Scale(0, 1).ticks())


def test_preview_has_ticks_where_there_are_metres() -> None:
    def ink(of: Estimate) -> int:
        _, data = made("preview", of)
        shown = np.asarray(Image.open(io.BytesIO(data)).convert("L")).astype(int)
        beside = shown[:, 2 * 320 + 24 + 18 + 6 :]
        return int((beside > 120).sum(axis=1).astype(bool).sum())

    depth = np.tile(np.linspace(1, 5, 320, dtype=np.float32), (240, 1))
    plain = estimate(1 / depth)
    assert ink(replace(plain, measured=Metres(depth, FIT, (1.5, 4.0)))) > ink(plain) + 10
