"""Exit codes, streams, and words instead of tracebacks."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from depthd import __version__, cli
from depthd.contract.errors import ExitCode, OutputError
from depthd.supervisor.loop import Result

from .conftest import Depthd

SUBCOMMANDS = [
    *((name,) for name in cli.COMMANDS if name not in ("camera", "model", "config", "service")),
    *(("camera", name) for name in ("show", "check")),
    *(("model", name) for name in ("list", "fetch", "verify", "prepare")),
    *(("config", name) for name in ("show", "schema")),
    *(("service", name) for name in ("install", "uninstall")),
]


def test_version(depthd: Depthd) -> None:
    assert depthd("--version").stdout == f"depthd {__version__}\n"


def test_help_names_every_command(depthd: Depthd) -> None:
    result = depthd("--help")
    assert result.returncode == 0
    listed = [
        line.split()[0]
        for line in result.stdout.partition("Commands:")[2].splitlines()
        if line.strip()
    ]
    assert set(cli.COMMANDS) <= set(listed)


@pytest.mark.parametrize("command", SUBCOMMANDS, ids=" ".join)
def test_every_command_has_an_example(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*command, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"\n    depthd {' '.join(command)}" in out.partition("Example")[2]
    assert "\b" not in out
    assert "\\b" not in out


@pytest.mark.parametrize(
    "group", [(), *((group,) for group in ("camera", "model", "config", "service"))], ids=" ".join
)
def test_lists_of_commands_are_not_cut(
    group: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main([*group, "--help"]) == 0
    listed = capsys.readouterr().out.partition("Commands:")[2]
    assert listed
    assert "..." not in listed


@pytest.mark.parametrize("command", SUBCOMMANDS, ids=" ".join)
def test_a_misspelt_option_is_a_usage_error_that_names_the_nearest(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*command, "--hepl"]) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert "--hepl" in err
    assert "'--help'" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rnu"], "Did you mean 'run'?"),
        (["model", "ftech"], "Did you mean 'fetch'?"),
        (["run", "--onec"], "Did you mean '--once'?"),
        (["run", "--root"], "'--root' requires an argument"),
        (["process", "-o", "x"], "Missing argument"),
        (["process", "x"], "Missing option"),
        (["run", "--set", "model.engine"], "has no '='"),
        ([], "Commands:"),
    ],
)
def test_usage_errors(arguments: list[str], words: str, depthd: Depthd) -> None:
    result = depthd(*arguments)
    assert result.returncode == 64
    assert result.stdout == ""
    assert words in result.stderr


@pytest.mark.parametrize("command", ["run", "check", "status", "config show", "model list"])
def test_a_wrong_configuration_is_told_whole(command: str, depthd: Depthd, tmp_path: Path) -> None:
    file = tmp_path / "depthd.yaml"
    file.write_text("model:\n  engine: onnx\nintake:\n  settle: 2\nroot: /r\n")
    result = depthd(*command.split(), "-c", file, "--set", "x=1", DEPTHD_LOG__LEVEL="loud")
    assert result.returncode == 78
    assert result.stdout == ""
    assert "4 problems" in result.stderr
    for words in (f"{file} line 2", f"{file} line 4", "--set x", "environment DEPTHD_LOG__LEVEL"):
        assert words in result.stderr


def test_a_missing_configuration_file_is_a_configuration_error(depthd: Depthd) -> None:
    result = depthd("run", "-c", "nothing.yaml")
    assert result.returncode == 78
    assert "nothing.yaml: cannot be read: No such file" in result.stderr


def test_a_root_that_cannot_be_made(depthd: Depthd, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = depthd("run", "--once", "--root", tmp_path / "file")
    assert result.returncode == 73
    assert "paths.inbox" in result.stderr


def test_the_default_file_is_read_where_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.yaml"
    monkeypatch.setattr("depthd.cli.options.DEFAULT_FILE", file)
    assert cli.main(["config", "show"]) == 0
    assert "default" in capsys.readouterr().out.splitlines()[0]
    file.write_text("root: /from/etc\n")
    assert cli.main(["config", "show"]) == 0
    assert "root: /from/etc" in capsys.readouterr().out
    assert cli.main(["config", "show", "-c", os.devnull]) == 0
    assert "/from/etc" not in capsys.readouterr().out


def test_a_default_file_that_cannot_be_read_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.yaml"
    monkeypatch.setattr("depthd.cli.options.DEFAULT_FILE", file)
    file.mkdir()  # no rights would not do for root
    assert cli.main(["config", "show"]) == 78
    assert f"{file}: cannot be read: Is a directory" in capsys.readouterr().err
    file.rmdir()
    file.symlink_to("nowhere")
    assert cli.main(["config", "show"]) == 78
    assert f"{file}: cannot be read: No such file" in capsys.readouterr().err
    monkeypatch.setattr("depthd.cli.options.DEFAULT_FILE", tmp_path / "nothing/config.yaml")
    assert cli.main(["config", "show"]) == 0


def test_a_home_folder_in_an_option_that_no_shell_expands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "d.yaml").write_text("paths:\n  done: ~/gone\n")
    assert cli.main(["config", "show", "--root=~/x", "--config=~/d.yaml"]) == 0
    out = capsys.readouterr().out
    assert f"root: {tmp_path}/x" in out
    assert f"done: {tmp_path}/gone" in out
    for option in ("--root=", "--config=~nobody-of-that-name/x"):
        assert cli.main(["config", "show", option]) == 64
        assert f"'{option.partition('=')[0]}'" in capsys.readouterr().err


def test_a_service_without_a_file_says_that_it_has_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("depthd.cli.run.DEFAULT_FILE", tmp_path / "config.yaml")
    monkeypatch.setattr("depthd.cli.options.DEFAULT_FILE", tmp_path / "config.yaml")
    monkeypatch.setattr("depthd.supervisor.loop.run", lambda *_, **__: Result(ExitCode.OK))
    for variable in [name for name in os.environ if name.startswith("DEPTHD_")]:
        monkeypatch.delenv(variable)
    assert cli.main(["run"]) == 0
    assert f"{tmp_path}/config.yaml is not there" in capsys.readouterr().err
    assert cli.main(["run", "--root", str(tmp_path)]) == 0
    assert capsys.readouterr().err == ""


def test_hostile_arguments_come_back_harmless(depthd: Depthd) -> None:
    for arguments in (
        ["\x1b[2J"],
        ["run", "--\x1b[2J"],
        ["status", "--root", "/no\x1b[2J\u202e\nwhere"],
        ["config", "show", "--set", "\x1b[2J=1"],
        ["process", os.fsdecode(b"\xff\x1b.jpg"), "-o", "out"],
    ):
        result = depthd(*arguments)
        assert result.returncode in (64, 66, 78)
        assert all(line.isprintable() for line in result.stderr.splitlines())


@click.command("broken")
@click.option("--how")
def broken(how: str) -> None:
    raise {
        "bug": ZeroDivisionError("by\x1b[2J\nzero"),
        "interrupt": KeyboardInterrupt(),
        "words": OutputError("no room", "make some"),
        "silence": RuntimeError(),
        "rights": PermissionError(errno.EACCES, "Permission denied", "/some/file"),
        "room": OSError(errno.ENOSPC, "No space left on device"),
    }[how]


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        ("bug", 75, ["depthd: unexpected ZeroDivisionError: by", "Hint: ", "DEPTHD_DEBUG=1"]),
        ("silence", 75, ["depthd: unexpected RuntimeError\n"]),
        ("rights", 75, ["depthd: /some/file: Permission denied\nHint: Look at its rights"]),
        ("room", 73, ["depthd: No space left on device\nHint: Make room there"]),
        ("words", 73, ["depthd: no room\nHint: Make some\n"]),
        ("interrupt", 130, []),
    ],
)
def test_every_exception_becomes_words_and_a_code(
    how: str,
    code: int,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("DEPTHD_DEBUG", raising=False)
    monkeypatch.setattr("depthd.cli.check.command", broken)
    assert cli.main(["check", "--how", how]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert "\x1b" not in err
    for word in words:
        assert word in err


def test_the_debug_variable_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("depthd.cli.check.command", broken)
    monkeypatch.setenv("DEPTHD_DEBUG", "1")
    assert cli.main(["check", "--how", "bug"]) == 75
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["config", "schema"], ["--help"]])
def test_a_reader_that_stops_reading_is_no_error(
    arguments: list[str], unbuffered: str, environment: dict[str, str]
) -> None:
    environment["PYTHONUNBUFFERED"] = unbuffered
    command = [sys.executable, "-m", "depthd", *arguments]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = subprocess.run(
            command, stdout=writer, stderr=subprocess.PIPE, env=environment, check=False
        )
    finally:
        os.close(writer)
    assert result.stderr == b""
    assert result.returncode == 128 + signal.SIGPIPE


def test_run_imports_nothing_heavy(environment: dict[str, str]) -> None:
    code = (
        "import sys, depthd.cli.run, depthd.supervisor\n"
        "heavy = {'torch', 'torchvision', 'timm', 'cv2', 'numpy', 'openvino', 'PIL'}\n"
        "print(*heavy & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout == "\n"
