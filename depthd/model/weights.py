"""Which weights to use: the configured file, state/, torch hub's cache, the network, or built-in.

Of the published file only the first digits of its SHA-256 are known beforehand. The whole of it is
written down beside the weights when such a file is first seen (`pins`), and from then on all 64
digits must agree. Knows files and hashes; it imports nothing heavy and never looks inside a tensor.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from depthd.config import Model
from depthd.contract.errors import (
    ConfigurationError,
    DepthdError,
    NoInputError,
    OutputError,
    TemporaryError,
    UnavailableError,
)
from depthd.model.catalogue import MODELS, ModelSpec
from depthd.model.download import download, fault_of_address
from depthd.model.pins import Pin
from depthd.model.storage import exclusive, publish, sha256_file, user_cache

MIRROR_VARIABLE = "DEPTHD_WEIGHTS_URL"
"""Environment variable with the address of a mirror, for networks that cannot reach GitHub."""

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80\x02"  # the two containers of torch.save
_SAFETENSORS_HEADER = b"{"  # after eight bytes that hold its length


@dataclass(frozen=True)
class Weights:
    """A file with weights.

    Attributes:
        spec: the network that they belong to.
        sha256: of the file, 64 hexadecimal digits.
        fallback: the built-in network stands in for the one that was configured.
        source: where they were found, in words.
        published: the file is the one that the network's authors (or this package) published.
        compared: how many digits of `sha256` were compared with what is known of that one.
    """

    spec: ModelSpec
    path: Path
    sha256: str
    fallback: bool
    source: str
    published: bool
    compared: int = 0


def find_weights(
    config: Model, state: Path, *, report: Callable[[str], None], online: bool = True
) -> Weights:
    """The weights to serve with, in the order of the module's first line.

    A configured file that is missing or unusable is an error; nothing else is taken in its place.
    In state/ and torch hub's cache only the published file counts.

    Args:
        config: the section `model`.
        state: the folder state/; a download goes to state/weights/.
        report: told in words what was found wrong and what is being done.
        online: whether a download may be tried.

    Raises:
        UnavailableError: there are none, and no fallback is allowed. Where another try may help,
            it is a TemporaryError; where state/ cannot be written, an OutputError; where the
            mirror's address is wrong, a ConfigurationError.
    """
    spec = MODELS[config.name]
    if config.weights is not None:
        return _configured(spec, config.weights, state)
    if spec.package_data:
        return _packaged(spec)
    if found := _cached(spec, state, report):
        if online:
            _pin(found, state, report)
        return found
    try:
        if not online:
            raise UnavailableError("they are not on this machine")
        return _downloaded(spec, state, report)
    except DepthdError as error:
        is_about_network = isinstance(error, UnavailableError | TemporaryError)
        advice = _advice(spec, state) if is_about_network else error.hint
        message = f"no weights for {spec.name}: {error.message}"
        if config.fallback == "none":
            raise type(error)(message, advice) from error
        report(f"{message}. {advice}")
    return replace(_packaged(MODELS[config.fallback]), fallback=True)


def adopt_file(spec: ModelSpec, source: Path, state: Path) -> Weights:
    """Copy the published file from a disk or stick into state/weights/.

    Raises:
        NoInputError: it cannot be read.
        UnavailableError: it is not the published file.
        OutputError: state/ cannot be written.
    """
    sha256 = _digest(source)
    pin = Pin(spec, state)
    if not spec.url or not sha256.startswith(spec.sha256_prefix):
        raise UnavailableError(
            f"{source} (SHA-256 {sha256[:8]}...) is not the published file of {spec.name}, "
            f"which begins {spec.sha256_prefix[:8]}",
            "for weights of your own set model.weights to their path instead",
        )
    if fault := pin.fault(sha256):
        raise UnavailableError(f"{source}: {fault}", pin.advice)
    target = weights_path(spec, state)
    try:
        with exclusive(target.parent, lambda _: None):
            temporary = target.with_name(target.name + ".part")
            shutil.copyfile(source, temporary)
            if sha256_file(temporary) != sha256:
                temporary.unlink()
                raise OutputError(f"the copy in {target.parent} differs from {source}")
            publish(temporary, target)
    except OSError as error:
        _digest(source)  # a stick may have been pulled out
        raise OutputError(f"cannot write to {target.parent}: {error.strerror or error}") from error
    weights = _published(spec, target, sha256, "state folder", pin)
    _pin(weights, state, lambda _: None)
    return weights


def _digest(source: Path) -> str:
    try:
        return sha256_file(source)
    except OSError as error:
        raise NoInputError(f"cannot read {source}: {error.strerror}") from error


def weights_path(spec: ModelSpec, state: Path) -> Path:
    """Where a downloaded or adopted file lies."""
    return state / "weights" / spec.file_names[0]


def _published(spec: ModelSpec, path: Path, sha256: str, source: str, pin: Pin) -> Weights:
    return Weights(
        spec, path, sha256, fallback=False, source=source, published=True, compared=pin.digits
    )


def _pin(weights: Weights, state: Path, report: Callable[[str], None]) -> None:
    """Write down the whole SHA-256 of a published file that is seen for the first time."""
    pin = Pin(weights.spec, state)
    try:
        pin.set(weights.sha256)
    except OSError as error:  # it still serves; only the next file is compared by fewer digits
        report(f"the SHA-256 of {weights.path} cannot be noted in {pin.path}: {error.strerror}")


def _configured(spec: ModelSpec, path: Path, state: Path) -> Weights:
    hint = "correct model.weights, or leave it empty to use the published file"
    try:
        if not path.is_file():
            raise UnavailableError(f"model.weights: {path} is not there or not a file", hint)
        with path.open("rb") as file:
            head = file.read(9)
        sha256 = sha256_file(path)
    except OSError as error:
        message = f"model.weights: {path} cannot be read: {error.strerror}"
        raise UnavailableError(message, hint) from error
    if not (head.startswith((_ZIP, _PICKLE)) or head[8:] == _SAFETENSORS_HEADER):
        raise UnavailableError(
            f"model.weights: {path} is neither a PyTorch nor a safetensors file", hint
        )
    pin = Pin(spec, state)
    if not pin.fault(sha256):
        return _published(spec, path, sha256, "configured", pin)
    return Weights(spec, path, sha256, fallback=False, source="configured", published=False)


def _packaged(spec: ModelSpec) -> Weights:
    path = Path(__file__).parent / spec.package_data
    try:
        sha256 = sha256_file(path)
    except OSError as error:
        raise UnavailableError(
            f"the package's own weights are missing: {path}", "install depthd again"
        ) from error
    if sha256 != spec.sha256_prefix:
        raise UnavailableError(
            f"the package's own weights are damaged: {path}, SHA-256 {sha256[:8]}...",
            "install depthd again",
        )
    return Weights(
        spec, path, sha256, fallback=False, source="package", published=True, compared=len(sha256)
    )


def _cached(spec: ModelSpec, state: Path, report: Callable[[str], None]) -> Weights | None:
    pin = Pin(spec, state)
    hub = _torch_hub() / "checkpoints"
    places = [(weights_path(spec, state), "state folder")]
    places += [(hub / name, "torch hub's cache") for name in spec.file_names]
    for path, source in places:
        try:
            sha256 = sha256_file(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            report(f"{path} is not used: {error.strerror}")
            continue
        if not (fault := pin.fault(sha256)):
            return _published(spec, path, sha256, source, pin)
        report(f"{path} is not used: {fault}")
    return None


def _torch_hub() -> Path:
    """The folder that torch.hub itself would use (torch.hub.get_dir without importing torch)."""
    home = os.environ.get("TORCH_HOME")
    return (Path(home).expanduser() if home else user_cache() / "torch") / "hub"


def _downloaded(spec: ModelSpec, state: Path, report: Callable[[str], None]) -> Weights:
    url = os.environ.get(MIRROR_VARIABLE) or spec.url
    if fault := fault_of_address(url):
        raise ConfigurationError(
            f"{MIRROR_VARIABLE}: {fault}", "write https://HOST/PATH/FILE, or leave it unset"
        )
    target, pin = weights_path(spec, state), Pin(spec, state)
    report(f"downloading {spec.name} ({spec.bytes / 2**20:.1f} MiB) from {url}")
    sha256 = download(url, target, pin.known, report=report)
    weights = _published(spec, target, sha256, "downloaded", pin)
    _pin(weights, state, report)
    return weights


def _advice(spec: ModelSpec, state: Path) -> str:
    return (
        f"On a machine with network download {spec.url} ({spec.bytes / 2**20:.1f} MiB, SHA-256 "
        f"begins {spec.sha256_prefix[:8]}) and run 'depthd model fetch --from FILE' here, or copy "
        f"it to {weights_path(spec, state)}; a mirror's address goes into {MIRROR_VARIABLE}"
    )
