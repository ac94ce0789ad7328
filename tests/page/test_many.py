"""A hundred thousand results."""

from __future__ import annotations

import os
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from page.scene import Page, Scene

COUNT = 100_000
FOLDERS = 20
MOST_MEMORY = 120_000_000
FIRST_PAGE = 1.0  # seconds, once it is there
ODDS = 10  # times as long on a machine that is busy with other tests


@pytest.fixture(scope="module")
def many(scene: Scene, cat: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sets whose files are hard links to those of one."""
    root = tmp_path_factory.mktemp("many") / "root"
    other = Scene(root, scene.estimator)
    outbox = root / "outbox"
    other.publish("cat.jpg", cat, other.made(cat, size=64))
    results = [(path, path.name.removeprefix("cat.jpg")) for path in outbox.glob("cat.jpg.*")]
    links = outbox / ".source"
    for number in range(COUNT - 1):
        folder = outbox / f"cam{number % FOLDERS:02}"
        if number < FOLDERS:
            folder.mkdir()
        if number % 5000 == 0:  # a file has at most 65,000 names on ext4
            links.mkdir(exist_ok=True)
            for path, suffix in results:
                fresh = links / f"{number}{suffix}"
                fresh.write_bytes(path.read_bytes())
                if suffix == ".json":  # the manifest names its files
                    os.utime(fresh, ns=(number * 10**9, number * 10**9))
            source = [(links / f"{number}{suffix}", suffix) for _, suffix in results]
        for path, suffix in source:
            os.link(path, folder / f"IMG_{number:06}.jpg{suffix}")
    return root


def test_a_hundred_thousand_results(many: Path) -> None:
    with Page(many) as page:
        page.wait_until(lambda: b"100000 results" in page.get("/gallery").content, "whole index")
        began = time.monotonic()
        first = page.get("/gallery")
        took = time.monotonic() - began
        assert first.status == 200
        assert took < FIRST_PAGE * ODDS
        began = time.monotonic()
        found = page.get(f"/gallery?text=img_0777&folder={quote('cam17')}")
        searched = time.monotonic() - began
        assert b"5 results" in found.content
        assert searched < FIRST_PAGE * ODDS
        assert page.get("/gallery?page=2000").status == 200
        memory = page.resident()
        print(f"first page {took:.3f} s, search {searched:.3f} s, {memory / 1e6:.0f} MB")
        assert memory < MOST_MEMORY
