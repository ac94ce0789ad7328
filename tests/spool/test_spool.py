"""The spool on real file systems: one atomic claim, nothing lost on the way home."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import pytest
from spool.parts import Parts, drop, look

from depthd.contract.errors import ConfigurationError, FaultCode, OutputError, TemporaryError
from depthd.contract.names import SetName, set_names
from depthd.intake import Candidate
from depthd.spool import Immovable, Spool, Vanished, Verdict, read_job
from depthd.spool.moving import Mover
from depthd.spool.spool import _rename_out
from depthd.system import files

EMPTY = Verdict(FaultCode.EMPTY)


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    with Parts.open(tmp_path) as parts:
        yield parts


@pytest.fixture
def spool(parts: Parts) -> Spool:
    return parts.spool


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    folder = Path(mkdtemp(prefix="depthd-test-", dir=shared))
    yield folder
    shutil.rmtree(folder)


def test_a_claim_moves_the_photo_and_records_the_attempt(parts: Parts, tmp_path: Path) -> None:
    job = parts.claim()
    assert not (tmp_path / "inbox/cam/a.jpg").exists()
    assert parts.original(job) == b"photo"
    recorded = read_job(tmp_path / "work" / job.id)
    assert recorded == job
    assert (job.attempts, job.crashes, job.isolated, job.owner) == (1, 0, False, os.geteuid())
    assert (tmp_path / "work").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "name", ["two\nlines.jpg", os.fsdecode(b"caf\xe9.jpg"), "x" * 251 + ".jpg", "a/b/c/d.jpg"]
)
def test_any_name_comes_home_byte_for_byte(parts: Parts, tmp_path: Path, name: str) -> None:
    job = parts.claim(name)
    recorded = read_job(tmp_path / "work" / job.id)
    assert recorded is not None
    assert recorded.name == job.name == name
    target = next(set_names(name, job.stamp))
    assert parts.spool.finish(job, target) == target.path
    assert (tmp_path / "done" / target.path).read_bytes() == b"photo"
    assert parts.jobs() == []


@pytest.mark.parametrize("change", ["gone", "grown", "symlink", "folder", "fifo"])
def test_what_changed_since_the_look_is_not_taken(
    spool: Spool, tmp_path: Path, change: str
) -> None:
    candidate = drop(tmp_path)
    path = tmp_path / "inbox/cam/a.jpg"
    secret = tmp_path / "secret"
    secret.write_bytes(b"photo")
    if change == "grown":
        path.write_bytes(b"photo, and more")
    else:
        path.unlink()
        if change == "symlink":
            path.symlink_to(secret)
        elif change == "folder":
            path.mkdir()
        elif change == "fifo":
            os.mkfifo(path)
    before = sorted(os.listdir(path.parent))
    with pytest.raises(Vanished):
        spool.claim(candidate)
    assert sorted(os.listdir(path.parent)) == before
    assert os.listdir(tmp_path / "work") == [".lock"]


def test_of_a_hard_link_only_this_name_is_taken(parts: Parts, tmp_path: Path) -> None:
    drop(tmp_path)
    path = tmp_path / "inbox/cam/a.jpg"
    os.link(path, tmp_path / "other.jpg")
    job = parts.spool.claim(look(tmp_path, "cam/a.jpg"))
    parts.spool.finish(job, SetName.of(job.name))
    assert (tmp_path / "done/cam/a.jpg").samefile(tmp_path / "other.jpg")
    assert not path.exists()


@pytest.mark.parametrize(
    ("protected", "owner", "mode", "is_taken"),
    [
        ("1", 4711, 0o600, True),  # the kernel has seen to it
        ("0", 4711, 0o644, False),
        ("0", 4711, 0o664, True),  # the folder's group may write it
        ("0", 0, 0o600, True),  # the folder's owner
        (None, 4711, 0o644, False),
    ],
)
def test_a_link_is_only_taken_where_it_was_for_its_maker_to_give(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    protected: str | None,
    owner: int,
    mode: int,
    is_taken: bool,
) -> None:
    if os.geteuid() != 0:
        pytest.skip("giving a file away needs root")
    setting = tmp_path / "protected_hardlinks"
    if protected is not None:
        setting.write_text(f"{protected}\n")
    monkeypatch.setattr("depthd.system.hard_links._SETTING", setting)
    drop(tmp_path)
    path = tmp_path / "inbox/cam/a.jpg"
    os.chown(path, owner, -1)
    path.chmod(mode)
    os.link(path, tmp_path / "other.jpg")
    with Parts.open(tmp_path) as parts:
        if is_taken:
            parts.spool.claim(look(tmp_path, "cam/a.jpg"))
        else:
            with pytest.raises(Immovable, match="other names"):
                parts.spool.claim(look(tmp_path, "cam/a.jpg"))
        assert path.exists() != is_taken


def test_a_photo_that_may_not_be_moved_concerns_nobody_else(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = drop(tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse)
        with pytest.raises(Immovable, match="Permission denied"):
            spool.claim(candidate)
    assert (tmp_path / "inbox/cam/a.jpg").exists()
    assert os.listdir(tmp_path / "work") == [".lock"]


@pytest.mark.parametrize(
    ("kind", "has_flag"),
    [
        ("symlink", True),
        ("symlink", False),
        ("folder", True),  # without the flag it goes to failed/, see below
        ("another file", True),
        ("another file", False),
    ],
)
def test_a_swap_between_the_look_and_the_rename_is_put_back(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, has_flag: bool
) -> None:
    candidate = drop(tmp_path)
    path = tmp_path / "inbox/cam/a.jpg"
    rename = _rename_out

    def swapped(base: str, source: int, folder: int) -> None:
        path.unlink()
        if kind == "symlink":
            path.symlink_to("/etc/passwd")
        elif kind == "folder":
            path.mkdir()
            (path / "inside").write_bytes(b"x")
        else:
            path.write_bytes(b"another file")
        rename(base, source, folder)

    monkeypatch.setattr("depthd.spool.spool._rename_out", swapped)
    if not has_flag:
        monkeypatch.setattr(files, "_renameat2", None)
    with pytest.raises(Vanished):
        spool.claim(candidate)
    assert (path.is_symlink(), path.is_dir()) == (kind == "symlink", kind == "folder")
    assert os.listdir(tmp_path / "work") == [".lock"]


@pytest.mark.parametrize("kind", ["symlink", "folder", "another file"])
def test_what_cannot_be_put_back_goes_to_failed(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Its folder was made read-only, or a file system cannot rename a folder back safely."""
    candidate = drop(tmp_path)
    path = tmp_path / "inbox/cam/a.jpg"
    rename = _rename_out

    def swapped(base: str, source: int, folder: int) -> None:
        path.unlink()
        if kind == "symlink":
            path.symlink_to("/etc/passwd")
        elif kind == "folder":
            path.mkdir()
        else:
            path.write_bytes(b"another file")
        rename(base, source, folder)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("depthd.spool.spool._rename_out", swapped)
    with monkeypatch.context() as patch:
        patch.setattr(files, "rename_noreplace", refuse)
        job = parts.spool.claim(candidate)
    assert job.verdict is not None
    assert read_job(tmp_path / "work" / job.id) == job
    assert parts.spool.fail(job, job.verdict) == "cam/a.jpg"
    home = tmp_path / "failed/cam/a.jpg"
    assert (home.is_symlink(), home.is_dir()) == (kind == "symlink", kind == "folder")
    assert parts.jobs() == []


