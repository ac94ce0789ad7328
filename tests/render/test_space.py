"""Points and meshes, read back by trimesh."""

from __future__ import annotations

import io
import json
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import FIT, MODEL

from depthd.config import FolderPolicy
from depthd.contract import manifest
from depthd.estimate.estimate import Estimate, Info
from depthd.estimate.estimator import describe
from depthd.metres.measure import Metres
from depthd.render.render import render
from depthd.render.space import MOST_POINTS, MOST_VERTICES

trimesh = pytest.importorskip("trimesh", reason="trimesh reads PLY and glTF; pip install trimesh")


def estimate(metres: NDArray[np.float32], *, is_measured: bool = True) -> Estimate:
    """A photo of these distances, red on its left and blue on its right."""
    height, width = metres.shape
    photo = manifest.Photo(format="jpeg", width=width, height=height, orientation=1, notes=())
    depth = np.nan_to_num(1 / metres, nan=0).astype(np.float32)
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2, 0] = 250
    picture[:, width // 2 :, 2] = 250
    info = Info(photo, describe(depth, depth), MODEL, {})
    measured = Metres(metres, FIT, (1.0, 4.0)) if is_measured else None
    return Estimate(depth, info, picture=picture, fov=90.0, measured=measured)


def made(kind: str, of: Estimate) -> bytes:
    (result,) = render(of, FolderPolicy(formats=(kind,)))
    assert result.suffix == f".{kind}"
    return b"".join(result.parts)


def step(width: int = 40, height: int = 30) -> NDArray[np.float32]:
    """A wall at 2 m, and on the right one at 4 m."""
    metres = np.full((height, width), 2, np.float32)
    metres[:, width // 2 :] = 4
    return metres


def test_ply_holds_each_pixels_point_and_colour() -> None:
    metres = step()
    metres[0, 0] = np.nan
    data = made("ply", estimate(metres))
    assert b"comment unit metres\n" in data
    assert b"comment field of view 90.0 degrees across the longer side, fov\n" in data
    cloud = trimesh.load(io.BytesIO(data), file_type="ply")
    assert cloud.vertices.shape == (40 * 30 - 1, 3)
    first, last = cloud.vertices[0], cloud.vertices[-1]
    # 90 degrees across: the focal length is half of the width.
    assert np.allclose(first, [(1.5 - 20) / 20 * 2, (0.5 - 15) / 20 * 2, 2], atol=1e-5)
    assert np.allclose(last, [(39.5 - 20) / 20 * 4, (29.5 - 15) / 20 * 4, 4], atol=1e-5)
    assert cloud.colors[0].tolist() == [250, 0, 0, 255]
    assert cloud.colors[-1].tolist() == [0, 0, 250, 255]


def test_glb_is_the_scene_in_gltfs_axes_with_the_photo_on_it() -> None:
    data = made("glb", estimate(step()))
    mesh = trimesh.load(io.BytesIO(data), file_type="glb", force="mesh", process=False)
    assert mesh.vertices.shape == (40 * 30, 3)
    assert np.allclose(mesh.vertices[0], [(0.5 - 20) / 20 * 2, (15 - 0.5) / 20 * 2, -2], atol=1e-5)
    assert mesh.bounds[:, 2].tolist() == [-4, -2]  # before the viewer
    colours = mesh.visual.to_color().vertex_colors
    assert abs(colours[0].astype(int) - [250, 0, 0, 255]).max() < 12
    assert abs(colours[-1].astype(int) - [0, 0, 250, 255]).max() < 12
    assert (mesh.face_normals[:, 2] > 0).all()  # towards the camera


def test_glb_is_torn_at_the_edge_and_only_there() -> None:
    whole = trimesh.load(
        io.BytesIO(made("glb", estimate(np.full((30, 40), 2, np.float32)))),
        file_type="glb",
        force="mesh",
    )
    assert len(whole.faces) == 2 * 39 * 29
    torn = trimesh.load(io.BytesIO(made("glb", estimate(step()))), file_type="glb", force="mesh")
    assert len(torn.faces) == 2 * 38 * 29
    assert not (np.ptp(torn.vertices[torn.faces][:, :, 2], axis=1) > 0).any()
    floor = np.repeat(np.linspace(8, 1.2, 60, dtype=np.float32)[:, None], 40, axis=1)
    slanted = trimesh.load(io.BytesIO(made("glb", estimate(floor))), file_type="glb", force="mesh")
    assert len(slanted.faces) == 2 * 39 * 59


def test_what_has_no_metres_is_left_out() -> None:
    metres = step()
    metres[10:20, 5:15] = np.nan
    mesh = trimesh.load(io.BytesIO(made("glb", estimate(metres))), file_type="glb", force="mesh")
    assert len(mesh.vertices) == 40 * 30 - 100
    assert np.isfinite(mesh.vertices).all()


def parsed(data: bytes) -> dict[str, Any]:
    """The JSON chunk, once the container is as the specification wants it."""
    magic, version, length, json_length, kind = struct.unpack("<4sIII4s", data[:20])
    assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
    assert json_length % 4 == 0
    assert length % 4 == 0
    return dict(json.loads(data[20 : 20 + json_length]))


def test_glb_keeps_the_rules_of_its_specification() -> None:
    document = parsed(made("glb", estimate(step())))
    assert document["asset"]["version"] == "2.0"
    assert document["asset"]["extras"]["unit"] == "metres"
    for view in document["bufferViews"]:
        assert view["byteOffset"] % 4 == 0
        assert view["byteOffset"] + view["byteLength"] <= document["buffers"][0]["byteLength"]
    position = document["accessors"][0]
    assert (position["min"][2], position["max"][2]) == (-4, -2)


def test_without_metres_both_are_marked_relative() -> None:
    relative = estimate(step(), is_measured=False)
    assert b"comment unit relative" in made("ply", relative)
    assert parsed(made("glb", relative))["asset"]["extras"]["unit"] == "relative"


def test_nothing_to_see_gives_empty_files_that_open() -> None:
    nothing = estimate(np.full((8, 9), np.nan, np.float32))
    assert b"element vertex 0\n" in made("ply", nothing)
    assert parsed(made("glb", nothing))["scenes"] == [{}]
    assert "meshes" not in parsed(made("glb", estimate(np.ones((1, 1), np.float32))))


def test_large_depth_is_thinned_out() -> None:
    large = estimate(np.full((900, 2000), 3, np.float32))
    header = made("ply", large)[:600].decode("ascii", "replace")
    assert f"element vertex {MOST_POINTS * 461}\n" in header
    assert parsed(made("glb", large))["accessors"][0]["count"] == MOST_VERTICES * 230


def test_a_program_that_kept_no_picture_is_told() -> None:
    with pytest.raises(ValueError, match="neither ply nor glb"):
        made("ply", replace(estimate(step()), picture=None))
