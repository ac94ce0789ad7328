"""What is no whole picture is refused with the code that is true; honest flat ones are not."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import DECODERS, MAX_PIXELS, exif, holed, photograph, saved
from PIL import Image, PngImagePlugin

from depthd.contract.errors import FaultCode, PhotoError

JPEG_KINDS: list[dict] = [
    {"quality": 85},
    {"quality": 85, "optimize": True},
    {"quality": 30, "optimize": True},
    {"quality": 85, "progressive": True},
    {"quality": 85, "subsampling": 0},
    {"quality": 85, "restart_marker_blocks": 8},
]


def verdict(data: bytes) -> str:
    try:
        DECODERS.decode(data, max_pixels=MAX_PIXELS)
    except PhotoError as error:
        return error.code
    return "ok"


@pytest.fixture(params=JPEG_KINDS, ids=str)
def jpeg(request: pytest.FixtureRequest) -> bytes:
    return saved(photograph("temple.jpg"), "JPEG", **request.param)


# JPEG -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9, 0.99])
def test_cut_jpeg_is_truncated(jpeg: bytes, share: float) -> None:
    assert verdict(jpeg[: int(len(jpeg) * share)]) == FaultCode.TRUNCATED


def test_jpeg_whose_end_is_zeros_is_truncated(jpeg: bytes) -> None:
    cut = len(jpeg) * 6 // 10
    assert verdict(jpeg[:cut] + bytes(len(jpeg) - cut)) == FaultCode.TRUNCATED


@pytest.mark.parametrize("size", [512, 4096])
def test_jpeg_with_a_hole_is_damaged(jpeg: bytes, size: int) -> None:
    assert verdict(holed(jpeg, size)) == FaultCode.DAMAGED


def test_jpeg_with_a_hole_up_to_its_end_marker_is_damaged(jpeg: bytes) -> None:
    half = len(jpeg) // 2
    assert verdict(jpeg[:half] + bytes(len(jpeg) - half - 2) + jpeg[-2:]) == FaultCode.DAMAGED


@pytest.mark.parametrize("options", [o for o in JPEG_KINDS if "progressive" not in o], ids=str)
def test_cut_jpeg_with_an_end_marker_is_damaged(options: dict) -> None:
    data = saved(photograph("temple.jpg"), "JPEG", **options)
    assert verdict(data[: len(data) * 7 // 10] + b"\xff\xd9") == FaultCode.DAMAGED


def test_hole_that_means_flat_blocks_is_damaged() -> None:
    """In optimised tables zero bits can be flat blocks: nothing looks odd but the length."""
    flat = np.asarray(photograph("temple.jpg").convert("L")).copy()
    flat[100:] = 90  # so common that flat blocks get the all-zero codes
    data = saved(Image.fromarray(flat), "JPEG", quality=60, optimize=True)
    start = data.index(b"\xff\xda") + 200
    assert verdict(data) == "ok"
    assert verdict(data[:start] + bytes(1000) + data[start + 1000 :]) == FaultCode.DAMAGED


def test_jpeg_without_its_end_marker_is_whole_but_noted(jpeg: bytes) -> None:
    photo = DECODERS.decode(jpeg[:-2], max_pixels=MAX_PIXELS)
    assert photo.notes == ("its end marker is missing",)


@pytest.mark.parametrize("tail", [bytes(5000), b"anything", b"\xff\xd8\xff\xe0trailer"])
def test_what_follows_a_jpeg_does_not_matter(jpeg: bytes, tail: bytes) -> None:
    assert verdict(jpeg + tail) == "ok"


@pytest.mark.parametrize("level", [0, 128, 255, 77])
@pytest.mark.parametrize("options", JPEG_KINDS, ids=str)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_honest_flat_pictures_pass(level: int, options: dict, mode: str) -> None:
    """Black night, white wall, grey card: all flat, and flat below a photograph."""
    flat = Image.new("RGB", (700, 900), (level, level, level))
    assert verdict(saved(flat.convert(mode), "JPEG", **options)) == "ok"
    flat.paste(photograph("temple.jpg"), (0, 0))
    assert verdict(saved(flat.convert(mode), "JPEG", **options)) == "ok"


def test_empty_scan_and_missing_picture_are_told_apart(jpeg: bytes) -> None:
    assert verdict(b"\xff\xd8\xff\xd9") == FaultCode.DAMAGED
    assert verdict(jpeg[:3]) == FaultCode.TRUNCATED


def test_twelve_bit_jpeg_is_unsupported(jpeg: bytes) -> None:
    frame = jpeg.index(b"\xff\xc2" if b"\xff\xc2" in jpeg else b"\xff\xc0")
    assert verdict(jpeg[: frame + 4] + b"\x0c" + jpeg[frame + 5 :]) == FaultCode.UNSUPPORTED


def scribbled(data: bytes, at: int, chance: random.Random) -> bytes:
    """Forty random bytes in place of its own."""
    return data[:at] + chance.randbytes(40) + data[at + 40 :]


def test_random_bytes_in_a_jpeg_are_damage(jpeg: bytes) -> None:
    """What libjpeg notices fails. Where the data still fit the picture, nobody can tell."""
    middle, chance = len(jpeg) // 2, random.Random(5)
    verdicts = [verdict(scribbled(jpeg, middle + 50 * n, chance)) for n in range(20)]
    assert set(verdicts) <= {"ok", FaultCode.DAMAGED, FaultCode.TRUNCATED}
    assert verdicts.count(FaultCode.DAMAGED) >= 6


def test_odd_bytes_between_the_parts_of_a_jpeg_are_noted(jpeg: bytes) -> None:
    """As cameras leave them: behind a segment, behind the picture, in a scan's parameters."""
    expected = DECODERS.decode(jpeg, max_pixels=MAX_PIXELS).pixels
    note = ("bytes that belong to no part of it were passed over",)
    tables = jpeg.index(b"\xff\xdb")
    scan = jpeg.index(b"\xff\xda")
    is_sequential = b"\xff\xc0" in jpeg[:scan]
    odd = [
        jpeg[:tables] + b"odd" + jpeg[tables:],
        jpeg[:-2] + bytes(9) + jpeg[-2:],
    ]
    if is_sequential:
        odd.append(jpeg[: scan + 11] + b"\0\0\0" + jpeg[scan + 14 :])
    for data in odd:
        photo = DECODERS.decode(data, max_pixels=MAX_PIXELS)
        assert photo.notes == note
        assert np.array_equal(photo.pixels, expected)
    assert verdict(jpeg[:-2] + b"no padding" + jpeg[-2:]) == FaultCode.DAMAGED


