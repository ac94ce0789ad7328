"""Folders inside each other, under whatever name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from depthd.system.nesting import nested


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("inbox", "outbox"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_folders_beside_each_other_are_apart(root: Path) -> None:
    assert nested({"inbox": root / "inbox", "outbox": root / "outbox"}) == []
    assert nested({"inbox": root / "inbox", "outbox": root / "inbox 2"}) == []


def test_a_folder_inside_another_is_named(root: Path) -> None:
    inner = root / "inbox" / "out"
    inner.mkdir()
    (sentence,) = nested({"paths.inbox": root / "inbox", "paths.outbox": inner})
    assert sentence == f"paths.outbox ({inner}) lies inside paths.inbox ({root / 'inbox'})"
    (sentence,) = nested({"paths.outbox": inner, "paths.inbox": root / "inbox"})
    assert sentence.startswith("paths.outbox")


def test_a_symlink_does_not_hide_it(root: Path) -> None:
    (root / "inbox" / "deep" / "out").mkdir(parents=True)
    (root / "link").symlink_to(root / "inbox" / "deep")
    assert nested({"inbox": root / "inbox", "outbox": root / "link" / "out"})
    (root / "other inbox").symlink_to(root / "inbox")
    assert nested({"inbox": root / "other inbox", "outbox": root / "inbox" / "deep"})


def test_the_same_folder_under_two_names(root: Path) -> None:
    (root / "link").symlink_to("inbox")
    (sentence,) = nested({"inbox": root / "inbox", "done": root / "link"})
    assert "are the same folder" in sentence


def test_a_folder_that_is_not_there_yet_counts_where_it_would_be(root: Path) -> None:
    (root / "link").symlink_to(root / "inbox")
    assert nested({"inbox": root / "inbox", "outbox": root / "link" / "not" / "yet"})
    assert nested({"inbox": root / "no", "outbox": root / "no"}) == []  # text alone shows that


CHILD = """
import subprocess, sys
from pathlib import Path
from depthd.system.nesting import nested
root = Path(sys.argv[1])
(root / "inbox" / "deep out").mkdir(parents=True)
subprocess.run(["mount", "--bind", root / "inbox" / "deep out", root / "outbox"], check=True)
print(len(nested({"inbox": root / "inbox", "outbox": root / "outbox"})))
print(len(nested({"inbox": root / "inbox", "outbox": root / "outbox" / "later"})))
"""


def test_a_bind_mount_does_not_hide_it(root: Path) -> None:
    command = ["unshare", "--user", "--map-root-user", "--mount"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*command, "true"], check=False).returncode
    ):
        pytest.skip("namespaces are not permitted here")
    done = subprocess.run(
        [*command, sys.executable, "-c", CHILD, str(root)],
        env={**os.environ},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == ["1", "1"]
