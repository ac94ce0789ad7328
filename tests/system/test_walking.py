"""A walk through folders that somebody else may have made."""

from __future__ import annotations

import os
from pathlib import Path

from nested import nested

from depthd.system.walking import walk


def test_it_goes_as_deep_as_paths_do(tmp_path: Path) -> None:
    with nested(tmp_path) as innermost:
        *_, last = walk(tmp_path)
    assert last == (f"{tmp_path}/{innermost}", [], ["x.jpg"])


def test_it_says_what_cannot_be_read_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "z").mkdir()
    said: list[OSError] = []
    with nested(tmp_path, 2100):  # the innermost have paths that are too long
        found = [folder for folder, _, _ in walk(tmp_path, said.append)]
    assert [error.strerror for error in said] == ["File name too long"]
    assert str(tmp_path / "z") in found


def test_it_enters_what_is_left_in_and_follows_nothing(tmp_path: Path) -> None:
    for name in ("a/b", "c/d"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a/back").symlink_to(tmp_path)
    (tmp_path / "a/lost").symlink_to("nowhere")
    found = {}
    for folder, inner, others in walk(tmp_path):
        found[os.path.relpath(folder, tmp_path)] = (sorted(inner), others)
        inner[:] = [name for name in inner if name != "c"]
    assert found == {".": (["a", "c"], []), "a": (["b", "back"], ["lost"]), "a/b": ([], [])}
