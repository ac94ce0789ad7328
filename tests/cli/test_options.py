"""Commands that hints name: they act on the same service, and can be pasted."""

from __future__ import annotations

from pathlib import Path

import pytest

from depthd.cli.options import Configured


@pytest.mark.parametrize(
    ("root", "hint", "made"),
    [
        ("/r", "'depthd check'; 'depthd run'", "'depthd check --root /r'; 'depthd run --root /r'"),
        ("/my r", "Run 'depthd check' now.", "Run depthd check --root '/my r' now."),
        ("/my r", "'depthd release cam1' ends it.", "depthd release --root '/my r' cam1 ends it."),
        ("/r", "depthd retry 'a b' tries.", "depthd retry --root /r 'a b' tries."),
        # A name that looks like a command is a name.
        ("/my r", "depthd retry 'depthd run;x'", "depthd retry --root '/my r' 'depthd run;x'"),
        ("/my r", "depthd retry -- '-depthd run'", "depthd retry --root '/my r' -- '-depthd run'"),
        ("/r", r"depthd retry $'\'\012depthd run'", r"depthd retry --root /r $'\'\012depthd run'"),
        ("/r", "'systemctl start depthd'", "'systemctl start depthd'"),
    ],
)  # fmt: skip
def test_a_hint_carries_the_options(root: str, hint: str, made: str) -> None:
    assert Configured(None, Path(root), ()).in_hint(hint) == made


def test_a_hint_names_the_unit_that_the_settings_are_of() -> None:
    hint = "'journalctl -u depthd' or 'depthd run'"
    hall = Configured(Path("/etc/depthd/hall.yaml"), None, ())
    wanted = "'journalctl -u depthd@hall' or 'depthd run --config /etc/depthd/hall.yaml'"
    assert hall.in_hint(hint) == wanted
    assert "-u depthd'" in Configured(Path("/etc/depthd/config.yaml"), None, ()).in_hint(hint)