# other formats --------------------------------------------------------------------------------

OTHERS: list[tuple[str, dict]] = [
    ("PNG", {}),
    ("WEBP", {"quality": 80}),
    ("WEBP", {"lossless": True}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ("AVIF", {}),
    ("GIF", {}),
    ("JPEG2000", {}),
]


@pytest.mark.parametrize(("kind", "options"), OTHERS, ids=str)
@pytest.mark.parametrize("share", [0.01, 0.4, 0.95])
def test_cut_files_are_truncated(kind: str, options: dict, share: float) -> None:
    data = saved(photograph(), kind, **options)
    assert verdict(data[: max(20, int(len(data) * share))]) == FaultCode.TRUNCATED


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
def test_holed_tiff_is_damaged(compression: str) -> None:
    assert verdict(holed(saved(photograph(), "TIFF", compression=compression))) == FaultCode.DAMAGED


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_random_bytes_in_a_tiff_are_damage(compression: str) -> None:
    data = saved(photograph(), "TIFF", compression=compression)
    third, chance = len(data) // 3, random.Random(5)
    verdicts = [verdict(scribbled(data, third + 97 * n, chance)) for n in range(10)]
    assert verdicts.count(FaultCode.DAMAGED) >= 7


def entry(data: bytes, tag: int) -> tuple[int, int]:
    """How many values a little-endian TIFF has for a tag, and where its entry keeps them."""
    (place,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, place)
    for at in range(place + 2, place + 2 + 12 * count, 12):
        found, _, values = struct.unpack_from("<HHI", data, at)
        if found == tag:
            return values, at + 8
    raise AssertionError(f"no tag {tag}")


@pytest.mark.parametrize("compression", ["none", "tiff_lzw", "tiff_adobe_deflate", "jpeg"])
@pytest.mark.parametrize("how", ["no place", "no length", "fewer"])
def test_missing_strip_of_a_tiff_is_damage(compression: str, how: str) -> None:
    if compression == "none":
        tifffile = pytest.importorskip("tifffile")
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, np.asarray(photograph()), photometric="rgb", rowsperstrip=20)
        data = bytearray(buffer.getvalue())
    else:
        data = bytearray(saved(photograph(), "TIFF", compression=compression, strip_size=40_000))
    assert verdict(bytes(data)) == "ok"
    count, rows = entry(data, 278)
    assert count == 1
    if how == "fewer":  # lower strips than are there
        struct.pack_into("<H", data, rows, 1)
    else:
        count, pointer = entry(data, 273 if how == "no place" else 279)
        assert count > 3
        (values,) = struct.unpack_from("<I", data, pointer)
        size = 2 if how == "no length" and data[pointer - 6] == 3 else 4
        data[values + 2 * size : values + 3 * size] = bytes(size)
    assert verdict(bytes(data)) == FaultCode.DAMAGED


