"""How much memory this process holds, and a limit on it. Linux only.

The kernel has no limit on resident memory. What it has, RLIMIT_DATA, counts whatever is allocated,
also what is never touched: the worker that has just loaded its network holds 0.2 GB and has 0.45 GB
allocated (stacks, arenas, buffers of libraries). From then on the two grow together, since photos
are allocated to be filled.
"""

from __future__ import annotations

import os
import resource

from depthd.contract.errors import UnavailableError

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> int:
    """Bytes that this process holds now."""
    return _statm()[1] * _PAGE


def limit_resident(most: int) -> None:
    """Let allocations fail (MemoryError) that would bring this process above about `most` bytes.

    Call it when everything that stays is loaded: what is allocated by then and not resident is not
    counted. Measured with one photo of 12 to 100 megapixels at work, the limit is reached within
    0.1 GB of what is resident then.

    Args:
        most: bytes; 0 sets no limit.

    Raises:
        UnavailableError: the process holds more already.
    """
    if not most:
        return
    _, held, _, _, _, allocated, *_ = (pages * _PAGE for pages in _statm())
    if held > most:
        raise UnavailableError(
            f"the network alone takes {held / 1e6:.0f} MB of memory, and worker.max_memory allows "
            f"{most / 1e6:.0f} MB",
            "raise worker.max_memory, or set it to 0 for no limit",
        )
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = most + max(0, allocated - held)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _statm() -> list[int]:
    """Pages: all, resident, shared, code, unused, data, unused."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]
