"""Makes the seeds in corpus/, a tiny picture of each kind: `python tests/decode/make_corpus.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

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
    colour.save(CORPUS / "colour.avif", quality=50)


if __name__ == "__main__":
    main()
