"""Published sets on real file systems: what is ours is read and removed, and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from spool.parts import RESULTS, Parts, visible
from unprivileged import NOBODY, needs_root

from depthd.contract.names import SetName
from depthd.publish.sets import read_set, remove_set

NAME = SetName.of("cam/a.jpg")
SET = {"cam/a.jpg.heatmap.png", "cam/a.jpg.depth.npy", "cam/a.jpg.json"}


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    with Parts.open(tmp_path) as parts:
        yield parts


@pytest.fixture
def outbox(parts: Parts) -> Path:
    """With one set in it."""
    job = parts.claim(NAME.path)
    parts.spool.finish(job, parts.publish(job))
    return parts.root / "outbox"


def rewrite(outbox: Path, **fields: object) -> None:
    """The manifest, with other words in it."""
    path = outbox / "cam/a.jpg.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **fields}))


def test_a_set_is_read(parts: Parts, outbox: Path) -> None:
    found = read_set(parts.places, NAME)
    assert found is not None
    assert found.name == NAME
    assert found.manifest["schema"] == "depthd.manifest/1"
    assert {file.format: file.size for file in found.files} == {
        kind: len(content) for kind, content in RESULTS.items()
    }
    assert {f"cam/{file.name}" for file in found.files} == SET - {"cam/a.jpg.json"}


def test_a_set_is_removed_as_a_whole_and_its_original_and_neighbours_stay(
    parts: Parts, outbox: Path
) -> None:
    (outbox / "cam/a.jpg.pfm").write_bytes(b"somebody's, in no manifest")
    (outbox / "cam/a.jpg").write_bytes(b"somebody's")
    assert remove_set(parts.places, NAME)
    assert visible(outbox) == {"cam/a.jpg.pfm", "cam/a.jpg"}
    assert visible(parts.root / "done") == {"cam/a.jpg"}
    assert read_set(parts.places, NAME) is None
    assert not remove_set(parts.places, NAME)


def test_the_manifest_is_gone_for_good_before_a_file_is(
    parts: Parts, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    unlink, fsync = os.unlink, os.fsync

    def noted_unlink(path: str, **where: int) -> None:
        steps.append(path.partition("a.jpg")[2])
        unlink(path, **where)

    def noted_fsync(handle: int) -> None:
        steps.append("fsync")
        fsync(handle)

    monkeypatch.setattr(os, "unlink", noted_unlink)
    monkeypatch.setattr(os, "fsync", noted_fsync)
    remove_set(parts.places, NAME)
    assert steps == [".json", "fsync", ".heatmap.png", ".depth.npy"]


def test_the_portable_form_is_found_by_the_true_name(parts: Parts) -> None:
    true = SetName.of("12:30/what?.jpg")
    job = parts.claim(true.portable().path)
    parts.publish(job)
    found = read_set(parts.places, true)
    assert found is not None
    assert found.name == true.portable()
    assert remove_set(parts.places, true)
    assert visible(parts.root / "outbox") == set()


@pytest.mark.parametrize(
    "files",
    [
        [{"name": "../../secret"}, {"name": "/etc/passwd"}, {"name": "b.jpg.heatmap.png"}],
        [{"name": ["a"]}, {}, 7, None, [[]]],
        {"name": "a.jpg.heatmap.png"},
        None,
    ],
)
def test_a_manifest_leads_to_no_file_but_its_own(parts: Parts, outbox: Path, files: object) -> None:
    (parts.root / "secret").write_bytes(b"")
    (outbox / "cam/b.jpg.heatmap.png").write_bytes(b"")
    rewrite(outbox, files=files)
    found = read_set(parts.places, NAME)
    assert found is not None
    assert found.files == ()
    assert remove_set(parts.places, NAME)
    assert visible(outbox) == (SET - {"cam/a.jpg.json"}) | {"cam/b.jpg.heatmap.png"}
    assert (parts.root / "secret").exists()


@pytest.mark.parametrize(
    "name",
    [
        *("../outbox/cam/a.jpg", "cam/../cam/a.jpg", "/cam/a.jpg", "cam//a.jpg", "cam/", "", "."),
        *(".depthd/a.jpg", "cam/.a.jpg", "cam/a\0.jpg", "cam/\ud800.jpg", "cam/a.jpg/b.jpg"),
        *("x" * 5000, "no/such.jpg"),
    ],
)
def test_a_name_that_no_set_can_have_finds_none(parts: Parts, outbox: Path, name: str) -> None:
    assert read_set(parts.places, SetName.of(name)) is None
    assert not remove_set(parts.places, SetName.of(name))
    assert visible(outbox) == SET


def test_links_and_other_kinds_of_entry_are_no_results(parts: Parts, outbox: Path) -> None:
    (outbox / "cam/a.jpg.heatmap.png").unlink()
    (outbox / "cam/a.jpg.heatmap.png").symlink_to(parts.root / "done/cam/a.jpg")
    (outbox / "cam/a.jpg.depth.npy").unlink()
    os.mkfifo(outbox / "cam/a.jpg.depth.npy")
    found = read_set(parts.places, NAME)
    assert found is not None
    assert found.files == ()
    (outbox / "link").symlink_to(outbox / "cam")
    assert read_set(parts.places, SetName.of("link/a.jpg")) is None


def test_a_manifest_that_is_a_link_or_a_pipe_or_says_something_else_is_none(
    parts: Parts, outbox: Path
) -> None:
    os.mkfifo(outbox / "b.jpg.json")
    (outbox / "c.jpg.json").symlink_to(outbox / "cam/a.jpg.json")
    for name in ("b.jpg", "c.jpg"):
        assert read_set(parts.places, SetName.of(name)) is None
    rewrite(outbox, schema="somebody.else/1")
    assert not remove_set(parts.places, NAME)
    assert visible(outbox) == SET | {"c.jpg.json"}


@needs_root
def test_what_belongs_to_others_is_neither_believed_nor_removed(parts: Parts, outbox: Path) -> None:
    os.chown(outbox / "cam/a.jpg.heatmap.png", NOBODY, NOBODY)
    assert remove_set(parts.places, NAME)
    assert visible(outbox) == {"cam/a.jpg.heatmap.png"}
    job = parts.claim("b.jpg")
    parts.publish(job)
    os.chown(outbox / "b.jpg.json", NOBODY, NOBODY)
    assert not remove_set(parts.places, SetName.of("b.jpg"))
    assert (outbox / "b.jpg.json").exists()
