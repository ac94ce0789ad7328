"""Points as a binary PLY file (Turk 1994, "The PLY polygon file format", version 1.0)."""

from __future__ import annotations

import numpy as np

from depthd.render.space import Cloud

_VERTEX = np.dtype([("point", "<f4", 3), ("colour", "u1", 3)])
_UNITS = {
    "metres": "unit metres",
    "relative": "unit relative, scale and shape of the scene are not known",
}


def ply(cloud: Cloud) -> bytes:
    """Little-endian, one coloured vertex a point; unit and camera stand in comments."""
    camera = cloud.camera
    header = (
        "ply\n"
        "format binary_little_endian 1.0\n"
        "comment made by depthd from one photo\n"
        f"comment {_UNITS[cloud.unit]}\n"
        "comment x right, y down, z forward from the camera\n"
        f"comment field of view {camera.fov:.1f} degrees across the longer side, {camera.source}\n"
        f"element vertex {len(cloud.points)}\n"
        "property float x\n"
        "property float y\n"
        "property float z\n"
        "property uchar red\n"
        "property uchar green\n"
        "property uchar blue\n"
        "end_header\n"
    )
    vertices = np.empty(len(cloud.points), _VERTEX)
    vertices["point"] = cloud.points
    vertices["colour"] = cloud.colours
    return header.encode("ascii") + vertices.tobytes()
