"""Coverage-guided fuzzing of the decoder: whatever the bytes, a picture or a PhotoError.

    python tests/decode/fuzz_decode.py tests/decode/corpus               until it is stopped
    python tests/decode/fuzz_decode.py tests/decode/corpus -runs=2000    as the suite runs it

libFuzzer's options hold. What it finds goes into corpus/, so that it stays found.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["depthd.decode"]):
    from depthd.contract.errors import PhotoError
    from depthd.decode.decoder import load_decoders

    DECODERS = load_decoders()

MAX_PIXELS = 250_000


def decode_anything(data: bytes) -> None:
    try:
        header = DECODERS.header(data)
    except PhotoError:
        header = None
    try:
        photo = DECODERS.decode(data, max_pixels=MAX_PIXELS)
    except PhotoError:
        return
    assert header is not None, "decoded what has no header"
    assert photo.width * photo.height <= MAX_PIXELS
    assert photo.pixels.shape == (photo.height, photo.width, 3)
    assert photo.pixels.dtype == "uint8"


if __name__ == "__main__":
    atheris.Setup(sys.argv, decode_anything)
    atheris.Fuzz()
