"""Whoever starts the daemon with its standard error in a pipe may forget to read it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from daemon import Daemon, drop
from photos import photo

PHOTOS = 12
SMALLEST_PIPE = 4096  # bytes


def test_photos_go_on_while_nobody_reads_standard_error(
    root: Path, settings: tuple[str, ...], tmp_path: Path
) -> None:
    fifo = tmp_path / "errors"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, SMALLEST_PIPE)
    prefix = ["sh", "-c", 'exec "$@" 2>"$0"', str(fifo)]
    with Daemon(root, *settings, prefix=prefix).ready() as daemon:
        for number in range(PHOTOS):
            drop(root, f"{number}.jpg", photo(number))
        daemon.wait_for("photo.done", count=PHOTOS)
        assert daemon.stop() == 0
        assert daemon.logged("service.stopped")
    said = os.read(reader, 1 << 20)
    os.close(reader)
    assert 0 < len(said) <= SMALLEST_PIPE < daemon.log.stat().st_size  # it was full
