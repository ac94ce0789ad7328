"""Tables of photos with depth, and what their numbers mean."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from depthd.training import listing, pairs
from depthd.training.depths import lidar

HEADER = "photo,depth,set,kind,div,max_m,label,use\n"


def write(folder: Path, row: str, stored: list[list[int]]) -> Path:
    cv2.imwrite(str(folder / "a.jpg"), np.zeros((2, 2, 3), np.uint8))
    cv2.imwrite(str(folder / "a.png"), np.array(stored, np.uint16))
    table = folder / "pairs.csv"
    table.write_text(HEADER + row + "\n")
    return table


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("metric,500,4", [[1.0, 0.25], [np.nan, np.nan]]),
        ("affine_disparity,,", [[1.0, 4.0], [np.nan, 10.0]]),
        ("unscaled,,", [[1.0, 0.25], [np.nan, 0.1]]),
    ],
)
def test_each_kind_gives_inverse_depth_up_to_scale(
    tmp_path: Path, kind: str, expected: list[list[float]]
) -> None:
    table = write(tmp_path, f"a.jpg,a.png,desk,{kind},sensor,train", [[500, 2000], [0, 5000]])
    (found,) = listing.read(table, tmp_path / "out")
    assert (found.name, found.train, found.label) == ("desk", True, "sensor")
    _, inverse = pairs.read(found.folder / f"a{pairs.SUFFIX}")
    np.testing.assert_allclose(inverse / inverse[0, 0], expected, rtol=1e-3)


def test_what_is_only_measured_is_said_to_be(tmp_path: Path) -> None:
    row = "a.jpg,a.png,desk,metric,1000,,simulator,measure"
    (found,) = listing.read(write(tmp_path, row, [[1, 2], [3, 4]]), tmp_path / "out")
    assert not found.train


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.jpg,a.png,desk,stellar,,,sensor,train", "kind stellar"),
        ("a.jpg,a.png,desk,metric,1,,hearsay,train", "label hearsay"),
        ("b.jpg,a.png,desk,metric,1,,sensor,train", "missing"),
    ],
)
def test_a_table_that_says_something_unknown_is_an_error(
    tmp_path: Path, row: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        listing.read(write(tmp_path, row, [[1, 2], [3, 4]]), tmp_path / "out")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("b.jpg,a.png,desk,metric,1,,sensor,measure", "set desk has another use"),
        ("b.jpg,a.png,desk,metric,1,,stereo,train", "set desk has another use or label"),
        ("more/a.jpg,a.png,desk,metric,1,,sensor,train", "set desk has a.jpg as well"),
    ],
)
def test_a_set_is_of_one_kind_and_no_photo_takes_anothers_place(
    tmp_path: Path, row: str, message: str
) -> None:
    first = "a.jpg,a.png,desk,metric,1,,sensor,train"
    table = write(tmp_path, f"{first}\n{row}", [[1, 2], [3, 4]])
    with pytest.raises(ValueError, match=message):
        listing.read(table, tmp_path / "out")


def test_points_of_a_laser_survive_when_the_map_gets_smaller() -> None:
    inverse = np.full((40, 60), np.nan, np.float32)
    inverse[3, 7], inverse[2, 6], inverse[39, 59] = 0.5, 0.25, 0.1
    assert lidar.is_sparse(inverse)
    small = lidar.gather(inverse, 15, 10)
    assert small[0, 1] == 0.5  # the nearer of the two that fall together
    assert small[9, 14] == np.float32(0.1)
    assert np.isfinite(small).sum() == 2
