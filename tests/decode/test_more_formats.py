"""GIF, JPEG 2000, JPEG XL, camera raw, TIFFs of numbers, against their libraries' own viewers."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import DECODERS, MAX_PIXELS, SAMPLES, dng, photograph, saved
from PIL import Image, ImageCms

from depthd.contract.errors import FaultCode, PhotoError
from depthd.decode.decoder import Photo

tifffile = pytest.importorskip("tifffile")


def decoded(data: bytes) -> Photo:
    return DECODERS.decode(data, max_pixels=MAX_PIXELS)


def fault(data: bytes) -> FaultCode:
    with pytest.raises(PhotoError) as caught:
        decoded(data)
    return caught.value.code


def array(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.convert("RGB"))


def viewed(tool: str, *command: str | Path, shows: Path) -> NDArray[np.uint8]:
    """What a library's own program shows of a file."""
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is not installed")
    subprocess.run([path, *command], check=True, capture_output=True)
    with Image.open(shows) as image:
        return array(image)


def temple() -> Image.Image:
    return photograph("temple.jpg").crop((0, 0, 640, 426))


# GIF ------------------------------------------------------------------------------------------


def test_first_picture_of_a_gif_is_what_pillow_shows() -> None:
    first, second = photograph().quantize(64), Image.new("L", (600, 400))
    data = saved(first, "GIF", save_all=True, append_images=[second])
    photo = decoded(data)
    assert np.array_equal(photo.pixels, array(Image.open(io.BytesIO(data))))
    assert photo.format == "gif"
    assert photo.notes == ("the first picture of an animation was taken",)
    assert decoded(saved(first, "GIF")).notes == ()


def test_transparent_parts_of_a_gif_lie_over_white() -> None:
    image = photograph().quantize(64)
    image.info["transparency"] = image.getpixel((0, 0))
    data = saved(image, "GIF")
    with Image.open(io.BytesIO(data)) as shown:
        rgba = shown.convert("RGBA")
    over_white = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    assert np.array_equal(decoded(data).pixels, array(over_white))


