"""The container image: built from the Containerfile and run as its first lines say.

Run by name, as root, with podman, runc and debootstrap: `pytest tests/container/image.py`. Where no
registry of images answers, its base is a Debian of debootstrap, cut down as Debian's slim image is.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
BASE = "docker.io/library/debian:bookworm-slim"
IMAGE = "localhost/depthd:test"
NAME = "depthd-test"
MOST = 600  # MB
PHOTO = min((PROJECT / "depthd/samples").glob("*.jpg"))
DEADLINE = 120.0  # seconds for whatever is waited for
LACKING = [tool for tool in ("podman", "runc", "debootstrap") if not shutil.which(tool)]

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="containers are built and run as root here"),
    pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)}"),
]


def podman(*words: str | Path, code: int | None = 0) -> str:
    command = ["podman", "--runtime", "runc", *map(str, words)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert code is None or run.returncode == code, f"{command}: {run.stdout}{run.stderr}"
    return run.stdout


def slim_debian(folder: Path) -> None:
    """A base without documentation and translations, and with this machine's authorities."""
    root = folder / "debian"
    subprocess.run(["debootstrap", "--variant=minbase", "bookworm", root], check=True)
    for place in ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info",
                  "var/lib/apt/lists", "var/cache/apt", "var/log"):  # fmt: skip
        shutil.rmtree(root / place, ignore_errors=True)
        (root / place).mkdir(parents=True)
    excluded = ("doc", "man", "locale", "info")
    rules = "".join(f"path-exclude /usr/share/{place}/*\n" for place in excluded)
    (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(rules)
    own = Path("/usr/local/share/ca-certificates")
    if own.is_dir():
        shutil.copytree(own, root / "usr/local/share/ca-certificates", dirs_exist_ok=True)
    with subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE) as archive:
        subprocess.run(["podman", "import", "-", BASE], stdin=archive.stdout, check=True)
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    have = subprocess.run(["podman", "image", "exists", BASE], check=False).returncode == 0
    if (
        not have
        and subprocess.run(
            ["timeout", "60", "podman", "pull", "--quiet", BASE], check=False
        ).returncode
    ):
        slim_debian(tmp_path_factory.mktemp("base"))
    # In a chroot, because the build needs no container, and a container may be refused here.
    podman("build", "--format", "docker", "--ignorefile", PROJECT / ".ci/containerignore",
           "--isolation", "chroot", "--network", "host", "--pull=never", "--tag", IMAGE, PROJECT,
    )  # fmt: skip
    return IMAGE


@pytest.fixture
def volume() -> Iterator[Path]:
    """The folder of a new volume, as the host sees it."""
    podman("volume", "create", NAME)
    yield Path(podman("volume", "inspect", "--format", "{{.Mountpoint}}", NAME).strip())
    podman("rm", "--force", "--time", "5", NAME, code=None)
    podman("volume", "rm", "--force", NAME)


def run(image: str, *words: str, detach: bool = False, code: int = 0) -> str:
    """As the Containerfile says, with nothing writable but the volume, and without a network."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = ("--ulimit", f"nofile={files}:{files}", "--ulimit", "nproc=4096:4096")
    places = ("--read-only", "--read-only-tmpfs=false", "--volume", f"{NAME}:/var/lib/depthd")
    way = ("--detach",) if detach else ("--rm",)
    name = ("--name", NAME, "--network", "none")
    return podman("run", *way, *name, *limits, *places, image, *words, code=code)


def wait_for(what: Path) -> None:
    end = time.monotonic() + DEADLINE
    while not what.exists():
        assert time.monotonic() < end, podman("logs", NAME)
        time.sleep(0.2)


def drop(volume: Path, name: str) -> None:
    """A photo, as somebody else would write it."""
    target = volume / "inbox" / name
    hidden = target.with_name(f".{name}")
    shutil.copyfile(PHOTO, hidden)
    os.chown(hidden, 10001, 10001)
    hidden.rename(target)


def state() -> dict[str, object]:
    (about,) = json.loads(podman("inspect", NAME))
    return about["State"]


def test_it_is_small(image: str) -> None:
    size = int(podman("image", "inspect", "--format", "{{.Size}}", image))
    assert size / 1e6 <= MOST


def test_it_serves_and_stops_as_a_service_does(image: str, volume: Path) -> None:
    run(image, detach=True)
    wait_for(volume / "inbox")
    drop(volume, "one.jpg")
    wait_for(volume / "done/one.jpg")
    manifest = json.loads((volume / "outbox/one.jpg.json").read_bytes())
    assert manifest["model"]["fallback"] is True  # without a network there are no other weights
    podman("healthcheck", "run", NAME)
    assert podman("exec", NAME, "id", "-u").strip() == "10001"
    for place in ("/", "/tmp", "/opt/depthd", "/etc"):
        podman("exec", NAME, "touch", f"{place}/x", code=1)
    podman("stop", "--time", "60", NAME)
    assert state()["ExitCode"] == 0
    assert (
        '"event": "service.stopped"'
        in podman("logs", NAME) + (volume / "log/depthd.jsonl").read_text()
    )
    podman("start", NAME)
    drop(volume, "two.jpg")
    wait_for(volume / "done/two.jpg")
    podman("kill", "--signal", "KILL", NAME)
    podman("wait", NAME)
    assert state()["ExitCode"] == 137
    assert subprocess.run(["podman", "healthcheck", "run", NAME], check=False).returncode != 0


@pytest.mark.parametrize(
    ("words", "code"),
    [(("--version",), 0), (("run", "--nonsense"), 64), (("run", "--set", "model.enigne=x"), 78),
     (("model", "fetch"), 75), (("model", "fetch", "--from", "/none"), 66),
     (("model", "verify", "--set", "model.fallback=none"), 69)],
)  # fmt: skip
@pytest.mark.usefixtures("volume")
def test_exit_codes_pass_through(words: tuple[str, ...], code: int, image: str) -> None:
    run(image, *words, code=code)


def test_one_volume_and_no_root(image: str) -> None:
    (about,) = json.loads(podman("image", "inspect", image))
    assert list(about["Config"]["Volumes"]) == ["/var/lib/depthd"]
    assert about["Config"]["User"] == "10001:10001"
    assert about["Config"]["StopSignal"] == "SIGTERM"
    assert about["Healthcheck"]["Test"] == ["CMD-SHELL", "depthd status || [ $? -eq 1 ]"]
