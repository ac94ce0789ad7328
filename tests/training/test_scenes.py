"""The scenes: geometry anywhere, whole scenes where Blender's module is installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from depthd.training import pairs
from depthd.training.scenes import meshes

BLENDER = importlib.util.find_spec("bpy") and importlib.util.find_spec("OpenEXR")


@pytest.mark.parametrize(
    "mesh",
    [
        meshes.box(),
        meshes.plane(),
        meshes.cylinder(),
        meshes.ball(),
        meshes.blob(np.random.default_rng(1)),
        meshes.tube(meshes.curl(np.random.default_rng(1), 1.0, 0.5), 0.01),
        meshes.extrude(np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])),
        meshes.ground(2.0, 2.0, (4, 4)),
        meshes.leaves(np.zeros((3, 3)), np.ones((3, 3)), 0.2, 0.1, np.random.default_rng(1)),
    ],
)
def test_faces_name_existing_points_once(mesh: meshes.Mesh) -> None:
    assert np.isfinite(mesh.points).all()
    for face in mesh.faces:
        assert len(set(face)) == len(face) >= 3
        assert 0 <= min(face) <= max(face) < len(mesh.points)


def test_the_same_seed_gives_the_same_shape() -> None:
    first, second = (meshes.blob(np.random.default_rng(9)) for _ in range(2))
    np.testing.assert_array_equal(first.points, second.points)


@pytest.mark.skipif(not BLENDER, reason="bpy and OpenEXR are not installed (extra `train`)")
def test_a_scene_is_the_same_on_every_run(tmp_path: Path) -> None:
    found = []
    for run in ("first", "second"):
        out = tmp_path / run
        subprocess.run(
            [sys.executable, "-m", "depthd.training.scenes.render", f"--out={out}",
             f"--assets={tmp_path}", "--first=4", "--count=2"],
            check=True, capture_output=True, timeout=300,
            env={**os.environ, "PYTHONWARNINGS": "default"},
        )  # fmt: skip
        files = sorted(out.glob(f"*{pairs.SUFFIX}"))
        assert files
        found.append([(file.name, *pairs.read(file)) for file in files])
    for (name, _, inverse), (other_name, _, other) in zip(*found, strict=True):
        assert name == other_name
        np.testing.assert_allclose(inverse, other, rtol=1e-4)
        assert np.isfinite(inverse).all()
        assert inverse.max() > inverse.min() >= 0