def test_gif_whose_picture_ends_early_is_no_photo() -> None:
    data = saved(photograph().quantize(64), "GIF")
    assert fault(data[: len(data) // 2]) == FaultCode.TRUNCATED
    assert fault(data[:13] + b"\x3b") == FaultCode.TRUNCATED


# JPEG 2000 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["RGB", "L", "RGBA"])
@pytest.mark.parametrize("is_bare", [False, True])
def test_lossless_jpeg_2000_is_its_twin(kind: str, is_bare: bool) -> None:
    image = photograph().convert(kind)
    photo = decoded(saved(image, "JPEG2000", no_jp2=is_bare))
    assert photo.format == "jpeg2000"
    assert np.array_equal(photo.pixels, array(image))


def test_sixteen_bit_jpeg_2000_is_its_eight_bit_twin() -> None:
    grey = np.asarray(photograph().convert("L"))
    data = saved(Image.fromarray(grey.astype(np.uint16) * 257), "JPEG2000")
    assert np.array_equal(decoded(data).pixels, np.repeat(grey[:, :, None], 3, axis=2))


def test_jpeg_2000_of_many_tiles_is_too_costly() -> None:
    data = bytearray(saved(photograph(), "JPEG2000", no_jp2=True))
    data[24:32] = bytes((0, 0, 0, 1, 0, 0, 0, 1))
    assert fault(bytes(data)) == FaultCode.TOO_COSTLY


# JPEG XL --------------------------------------------------------------------------------------


@pytest.fixture
def jpeg_xl() -> None:
    pytest.importorskip("pillow_jxl.JpegXLImagePlugin", reason="pillow-jxl-plugin is missing")


@pytest.mark.usefixtures("jpeg_xl")
@pytest.mark.parametrize("options", [{"quality": 90}, {"quality": 50, "use_container": True}])
def test_jpeg_xl_is_what_djxl_shows(options: dict, tmp_path: Path) -> None:
    data = saved(temple(), "JXL", **options)
    (tmp_path / "a.jxl").write_bytes(data)
    shown = viewed("djxl", tmp_path / "a.jxl", tmp_path / "a.png", shows=tmp_path / "a.png")
    assert abs(decoded(data).pixels.astype(int) - shown).max() <= 1


@pytest.mark.usefixtures("jpeg_xl")
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA"])
@pytest.mark.parametrize("size", [(600, 400), (512, 512), (37, 501), (64, 48), (8, 8)])
def test_lossless_jpeg_xl_is_its_twin(mode: str, size: tuple[int, int]) -> None:
    image = photograph().resize(size).convert(mode)
    photo = decoded(saved(image, "JXL", lossless=True))
    assert (photo.width, photo.height) == size
    assert np.array_equal(photo.pixels, array(image))


@pytest.mark.usefixtures("jpeg_xl")
def test_sixteen_bit_jpeg_xl_is_its_eight_bit_twin() -> None:
    grey = np.asarray(photograph().convert("L"))
    data = saved(Image.fromarray(grey.astype(np.uint16) * 257), "JXL", lossless=True)
    assert np.array_equal(decoded(data).pixels, np.repeat(grey[:, :, None], 3, axis=2))


@pytest.mark.usefixtures("jpeg_xl")
@pytest.mark.parametrize("name", ["coffee.jpg", "astronaut.jpg"])
def test_a_jpeg_packed_into_jpeg_xl_is_the_jpeg(name: str) -> None:
    with Image.open(SAMPLES / name) as image:
        data = saved(image, "JXL", lossless_jpeg=True)
    expected = decoded((SAMPLES / name).read_bytes())
    assert np.array_equal(decoded(data).pixels, expected.pixels)


@pytest.mark.usefixtures("jpeg_xl")
def test_damaged_jpeg_xl_is_damaged() -> None:
    data = bytearray(saved(temple(), "JXL"))
    middle = len(data) // 2
    assert fault(bytes(data[:middle])) == FaultCode.DAMAGED
    data[middle : middle + 4] = b"oops"
    assert fault(bytes(data)) == FaultCode.DAMAGED
    boxed = saved(temple(), "JXL", use_container=True)
    assert fault(boxed[: len(boxed) // 2]) == FaultCode.TRUNCATED


# camera raw -----------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_camera_raw_is_what_libraws_viewer_shows(orientation: int, tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    data = dng(np.asarray(temple()), orientation)
    (tmp_path / "a.dng").write_bytes(data)
    options = ("-w", "-q", "0", "-T")  # the camera's white, bilinear, as TIFF
    shown = viewed("dcraw_emu", *options, tmp_path / "a.dng", shows=tmp_path / "a.dng.tiff")
    photo = decoded(data)
    assert photo.format == "raw"
    assert (photo.height, photo.width) == shown.shape[:2]
    assert abs(photo.pixels.astype(int) - shown).max() <= 1


def test_camera_raw_looks_like_what_the_sensor_saw() -> None:
    pytest.importorskip("rawpy")
    photo = decoded(dng(np.asarray(temple())))
    seen = np.asarray(temple()).astype(int)
    assert abs(photo.pixels - seen - (photo.pixels - seen).mean()).mean() < 12


def test_cut_camera_raw_is_truncated_and_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rawpy")
    data = dng(np.asarray(temple()))
    assert fault(data[: len(data) // 2]) == FaultCode.TRUNCATED
    assert capfd.readouterr() == ("", "")


def test_fast_preprocessing_takes_half_the_sensors_pixels() -> None:
    pytest.importorskip("rawpy")
    photo = DECODERS.decode(dng(np.asarray(temple())), max_pixels=MAX_PIXELS, reduce_to=256)
    assert (photo.width, photo.height) == (640, 426)
    assert photo.pixels.shape == (213, 320, 3)


# TIFF -----------------------------------------------------------------------------------------


def test_lab_is_what_little_cms_shows(tmp_path: Path) -> None:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    image = ImageCms.applyTransform(temple(), ImageCms.buildTransform(srgb, lab, "RGB", "LAB"))
    assert image is not None
    data = saved(image, "TIFF")
    (tmp_path / "lab.tif").write_bytes(data)
    shown = viewed(
        "tificc", "-o*sRGB", tmp_path / "lab.tif", tmp_path / "rgb.tif", shows=tmp_path / "rgb.tif"
    )
    assert abs(decoded(data).pixels.astype(int) - shown).max() <= 1
    assert abs(decoded(data).pixels.astype(int) - array(temple())).mean() < 1


def as_kind(kind: str, levels: NDArray[np.uint8]) -> NDArray[np.generic]:
    """Values of a kind that show these levels, 0 and 255 among them."""
    match kind:
        case "int16":
            return levels.astype(np.int16) * 100 - 9000
        case "int32":
            return (levels.astype(np.int64) * 16843009 - 2**31).astype(np.int32)
        case "uint32":
            return levels.astype(np.uint32) * 16843009
        case "shares":
            return levels.astype(np.float32) / 255
        case "float64":
            return levels.astype(np.float64) * 3.5 - 100
        case _:
            return levels.astype(np.float32) * 10


@pytest.mark.parametrize("kind", ["int16", "int32", "uint32", "shares", "float32", "float64"])
@pytest.mark.parametrize("is_grey", [False, True])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (64, 64)}], ids=str)
def test_numbers_show_what_their_eight_bit_twin_shows(
    kind: str, is_grey: bool, options: dict
) -> None:
    levels = np.asarray(photograph().convert("L" if is_grey else "RGB").resize((150, 100))).copy()
    levels[0, 0], levels[0, 1] = 0, 255
    values = as_kind(kind, levels)
    buffer = io.BytesIO()
    photometric = "minisblack" if is_grey else "rgb"
    tifffile.imwrite(buffer, values, photometric=photometric, **options)
    photo = decoded(buffer.getvalue())
    expected = np.repeat(levels[:, :, None], 3, axis=2) if is_grey else levels
    assert np.array_equal(photo.pixels, expected)
    assert len(photo.notes) == 1


def test_what_is_no_number_is_black() -> None:
    values = np.full((20, 30), 0.5, np.float32)
    values[0, :3] = (np.nan, np.inf, -np.inf)
    values[1, :2] = (0, 1)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values)
    row = decoded(buffer.getvalue()).pixels[0, :4, 0]
    assert row.tolist() == [0, 255, 0, 128]
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values[:1, :3])
    assert fault(buffer.getvalue()) == FaultCode.DAMAGED


@pytest.mark.parametrize(
    "values",
    [np.zeros((9, 9), np.float16), np.zeros((9, 9), np.complex64)],
    ids=lambda values: f"{values.dtype}{values.shape}",
)
def test_other_numbers_are_unsupported_and_quiet(
    values: NDArray[np.generic], capfd: pytest.CaptureFixture[str]
) -> None:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, photometric="minisblack")
    assert fault(buffer.getvalue()) == FaultCode.UNSUPPORTED
    assert capfd.readouterr() == ("", "")
