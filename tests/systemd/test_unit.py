"""The unit and the daemon agree: exit codes, deadlines, user, folders, configuration."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner
from unit_files import DROP_INS, SYSTEMD, UNIT, seconds, setting, settings, sysusers, tmpfiles

from depthd.cli import depthd, main
from depthd.cli.options import DEFAULT_FILE
from depthd.config import Config
from depthd.config.load import load
from depthd.contract.errors import ExitCode

ROOT = Config().root
FOLDERS = ("inbox", "outbox", "done", "failed", "work", "log", "state")
SHARED = ("inbox", "done", "failed")
COLLECTORS = "depthd-collect"


def test_no_restart_where_only_a_person_can_help() -> None:
    codes = {int(code) for code in setting("RestartPreventExitStatus").split()}
    assert codes == {ExitCode.USAGE, ExitCode.UNAVAILABLE, ExitCode.CONFIGURATION}
    assert setting("Restart") == "on-failure"


def test_systemd_is_more_patient_than_the_daemon() -> None:
    worker = Config().worker
    assert seconds(setting("TimeoutStartSec")) > worker.start_timeout
    assert seconds(setting("TimeoutStopSec")) > 2 * worker.stop_timeout + 10
    assert seconds(setting("WatchdogSec")) / 2 > worker.stop_timeout + 10


def test_the_command_line_is_the_programs_own() -> None:
    check, kill = settings(UNIT)["ExecReload"]
    assert kill == '/bin/sh -c "kill -HUP $MAINPID"'  # not every box has /bin/kill
    for line in (setting("ExecStart"), check):
        program, *arguments = line.split()
        assert program == setting("ExecStart").split()[0]
        with depthd.make_context("depthd", arguments) as context:
            command = depthd.get_command(context, arguments[0])
        assert command is not None
        assert CliRunner().invoke(command, [*arguments[1:], "--help"]).exit_code == 0


def test_a_reload_is_refused_with_the_file(tmp_path: Path) -> None:
    check, _ = settings(UNIT)["ExecReload"]
    file = tmp_path / "config.yaml"
    arguments = [*check.split()[1:], "-c", str(file), "--root", str(tmp_path)]
    for text, code in (("", 0), ("log:\n  level: debug\n", 0), ("log:\n  level: loud\n", 78)):
        file.write_text(text)
        assert main(arguments) == code


def test_nothing_is_run_from_where_the_service_stands() -> None:
    assert setting("WorkingDirectory") == "/"
    assert setting("Environment") == "PYTHONSAFEPATH=1"
    assert setting("NoExecPaths") == f"-{ROOT}"


def test_the_user_exists() -> None:
    (kind, name, _, _, home, _), collectors = sysusers()
    assert kind == "u"
    assert setting("User") == setting("Group") == name
    assert home == str(ROOT)
    assert collectors == ["g", COLLECTORS, "-"]


def test_the_folders_are_those_of_the_configuration() -> None:
    made = {line.path: line for line in tmpfiles() if line.kind == "d"}
    config = Config()
    assert ROOT in made
    assert {config.folder(name) for name in FOLDERS} == {p for p in made if p.parent == ROOT}
    assert settings(UNIT)["ReadWritePaths"] == [f"-{ROOT}", "-/var/lib/prometheus/node-exporter"]
    assert setting("RequiresMountsFor") == str(ROOT)
    for name in FOLDERS:
        line = made[config.folder(name)]
        assert (line.user, line.group) == (setting("User"), setting("Group"))
        mode = int(line.mode, 8)
        assert mode & 0o007 == 0, "photos are nobody else's business"
        if name in SHARED:
            assert mode & 0o070 == 0o070
            assert mode & stat.S_ISGID
            assert mode & stat.S_ISVTX, "nobody takes what belongs to somebody else"
    assert int(made[config.folder("outbox")].mode, 8) == 0o2750
    for private in ("work", "log"):
        assert int(made[config.folder(private)].mode, 8) == 0o700
    (rights,) = (
        line for line in tmpfiles() if line.path == config.folder("outbox") and line.kind == "a+"
    )
    entries = rights.argument.split(",")
    assert f"group:{COLLECTORS}:rwx" in entries
    assert f"default:group:{COLLECTORS}:rwx" in entries
    assert "default:group::r-x" in entries


def test_the_configuration_that_is_made_once_is_empty(tmp_path: Path) -> None:
    (line,) = (line for line in tmpfiles() if line.kind == "f")
    assert line.path == DEFAULT_FILE
    file = tmp_path / "config.yaml"
    file.write_text(line.argument.replace("\\n", "\n"), encoding="utf-8")
    assert load(file, {}, [], None).config == Config()


def test_the_worker_may_shut_itself_in() -> None:
    last = settings(UNIT)["SystemCallFilter"][-1]
    assert set(last.split()) == {"seccomp", "landlock_create_ruleset", "landlock_restrict_self"}


@pytest.mark.parametrize("file", [UNIT, *DROP_INS], ids=lambda path: path.name)
def test_nothing_is_set_that_breaks_torch(file: Path) -> None:
    assert "MemoryDenyWriteExecute" not in settings(file, commented=True)


def test_the_shared_folder_is_one_mount() -> None:
    """Two paths in ReadWritePaths= are two mounts, and nothing can be renamed between them."""
    file = SYSTEMD / "drop-ins/shared-folder.conf"
    keys = dict(re.findall(r"paths\.(\w+): (/\S+?)[,. ]*(?:\s|$)", file.read_text("utf-8")))
    (shared,) = settings(file)["ReadWritePaths"]
    assert set(keys) == {"inbox", "work"}
    assert {str(Path(path).parent) for path in keys.values()} == {shared}
    hidden = " ".join(settings(UNIT)["InaccessiblePaths"]).split()
    left = " ".join(settings(file)["InaccessiblePaths"]).split()
    assert [path for path in hidden if path not in left] == ["-/srv"]
    assert [path for path in left if path not in hidden] == []
