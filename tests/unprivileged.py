"""Run a function as a user without any rights, in a process of its own. Only root can."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def as_nobody(function: Callable[[], Any]) -> Any:
    """What the function returns, by way of JSON.

    Call the function once before: what it imports may lie where nobody may read.
    """
    return as_user(NOBODY, [NOBODY], function)


def as_user(uid: int, groups: list[int], function: Callable[[], Any]) -> Any:
    """The same for any user, whose first group is the primary one."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(groups)
            os.setgid(groups[0])
            os.setuid(uid)
            result = {"value": function()}
        except BaseException as error:  # noqa: BLE001 - nothing may leave this process alive
            result = {"error": repr(error)}
        os.write(writer, json.dumps(result).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        result = json.loads(answer.read())
    os.waitpid(child, 0)
    assert "error" not in result, result
    return result["value"]
