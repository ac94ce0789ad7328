"""A child process that is asked by lines of JSON and answers each with one.

Knows pipes and JSON. Both sides are here: `Child` asks, `answer` is the child's own loop.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any, Self, cast

from depthd.contract.errors import DepthdError, UnavailableError
from depthd.system.python import module as module_command

Answer = dict[str, Any]


class Child:
    """`python -m MODULE`, set up by one object and then asked for others.

    Args:
        module: its `__main__` calls `answer`.
        setup: handed over first; `self.about` is what the child says to it.

    Raises:
        UnavailableError: it cannot be set up, in its own words.
    """

    def __init__(self, module: str, setup: Answer) -> None:
        self._process = subprocess.Popen(
            module_command(module),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._module = module
        self._to = cast("IO[str]", self._process.stdin)
        self._from = cast("IO[str]", self._process.stdout)
        try:
            self.about = self.ask(**setup)
        except BaseException:
            self._process.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, **question: Any) -> Answer:
        """Ask and wait for the answer."""
        with suppress(BrokenPipeError):
            self._to.write(json.dumps(question) + "\n")
            self._to.flush()
        line = self._from.readline()
        if not line:
            raise UnavailableError(
                f"{self._module} ended with code {self._process.wait()}",
                "its own words are above",
            )
        answer: Answer = json.loads(line)
        if "error" in answer:
            raise UnavailableError(answer["error"], answer["hint"])
        return answer


def answer(setup: Callable[..., tuple[Answer, Callable[..., Answer]]]) -> None:
    """The child's side: set up by the first line, then answer one line after the other.

    What libraries print goes to standard error.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)

        def say(words: Answer) -> None:
            out.write(json.dumps(words) + "\n")
            out.flush()

        try:
            about, respond = setup(**json.loads(sys.stdin.readline()))
        except DepthdError as error:
            say({"error": error.message, "hint": error.hint})
            return
        say(about)
        for line in sys.stdin:
            say(respond(**json.loads(line)))
