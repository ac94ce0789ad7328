"""The README's first command on this machine: does it work, how long, and how much disk?

`python3 tests/installation/first_command.py [FOLDER]` copies the repository's files into FOLDER (by
default a new one; `.` runs it in place) and runs the command there. Needs nothing but Python.
Prints a row of the README's table and ends with 1 where a limit is passed or torch came along.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
MOST_INSTALLED = 700  # MB
MOST_AT_ANY_TIME = 1500  # MB


def command() -> str:
    """The line of the README, as it stands there."""
    lines = (PROJECT / "README.md").read_text(encoding="utf-8").splitlines()
    return next(line.strip() for line in lines if line.startswith("    ") and "depthd demo" in line)


def megabytes(*folders: Path) -> int:
    """On the disk."""
    arguments = ["du", "--summarize", "--block-size=1M", *map(str, folders)]
    result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    return sum(int(line.split()[0]) for line in result.stdout.splitlines())  # some vanish meanwhile


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
    if folder.resolve() != PROJECT:
        files = subprocess.run(
            ["git", "archive", "HEAD"], cwd=PROJECT, check=True, capture_output=True
        )
        subprocess.run(["tar", "-x", "-C", str(folder)], input=files.stdout, check=True)
    environment, temporary = folder / ".venv", folder / ".tmp"
    temporary.mkdir(exist_ok=True)
    print(f"+ {command()}", flush=True)
    started = time.monotonic()
    peak = 0
    # Without pip's cache, as on a new machine; its temporary files count as well.
    variables = {**os.environ, "TMPDIR": str(temporary.resolve()), "PIP_NO_CACHE_DIR": "1"}
    with subprocess.Popen(["bash", "-euc", command()], cwd=folder, env=variables) as child:
        while child.poll() is None:
            peak = max(peak, megabytes(environment, temporary))
            time.sleep(0.2)
    seconds = time.monotonic() - started
    if child.returncode != 0:
        print(f"it ended with {child.returncode}")
        return 1
    temporary.rmdir()
    installed = megabytes(environment)
    print(f"{seconds:.0f} s; {installed} MB installed, {peak} MB on the disk at most")
    reference = [path.name for path in environment.glob("lib/*/site-packages/*") if path.name in
                 ("torch", "torchvision", "timm")]  # fmt: skip
    if reference:
        print(f"{', '.join(reference)} came along")
    return int(bool(reference) or installed > MOST_INSTALLED or peak > MOST_AT_ANY_TIME)


if __name__ == "__main__":
    sys.exit(main())
