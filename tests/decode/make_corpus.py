"""Makes the seeds in corpus/, a tiny picture of each kind: `python tests/decode/make_corpus.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pillow_heif
import pillow_jxl.JpegXLImagePlugin  # noqa: F401 - Pillow writes JPEG XL with it
import tifffile
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent))
from pictures import dng

CORPUS = Path(__file__).parent / "corpus"


def main() -> None:
    CORPUS.mkdir(exist_ok=True)
    ramp = np.add.outer(np.arange(16) * 7, np.arange(24) * 5).astype(np.uint8)
    colour = Image.fromarray(np.dstack([ramp, ramp.T[:16, :].repeat(2, 1)[:, :24], 255 - ramp]))
    grey = Image.fromarray(ramp)
    exif = Image.Exif()
    exif[0x0112] = 6
    colour.save(CORPUS / "baseline.jpg", quality=80)
    colour.save(CORPUS / "progressive.jpg", quality=80, progressive=True)
    colour.save(CORPUS / "turned.jpg", quality=80, exif=exif)
    colour.convert("CMYK").save(CORPUS / "cmyk.jpg", quality=80)
    grey.save(CORPUS / "grey.jpg", quality=80)
    colour.save(CORPUS / "colour.png", exif=exif)
    colour.quantize(16).save(CORPUS / "palette.png")
    colour.convert("RGBA").save(CORPUS / "alpha.png")
    Image.fromarray(ramp.astype(np.uint16) * 16).save(CORPUS / "sixteen.png")
    colour.save(CORPUS / "lossy.webp", quality=60)
    colour.save(CORPUS / "lossless.webp", lossless=True, exif=exif)
    colour.save(CORPUS / "colour.bmp")
    grey.save(CORPUS / "grey.bmp")
    colour.save(CORPUS / "raw.tif")
    colour.save(CORPUS / "lzw.tif", compression="tiff_lzw")
    colour.save(CORPUS / "deflate.tif", compression="tiff_adobe_deflate", exif=exif)
    colour.save(CORPUS / "packed-jpeg.tif", compression="jpeg")
    colour.save(CORPUS / "colour.avif", quality=50)
    colour.quantize(16).save(CORPUS / "animated.gif", save_all=True, append_images=[grey])
    colour.save(CORPUS / "lossless.jp2")
    colour.save(CORPUS / "lossy.j2k", quality_layers=[20], irreversible=True)
    colour.save(CORPUS / "lossy.jxl", quality=60)
    grey.save(CORPUS / "grey.jxl", lossless=True, use_container=True)
    Image.open(CORPUS / "baseline.jpg").save(CORPUS / "packed-jpeg.jxl", lossless_jpeg=True)
    pillow_heif.from_pillow(colour).save(CORPUS / "colour.heic", quality=50)
    lab(CORPUS / "lab.tif", np.asarray(colour))
    tifffile.imwrite(CORPUS / "float.tif", ramp.astype(np.float32) / 255)
    tifffile.imwrite(CORPUS / "signed.tif", ramp.astype(np.int16) - 100, compression="zlib")
    sensor = np.asarray(colour.resize((64, 48)))  # LibRaw takes none below 22 pixels
    (CORPUS / "sensor.dng").write_bytes(dng(sensor))


def lab(path: Path, pixels: NDArray[np.uint8]) -> None:
    tifffile.imwrite(path, pixels, photometric="cielab", metadata=None)


if __name__ == "__main__":
    main()
