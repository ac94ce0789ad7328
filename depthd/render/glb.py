"""A mesh as a binary glTF 2.0 file (Khronos Group, glTF 2.0 specification, section 4.4).

Axes are glTF's: x right, y up, z towards the viewer; the camera stands at the origin.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from depthd import __version__
from depthd.render.preview import encode_jpeg
from depthd.render.space import Mesh

_FLOAT, _UINT = 5126, 5125  # component types
_ARRAY, _ELEMENTS = 34962, 34963  # targets of buffer views
_LINEAR, _MIPMAP, _CLAMP = 9729, 9987, 33071  # filters and wrapping of the texture
_JSON, _BIN = b"JSON", b"BIN\0"


class _Buffer:
    """The binary chunk and the views into it."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.views: list[dict[str, int]] = []
        self.length = 0

    def add(self, data: bytes, target: int | None = None) -> int:
        """Returns the number of the view."""
        view = {"buffer": 0, "byteOffset": self.length, "byteLength": len(data)}
        if target is not None:
            view["target"] = target
        padded = data + bytes(-len(data) % 4)
        self.parts.append(padded)
        self.length += len(padded)
        self.views.append(view)
        return len(self.views) - 1


def glb(mesh: Mesh) -> bytes:
    """One mesh with the photo as its unlit texture; an empty scene where there is no triangle."""
    document: dict[str, Any] = {
        "asset": {
            "version": "2.0",
            "generator": f"depthd {__version__}",
            "extras": {
                "unit": mesh.unit,
                "fov": round(mesh.camera.fov, 1),
                "fov_source": mesh.camera.source,
            },
        },
        "scene": 0,
        "scenes": [{}],
    }
    buffer = _Buffer()
    if len(mesh.triangles):
        document.update(_contents(mesh, buffer))
    return _container(document, b"".join(buffer.parts))


def _contents(mesh: Mesh, buffer: _Buffer) -> dict[str, Any]:
    vertices = mesh.vertices * np.array([1, -1, -1], np.float32)
    accessors = [
        {
            "bufferView": buffer.add(vertices.astype("<f4").tobytes(), _ARRAY),
            "componentType": _FLOAT,
            "count": len(vertices),
            "type": "VEC3",
            "min": vertices.min(axis=0).tolist(),
            "max": vertices.max(axis=0).tolist(),
        },
        {
            "bufferView": buffer.add(mesh.places.astype("<f4").tobytes(), _ARRAY),
            "componentType": _FLOAT,
            "count": len(mesh.places),
            "type": "VEC2",
        },
        {
            "bufferView": buffer.add(mesh.triangles.astype("<u4").tobytes(), _ELEMENTS),
            "componentType": _UINT,
            "count": mesh.triangles.size,
            "type": "SCALAR",
        },
    ]
    image = buffer.add(encode_jpeg(mesh.picture))
    primitive = {"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "indices": 2, "material": 0}
    return {
        "extensionsUsed": ["KHR_materials_unlit"],
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": f"photo, {mesh.unit}"}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [
            {
                "pbrMetallicRoughness": {
                    "baseColorTexture": {"index": 0},
                    "metallicFactor": 0,
                    "roughnessFactor": 1,
                },
                "extensions": {"KHR_materials_unlit": {}},
                "doubleSided": True,
            }
        ],
        "textures": [{"sampler": 0, "source": 0}],
        "samplers": [
            {"magFilter": _LINEAR, "minFilter": _MIPMAP, "wrapS": _CLAMP, "wrapT": _CLAMP}
        ],
        "images": [{"bufferView": image, "mimeType": "image/jpeg"}],
        "accessors": accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": buffer.length}],
    }


def _container(document: dict[str, Any], binary: bytes) -> bytes:
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I", len(text)) + _JSON + text
    if binary:
        chunks += struct.pack("<I", len(binary)) + _BIN + binary
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks
