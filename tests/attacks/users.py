"""Users without names: the service's own, a member of its group who means harm, a victim.

Only root can become somebody else; nobody has to exist for that.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass

GROUP = 64000


@dataclass(frozen=True)
class User:
    """A user id; all of them are in the service's group."""

    id: int

    def become(self) -> None:
        """Give up all other rights, for good."""
        os.setgroups([GROUP])
        os.setgid(GROUP)
        os.setuid(self.id)
        os.umask(0o002)

    def run(self, action: Callable[[], object]) -> None:
        """Do something as this user, in a process of its own.

        Raises:
            AssertionError: it did not work; the traceback is on standard error.
        """
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                self.become()
                action()
                code = 0
            except BaseException:  # noqa: BLE001 - a child must never return into the tests
                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        assert status == 0, f"user {self.id} could not do it"


SERVICE = User(64001)
MEMBER = User(64002)  # who means harm
VICTIM = User(64003)