def test_holed_png_is_damaged() -> None:
    assert verdict(holed(saved(photograph(), "PNG"))) == FaultCode.DAMAGED


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", FaultCode.EMPTY),
        (b"hello, this is text", FaultCode.NOT_AN_IMAGE),
        (bytes(5000), FaultCode.NOT_AN_IMAGE),
        (b"\xff\xd8", FaultCode.NOT_AN_IMAGE),
        (saved(Image.new("RGB", (9, 9)), "PPM"), FaultCode.UNSUPPORTED),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", FaultCode.UNSUPPORTED),
        (b"%PDF-1.7", FaultCode.UNSUPPORTED),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_photo_is_named(data: bytes, code: FaultCode) -> None:
    assert verdict(data) == code


# bounds ---------------------------------------------------------------------------------------


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(width: int, height: int, *extra: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    signature = b"\x89PNG\r\n\x1a\n"
    return b"".join((signature, chunk(b"IHDR", header), *extra, data, chunk(b"IEND", b"")))


def huge(kind: str) -> bytes:
    """A small file that says 60,000 x 60,000 pixels."""
    if kind == "PNG":
        return png(60000, 60000)
    data = bytearray(saved(Image.new("RGB", (16, 16)), kind))
    if kind == "JPEG":
        struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, 60000, 60000)
    elif kind == "BMP":
        struct.pack_into("<ii", data, 18, 60000, 60000)
    else:
        for tag in (256, 257):
            place = data.index(struct.pack("<HH", tag, 4))
            struct.pack_into("<I", data, place + 8, 60000)
    return bytes(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF"])
def test_too_many_pixels_are_seen_in_the_header(kind: str) -> None:
    data = huge(kind)
    assert DECODERS.header(data).width == 60000
    assert verdict(data) == FaultCode.TOO_MANY_PIXELS


def test_limit_is_exact() -> None:
    data = saved(photograph(), "JPEG")
    assert DECODERS.decode(data, max_pixels=600 * 400).width == 600
    with pytest.raises(PhotoError, match="600 x 400 is more than 239999 pixels"):
        DECODERS.decode(data, max_pixels=600 * 400 - 1)


@pytest.mark.parametrize(("width", "height"), [(10**8, 1), (1, 10**8), (100_001, 9)])
def test_a_side_that_is_too_long_is_too_costly(width: int, height: int) -> None:
    with pytest.raises(PhotoError) as caught:
        DECODERS.decode(png(width, height), max_pixels=10**8)
    assert caught.value.code == FaultCode.TOO_COSTLY


@pytest.mark.parametrize("compression", [6, 34925])
def test_costly_and_ancient_kinds_of_tiff_are_unsupported(compression: int) -> None:
    data = bytearray(saved(photograph(), "TIFF"))
    place = data.index(struct.pack("<HHI", 259, 3, 1)) + 8
    struct.pack_into("<H", data, place, compression)
    assert verdict(bytes(data)) == FaultCode.UNSUPPORTED


def deflated_line() -> bytes:
    """A picture of one line whose strip unpacks to 400 MB."""
    data = bytearray(saved(Image.new("L", (60_000, 1)), "TIFF", compression="tiff_adobe_deflate"))
    packed = zlib.compress(bytes(400_000_000), 9)
    for tag, value in ((273, len(data)), (279, len(packed))):
        struct.pack_into("<I", data, entry(data, tag)[1], value)
    return bytes(data) + packed


def tiff_bomb() -> bytes:
    """900 tags that each claim the whole file as their value."""
    size = 500_000
    entries = [(256, 3, 1, 16), (257, 3, 1, 16)]
    entries += [(tag, 7, size - 20000, 20000) for tag in range(60000, 60900)]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4)
    return head.ljust(size, b"x")


