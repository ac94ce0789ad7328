"""A file from the network: resumable, checked, and never half a file under its final name.

Knows HTTP and files, nothing of models. Proxies are taken from the environment (`http_proxy`,
`https_proxy`, `no_proxy`).
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

from depthd import __version__
from depthd.contract.errors import OutputError, TemporaryError, UnavailableError
from depthd.model.storage import exclusive, publish, sha256_file

_CHUNK = 1 << 16
_WORTH_ANOTHER_TRY = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


@dataclass(frozen=True)
class Limits:
    """How long to be patient.

    Attributes:
        stall: seconds to connect, and seconds that may bring less than `slowest` bytes.
        attempts: how often a transfer that breaks off is taken up again.
        backoff: seconds before the second attempt; doubled before each further one.
    """

    stall: float = 20.0
    slowest: int = 4096
    attempts: int = 5
    backoff: float = 1.0


class _BrokenOffError(Exception):
    """The transfer ended early; what arrived is kept and may be continued."""


def download(
    url: str,
    target: Path,
    sha256_prefix: str,
    *,
    report: Callable[[str], None],
    limits: Limits = Limits(),
) -> str:
    """Bring a file here, or find that another process just did.

    What has arrived is kept as `TARGET.part` and continued by the next attempt or the next run.

    Args:
        url: http or https.
        target: final name; its folder is made if it is missing.
        sha256_prefix: how the content's SHA-256 must begin.
        report: told in words about progress and what went wrong on the way.
        limits: how long to be patient.

    Returns:
        The SHA-256 of the content.

    Raises:
        UnavailableError: it cannot be had, or it is not the right file.
        TemporaryError: the server cannot be reached or breaks off; later it may do better.
        OutputError: the disk does not take it.
    """
    if fault := fault_of_address(url):
        raise UnavailableError(fault)
    try:
        with exclusive(target.parent, report):
            if target.is_file() and (sha256 := sha256_file(target)).startswith(sha256_prefix):
                return sha256
            return _download(url, target, sha256_prefix, report, limits)
    except OSError as error:
        raise OutputError(
            f"cannot write to {target.parent}: {error.strerror or error}",
            "make room there, or correct the folder's rights",
        ) from error


def fault_of_address(url: str) -> str:
    """Why nothing can be downloaded from there, in words; empty for a usable address."""
    is_one_word = url.isascii() and url.isprintable() and " " not in url
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, half a bracket
        is_usable = False
    if not is_one_word or not is_usable:
        return f"{url!r} is not an http or https address"
    if parts.username is not None:
        return "an address with a user name and password cannot be used"
    return ""


def _download(
    url: str, target: Path, sha256_prefix: str, report: Callable[[str], None], limits: Limits
) -> str:
    part = target.with_name(target.name + ".part")
    reason = ""
    for attempt in range(limits.attempts):
        if attempt:
            time.sleep(limits.backoff * 2 ** (attempt - 1))
        fresh = not part.exists()
        try:
            _receive(url, part, report, limits)
        except _BrokenOffError as error:
            reason = str(error)
            report(f"the download broke off: {reason}")
            continue
        sha256 = sha256_file(part)
        if sha256.startswith(sha256_prefix):
            publish(part, target)
            return sha256
        size = part.stat().st_size
        part.unlink()
        begins = sha256[: len(sha256_prefix)]
        reason = f"what it sent ({size} bytes, SHA-256 {begins}) is not the file asked for"
        if fresh:
            raise UnavailableError(
                f"{url}: {reason}, whose SHA-256 begins {sha256_prefix}",
                "look whether a proxy or a login page answered in the server's place",
            )
    raise TemporaryError(f"{url}: {reason} ({limits.attempts} attempts)")


def _receive(url: str, part: Path, report: Callable[[str], None], limits: Limits) -> None:
    """One attempt: append to `part` what is missing, or write it anew."""
    start = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": f"depthd/{__version__}"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - checked in download()
    with _open(request, part, limits) as response:
        resumed = response.status == HTTPStatus.PARTIAL_CONTENT
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            part.unlink()
            raise _BrokenOffError("the server continued at another place")
        expected = None if response.length is None else response.length + (start if resumed else 0)
        with part.open("ab" if resumed else "wb") as file:
            size = file.tell()
            progress = _Progress(size, expected, report)
            for chunk in _chunks(response, limits):
                file.write(chunk)
                size += len(chunk)
                progress.arrived(size)
    if expected is not None and size != expected:
        raise _BrokenOffError(f"{size} of {expected} bytes arrived")


def _open(request: urllib.request.Request, part: Path, limits: Limits) -> HTTPResponse:
    try:
        # A new opener, because urllib.request.urlopen remembers the first proxies it saw.
        opener = urllib.request.build_opener()
        response: HTTPResponse = opener.open(request, timeout=limits.stall)
    except urllib.error.HTTPError as error:
        error.close()
        answer = f"the server answered {error.code} {error.reason}"
        if 300 <= error.code < 400:
            answer = f"the server redirects in a circle, or to where it may not ({error.code})"
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and part.exists():
            part.unlink()
            raise _BrokenOffError(answer) from error
        if error.code in _WORTH_ANOTHER_TRY:
            raise _BrokenOffError(answer) from error
        raise UnavailableError(f"{request.full_url}: {answer}") from error
    except urllib.error.URLError as error:
        # No connection at all: a box without network should not wait for further attempts.
        raise TemporaryError(f"{request.full_url} cannot be reached: {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:  # ValueError: redirected to no address
        raise _BrokenOffError(str(error) or type(error).__name__) from error
    return response


def _chunks(response: HTTPResponse, limits: Limits) -> Iterator[bytes]:
    """The body as it arrives; a server that only drips counts as one that stalls."""
    since, arrived = time.monotonic(), 0
    try:
        while chunk := response.read1(_CHUNK):
            yield chunk
            arrived += len(chunk)
            if time.monotonic() - since > limits.stall:
                if arrived < limits.slowest:
                    raise TimeoutError(f"only {arrived} bytes in {limits.stall:.0f} s")
                since, arrived = time.monotonic(), 0
    except (OSError, HTTPException) as error:
        raise _BrokenOffError(str(error) or type(error).__name__) from error


class _Progress:
    """Says how far it is, at each tenth."""

    def __init__(self, size: int, expected: int | None, report: Callable[[str], None]) -> None:
        self._said, self._expected, self._report = size, expected, report

    def arrived(self, size: int) -> None:
        if self._expected and size - self._said >= self._expected / 10:
            self._said = size
            self._report(f"downloaded {size / 2**20:.1f} of {self._expected / 2**20:.1f} MiB")
