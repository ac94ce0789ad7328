"""The page's units and the page agree, and systemd itself says how little the service may do."""

from __future__ import annotations

import re
import shutil
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_analyze import analyze
from unit_files import PAGE_SERVICE as SERVICE
from unit_files import PAGE_SOCKET as SOCKET
from unit_files import PAGE_SYSUSERS, PLACE, settings

from depthd.cli import depthd
from depthd.config import Config
from depthd.contract.errors import ExitCode

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here"
)


def one(file: Path, key: str) -> str:
    (value,) = settings(file)[key]
    return value


@needs_systemd
def test_the_units_are_clean(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    text = re.sub(
        r"^ExecStart=\S+", f"ExecStart={program}", SERVICE.read_text(), flags=re.MULTILINE
    )
    (tmp_path / SERVICE.name).write_text(text, encoding="utf-8")
    shutil.copy(SOCKET, tmp_path)
    units = [str(tmp_path / file.name) for file in (SERVICE, SOCKET)]
    assert not analyze("verify", "--man=no", *units)


@needs_systemd
def test_the_page_may_do_little() -> None:
    report = analyze("security", "--offline=true", "--no-pager", str(SERVICE))
    exposure = re.search(r"Overall exposure level for depthd-page.service: ([\d.]+)", report)
    assert exposure, report
    assert float(exposure[1]) <= 0.6, report


def test_only_inbox_and_what_failed_can_be_written() -> None:
    config = Config()
    writable = one(SERVICE, "ReadWritePaths").split()
    assert writable == [f"-{config.folder(name)}" for name in ("inbox", "failed")]
    assert one(SERVICE, "ProtectSystem") == "strict"
    hidden = " ".join(settings(SERVICE)["InaccessiblePaths"]).split()
    assert {f"-{config.folder(name)}" for name in ("work", "log")} <= set(hidden)


def test_the_user_is_in_the_group_of_droppers() -> None:
    lines = PAGE_SYSUSERS.read_text(encoding="utf-8").splitlines()
    user, member = (line.split() for line in lines if not line.startswith("#"))
    assert user[:2] == ["u", one(SERVICE, "User")]
    assert member == ["m", one(SERVICE, "User"), one(SERVICE, "Group")]
    assert one(SERVICE, "Group") == PLACE.user
    state = one(SERVICE, "StateDirectory")
    assert f"DEPTHD_PAGE__STATE=/var/lib/{state}" in settings(SERVICE)["Environment"]


def test_the_command_line_and_the_codes_are_the_programs_own() -> None:
    _, name, *rest = one(SERVICE, "ExecStart").split()
    with depthd.make_context("depthd", [name]) as context:
        command = depthd.get_command(context, name)
    assert command is not None
    assert CliRunner().invoke(command, [*rest, "--help"]).exit_code == 0
    codes = {int(code) for code in one(SERVICE, "RestartPreventExitStatus").split()}
    assert codes == {ExitCode.USAGE, ExitCode.UNAVAILABLE, ExitCode.CONFIGURATION}


def test_the_socket_is_where_the_configuration_would_listen() -> None:
    address, _, port = one(SOCKET, "ListenStream").rpartition(":")
    assert (address, int(port)) == (Config().page.address, Config().page.port)
    assert socket.inet_aton(address)
