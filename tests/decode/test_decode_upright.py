"""Every kind of picture gives the upright RGB that its plain twin gives."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import DECODERS, MAX_PIXELS, SAMPLES, by_opencv, exif, photograph, saved
from PIL import Image

from depthd.decode.decoder import Photo

# What turns an upright picture into the stored one for each EXIF value.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def decoded(data: bytes) -> Photo:
    return DECODERS.decode(data, max_pixels=MAX_PIXELS)


def array(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("AVIF", {"quality": 100, "subsampling": "4:4:4"}),
    ],
)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_come_out_upright(kind: str, options: dict, orientation: int) -> None:
    upright = photograph().resize((150, 100))
    turn = STORED[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    if kind == "TIFF":
        options = {**options, "tiffinfo": {274: orientation}}
    else:
        options = {**options, "exif": exif(orientation)}
    data = saved(stored, kind, **options)
    photo = decoded(data)
    assert (photo.width, photo.height, photo.orientation) == (150, 100, orientation)
    assert photo.pixels.shape == (100, 150, 3)
    assert abs(photo.pixels.astype(int) - array(upright)).mean() < 3
    assert (DECODERS.header(data).width, DECODERS.header(data).height) == stored.size


def test_sixteen_bit_tiff_is_turned_once() -> None:
    tifffile = pytest.importorskip("tifffile")
    rgb = array(photograph().resize((150, 100))).astype(np.uint16) << 8
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.rot90(rgb), photometric="rgb", extratags=[(274, 3, 1, 6, True)])
    photo = decoded(buffer.getvalue())
    assert np.array_equal(photo.pixels, rgb >> 8)


def test_bundled_portrait_is_upright() -> None:
    photo = decoded((SAMPLES / "astronaut.jpg").read_bytes())
    assert (photo.width, photo.height, photo.orientation) == (384, 512, 6)


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_nonsense_orientation_counts_as_upright(orientation: int) -> None:
    data = saved(photograph(), "JPEG", exif=exif(orientation))
    assert decoded(data).orientation == 1


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("how", ["shifted", "scaled"])
@pytest.mark.parametrize("channels", ["grey", "rgb"])
def test_sixteen_bits_give_what_the_eight_bit_twin_gives(
    suffix: str, bits: int, how: str, channels: str
) -> None:
    twin = array(photograph().resize((150, 100)))
    twin = twin[..., 1] if channels == "grey" else twin
    twin = np.clip(twin.astype(int) * 1.2, 0, 255).astype(np.uint8)  # a photo with some white
    if how == "shifted":
        wide = twin.astype(np.uint16) << (bits - 8)
    else:
        wide = np.round(twin.astype(np.uint32) * ((1 << bits) - 1) / 255).astype(np.uint16)
    photo = decoded(by_opencv(suffix, wide))
    expected = np.repeat(twin[..., None], 3, axis=2) if channels == "grey" else twin
    assert np.array_equal(photo.pixels, expected)
    assert bool(photo.notes) == (bits < 16)


def test_sixteen_bit_alpha_has_a_range_of_its_own() -> None:
    rgb = array(photograph().resize((150, 100))).astype(np.uint16) << 4
    rgb[0, 0] = 4095
    alpha = np.full((*rgb.shape[:2], 1), 65535, np.uint16)
    photo = decoded(by_opencv(".png", np.concatenate((rgb, alpha), axis=2)))
    assert np.array_equal(photo.pixels, rgb >> 4)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "JPEG", "WEBP"])
def test_grey_gives_three_equal_channels(kind: str) -> None:
    grey = photograph().convert("L")
    options = {"quality": 100} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    photo = decoded(saved(grey, kind, **options))
    assert np.ptp(photo.pixels, axis=2).max() == 0
    assert abs(photo.pixels.astype(int) - array(grey)).max() <= 3


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
@pytest.mark.parametrize("mode", ["P", "1", "RGB"])
def test_lossless_modes(kind: str, mode: str) -> None:
    image = photograph().convert(mode)
    assert np.array_equal(decoded(saved(image, kind)).pixels, array(image))


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})]
)
def test_alpha_lies_over_white_and_is_noted(kind: str, options: dict) -> None:
    image = photograph().resize((150, 100))
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    photo = decoded(saved(image, kind, **options))
    over_white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    assert np.array_equal(photo.pixels, array(over_white))
    assert photo.notes == ("transparent parts were put over white",)


def test_opaque_alpha_is_the_rgb_twin_and_not_noted() -> None:
    image = photograph()
    photo = decoded(saved(image.convert("RGBA"), "PNG"))
    assert np.array_equal(photo.pixels, array(image))
    assert photo.notes == ()


@pytest.mark.parametrize(("kind", "tolerance"), [("TIFF", 0), ("JPEG", 2)])
def test_cmyk_is_its_rgb_twin(kind: str, tolerance: int) -> None:
    image = photograph()
    options = {"quality": 98, "subsampling": 0} if kind == "JPEG" else {}
    photo = decoded(saved(image.convert("CMYK"), kind, **options))
    assert abs(photo.pixels.astype(int) - array(image)).mean() <= tolerance
    assert photo.notes == ("CMYK colours were converted without their profile",)


@pytest.mark.parametrize(
    "options",
    [{"progressive": True}, {"optimize": True}, {"subsampling": 2}, {"restart_marker_blocks": 5}],
)
def test_kinds_of_jpeg(options: dict) -> None:
    image = photograph()
    data = saved(image, "JPEG", quality=90, **options)
    assert abs(decoded(data).pixels.astype(int) - array(Image.open(io.BytesIO(data)))).max() <= 3


@pytest.mark.parametrize("kind", ["TIFF", "WEBP", "PNG", "MPO"])
def test_first_of_several_pictures_is_taken_and_noted(kind: str) -> None:
    first, second = photograph(), Image.new("RGB", photograph().size)
    options = {"lossless": True} if kind == "WEBP" else {}
    photo = decoded(saved(first, kind, save_all=True, append_images=[second], **options))
    assert abs(photo.pixels.astype(int) - array(first)).mean() < 4
    assert len(photo.notes) == 1


def test_heic_is_upright() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(photograph()).save(buffer, quality=95)
    photo = decoded(buffer.getvalue())
    assert (photo.format, photo.width, photo.height) == ("heif", 600, 400)
    assert abs(photo.pixels.astype(int) - array(photograph())).mean() < 4


def test_reduced_decode_keeps_at_least_what_was_asked() -> None:
    data = saved(photograph().resize((2400, 1600)), "JPEG", exif=exif(6))
    photo = DECODERS.decode(data, max_pixels=MAX_PIXELS, reduce_to=512)
    assert (photo.width, photo.height) == (1600, 2400)
    assert photo.pixels.shape == (600, 400, 3)
    assert DECODERS.decode(data, max_pixels=MAX_PIXELS, reduce_to=2000).pixels.shape == (
        2400,
        1600,
        3,
    )
