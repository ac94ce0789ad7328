"""The networks depthd can run, declared once. Knows names and numbers; does no I/O."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelSpec:
    """One network and where its published weights come from.

    Attributes:
        backbone, features, expand, plane: arguments of `MidasNet`.
        url: official download; empty where the weights ship in the package.
        sha256_prefix: the SHA-256 of the published file in hexadecimal, as far as it is known: all
            64 digits of the package's own, the eight that MiDaS's authors publish of theirs.
        bytes: size of the published file as far as it is known, for people and progress only.
        file_names: what the published file is called; the first is the name in state/weights/,
            all are looked for in torch hub's cache.
        package_data: path of the weights inside the package `depthd.model`; empty if downloaded.
    """

    name: str
    backbone: str
    features: int
    expand: bool
    plane: bool
    url: str
    sha256_prefix: str
    bytes: int
    file_names: tuple[str, ...]
    package_data: str = ""


MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            name="midas_small",
            backbone="tf_efficientnet_lite3",
            features=64,
            expand=True,
            plane=False,
            url="https://github.com/isl-org/MiDaS/releases/download/v2_1/midas_v21_small_256.pt",
            sha256_prefix="70d6b9c8",
            bytes=85_800_000,  # published as 81.8 MiB
            file_names=("midas_v21_small_256.pt", "midas_v21_small-70d6b9c8.pt"),
        ),
        ModelSpec(
            name="builtin",
            backbone="tf_efficientnet_lite2",
            features=48,
            expand=False,
            plane=True,
            url="",
            sha256_prefix="66c9d16023280f1c18263e427f559bd347cc32294ac47d25059d5d148567efbb",
            bytes=0,
            file_names=("builtin.safetensors",),
            package_data="data/builtin.safetensors",
        ),
    )
}