def test_a_folder_swapped_for_a_symlink_is_not_followed(spool: Spool, tmp_path: Path) -> None:
    candidate = drop(tmp_path)
    (tmp_path / "inbox/cam").rename(tmp_path / "elsewhere")
    (tmp_path / "inbox/cam").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Vanished):
        spool.claim(candidate)
    assert (tmp_path / "elsewhere/a.jpg").read_bytes() == b"photo"


def test_a_photo_never_replaces_one_in_done(parts: Parts, tmp_path: Path) -> None:
    (tmp_path / "done/cam").mkdir()
    (tmp_path / "done/cam/a.jpg").write_bytes(b"earlier")
    job = parts.claim()
    place = parts.spool.finish(job, SetName.of("cam/a.jpg"))
    assert place == f"cam/a~{job.stamp}.jpg"
    assert (tmp_path / "done" / place).read_bytes() == b"photo"
    assert (tmp_path / "done/cam/a.jpg").read_bytes() == b"earlier"


def test_a_failed_photo_has_its_reason_beside_it(parts: Parts, tmp_path: Path) -> None:
    job = parts.claim()
    assert parts.spool.fail(job, Verdict(FaultCode.TRUNCATED, "ends at byte 5")) == "cam/a.jpg"
    assert (tmp_path / "failed/cam/a.jpg").read_bytes() == b"photo"
    reason = json.loads((tmp_path / "failed/cam/a.jpg.error.json").read_bytes())
    assert reason["code"] == "truncated"
    assert reason["detail"] == "ends at byte 5"
    assert reason["job"] == job.id
    assert reason["message"]
    assert reason["hint"]


