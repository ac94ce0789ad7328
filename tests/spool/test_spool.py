"""The spool on real file systems: one atomic claim, nothing lost on the way home."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from depthd.config import Config
from depthd.contract.errors import ConfigurationError, FaultCode, OutputError
from depthd.contract.names import candidates
from depthd.intake import Candidate
from depthd.spool import Job, Spool, Vanished, original_path, read_job
from depthd.spool.spool import _rename_out


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(root=tmp_path)


@pytest.fixture
def spool(config: Config) -> Iterator[Spool]:
    spool = Spool(config)
    yield spool
    spool.close()


def drop(root: Path, name: str = "cam/a.jpg", content: bytes = b"photo") -> Candidate:
    path = root / "inbox" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return look(root, name)


def look(root: Path, name: str) -> Candidate:
    about = os.lstat(root / "inbox" / name)
    return Candidate.of(name, about)


def jobs_in(root: Path) -> list[str]:
    """Folders in work/ but those that wait to be used again."""
    return sorted(entry for entry in os.listdir(root / "work") if not entry.startswith("."))


def original(root: Path, job: Job) -> bytes:
    return original_path(root / "work", job.id).read_bytes()


def test_a_claim_moves_the_photo_and_records_the_attempt(spool: Spool, tmp_path: Path) -> None:
    job = spool.claim(drop(tmp_path))
    assert not (tmp_path / "inbox/cam/a.jpg").exists()
    assert original(tmp_path, job) == b"photo"
    assert read_job(tmp_path / "work" / job.id) == job
    assert (job.attempts, job.crashes, job.alone) == (1, 0, False)
    assert (tmp_path / "work").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "name", ["two\nlines.jpg", os.fsdecode(b"caf\xe9.jpg"), "x" * 251 + ".jpg", "a/b/c/d.jpg"]
)
def test_any_name_comes_home_byte_for_byte(spool: Spool, tmp_path: Path, name: str) -> None:
    job = spool.claim(drop(tmp_path, name))
    assert read_job(tmp_path / "work" / job.id) == job
    target = next(candidates(name, job.stamp))
    assert spool.finish(job, target) == target
    assert (tmp_path / "done" / target).read_bytes() == b"photo"
    assert jobs_in(tmp_path) == []


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


def test_a_swap_between_the_look_and_the_rename_is_put_back(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = drop(tmp_path)
    path = tmp_path / "inbox/cam/a.jpg"
    rename = _rename_out

    def swapped(base: str, source: int, folder: int) -> None:
        path.unlink()
        path.symlink_to("/etc/passwd")
        rename(base, source, folder)

    monkeypatch.setattr("depthd.spool.spool._rename_out", swapped)
    with pytest.raises(Vanished):
        spool.claim(candidate)
    assert path.is_symlink()
    assert os.listdir(tmp_path / "work") == [".lock"]


def test_a_folder_swapped_for_a_symlink_is_not_followed(spool: Spool, tmp_path: Path) -> None:
    candidate = drop(tmp_path)
    (tmp_path / "inbox/cam").rename(tmp_path / "elsewhere")
    (tmp_path / "inbox/cam").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Vanished):
        spool.claim(candidate)
    assert (tmp_path / "elsewhere/a.jpg").read_bytes() == b"photo"


def test_a_photo_never_replaces_one_in_done(spool: Spool, tmp_path: Path) -> None:
    (tmp_path / "done/cam").mkdir()
    (tmp_path / "done/cam/a.jpg").write_bytes(b"earlier")
    job = spool.claim(drop(tmp_path))
    place = spool.finish(job, "cam/a.jpg")
    assert place == f"cam/a~{job.stamp}.jpg"
    assert (tmp_path / "done" / place).read_bytes() == b"photo"
    assert (tmp_path / "done/cam/a.jpg").read_bytes() == b"earlier"


def test_a_failed_photo_has_its_reason_beside_it(spool: Spool, tmp_path: Path) -> None:
    job = spool.claim(drop(tmp_path))
    assert spool.fail(job, FaultCode.TRUNCATED, "ends at byte 5") == "cam/a.jpg"
    assert (tmp_path / "failed/cam/a.jpg").read_bytes() == b"photo"
    reason = json.loads((tmp_path / "failed/cam/a.jpg.error.json").read_bytes())
    assert reason["code"] == "truncated"
    assert reason["detail"] == "ends at byte 5"
    assert reason["job"] == job.id
    assert reason["message"]
    assert reason["hint"]


def test_the_same_name_failing_twice_keeps_both(spool: Spool, tmp_path: Path) -> None:
    spool.fail(spool.claim(drop(tmp_path, content=b"one")), FaultCode.EMPTY, "")
    second = spool.claim(drop(tmp_path, content=b"two"))
    assert spool.fail(second, FaultCode.EMPTY, "") == f"cam/a~{second.stamp}.jpg"
    assert (tmp_path / "failed/cam/a.jpg").read_bytes() == b"one"
    assert (tmp_path / f"failed/cam/a~{second.stamp}.jpg").read_bytes() == b"two"


def test_failing_again_after_a_cut_uses_the_reason_that_is_there(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = spool.claim(drop(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(
            spool._home, "_move_home", lambda *_: (_ for _ in ()).throw(OSError(5, "cut"))
        )
        with pytest.raises(OSError, match="cut"):
            spool.fail(job, FaultCode.EMPTY, "")
    assert spool.fail(job, FaultCode.EMPTY, "") == "cam/a.jpg"
    assert sorted(os.listdir(tmp_path / "failed/cam")) == ["a.jpg", "a.jpg.error.json"]


def test_a_file_where_done_needs_a_folder_holds_nothing_up(spool: Spool, tmp_path: Path) -> None:
    (tmp_path / "done/cam").write_bytes(b"a file")
    job = spool.claim(drop(tmp_path))
    assert spool.finish(job, "cam/a.jpg") == "a.jpg"
    assert (tmp_path / "done/a.jpg").read_bytes() == b"photo"


def test_attempts_and_crashes_are_on_disk(spool: Spool, tmp_path: Path) -> None:
    job = spool.claim(drop(tmp_path))
    job = spool.count_crash(job)
    job = spool.count_attempt(job, alone=True)
    found = read_job(tmp_path / "work" / job.id)
    assert found == job
    assert (job.attempts, job.crashes, job.alone) == (2, 1, True)
    assert spool.return_attempt(job).attempts == 1


def test_a_sweep_finds_jobs_clears_empty_claims_and_saves_lost_originals(
    spool: Spool, tmp_path: Path
) -> None:
    job = spool.claim(drop(tmp_path))
    (tmp_path / "work/empty").mkdir()
    lost = tmp_path / "work/lost"
    lost.mkdir()
    (lost / "original").write_bytes(b"nameless")
    (lost / "job.json").write_bytes(b"{half")
    assert list(spool.sweep()) == [job]
    assert jobs_in(tmp_path) == [job.id]
    assert (tmp_path / "failed/lost").read_bytes() == b"nameless"
    assert json.loads((tmp_path / "failed/lost.error.json").read_bytes())["code"] == "unreadable"


def test_a_job_gets_the_folder_of_one_that_is_over(config: Config, tmp_path: Path) -> None:
    spool = Spool(config)
    first = spool.claim(drop(tmp_path, "long name of the first.jpg"))
    inode = (tmp_path / "work" / first.id).stat().st_ino
    spool.finish(first, first.name)
    second = spool.claim(drop(tmp_path, "b.jpg", b"second"))
    assert (tmp_path / "work" / second.id).stat().st_ino == inode
    assert read_job(tmp_path / "work" / second.id) == second
    assert original(tmp_path, second) == b"second"
    third = spool.claim(drop(tmp_path, "c.jpg"))
    assert jobs_in(tmp_path) == [second.id, third.id]
    spool.finish(second, second.name)
    spool.fail(third, FaultCode.EMPTY, "")
    spool.close()
    assert os.listdir(tmp_path / "work") == [".lock"]


def test_a_spare_folder_that_somebody_removed_is_not_missed(spool: Spool, tmp_path: Path) -> None:
    job = spool.claim(drop(tmp_path))
    spool.finish(job, job.name)
    spare = tmp_path / "work" / f".{job.id}"
    (spare / "job.json").unlink()
    spare.rmdir()
    assert original(tmp_path, spool.claim(drop(tmp_path))) == b"photo"


def test_a_start_uses_the_empty_folders_that_a_cut_has_left(spool: Spool, tmp_path: Path) -> None:
    spare = tmp_path / "work" / f".old-{spool.instance}"
    spare.mkdir()
    assert spool.sweep() == []
    job = spool.claim(drop(tmp_path))
    assert jobs_in(tmp_path) == [job.id]
    assert not spare.exists()


@pytest.mark.parametrize("before", ["", "."])
def test_a_photo_in_a_folder_whose_last_name_was_lost_is_found(
    spool: Spool, tmp_path: Path, before: str
) -> None:
    job = spool.claim(drop(tmp_path))
    (tmp_path / "work" / job.id).rename(tmp_path / "work" / f"{before}old-{spool.instance}")
    assert spool.sweep() == [job]
    assert original(tmp_path, job) == b"photo"
    assert jobs_in(tmp_path) == [job.id]


def test_a_photo_in_a_hidden_folder_without_a_record_is_saved(spool: Spool, tmp_path: Path) -> None:
    hidden = tmp_path / "work" / f".old-{spool.instance}"
    hidden.mkdir()
    (hidden / "original").write_bytes(b"photo")
    (hidden / "job.json").write_bytes(b"{half")
    assert spool.sweep() == []
    assert (tmp_path / f"failed/old-{spool.instance}").read_bytes() == b"photo"


def test_another_daemon_on_the_same_work_is_refused(
    config: Config, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("depthd.spool.ownership._LOCK_PATIENCE", 0.1)
    with pytest.raises(ConfigurationError, match="another depthd"):
        Spool(config)


def test_the_lock_and_the_instance_survive_the_process(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from depthd.config import Config; from depthd.spool import Spool\n"
        "print(Spool(Config(root=Path(sys.argv[1]))).instance, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False
    )
    spool = Spool(Config(root=tmp_path))
    assert spool.instance == run.stdout.strip()
    spool.close()


def test_work_on_another_file_system_is_refused(tmp_path: Path) -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    work = shared / f"depthd-test-{os.getpid()}"
    config = Config.model_validate({"root": tmp_path, "paths": {"work": work}})
    try:
        with pytest.raises(ConfigurationError, match="another file system"):
            Spool(config)
    finally:
        (work / ".lock").unlink()
        work.rmdir()


@pytest.mark.parametrize("cut", [None, "unlink"])
def test_done_on_another_file_system_gets_a_synced_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: str | None
) -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    done = shared / f"depthd-test-{os.getpid()}"
    spool = Spool(Config.model_validate({"root": tmp_path, "paths": {"done": done}}))
    try:
        job = spool.claim(drop(tmp_path))
        if cut:  # the run ends after the copy has its name and before the original is gone
            with monkeypatch.context() as patch:
                patch.setattr(os, "unlink", lambda *_a, **_k: (_ for _ in ()).throw(OSError(5)))
                with pytest.raises(OSError):
                    spool.finish(job, "cam/a.jpg")
            assert original(tmp_path, job) == b"photo"
        assert spool.finish(job, "cam/a.jpg") == "cam/a.jpg"
        assert (done / "cam/a.jpg").read_bytes() == b"photo"
        assert sorted(path.name for path in done.rglob("*")) == ["a.jpg", "cam"]
        assert jobs_in(tmp_path) == []
    finally:
        spool.close()
        subprocess.run(["rm", "-r", str(done)], check=True)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_bytes(b"a file")
    with pytest.raises(OutputError, match=r"paths\.outbox"):
        Spool(Config(root=tmp_path))
