"""A short run of the coverage-guided fuzzer over the corpus and what grows from it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def test_whatever_the_bytes_the_decoder_says_photo_or_fault(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris has no wheel for this Python")
    corpus = tmp_path / "corpus"
    shutil.copytree(HERE / "corpus", corpus)
    command = [sys.executable, str(HERE / "fuzz_decode.py"), str(corpus)]
    options = ["-runs=20000", "-seed=1", "-rss_limit_mb=2000", f"-artifact_prefix={tmp_path}/"]
    run = subprocess.run(
        [*command, *options], capture_output=True, text=True, errors="replace", check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert "Done 20000 runs" in run.stderr