def with_exif_bomb() -> bytes:
    block = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 65535)
    return saved(photograph(), "JPEG", exif=block.ljust(60000, b"\xff"))


def with_many_scans() -> bytes:
    """100 passes over 9 megapixels, in 70 kB."""
    data = saved(Image.new("L", (3000, 3000), 90), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * 100 + b"\xff\xd9"


def text_bomb() -> bytes:
    content = b"Comment\0\0" + zlib.compress(bytes(300_000_000), 9)
    picture = saved(Image.new("RGB", (40, 30)), "PNG")
    return picture[:33] + chunk(b"zTXt", content) * 3 + picture[33:]


def profile_bomb() -> bytes:
    content = b"icc\0\0" + zlib.compress(bytes(300_000_000), 9)
    picture = saved(Image.new("RGB", (40, 30)), "PNG")
    return picture[:33] + chunk(b"iCCP", content) + picture[33:]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (tiff_bomb, FaultCode.DAMAGED),
        (with_exif_bomb, "ok"),
        (with_many_scans, FaultCode.TOO_COSTLY),
        (deflated_line, FaultCode.DAMAGED),
        (text_bomb, "ok"),
        (profile_bomb, "ok"),
        (lambda: b"\xff\xd8" + b"\xff\xfe\x00\x02" * 500_000, FaultCode.TOO_LARGE),
    ],
    ids=["tiff tags", "exif", "scans", "line", "text", "profile", "segments"],
)
def test_bombs_do_not_go_off(make: Callable[[], bytes], expected: str) -> None:
    """In a process of its own, so that its peak of memory is the decoder's."""
    program = (
        "import resource, sys\n"
        "from depthd.contract.errors import PhotoError\n"
        "from depthd.decode.decoder import load_decoders\n"
        "decoders = load_decoders()\n"
        "data = sys.stdin.buffer.read()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: decoders.decode(data, max_pixels=10**7); said = 'ok'\n"
        "except PhotoError as error: said = error.code\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(said, (after - before) // 1024)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], input=make(), capture_output=True, check=True, timeout=120
    )
    said, megabytes = run.stdout.decode().split()
    assert said == expected
    assert int(megabytes) < 100
    assert run.stderr == b""


def test_nothing_leaks_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    """Libraries keep quiet about damaged files, and about honest ones that look suspicious."""
    for data in (
        holed(saved(photograph(), "JPEG")),
        saved(photograph(), "JPEG")[:9000],
        saved(photograph(), "TIFF", compression="tiff_lzw")[:-9000],
        holed(saved(photograph(), "TIFF", compression="tiff_adobe_deflate")),
        holed(saved(photograph(), "WEBP")),
        saved(Image.new("RGB", (300, 200), (128, 128, 128)), "JPEG"),
        tiff_bomb(),
        os.urandom(1000),
    ):
        verdict(data)
    assert capfd.readouterr() == ("", "")


def test_metadata_of_a_png_is_not_unpacked() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * 5_000_000, zip=True)
    assert verdict(saved(photograph(), "PNG", pnginfo=info, exif=exif(3))) == "ok"


@pytest.mark.parametrize(
    ("kind", "options"),
    [*OTHERS, *(("JPEG", options) for options in JPEG_KINDS)],
    ids=str,
)
def test_changed_bytes_never_surprise(kind: str, options: dict) -> None:
    """A decoder may refuse or accept, but in our words: a few hundred changes of every kind."""
    original = saved(photograph("cat.jpg").resize((64, 48)), kind, **options)
    chance = random.Random(kind + str(options))
    for _ in range(150):
        data = bytearray(original)
        for _ in range(chance.choice((1, 2, 8))):
            place = chance.randrange(min(len(data), chance.choice((200, 700, 10**9))))
            length = chance.choice((0, 1, 9))
            data[place : place + length] = chance.randbytes(chance.choice((1, length)))
        assert verdict(bytes(data)) in {"ok", *FaultCode}


def test_a_jpeg2000_whose_box_promises_more_than_its_picture_takes_no_memory() -> None:
    data = (Path(__file__).parent / "corpus/two-sizes.jp2").read_bytes()
    with pytest.raises(PhotoError) as caught:
        DECODERS.decode(data, max_pixels=MAX_PIXELS)
    assert caught.value.code == FaultCode.DAMAGED
