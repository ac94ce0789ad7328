"""The evaluation of metres, on photos that are made on the spot."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import depthd.model
from depthd.training import metres


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photos of a floor: metres for which the ramp, lower is nearer, is exactly right."""
    inverse = np.linspace(0.1, 1, 96)[:, None] * np.ones((1, 128))
    for name in ("a", "b"):
        depth = np.rint(1000 / inverse).astype(np.uint16)
        depth[:4, :4] = 0
        cv2.imwrite(str(tmp_path / f"{name}.depth.png"), depth)
        cv2.imwrite(str(tmp_path / f"{name}.jpg"), np.zeros((96, 128, 3), np.uint8))
    return tmp_path


def test_a_network_that_is_right_has_a_small_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metres.main([str(folder), "--network", "ramp", "--draws", "3"])
    text = capsys.readouterr().out
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| 12")]
    assert [row[0].strip() for row in rows] == ["12", "12, 2 wrong", "12, 4 wrong"]
    assert all(float(row[1]) < 5 for row in rows)
    assert "used for no choice" in text


def test_no_set_that_was_trained_on_is_called_held_out() -> None:
    card = Path(depthd.model.__file__).with_name("data") / "builtin.card.md"
    text = card.read_text(encoding="utf-8")
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    trained = {name.removesuffix(" *") for name in rows if name.endswith(" *")}
    assert trained >= metres.TRAINED_ON
    # Of these only the shape is known, or another network's guess: they have no metres to measure.
    assert trained - metres.TRAINED_ON == {
        "tiefling", "iphone_dual", "lensblur", "middlebury05", "paintings", "bokehme", "sid",
        "middlebury06", "middlebury", "road_stereo",
    }  # fmt: skip


def test_points_are_drawn_where_depth_is_known(folder: Path) -> None:
    (pair, _) = metres.photos(folder, 10)
    assert np.isnan(pair.metres[:4, :4]).all()
    points = metres.draw(pair.metres, 50, 10, np.random.default_rng(1)).points
    ratios = [z / pair.metres[int(y), int(x)] for x, y, z in points]
    assert all(max(ratio, 1 / ratio) > 1.4 for ratio in ratios[:10])
    assert all(abs(ratio - 1) < 0.06 for ratio in ratios[10:])


def test_a_list_of_pairs_says_what_its_numbers_mean(folder: Path) -> None:
    (folder / "pairs.csv").write_text(
        "photo,depth,set,kind,div,max_m,label,use\n"
        "a.jpg,a.depth.png,floor,metric,500,4,sensor,measure\n"
        "b.jpg,b.depth.png,other,affine_disparity,,,predicted,train\n"
    )
    (pair,) = metres.photos(folder, 10)
    assert pair.group == "floor"
    assert np.nanmax(pair.metres) <= 4
    assert np.nanmin(pair.metres) == pytest.approx(2, rel=0.01)


def test_a_row_says_how_often_the_error_said_was_far_too_small() -> None:
    outcomes = [metres.Outcome("a", error=0.2, said=said) for said in (0.05, 0.09, 0.15, 0.4)]
    cells = [cell.strip() for cell in metres.line("4", outcomes).split("|")[1:-1]]
    assert len(cells) == metres.HEAD.splitlines()[0].count("|") - 1
    assert cells[4] == "50.0"
