"""Breaks the worker on purpose: on PYTHONPATH, a photo that ends in a marker does what it says.

The worker hashes each photo before it decodes it; that is where the marker strikes. With
SABOTAGE_BOOT=hang in the environment the worker never comes to life.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import signal
import sys
import threading

MARKER = b"SABOTAGE:"
_sha256 = hashlib.sha256


def _strike(what: str) -> None:
    match what:
        case "segfault":
            ctypes.string_at(0)
        case "abort":
            os.abort()
        case "exit":
            os._exit(3)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            threading.Event().wait()
        case "memory":
            hoard = []
            while True:
                hoard.append(bytearray(50_000_000))
        case "garbage":
            os.write(int(sys.argv[1]), b"rubbish\n")
            threading.Event().wait()
        case "bug":
            raise ZeroDivisionError("on purpose")


def _struck(data: bytes = b"", **keywords: bool) -> hashlib._Hash:
    if isinstance(data, bytes) and MARKER in data[-64:]:
        _strike(data.rpartition(MARKER)[2].decode())
    return _sha256(data, **keywords)


hashlib.sha256 = _struck

if os.environ.get("SABOTAGE_BOOT") == "hang" and "depthd.worker.main" in sys.orig_argv:
    threading.Event().wait()
