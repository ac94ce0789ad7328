"""A camera's angle from settings, EXIF of real files, or a guess that is marked as one."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
from PIL import ExifTags, Image

from depthd.decode.lens import read_lens
from depthd.metres.lens import GUESS, Lens, intrinsics


def photo(kind: str = "JPEG", model: str = "", **tags: Any) -> bytes:
    """A file with these EXIF tags, by Pillow's names."""
    image = Image.new("RGB", (40, 30))
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = model or "a camera"
    exif.get_ifd(ExifTags.IFD.Exif).update({ExifTags.Base[name]: v for name, v in tags.items()})
    buffer = io.BytesIO()
    image.save(buffer, kind, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_35_mm_focal_length_counts_by_the_diagonal(kind: str) -> None:
    lens = read_lens(photo(kind, FocalLengthIn35mmFilm=28, FocalLength=4.2))
    found = intrinsics(4000, 3000, None, lens)
    assert found.source == "exif"
    assert found.focal == pytest.approx(28 / math.hypot(36, 24) * 5000)
    turned = intrinsics(3000, 4000, None, lens)
    assert (turned.focal, turned.fov) == (found.focal, found.fov)


def test_the_worker_reads_jpeg_without_pillows_reader_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = photo(FocalLengthIn35mmFilm=28)
    monkeypatch.delitem(Image.OPEN, "JPEG")
    monkeypatch.setattr(Image, "preinit", lambda: None)
    monkeypatch.setattr(Image, "init", lambda: None)
    assert read_lens(data).focal_35mm == 28


def test_a_full_frame_camera_sees_what_the_books_say() -> None:
    found = intrinsics(6000, 4000, None, Lens(focal_35mm=50))
    assert found.fov == pytest.approx(39.6, abs=0.1)


def test_the_sensors_own_resolution_counts_too() -> None:
    data = photo(
        FocalLength=50.0,
        FocalPlaneXResolution=6000 / 36 * 25.4,
        FocalPlaneResolutionUnit=2,
        ExifImageWidth=6000,
        ExifImageHeight=4000,
    )
    for width in (6000, 1500):  # as it was taken, and scaled down since
        assert intrinsics(width, width * 2 // 3, None, read_lens(data)).fov == pytest.approx(
            39.6, abs=0.1
        )


def test_known_sensors() -> None:
    lens = read_lens(photo(model="RP_imx219", FocalLength=3.04))
    assert intrinsics(3280, 2464, None, lens).fov == pytest.approx(62.2, abs=0.3)


def test_a_setting_beats_exif() -> None:
    found = intrinsics(640, 480, 90, Lens(focal_35mm=50))
    assert (found.source, found.focal) == ("fov", pytest.approx(320))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8\xff no picture",
        photo(),
        photo("PNG"),
        photo(FocalLengthIn35mmFilm=0),
        photo(FocalLength=50.0),
        photo(FocalLengthIn35mmFilm=60000),
        photo(FocalLength=50.0, FocalPlaneXResolution=1e-3, ExifImageWidth=40),
    ],
)
def test_what_says_nothing_or_nonsense_is_a_guess(data: bytes) -> None:
    found = intrinsics(640, 480, None, read_lens(data))
    assert found.source == "guess"
    assert found.fov == pytest.approx(GUESS)


def test_the_same_camera_at_another_size() -> None:
    whole = intrinsics(640, 480, 60, None)
    half = whole.scaled(320, 240)
    assert (half.focal, half.cx, half.cy) == (whole.focal / 2, 160, 120)
    assert half.fov == pytest.approx(whole.fov)
