"""`depthd service` without systemd: what it refuses, what it fills in, what it would do.

tests/systemd/booted.py installs it on a booted system.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from depthd.cli import COMMANDS, depthd, main
from depthd.cli.manual import pages
from depthd.config.load import keys
from depthd.contract.errors import ExitCode, UsageError
from depthd.service import files, place, templates
from depthd.service.place import MADE_BY, Place
from depthd.service.plan import removing

ELSEWHERE = Place("hall", Path("/opt/x/bin/depthd"), Path("/srv/hall"), "lens")


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As if depthd were installed where a service can see it."""
    monkeypatch.setattr("depthd.service.place._HIDDEN", ("/home", "/root"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/depthd").touch()
    for name in ("prefix", "base_prefix"):
        monkeypatch.setattr(sys, name, str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin/python"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--root", "/home/ann/depth"), "the service cannot see /home"),
        (("--root", "/srv/a b"), "a path of letters, digits"),
        (("--root", "/srv/../etc"), "a path of letters, digits"),
        (("--root", "/etc"), "holds other things"),
        (("--user", "root"), "cannot be the service's user"),
        (("--user", "a b"), "cannot be the service's user"),
        (("Hall",), "cannot be the name of a depthd"),
        (("config",), "cannot be the name of a depthd"),
        (("page",), "cannot be the name of a depthd"),
    ],
)
@pytest.mark.usefixtures("program")
def test_what_cannot_be_is_refused_in_words(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["service", "install", "--dry-run", *words]) == ExitCode.USAGE
    assert said in capsys.readouterr().err


def test_an_environment_that_the_service_cannot_see_is_refused() -> None:
    asked = Place("", Path("/home/ann/.venv/bin/depthd"), Path("/var/lib/depthd-none"), "depthd")
    with pytest.raises(UsageError, match="lies in /home/ann"):
        place.refuse_what_cannot_be(asked, (asked.program,))


@pytest.mark.usefixtures("program")
def test_a_dry_run_needs_no_rights_and_changes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    root = tmp_path / "root"
    assert main(["service", "install", "--dry-run", "none-such", "--root", str(root)]) == 0
    said = capsys.readouterr().out
    assert "to do   /etc/systemd/system/depthd@none-such.service\n" in said
    assert f"to do   root: {root} in /etc/depthd/none-such.yaml\n" in said
    assert not root.exists()


def test_every_word_is_filled_in() -> None:
    texts = templates.texts(ELSEWHERE)
    assert [path.name for path in texts] == [
        *("depthd@hall.service", "depthd@hall.conf", "depthd@hall.conf", "depthd@hall")
    ]
    for path, text in texts.items():
        assert text.startswith(f"# {MADE_BY} --root /srv/hall --user lens hall\n")
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        assert not [line for line in lines if "/var/lib/depthd" in line or "depthd  depthd" in line]
        assert not [line for line in lines if line.count("@root@") or line.count("@user@")], path
    unit = texts[ELSEWHERE.unit_file].splitlines()
    assert "User=lens" in unit
    assert "ExecStart=/opt/x/bin/depthd run --config /etc/depthd/hall.yaml" in unit
    assert "ReadWritePaths=-/srv/hall" in unit
    assert "InaccessiblePaths=-/boot -/efi -/media -/mnt" in unit  # its root lies below /srv


def test_the_page_comes_with_the_main_place_alone() -> None:
    main_place = Place("", Path("/opt/x/bin/depthd"), Path("/srv/hall"), "lens")
    made = {path.name: text for path, text in templates.texts(main_place).items()}
    assert made.keys() >= {"depthd-page.service", "depthd-page.socket", "depthd-page.conf"}
    service = made["depthd-page.service"].splitlines()
    assert "ExecStart=/opt/x/bin/depthd page" in service
    assert "Group=lens" in service
    assert "ReadWritePaths=-/srv/hall/inbox -/srv/hall/failed" in service
    assert "InaccessiblePaths=-/boot -/efi -/media -/mnt" in service  # its root lies below /srv
    assert "m       depthd-page  lens" in made["depthd-page.conf"].splitlines()
    for words in made.values():
        assert not re.search(r"^[^#].*@\w+@", words, re.MULTILINE)
    actions = removing(main_place, {}, settings=False)
    said = [action.words for action in actions]
    assert said.index("depthd-page.socket is stopped") < said.index(
        "no /etc/systemd/system/depthd-page.socket"
    )
    assert not [text for text in templates.texts(ELSEWHERE).values() if "depthd-page" in text]


