"""The network: MiDaS v2.1 small and its narrower sisters, on timm's EfficientNet-Lite.

Attribute names are those of the published checkpoint, so that it loads strictly. Knows torch and
timm; it reads no files and knows nothing of photos.

Ranftl et al., "Towards Robust Monocular Depth Estimation: Mixing Datasets for Zero-shot
Cross-dataset Transfer", TPAMI 2022.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, pad, pixel_shuffle, relu

from depthd.model.catalogue import ModelSpec


class MidasNet(nn.Module):
    """An encoder with taps at 1/4, 1/8, 1/16 and 1/32, and a decoder that fuses them upwards.

    Args:
        backbone: a timm EfficientNet-Lite, such as `tf_efficientnet_lite3`.
        features: channels of the decoder at 1/4.
        expand: double the decoder's channels at each coarser scale, as MiDaS_small does.
        plane: predict a slanted plane besides; the rest is what stands out of it.
    """

    def __init__(self, backbone: str, features: int, *, expand: bool, plane: bool) -> None:
        super().__init__()
        encoder: Any = timm.create_model(backbone, pretrained=False)
        _fix_padding(encoder)
        blocks = encoder.blocks
        self.pretrained = nn.ModuleDict(
            {
                # timm's bn1 holds the activation that has place 2 of its own in the checkpoint.
                "layer1": nn.Sequential(
                    encoder.conv_stem, encoder.bn1, nn.Identity(), blocks[0], blocks[1]
                ),
                "layer2": nn.Sequential(blocks[2]),
                "layer3": nn.Sequential(blocks[3], blocks[4]),
                "layer4": nn.Sequential(blocks[5], blocks[6]),
            }
        )
        taps = [encoder.feature_info[index]["num_chs"] for index in (1, 2, 3, 4)]
        self.scratch = _Decoder(taps, features, expand=expand, plane=plane)

    @classmethod
    def of(cls, spec: ModelSpec) -> Self:
        """The network of the catalogue's entry, its weights still by chance."""
        return cls(spec.backbone, spec.features, expand=spec.expand, plane=spec.plane)

    def loaded(self, tensors: Mapping[str, NDArray[np.float32]]) -> Self:
        """Take numbers as `read_tensors` gives them, and go into evaluation mode."""
        state = {name: torch.from_numpy(array) for name, array in tensors.items()}
        self.load_state_dict(state)  # strict but for the counters, which only training uses
        return self.eval()

    def forward(self, photos: Tensor) -> Tensor:
        """Relative inverse depth of photos.

        Args:
            photos: (N, 3, H, W) float32, RGB, normalised with ImageNet's mean and standard
                deviation; H and W are multiples of 32.

        Returns:
            (N, H, W) float32, at least 0, larger is nearer; scale and shift are unknown.
        """
        tap1 = self.pretrained["layer1"](photos)
        tap2 = self.pretrained["layer2"](tap1)
        tap3 = self.pretrained["layer3"](tap2)
        tap4 = self.pretrained["layer4"](tap3)
        depth: Tensor = self.scratch(tap1, tap2, tap3, tap4)
        return depth


def _fix_padding(encoder: nn.Module) -> None:
    """Replace timm's padding, worked out anew at each call, by what it is for our input sizes."""
    for parent in list(encoder.modules()):
        for name, child in parent.named_children():
            if isinstance(child, Conv2dSame):
                setattr(parent, name, _EvenSameConv(child))


class _EvenSameConv(nn.Conv2d):
    """TensorFlow's SAME convolution for inputs that the stride divides: the padding is constant.

    A constant is folded into the convolution by OpenVINO; timm's formula leaves ten operators
    about shapes before each of them.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        width, kernel, stride = conv.in_channels, conv.kernel_size[0], conv.stride[0]
        super().__init__(width, conv.out_channels, kernel, stride, groups=conv.groups, bias=False)
        self.weight = conv.weight
        total = kernel - stride
        before, after = total // 2, total - total // 2
        self.margins = (before, after, before, after)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name for it
        return super().forward(pad(input, self.margins))


class _Decoder(nn.Module):
    def __init__(self, taps: list[int], features: int, *, expand: bool, plane: bool) -> None:
        super().__init__()
        widths = [features * 2**level if expand else features for level in range(4)]
        self.layer1_rn = nn.Conv2d(taps[0], widths[0], 3, padding=1, bias=False)
        self.layer2_rn = nn.Conv2d(taps[1], widths[1], 3, padding=1, bias=False)
        self.layer3_rn = nn.Conv2d(taps[2], widths[2], 3, padding=1, bias=False)
        self.layer4_rn = nn.Conv2d(taps[3], widths[3], 3, padding=1, bias=False)
        self.refinenet4 = _Fusion(widths[3], widths[2])
        self.refinenet3 = _Fusion(widths[2], widths[1])
        self.refinenet2 = _Fusion(widths[1], widths[0])
        self.refinenet1 = _Fusion(widths[0], features)
        self.output_conv = nn.Sequential(
            nn.Conv2d(features, features // 2, 3, padding=1),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Conv2d(features // 2, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 1, 1),
            nn.ReLU(),
        )
        self.plane = _Plane(taps[3]) if plane else None

    def forward(self, tap1: Tensor, tap2: Tensor, tap3: Tensor, tap4: Tensor) -> Tensor:
        path = self.refinenet4(self.layer4_rn(tap4))
        path = self.refinenet3(path, self.layer3_rn(tap3))
        path = self.refinenet2(path, self.layer2_rn(tap2))
        path = self.refinenet1(path, self.layer1_rn(tap1))
        if self.plane is None:
            depth: Tensor = self.output_conv(path)
        else:
            relief = self.output_conv[:-1](path)
            plane = interpolate(
                self.plane(tap4), relief.shape[2:], mode="bilinear", align_corners=True
            )
            depth = self.output_conv[-1](plane + relief)
        return depth.squeeze(1)


class _Plane(nn.Module):
    """Inverse depth at the photo's four corners, seen from far back: floors, tables, walls.

    A plane in space has an inverse depth that is linear across the picture. Stated by four
    numbers it stays straight, which sums of local features do not.
    """

    def __init__(self, taps: int, width: int = 64) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(taps, width, 1)
        self.join = nn.Conv2d(width, width, 3)  # sees 3 x 3 cells of the photo at once
        self.corners = nn.Conv2d(width, 4, 1)

    def forward(self, tap: Tensor) -> Tensor:
        """(N, 1, 2, 2) from the encoder's last tap."""
        cells = adaptive_avg_pool2d(relu(self.reduce(tap)), 3)
        return pixel_shuffle(self.corners(relu(self.join(cells))), 2)


class _Fusion(nn.Module):
    """Add a finer tap to the coarser path, refine, and double the size."""

    def __init__(self, width: int, out_width: int) -> None:
        super().__init__()
        self.out_conv = nn.Conv2d(width, out_width, 1)
        self.resConfUnit1 = _Residual(width)  # unused in refinenet4, but in the checkpoint
        self.resConfUnit2 = _Residual(width)

    def forward(self, path: Tensor, tap: Tensor | None = None) -> Tensor:
        if tap is not None:
            path = path + self.resConfUnit1(tap)
        path = self.resConfUnit2(path)
        # Upstream interpolates first. A 1 x 1 convolution commutes with interpolation (its
        # weights add up to 1), and here it sees a quarter of the pixels.
        path = self.out_conv(path)
        return interpolate(path, scale_factor=2.0, mode="bilinear", align_corners=True)


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.conv2(relu(self.conv1(relu(inputs))))
        return outputs + inputs
