"""Who may come in: one password, and cookies that its key signs. No user database.

Knows secrets and time; nothing of requests.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from depthd.contract.errors import ConfigurationError, OutputError
from depthd.system import files

COOKIE = "depthd"
LIFETIME = 30 * 86_400  # seconds
_LEAST = 8  # characters of a password
_LARGEST = 4096
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # without letters that look alike
_TRIES = 10  # wrong passwords of one address
_WINDOW = 60.0  # seconds
_MOST_ADDRESSES = 10_000


@dataclass(frozen=True)
class Secret:
    """What is left of a password: it cannot be read back from this."""

    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, password: str) -> Secret:
        salt = secrets.token_bytes(16)
        return cls(salt, _digest(password, salt))

    def fits(self, password: str) -> bool:
        """Takes some 50 ms, so that guessing takes long."""
        return hmac.compare_digest(_digest(password, self.salt), self.digest)


def _digest(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(errors="replace"), salt=salt, n=2**14, r=8, p=1)


class Gate:
    """Passwords are tried and cookies given here.

    Args:
        secret: of the password; None where everybody on this machine may come in.
        key: signs the cookies.
    """

    def __init__(self, secret: Secret | None, key: bytes) -> None:
        self._secret = secret
        self._key = key
        self._tries: dict[str, list[float]] = {}

    @property
    def is_open(self) -> bool:
        return self._secret is None

    def may_try(self, address: str) -> bool:
        """Whether an address has not tried too often just now; if so, this is one more try.

        It counts before it is known to be wrong, so many at once are as many one after the other.
        """
        who, now = _network(address), time.monotonic()
        recent = [moment for moment in self._tries.get(who, ()) if moment > now - _WINDOW]
        if len(recent) >= _TRIES:
            return False
        if len(self._tries) >= _MOST_ADDRESSES:
            self._tries.clear()
        self._tries[who] = [*recent, now]
        return True

    def try_password(self, password: str, address: str) -> str | None:
        """The value of a cookie, or None for a wrong password."""
        if self._secret is not None and self._secret.fits(password[:_LARGEST]):
            self._tries.pop(_network(address), None)
            expires = str(int(time.time()) + LIFETIME)
            return f"{expires}.{self._sign(expires)}"
        return None

    def knows(self, cookie: str) -> bool:
        """Whether a cookie is one of ours that has not expired."""
        if self.is_open:
            return True
        expires, _, signature = cookie.partition(".")
        if not expires.isascii() or not expires.isdecimal() or len(expires) > 12:
            return False
        is_ours = hmac.compare_digest(
            signature.encode(errors="replace"), self._sign(expires).encode()
        )
        return is_ours and int(expires) > time.time()

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()


def _network(address: str) -> str:
    """Who counts as one: of IPv6 the 64 bits that one household has for itself."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # what a proxy says
        return ""
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))


def open_gate(state: Path, password_file: Path | None, *, demand: bool) -> tuple[Gate, str | None]:
    """The gate, and the password if it was made just now.

    A cookie is good for one password only: with another one all are void.

    Args:
        state: folder of the page's own, made where it is missing.
        password_file: see `page.password_file`.
        demand: whether there must be a password.

    Raises:
        ConfigurationError: the password file cannot be used.
        OutputError: the folder cannot be used.
    """
    if password_file is None and not demand:
        return Gate(None, b""), None
    _make_private(state)
    key = _kept(state, "key", lambda: secrets.token_bytes(32))
    if password_file is not None:
        password = _read_password(password_file)
        bound = hmac.new(key, password.encode(), hashlib.sha256).digest()
        return Gate(Secret.of(password), bound), None
    made: list[str] = []

    def make() -> bytes:
        password = "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(4))
        made.append(password)
        secret = Secret.of(password)
        return f"{secret.salt.hex()} {secret.digest.hex()}\n".encode()

    stored = _kept(state, "password", make)
    try:
        salt, digest = (bytes.fromhex(part) for part in stored.decode("ascii").split())
    except ValueError as error:
        raise OutputError(
            f"{state / 'password'} is damaged", "remove it; a new password is made and shown"
        ) from error
    bound = hmac.new(key, digest, hashlib.sha256).digest()
    return Gate(Secret(salt, digest), bound), made[0] if made else None


def _read_password(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            first = stream.read(_LARGEST).split(b"\n")[0].rstrip(b"\r")
        password = first.decode()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"page.password_file: {file} cannot be read: {why}") from error
    if stat.S_IMODE(mode) & 0o007:
        raise ConfigurationError(
            f"page.password_file: everybody can read {file}", f"chmod o= {file}"
        )
    if len(password) < _LEAST:
        raise ConfigurationError(
            f"page.password_file: the first line of {file} has fewer than {_LEAST} characters"
        )
    return password


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.stat()
    except OSError as error:
        raise OutputError(
            f"page.state: cannot create {folder}: {error.strerror}",
            "create it for the user that runs the page, or set another folder",
        ) from error
    if about.st_uid != os.geteuid() or about.st_mode & 0o022:
        raise OutputError(
            f"page.state: others can write to {folder}, or own it", "give it to the page alone"
        )


def _kept(folder: Path, name: str, make: Callable[[], bytes]) -> bytes:
    """A small secret of our own, made once."""
    with files.directory(folder) as handle:
        try:
            with open(files.open_regular(name, handle), "rb") as file:
                content = file.read(_LARGEST)
        except FileNotFoundError:
            content = b""
        if content:
            return content
        content = make()
        try:
            group = os.fstat(handle).st_gid
            files.write_durably(name, [content], handle, mode=0o600, group=group)
            os.fsync(handle)
        except OSError as error:
            raise OutputError(f"{folder / name} cannot be written: {error.strerror}") from error
    return content
