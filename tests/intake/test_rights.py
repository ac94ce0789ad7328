"""What may be taken out of the inbox: asked before it is tried, and counted when it stays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from inbox_loop import Loop
from inbox_users import back_as_root, nobody

from depthd.contract.events import Event
from depthd.intake import rights
from depthd.intake.rights import Refusal

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make files of two users")
SOMEBODY, OTHERS = 4001, 4002  # user ids


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    """An intake that runs as a user without privileges."""
    monkeypatch.setattr(rights, "_OVERRULES_OWNERS", False)
    with nobody() as root:
        loop = Loop(root, settle="0s", watch="polling", poll_interval="100ms")
        yield loop
        loop.close()


def drop(path: Path, owner: int = -1, mode: int = 0o644, group: int = -1) -> Path:
    """Write a file; as root for another owner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if owner < 0:
        path.write_bytes(b"x")
        path.chmod(mode)
        return path
    with back_as_root():
        path.write_bytes(b"x")
        os.chown(path, owner, owner if group < 0 else group)
        path.chmod(mode)
    return path


def test_a_folder_that_gives_nothing_away_is_told_once_for_all_its_photos(loop: Loop) -> None:
    for number in range(500):
        drop(loop.inbox / "fixed" / f"{number}.jpg")
    drop(loop.inbox / "fixed" / "open" / "a.jpg")
    (loop.inbox / "fixed").chmod(0o555)
    try:
        loop.start()
        loop.until_drained()
        assert loop.names == ["fixed/open/a.jpg"]
        for _ in range(2):
            loop.until_rescanned()
        assert loop.ignored() == {"fixed": Refusal.FIXED_FOLDER}
        assert loop.intake.backlog == 0  # they do not fill the memory
        remaining = loop.intake.remaining()
        assert (remaining.count, remaining.reasons) == (500, {Refusal.FIXED_FOLDER: 500})
    finally:
        (loop.inbox / "fixed").chmod(0o755)
    loop.until(lambda: len(loop.taken) == 501)
    loop.until_rescanned()
    assert loop.intake.remaining().count == 0


def test_what_stays_is_counted_by_reason_with_examples(loop: Loop) -> None:
    for number in range(30):
        drop(loop.inbox / f"{number}.jpg", mode=0)
    drop(loop.inbox / "fixed" / "a.jpg")
    drop(loop.inbox / "notes.txt")
    drop(loop.inbox / "whole.jpg")
    (loop.inbox / "link.jpg").symlink_to("nowhere")
    (loop.inbox / "fixed").chmod(0o555)
    try:
        loop.start()
        loop.until_drained()
        loop.until_rescanned()
        remaining = loop.intake.remaining()
        assert loop.names == ["whole.jpg"]
        assert remaining.count == 31
        assert remaining.reasons == {Refusal.UNREADABLE: 30, Refusal.FIXED_FOLDER: 1}
        assert len(remaining.examples) == 20
        assert {name for name, _ in remaining.examples} <= {"fixed"} | {
            f"{n}.jpg" for n in range(30)
        }
    finally:
        (loop.inbox / "fixed").chmod(0o755)


def test_what_stays_is_counted_without_another_scan(loop: Loop) -> None:
    """A single run ends when its first scan has settled."""
    drop(loop.inbox / "a.jpg")
    loop.start()
    loop.until(lambda: loop.intake.backlog == 1, take=False)
    (loop.inbox / "a.jpg").chmod(0)
    loop.until_drained()
    assert loop.intake.remaining().reasons == {Refusal.UNREADABLE: 1}


def test_a_photo_that_could_not_be_moved_waits_and_counts_and_the_others_go_on(loop: Loop) -> None:
    for number in range(20):
        drop(loop.inbox / "cam" / f"{number:02}.jpg")
    drop(loop.inbox / "good.jpg")
    tries: list[str] = []
    claim = loop._claim

    def refuse(candidate: object) -> None:
        if candidate.folder == "cam":
            tries.append(candidate.name)
            loop.intake.refuse(candidate, "Operation not permitted")
        else:
            claim(candidate)

    loop._claim = refuse
    loop.start()
    loop.until_drained()
    for _ in range(3):
        loop.until_rescanned()
    assert loop.names == ["good.jpg"]
    assert len(set(tries)) == len(tries)  # none was tried twice
    assert loop.intake.remaining().reasons == {Refusal.IMMOVABLE: 20}
    assert loop.ignored()["cam"] == f"{Refusal.FIXED_FOLDER}: Operation not permitted"


@as_root
def test_in_a_sticky_folder_only_what_is_ours_is_taken(loop: Loop) -> None:
    shared = loop.inbox / "shared"
    drop(shared / "ours.jpg")
    drop(shared / "theirs.jpg", SOMEBODY)
    with back_as_root():
        os.chown(shared, OTHERS, OTHERS)
        shared.chmod(0o1777)
    loop.start()
    loop.until_drained()
    assert loop.names == ["shared/ours.jpg"]
    assert loop.ignored() == {"shared/theirs.jpg": Refusal.IMMOVABLE}


@as_root
def test_without_the_kernels_guard_a_link_to_somebody_elses_file_is_left_alone(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "_LINKS_ARE_GUARDED", False)
    folder = loop.inbox / "cam"
    private = drop(loop.root / "private.jpg", SOMEBODY, 0o644)
    shared = drop(loop.root / "shared.jpg", SOMEBODY, 0o664, group=OTHERS)
    own = drop(loop.root / "own.jpg", OTHERS, 0o600)
    drop(folder / "alone.jpg", SOMEBODY)
    with back_as_root():
        os.chown(folder, OTHERS, OTHERS)
        folder.chmod(0o777)
        own.chmod(0o644)
        for name in (private, shared, own):
            os.link(name, folder / name.name)
    loop.start()
    loop.until_drained()
    assert sorted(loop.names) == ["cam/alone.jpg", "cam/own.jpg", "cam/shared.jpg"]
    assert loop.ignored() == {"cam/private.jpg": Refusal.FOREIGN_LINK}
    monkeypatch.setattr(rights, "_LINKS_ARE_GUARDED", True)
    loop.until_rescanned()
    assert "cam/private.jpg" in loop.names


@as_root
def test_a_candidate_tells_whose_it_is_and_owners_take_turns(loop: Loop) -> None:
    for number in range(3):
        drop(loop.inbox / f"{number}.jpg", SOMEBODY)
    drop(loop.inbox / "z.jpg", OTHERS)
    loop.start()
    loop.until(lambda: loop.intake.backlog == 4, take=False)
    taken = []
    while len(taken) < 4:
        loop.until(lambda: taken.extend(loop.intake.take(1)) or True, take=False)
    assert {seen.owner for seen in taken[:2]} == {SOMEBODY, OTHERS}


def test_photos_in_held_folders_stay_and_are_counted(loop: Loop) -> None:
    for number in range(3):
        drop(loop.inbox / "cam" / f"{number}.jpg")
    drop(loop.inbox / "good.jpg")
    take = loop.intake.take
    loop.intake.take = lambda count: take(count, {"cam"})
    loop.start()
    loop.until_drained()
    assert loop.names == ["good.jpg"]
    assert loop.intake.backlog == 3
    remaining = loop.intake.remaining()
    assert remaining.count == 3
    assert {name.partition("/")[0] for name, _ in remaining.examples} == {"cam"}
    loop.intake.take = take
    loop.until(lambda: len(loop.taken) == 4)
    assert loop.fields_of(Event.ENTRY_IGNORED) == []
