"""The convolutions of each network: names, shapes, strides. The description that needs no library.

EfficientNet-Lite with taps at 1/4, 1/8, 1/16 and 1/32, and MiDaS's decoder. Names are those of the
published checkpoint. How the convolutions are joined is written twice, in `graph` for OpenVINO and
in `network` for torch; tests hold the two together. Knows numbers only; it imports nothing heavy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from depthd.model.catalogue import ModelSpec

_WIDTH_AND_DEPTH = {"tf_efficientnet_lite2": (1.1, 1.2), "tf_efficientnet_lite3": (1.2, 1.4)}
_STEM = 32  # channels; the Lite family does not scale them
_STAGES = (  # of EfficientNet-B0: kernel, stride, expansion, channels, repeats
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
# Where the checkpoint keeps each stage; a tap is taken after the last of each layer.
_PLACES = ("layer1.3", "layer1.4", "layer2.0", "layer3.0", "layer3.1", "layer4.0", "layer4.1")
_PLANE = 64  # channels of the head that predicts a plane


@dataclass(frozen=True)
class Conv:
    """One convolution and what follows it at once.

    Attributes:
        name: of its weights in the checkpoint, without `.weight`.
        depthwise: each channel by itself; `inputs` and `outputs` are equal.
        bias: a bias of its own.
        norm: name of the batch normalisation that follows; empty for none.
        relu6: the output is clipped to 0..6.
        padded: zeros around it, so that only the stride makes the output smaller.
    """

    name: str
    inputs: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    depthwise: bool = False
    bias: bool = False
    norm: str = ""
    relu6: bool = False
    padded: bool = True

    @property
    def margins(self) -> tuple[int, int]:
        """Zeros before and after: TensorFlow's SAME, where the stride divides the input."""
        total = self.kernel - self.stride if self.padded else 0
        return total // 2, total - total // 2

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of its weights: outputs, inputs of each, height, width."""
        return self.outputs, 1 if self.depthwise else self.inputs, self.kernel, self.kernel


@dataclass(frozen=True)
class Block:
    """Convolutions in a row; with `residual` their input is added to their output."""

    convs: tuple[Conv, ...]
    residual: bool


def encoder(spec: ModelSpec) -> tuple[tuple[Block, ...], ...]:
    """Four layers; each ends with a tap."""
    width, depth = _WIDTH_AND_DEPTH[spec.backbone]
    stem = "pretrained.layer1."
    conv = Conv(f"{stem}0", 3, _STEM, kernel=3, stride=2, norm=f"{stem}1", relu6=True)
    layers: dict[str, list[Block]] = {"layer1": [Block((conv,), residual=False)]}
    inputs = _STEM
    for place, stage in zip(_PLACES, _STAGES, strict=True):
        kernel, stride, expansion, channels, repeats = stage
        outputs = _rounded(channels * width)
        # The Lite family repeats its first and last stage no more often than B0.
        often = repeats if stage in (_STAGES[0], _STAGES[-1]) else math.ceil(repeats * depth)
        for number in range(often):
            name = f"pretrained.{place}.{number}"
            block = _block(name, inputs, outputs, kernel, 1 if number else stride, expansion)
            layers.setdefault(place.partition(".")[0], []).append(block)
            inputs = outputs
    return tuple(tuple(blocks) for blocks in layers.values())


def taps(spec: ModelSpec) -> list[int]:
    """Channels at 1/4, 1/8, 1/16 and 1/32."""
    return [blocks[-1].convs[-1].outputs for blocks in encoder(spec)]


def convolutions(spec: ModelSpec) -> dict[str, Conv]:
    """All of a network's convolutions by name, in the checkpoint's order."""
    convs = [conv for blocks in encoder(spec) for block in blocks for conv in block.convs]
    return {conv.name: conv for conv in [*convs, *_decoder(spec)]}


def layout(spec: ModelSpec) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor of the checkpoint that bears numbers of the network.

    A checkpoint may hold the counters `*.num_batches_tracked` besides, see `counters`.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for conv in convolutions(spec).values():
        shapes[f"{conv.name}.weight"] = conv.shape
        if conv.bias:
            shapes[f"{conv.name}.bias"] = (conv.outputs,)
        if conv.norm:
            for part in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{conv.norm}.{part}"] = (conv.outputs,)
    return shapes


def counters(spec: ModelSpec) -> set[str]:
    """Names of what only training uses: how many batches each normalisation has seen."""
    norms = (conv.norm for conv in convolutions(spec).values() if conv.norm)
    return {f"{norm}.num_batches_tracked" for norm in norms}


def _block(name: str, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> Block:
    width = inputs * expansion
    residual = inputs == outputs and stride == 1
    spread = Conv(
        f"{name}.conv_dw", width, width, kernel, stride, depthwise=True,
        norm=f"{name}.bn1" if expansion == 1 else f"{name}.bn2", relu6=True,
    )  # fmt: skip
    if expansion == 1:
        return Block(
            (spread, Conv(f"{name}.conv_pw", width, outputs, norm=f"{name}.bn2")), residual
        )
    return Block(
        (
            Conv(f"{name}.conv_pw", inputs, width, norm=f"{name}.bn1", relu6=True),
            spread,
            Conv(f"{name}.conv_pwl", width, outputs, norm=f"{name}.bn3"),
        ),
        residual,
    )


def _decoder(spec: ModelSpec) -> Iterator[Conv]:
    widths = [spec.features * 2**level if spec.expand else spec.features for level in range(4)]
    for level, channels in enumerate(taps(spec)):
        yield Conv(f"scratch.layer{level + 1}_rn", channels, widths[level], kernel=3)
    for level in (3, 2, 1, 0):
        name, width = f"scratch.refinenet{level + 1}", widths[level]
        yield Conv(f"{name}.out_conv", width, widths[max(level - 1, 0)], bias=True)
        for unit in ("resConfUnit1", "resConfUnit2"):
            for conv in ("conv1", "conv2"):
                yield Conv(f"{name}.{unit}.{conv}", width, width, kernel=3, bias=True)
    half = spec.features // 2
    yield Conv("scratch.output_conv.0", spec.features, half, kernel=3, bias=True)
    yield Conv("scratch.output_conv.2", half, 32, kernel=3, bias=True)
    yield Conv("scratch.output_conv.4", 32, 1, bias=True)
    if spec.plane:
        yield Conv("scratch.plane.reduce", taps(spec)[-1], _PLANE, bias=True)
        yield Conv("scratch.plane.join", _PLANE, _PLANE, kernel=3, bias=True, padded=False)
        yield Conv("scratch.plane.corners", _PLANE, 4, bias=True)


def _rounded(channels: float) -> int:
    """To a multiple of 8, never more than a tenth down; EfficientNet's own rule."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
