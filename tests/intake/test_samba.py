"""A real Samba server with a waste bin: uploads are taken whole, what is deleted is not taken."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from inbox_loop import DEADLINE, Loop, Start

HAS_SAMBA = shutil.which("smbd") and shutil.which("smbclient")
HAS_RECYCLE = any(Path("/usr/lib").glob("*/samba/vfs/recycle.so"))
needs_samba = pytest.mark.skipif(
    os.geteuid() != 0 or not HAS_SAMBA or not HAS_RECYCLE,
    reason="needs root and the packages samba, samba-vfs-modules and smbclient",
)
CONFIGURATION = """
[global]
smb ports = {port}
interfaces = lo
bind interfaces only = yes
disable netbios = yes
server role = standalone server
map to guest = bad user
guest account = root
private dir = {own}
lock directory = {own}
state directory = {own}
cache directory = {own}
pid directory = {own}
ncalrpc dir = {own}
log file = {own}/log
load printers = no
[inbox]
path = {inbox}
guest ok = yes
read only = no
force user = root
vfs objects = recycle
recycle:repository = #recycle
"""


def answers(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def client(start: Start, tmp_path: Path) -> Iterator[tuple[Loop, Callable[[str], None]]]:
    """An intake whose inbox is shared, and a client that runs one command."""
    loop = start(watch="native", settle="200ms")
    own = tmp_path / "samba"
    own.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = own / "smb.conf"
    settings.write_text(CONFIGURATION.format(port=port, own=own, inbox=loop.inbox))
    command = ["smbd", "--foreground", "--no-process-group", "--configfile", str(settings)]
    quiet = subprocess.DEVNULL
    # At its end smbd ends its whole process group, so it gets one of its own.
    with subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True) as server:

        def run(what: str) -> None:
            ask = ["smbclient", "//127.0.0.1/inbox", "-N", "-p", str(port), "-c", what]
            subprocess.run([*ask, "-s", str(settings)], check=True, cwd=tmp_path, timeout=60)

        try:
            end = time.monotonic() + DEADLINE
            while not answers(port):
                assert time.monotonic() < end
                assert server.poll() is None, "smbd ended"
                time.sleep(0.05)
            yield loop, run
        finally:
            server.terminate()


@needs_samba
def test_uploads_are_taken_whole_and_the_waste_bin_is_left_alone(
    client: tuple[Loop, Callable[[str], None]], tmp_path: Path
) -> None:
    loop, run = client
    (tmp_path / "photo.jpg").write_bytes(os.urandom(5_000_000))
    run("mkdir cam; cd cam; put photo.jpg a.jpg; put photo.jpg old.jpg; rm old.jpg")
    assert list((loop.inbox / "#recycle").iterdir())
    run("put photo.jpg b.jpg.part; rename b.jpg.part b.jpg")
    loop.until_taken("cam/a.jpg", "b.jpg")
    assert {seen.size for seen in loop.taken} == {5_000_000}
    loop.until_rescanned()
    assert sorted(loop.names) == ["b.jpg", "cam/a.jpg"]
    assert loop.ignored() == {}