def test_the_same_name_failing_twice_keeps_both(parts: Parts, tmp_path: Path) -> None:
    parts.spool.fail(parts.claim(content=b"one"), EMPTY)
    second = parts.claim(content=b"two")
    assert parts.spool.fail(second, EMPTY) == f"cam/a~{second.stamp}.jpg"
    assert (tmp_path / "failed/cam/a.jpg").read_bytes() == b"one"
    assert (tmp_path / f"failed/cam/a~{second.stamp}.jpg").read_bytes() == b"two"


def test_a_name_that_is_taken_while_the_reason_is_written_parts_nothing(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = parts.claim()
    rename = files.rename_atomically
    taken = tmp_path / "failed/cam/a.jpg"

    def planted(source: str, target: str, source_dir: int, target_dir: int) -> None:
        if target == "a.jpg":
            taken.write_bytes(b"somebody else's")
        rename(source, target, source_dir, target_dir)

    monkeypatch.setattr(files, "rename_atomically", planted)
    place = parts.spool.fail(job, EMPTY)
    assert place == f"cam/a~{job.stamp}.jpg"
    assert taken.read_bytes() == b"somebody else's"
    assert sorted(os.listdir(taken.parent)) == [
        "a.jpg",
        *(Path(place).name + end for end in ("", ".error.json")),
    ]


def test_failing_again_after_a_cut_uses_the_reason_that_is_there(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = parts.claim()

    def cut(*_: object) -> None:
        raise OSError(5, "cut")

    with monkeypatch.context() as patch:
        patch.setattr(Mover, "take", cut)
        with pytest.raises(OSError, match="cut"):
            parts.spool.fail(job, EMPTY)
    assert os.listdir(tmp_path / "failed/cam") == ["a.jpg.error.json"]
    assert parts.spool.fail(job, EMPTY) == "cam/a.jpg"
    assert sorted(os.listdir(tmp_path / "failed/cam")) == ["a.jpg", "a.jpg.error.json"]


@pytest.mark.parametrize("door", ["finish", "fail"])
def test_bringing_home_again_after_it_was_done_is_the_same(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    """The sync of the folder failed, after the photo was moved."""
    job = parts.claim()
    call = {
        "finish": lambda: parts.spool.finish(job, SetName.of(job.name)),
        "fail": lambda: parts.spool.fail(job, EMPTY),
    }[door]
    with monkeypatch.context() as patch:
        retire = parts.spool._folders
        patch.setattr(retire, "retire", lambda *_: (_ for _ in ()).throw(OSError(5, "cut")))
        with pytest.raises(OSError, match="cut"):
            call()
    assert call() == "cam/a.jpg"
    assert parts.jobs() == []
    folder = tmp_path / {"finish": "done", "fail": "failed"}[door]
    assert [path.name for path in folder.rglob("a*.jpg")] == ["a.jpg"]


@pytest.mark.parametrize("door", ["finish", "fail"])
@pytest.mark.parametrize("kind", ["file", "symlink"])
def test_what_lies_where_a_folder_is_needed_holds_nothing_up(
    parts: Parts, tmp_path: Path, door: str, kind: str
) -> None:
    home = tmp_path / {"finish": "done", "fail": "failed"}[door]
    if kind == "file":
        (home / "cam").write_bytes(b"a file")
    else:
        (home / "cam").symlink_to(tmp_path)
    job = parts.claim()
    if door == "finish":
        assert parts.spool.finish(job, SetName.of("cam/a.jpg")) == "a.jpg"
    else:
        assert parts.spool.fail(job, EMPTY) == "a.jpg"
        assert (home / "a.jpg.error.json").exists()
    assert (home / "a.jpg").read_bytes() == b"photo"
    assert not (tmp_path / "a.jpg").exists()


def test_attempts_and_crashes_are_on_disk(parts: Parts, tmp_path: Path) -> None:
    job = replace(parts.claim(), attempts=2, crashes=1, isolated=True)
    assert parts.spool.rewrite(job) == job
    assert read_job(tmp_path / "work" / job.id) == job


def test_nobody_can_write_through_the_original_that_is_read(parts: Parts) -> None:
    job = parts.claim()
    handle = parts.spool.open_original(job)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.write(handle, b"x")
    assert os.read(handle, 10) == b"photo"
    os.close(handle)


def test_a_photo_that_is_written_to_after_its_claim_is_noticed(
    parts: Parts, tmp_path: Path
) -> None:
    job = parts.claim()
    seen = parts.spool.look(job)
    assert (seen.size, seen.mtime_ns) == (job.size, job.mtime_ns)
    (tmp_path / "work" / job.id / "original").write_bytes(b"photo, and more")
    assert parts.spool.look(job).size > job.size


def test_a_sweep_finds_jobs_and_clears_empty_claims(parts: Parts, tmp_path: Path) -> None:
    job = parts.claim()
    (tmp_path / "work/empty").mkdir()
    (tmp_path / "work/.depthd-probe-0123").touch()
    assert list(parts.spool.sweep()) == [job]
    assert sorted(os.listdir(tmp_path / "work")) == [".lock", job.id]


def test_a_job_gets_the_folder_of_one_that_is_over(tmp_path: Path) -> None:
    with Parts.open(tmp_path) as parts:
        first = parts.claim("long name of the first.jpg")
        inode = (tmp_path / "work" / first.id).stat().st_ino
        parts.spool.finish(first, SetName.of(first.name))
        second = parts.claim("b.jpg", b"second")
        assert (tmp_path / "work" / second.id).stat().st_ino == inode
        assert read_job(tmp_path / "work" / second.id) == second
        assert parts.original(second) == b"second"
        third = parts.claim("c.jpg")
        assert parts.jobs() == [second.id, third.id]
        parts.spool.finish(second, SetName.of(second.name))
        parts.spool.fail(third, EMPTY)
    assert os.listdir(tmp_path / "work") == [".lock"]


def test_a_spare_folder_that_somebody_removed_is_not_missed(parts: Parts, tmp_path: Path) -> None:
    job = parts.claim()
    parts.spool.finish(job, SetName.of(job.name))
    spare = tmp_path / "work" / f".{job.id}"
    (spare / "job.json").unlink()
    spare.rmdir()
    assert parts.original(parts.claim()) == b"photo"


def test_a_job_that_somebody_removed_is_not_looked_for_again(parts: Parts) -> None:
    assert list(parts.spool.sweep(["20261123T064500.123Z-0badcafe"])) == []


def test_a_start_uses_the_empty_folders_that_a_cut_has_left(parts: Parts, tmp_path: Path) -> None:
    spare = tmp_path / "work" / f".old-{parts.spool.instance}"
    spare.mkdir()
    assert list(parts.spool.sweep()) == []
    job = parts.claim()
    assert parts.jobs() == [job.id]
    assert not spare.exists()


@pytest.mark.parametrize("before", ["", "."])
def test_a_photo_in_a_folder_whose_last_name_was_lost_is_found(
    parts: Parts, tmp_path: Path, before: str
) -> None:
    job = parts.claim()
    (tmp_path / "work" / job.id).rename(tmp_path / "work" / f"{before}old-{parts.spool.instance}")
    assert list(parts.spool.sweep()) == [job]
    assert parts.original(job) == b"photo"
    assert parts.jobs() == [job.id]


def test_a_photo_in_a_hidden_folder_without_a_record_is_saved(parts: Parts, tmp_path: Path) -> None:
    name = f"old-{parts.spool.instance}"
    hidden = tmp_path / "work" / f".{name}"
    hidden.mkdir()
    (hidden / "original").write_bytes(b"photo")
    [job] = parts.spool.sweep()
    assert job.verdict is not None
    assert parts.spool.fail(job, job.verdict) == name
    assert (tmp_path / "failed" / name).read_bytes() == b"photo"
    assert list(parts.spool.sweep()) == []


def test_another_daemon_on_the_same_work_is_refused(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("depthd.spool.ownership._LOCK_PATIENCE", 0.1)
    with pytest.raises(TemporaryError, match="another depthd"):
        Spool(parts.config, parts.places)


def test_a_reload_takes_the_lock_over(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("depthd.spool.ownership._LOCK_PATIENCE", 0.1)
    second = Spool(parts.config, parts.places, parts.spool)
    assert second.instance == parts.spool.instance
    parts.spool.close()
    with pytest.raises(TemporaryError, match="another depthd"):
        Spool(parts.config, parts.places)
    parts.spool = second  # closed by the fixture


def test_the_lock_and_the_instance_survive_the_process(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from spool.parts import Parts; from depthd.config import Config\n"
        "print(Parts.start(Config(root=Path(sys.argv[1]))).spool.instance, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    with Parts.open(tmp_path) as parts:
        assert parts.spool.instance == run.stdout.strip()


def test_work_on_another_file_system_is_refused(tmp_path: Path, other_disk: Path) -> None:
    with (
        pytest.raises(ConfigurationError, match="another file system"),
        Parts.open(tmp_path, work=other_disk / "work"),
    ):
        pass


@pytest.mark.parametrize("cut", [None, "unlink"])
def test_done_on_another_file_system_gets_a_synced_copy(
    tmp_path: Path, other_disk: Path, monkeypatch: pytest.MonkeyPatch, cut: str | None
) -> None:
    with Parts.open(tmp_path, done=other_disk) as parts:
        job = parts.claim()
        target = SetName.of(job.name)
        if cut:  # the run ends after the copy has its name and before the original is gone
            with monkeypatch.context() as patch:
                patch.setattr(os, "unlink", lambda *_a, **_k: (_ for _ in ()).throw(OSError(5)))
                with pytest.raises(OSError):
                    parts.spool.finish(job, target)
            assert parts.original(job) == b"photo"
        assert parts.spool.finish(job, target) == "cam/a.jpg"
        assert (other_disk / "cam/a.jpg").read_bytes() == b"photo"
        assert sorted(path.name for path in other_disk.rglob("*")) == [".depthd", "a.jpg", "cam"]
        assert parts.jobs() == []


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_bytes(b"a file")
    with pytest.raises(OutputError, match=r"paths\.outbox"), Parts.open(tmp_path):
        pass


@pytest.mark.parametrize("name", ["work", "state"])
def test_a_private_folder_of_another_user_is_said_in_words(tmp_path: Path, name: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("giving a folder away needs root")
    (tmp_path / name).mkdir()
    os.chown(tmp_path / name, 4711, -1)
    with (
        pytest.raises(OutputError, match=rf"paths\.{name} .* belongs to another user.*4711"),
        Parts.open(tmp_path),
    ):
        pass


@pytest.mark.parametrize(("name", "mode"), [("work", 0o700), ("state", 0o750)])
def test_a_private_folder_that_others_may_write_is_closed(
    tmp_path: Path, name: str, mode: int
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name).chmod(0o777)
    with Parts.open(tmp_path):
        assert (tmp_path / name).stat().st_mode & 0o777 == mode


def test_claims_that_come_to_nothing_side_by_side_leave_no_folder(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates = [drop(tmp_path, f"{number}.jpg", b"photo") for number in range(60)]

    def vanish(*_: object) -> None:
        raise Vanished

    def claim(candidate: Candidate) -> None:
        with pytest.raises(Vanished):
            parts.spool.claim(candidate)

    monkeypatch.setattr("depthd.spool.spool._rename_out", vanish)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(claim, candidates))
    assert [path.name for path in (tmp_path / "work").iterdir()] == [".lock"]
