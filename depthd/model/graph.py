"""The network as an OpenVINO graph, built from its tensors; no torch anywhere.

Joins the convolutions of `architecture` in the way that `network` does in torch; what each part is
for is said there. Knows OpenVINO; it reads no files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from depthd.model.architecture import Conv, convolutions, encoder
from depthd.model.catalogue import ModelSpec
from depthd.model.silent_openvino import openvino, ops

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EPSILON = 1e-3  # of the batch normalisations, as TensorFlow's own EfficientNet has it
_SPATIAL = [2, 3]  # axes


def build(spec: ModelSpec, tensors: dict[str, NDArray[np.float32]]) -> openvino.Model:
    """The network for one photo of any size.

    The graph reads the arrays where they lie: keep them as long as it.

    Args:
        spec: which network.
        tensors: as `architecture.layout` has them.

    Returns:
        A model from (1, 3, H, W) to (1, H, W), float32; H and W are multiples of 32.
    """
    photos = ops.parameter([1, 3, -1, -1], np.float32, name="photos")
    depth = _Builder(spec, tensors).depth(photos)
    return openvino.Model([depth], [photos], spec.name)


class _Builder:
    def __init__(self, spec: ModelSpec, tensors: dict[str, NDArray[np.float32]]) -> None:
        self._spec, self._tensors = spec, tensors
        self._convs = convolutions(spec)

    def depth(self, photos: openvino.Node) -> openvino.Node:
        taps = []
        path = photos
        for blocks in encoder(self._spec):
            for block in blocks:
                shortcut = path
                for conv in block.convs:
                    path = self._conv(conv.name, path)
                if block.residual:
                    path = ops.add(path, shortcut)
            taps.append(path)
        path = self._fuse(4, self._conv("scratch.layer4_rn", taps[3]), None)
        for level in (3, 2, 1):
            path = self._fuse(level, path, self._conv(f"scratch.layer{level}_rn", taps[level - 1]))
        path = _doubled(self._conv("scratch.output_conv.0", path), "half_pixel")
        path = ops.relu(self._conv("scratch.output_conv.2", path))
        path = self._conv("scratch.output_conv.4", path)
        if self._spec.plane:
            path = ops.add(self._plane(taps[3], path), path)
        return ops.squeeze(ops.relu(path), [1])

    def _fuse(self, level: int, path: openvino.Node, tap: openvino.Node | None) -> openvino.Node:
        name = f"scratch.refinenet{level}"
        if tap is not None:
            path = ops.add(path, self._residual(f"{name}.resConfUnit1", tap))
        path = self._residual(f"{name}.resConfUnit2", path)
        return _doubled(self._conv(f"{name}.out_conv", path), "align_corners")

    def _residual(self, name: str, inputs: openvino.Node) -> openvino.Node:
        outputs = self._conv(f"{name}.conv1", ops.relu(inputs))
        return ops.add(self._conv(f"{name}.conv2", ops.relu(outputs)), inputs)

    def _plane(self, tap: openvino.Node, relief: openvino.Node) -> openvino.Node:
        cells = ops.adaptive_avg_pool(ops.relu(self._conv("scratch.plane.reduce", tap)), [3, 3])
        joined = ops.relu(self._conv("scratch.plane.join", cells))
        corners = ops.depth_to_space(
            self._conv("scratch.plane.corners", joined), "depth_first", block_size=2
        )
        size = ops.gather(ops.shape_of(relief), np.array(_SPATIAL), np.array(0))
        return ops.interpolate(
            corners, size, "linear_onnx", "sizes",
            coordinate_transformation_mode="align_corners", axes=np.array(_SPATIAL),
        )  # fmt: skip

    def _conv(self, name: str, inputs: openvino.Node) -> openvino.Node:
        conv = self._convs[name]
        weights, bias = self._numbers(conv)
        before, after = conv.margins
        strides, begin, end = [conv.stride] * 2, [before] * 2, [after] * 2
        if conv.depthwise:
            grouped = _constant(weights[:, None])
            outputs = ops.group_convolution(inputs, grouped, strides, begin, end, [1, 1])
        else:
            outputs = ops.convolution(inputs, _constant(weights), strides, begin, end, [1, 1])
        if bias is not None:
            outputs = ops.add(outputs, _constant(bias[None, :, None, None]))
        return ops.clamp(outputs, 0, 6) if conv.relu6 else outputs

    def _numbers(self, conv: Conv) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Weights and bias, with the normalisation that follows worked into them."""
        weights = self._tensors[f"{conv.name}.weight"]
        if not conv.norm:
            return weights, self._tensors.get(f"{conv.name}.bias")
        scale, shift, mean, variance = (
            self._tensors[f"{conv.norm}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor = scale / np.sqrt(variance + _EPSILON)
        scaled = weights * factor[:, None, None, None]
        return scaled.astype(np.float32), (shift - mean * factor).astype(np.float32)


def _doubled(inputs: openvino.Node, corners: str) -> openvino.Node:
    scales = np.array([2, 2], np.float32)
    return ops.interpolate(
        inputs, scales, "linear_onnx", "scales",
        coordinate_transformation_mode=corners, axes=np.array(_SPATIAL),
    )  # fmt: skip


def _constant(array: NDArray[np.float32]) -> openvino.Node:
    return ops.constant(np.ascontiguousarray(array), shared_memory=True)
