"""Breaks the worker on purpose: on PYTHONPATH, a photo that ends in a marker does what it says.

`SABOTAGE:infer:segfault` strikes when the photo comes to that stage of the worker (decode, infer,
render or write). With SABOTAGE_BOOT=hang in the environment the worker never comes to life.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import signal
import sys
import threading
from importlib.abc import MetaPathFinder
from types import ModuleType

MARKER = b"SABOTAGE:"
_PIPELINE = "depthd.worker.pipeline"


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


def _orders(original: int) -> tuple[str, str]:
    """Stage and deed that the end of a photo asks for; the worker may not open files any more."""
    end = os.lseek(original, 0, os.SEEK_END)
    tail = os.pread(original, 64, max(0, end - 64))
    os.lseek(original, 0, os.SEEK_SET)
    stage, _, what = tail.rpartition(MARKER)[2].decode(errors="replace").partition(":")
    return (stage, what) if MARKER in tail else ("", "")


def _break(pipeline: ModuleType) -> None:
    """Put the strikes before each stage's own work."""
    orders: dict[str, tuple[str, str]] = {}
    rendering = threading.local()  # a photo is rendered and written by one thread
    cls, write = pipeline.Pipeline, pipeline._write
    stages = {name: getattr(cls, f"_{name}") for name in ("decode", "infer", "render")}

    def strike(stage: str, job: str) -> None:
        wanted, what = orders.get(job, ("", ""))
        if wanted == stage:
            _strike(what)

    def before(stage: str) -> object:
        def work(self: object, item: object) -> object:
            task = item.task
            if stage == "decode":
                orders[task.id] = _orders(task.original)
            rendering.job = task.id
            strike(stage, task.id)
            return stages[stage](self, item)

        return work

    def struck_write(*arguments: object) -> object:
        strike("write", rendering.job)
        return write(*arguments)

    for stage in stages:
        setattr(cls, f"_{stage}", before(stage))
    pipeline._write = struck_write


class _Finder(MetaPathFinder):
    """Breaks the pipeline's module as soon as it is loaded."""

    def find_spec(self, name: str, path: object, target: object = None) -> object:
        if name != _PIPELINE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def load_and_break(module: ModuleType) -> None:
            load(module)
            _break(module)

        spec.loader.exec_module = load_and_break
        return spec


sys.meta_path.insert(0, _Finder())
if os.environ.get("SABOTAGE_BOOT") == "hang" and "depthd.worker.main" in sys.orig_argv:
    threading.Event().wait()