def test_a_place_is_remembered_by_what_it_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("depthd.service.place._ETC", tmp_path)
    assert place.remembered("hall") == (None, None)
    ELSEWHERE.folders_file.parent.mkdir()
    ELSEWHERE.folders_file.write_text(templates.texts(ELSEWHERE)[ELSEWHERE.folders_file])
    assert place.remembered("hall") == (Path("/srv/hall"), "lens")
    assert place.others("") == ["depthd@hall"]
    assert place.others("hall") == []


def test_a_file_of_somebody_else_is_kept_and_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "depthd.service"
    path.write_text("mine\n")
    files.no_file(path).do()
    assert path.read_text() == "mine\n"
    action = files.file(path, f"# {MADE_BY}\nnew\n")
    assert not action.is_right()
    assert str(tmp_path / "depthd.service~") in str(action.do())
    assert action.is_right()
    assert (tmp_path / "depthd.service~").read_text() == "mine\n"
    assert files.file(path, f"# {MADE_BY}\nnewer\n").do() is None  # ours: nothing to keep
    assert (path.stat().st_mode & 0o777, len(list(tmp_path.iterdir()))) == (0o644, 2)
    files.no_file(path).do()
    assert not path.exists()


def test_a_link_of_somebody_else_stays(tmp_path: Path) -> None:
    path, target = tmp_path / "bin/depthd", tmp_path / "depthd"
    files.link(path, target).do()
    assert path.readlink() == target
    assert not files.link(path, tmp_path / "other").is_right()
    files.no_link(path, target).do()
    path.write_text("a script")
    assert "another depthd" in str(files.link(path, target).do())
    assert path.read_text() == "a script"


def every_command(group: click.Group, *above: str) -> list[str]:
    found = []
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        found.append(" ".join((*above, name)))
        if isinstance(command, click.Group):
            found += every_command(command, *above, name)
    return found


def test_the_manual_names_every_command_option_and_key() -> None:
    commands, settings = pages(depthd).values()
    for name in every_command(depthd, "depthd"):
        assert f".SS {name}".replace("-", "\\-") in commands
    assert "\\-\\-dry\\-run" in commands
    assert len(COMMANDS) > 10
    for key in keys():
        section, _, name = key.partition(".")
        assert f".B {key}\n" in settings or (f".SS {section}\n" in settings and not name)


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed here")
@pytest.mark.parametrize("name", ["depthd.1", "depthd.yaml.5"])
def test_the_manual_is_formatted_without_a_warning(name: str, tmp_path: Path) -> None:
    text = next(text for path, text in pages(depthd).items() if path.name == name)
    file = tmp_path / name
    file.write_text(text)
    command = ["man", "--warnings", "--encoding=UTF-8", "--local-file", str(file)]
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"}
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert "NAME" in run.stdout


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: None) -> Path:
    """The configuration of the place `hall`."""
    monkeypatch.setattr("depthd.service.place._SETTINGS", tmp_path)
    return tmp_path / "hall.yaml"


def test_the_root_is_what_the_settings_say(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.write_text(f"root: {tmp_path}/a\npaths: {{outbox: /srv/out}}\n")
    install = ["service", "install", "--dry-run", "hall"]
    assert main(install) == 0
    said = capsys.readouterr().out
    assert f"to do   folders in {tmp_path}/a\n" in said
    assert f"may write in {tmp_path}/a alone, not where paths.outbox leads" in said
    assert main([*install, "--root", f"{tmp_path}/b"]) == ExitCode.USAGE
    assert f"says root: {tmp_path}/a" in capsys.readouterr().err


def test_wrong_settings_are_said_by_install_and_left_by_uninstall(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.write_text("rooot: /srv\n")
    assert main(["service", "install", "--dry-run", "hall"]) == ExitCode.CONFIGURATION
    assert "rooot" in capsys.readouterr().err
    assert main(["service", "uninstall", "--dry-run", "hall"]) == 0
    assert settings.exists()
