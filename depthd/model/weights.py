"""Which weights to use: the configured file, state/, torch hub's cache, the network, or built-in.

Knows files and hashes; it imports nothing heavy and never looks inside a tensor.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from depthd.config import Model
from depthd.contract.errors import DepthdError, NoInputError, OutputError, UnavailableError
from depthd.model.catalogue import MODELS, ModelSpec
from depthd.model.download import download
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
    """

    spec: ModelSpec
    path: Path
    sha256: str
    fallback: bool
    source: str
    published: bool


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
        UnavailableError: there are none, and no fallback is allowed.
    """
    spec = MODELS[config.name]
    if config.weights is not None:
        return _configured(spec, config.weights)
    if spec.package_data:
        return _packaged(spec)
    if found := _cached(spec, state, report):
        return found
    try:
        if not online:
            raise UnavailableError("they are not on this machine")
        return _downloaded(spec, state, report)
    except DepthdError as error:
        if config.fallback == "none":
            raise UnavailableError(
                f"no weights for {spec.name}: {error.message}", _advice(spec, state)
            ) from error
        report(f"no weights for {spec.name}: {error.message}. {_advice(spec, state)}")
    return replace(_packaged(MODELS[config.fallback]), fallback=True)


def adopt_file(spec: ModelSpec, source: Path, state: Path) -> Weights:
    """Copy the published file from a disk or stick into state/weights/.

    Raises:
        NoInputError: it cannot be read.
        UnavailableError: it is not the published file.
        OutputError: state/ cannot be written.
    """
    try:
        sha256 = sha256_file(source)
    except OSError as error:
        raise NoInputError(f"cannot read {source}: {error.strerror}") from error
    if not spec.url or not sha256.startswith(spec.sha256_prefix):
        raise UnavailableError(
            f"{source} (SHA-256 {sha256[:8]}...) is not the published file of {spec.name}, "
            f"which begins {spec.sha256_prefix or 'differently'}",
            "for weights of your own set model.weights to their path instead",
        )
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
        raise OutputError(f"cannot write to {target.parent}: {error.strerror or error}") from error
    return Weights(spec, target, sha256, fallback=False, source="state folder", published=True)


def weights_path(spec: ModelSpec, state: Path) -> Path:
    """Where a downloaded or adopted file lies."""
    return state / "weights" / spec.file_names[0]


def _configured(spec: ModelSpec, path: Path) -> Weights:
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
    published = bool(spec.sha256_prefix) and sha256.startswith(spec.sha256_prefix)
    return Weights(spec, path, sha256, fallback=False, source="configured", published=published)


def _packaged(spec: ModelSpec) -> Weights:
    path = Path(__file__).parent / spec.package_data
    try:
        sha256 = sha256_file(path)
    except OSError as error:
        raise UnavailableError(
            f"the package's own weights are missing: {path}", "install depthd again"
        ) from error
    return Weights(spec, path, sha256, fallback=False, source="package", published=True)


def _cached(spec: ModelSpec, state: Path, report: Callable[[str], None]) -> Weights | None:
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
        if sha256.startswith(spec.sha256_prefix):
            return Weights(spec, path, sha256, fallback=False, source=source, published=True)
        report(f"{path} is not used: its SHA-256 begins {sha256[:8]}, not {spec.sha256_prefix}")
    return None


def _torch_hub() -> Path:
    """The folder that torch.hub itself would use (torch.hub.get_dir without importing torch)."""
    home = os.environ.get("TORCH_HOME")
    return (Path(home).expanduser() if home else user_cache() / "torch") / "hub"


def _downloaded(spec: ModelSpec, state: Path, report: Callable[[str], None]) -> Weights:
    url = os.environ.get(MIRROR_VARIABLE) or spec.url
    target = weights_path(spec, state)
    report(f"downloading {spec.name} ({spec.bytes / 2**20:.1f} MiB) from {url}")
    sha256 = download(url, target, spec.sha256_prefix, report=report)
    return Weights(spec, target, sha256, fallback=False, source="downloaded", published=True)


def _advice(spec: ModelSpec, state: Path) -> str:
    return (
        f"On a machine with network download {spec.url} ({spec.bytes / 2**20:.1f} MiB, SHA-256 "
        f"begins {spec.sha256_prefix}) and run 'depthd model fetch --from FILE' here, or copy it "
        f"to {weights_path(spec, state)}; a mirror's address goes into {MIRROR_VARIABLE}"
    )
