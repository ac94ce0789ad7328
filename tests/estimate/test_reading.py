"""`read_depth`: the numbers of `output.size: original`, from sets of every size."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pictures import photograph, saved

import depthd
from depthd.config import Config, FolderPolicy, Model
from depthd.contract.errors import NoInputError
from depthd.contract.formats import FORMATS, Format
from depthd.contract.manifest import Manifest
from depthd.estimate.estimator import DepthEstimator
from depthd.render.results import process

SIZES = ("original", "model", 16, 100, 256, 257, 300, 511, 1024, 16384)
PHOTOS = ((640, 480), (480, 640), (333, 333), (700, 123), (97, 1500), (256, 192), (40, 30))
Publish = Callable[..., Path]


@pytest.fixture(scope="module")
def estimator(random_weights: Path, _prepared_once: Path) -> DepthEstimator:
    return DepthEstimator(Config(model=Model(weights=random_weights)), state=_prepared_once)


@pytest.fixture
def publish(estimator: DepthEstimator, tmp_path: Path) -> Publish:
    """A set in a folder, as the daemon publishes it; returns the manifest's path."""

    def publish(photo: bytes, size: str | int, *formats: Format, name: str = "a.jpg") -> Path:
        policy = Config.model_validate({"output": {"formats": formats, "size": size}}).policy("")
        results = process(photo, policy, estimator)
        for file in results.files:
            (tmp_path / (name + file.suffix)).write_bytes(b"".join(file.parts))
        now = datetime.fromtimestamp(time.time(), UTC)
        about = {"depthd": "1", "job": "j", "attempts": 1, "claimed": now, "published": now}
        made = Manifest.of(results.facts, name=name, target=name, **about)  # type: ignore[arg-type]
        (tmp_path / f"{name}.json").write_bytes(made.to_bytes())
        return tmp_path / f"{name}.json"

    return publish


@pytest.mark.parametrize("photo", PHOTOS, ids=str)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", [Format.NPY, Format.PFM])
def test_every_size_gives_the_numbers_of_original(
    kind: Format, size: str | int, photo: tuple[int, int], publish: Publish
) -> None:
    data = saved(photograph().resize(photo), "JPEG")
    original = publish(data, "original", Format.NPY, name="whole.jpg")
    expected = np.load(original.with_name("whole.jpg.depth.npy"))
    depth = depthd.read_depth(publish(data, size, kind))
    assert depth.dtype == np.float32
    assert depth.shape == photo[::-1]
    assert depth.tobytes() == expected.tobytes()


def test_a_name_that_is_not_utf8_and_the_format_model_alone(publish: Publish) -> None:
    data = saved(photograph().resize((640, 480)), "JPEG")
    whole = depthd.read_depth(publish(data, "original", Format.NPY))
    manifest = publish(data, "original", Format.HEATMAP, Format.MODEL, name="\udcff.jpg")
    assert np.array_equal(depthd.read_depth(str(manifest)), whole)


@pytest.mark.parametrize(
    ("size", "formats", "more"),
    [
        (300, (Format.NPY,), {Format.MODEL}),
        (300, (Format.HEATMAP, Format.PNG16), {Format.MODEL}),
        (300, (Format.MODEL, Format.PFM), set()),
        (300, (Format.HEATMAP,), set()),
        ("model", (Format.NPY,), set()),
        ("original", (Format.NPY,), set()),
    ],
)
def test_the_networks_own_array_comes_only_where_it_is_needed(
    size: str | int, formats: tuple[Format, ...], more: set[Format]
) -> None:
    folder = FolderPolicy(formats=formats, size=size)
    config = Config.model_validate({"folders": {"cam": folder.model_dump(exclude_unset=True)}})
    assert config.policy("cam/a.jpg").formats == (*formats, *more)
    assert config.policy("a.jpg").formats == (Format.HEATMAP, Format.NPY)


def test_sets_that_cannot_give_it_say_what_to_do(publish: Publish, tmp_path: Path) -> None:
    data = saved(photograph().resize((640, 480)), "JPEG")
    with pytest.raises(NoInputError) as caught:
        depthd.read_depth(publish(data, "original", Format.HEATMAP, Format.PNG16))
    assert "add model to output.formats" in caught.value.hint
    with pytest.raises(NoInputError, match="No such file"):
        depthd.read_depth(tmp_path / "b.jpg.json")
    (tmp_path / "c.jpg.json").write_text("[1]")
    with pytest.raises(NoInputError, match="not a manifest"):
        depthd.read_depth(tmp_path / "c.jpg.json")


@pytest.mark.parametrize("kind", [Format.NPY, Format.PFM, Format.MODEL])
def test_a_file_that_is_gone_or_another_one_is_told(kind: Format, publish: Publish) -> None:
    data = saved(photograph().resize((320, 240)), "JPEG")
    manifest = publish(data, "original", kind)
    file = manifest.with_name("a.jpg" + FORMATS[kind].suffix)
    whole = file.read_bytes()
    for wrong in (b"", whole[:-4], whole[:100], b"\x80" + whole[1:], whole + bytes(2000)):
        file.write_bytes(wrong)
        with pytest.raises(NoInputError, match=r"a\.jpg"):
            depthd.read_depth(manifest)
    np.save(file.with_suffix(".other.npy"), np.zeros((3, 4), np.float32))
    file.write_bytes(file.with_suffix(".other.npy").read_bytes())
    with pytest.raises(NoInputError, match=r"a\.jpg"):
        depthd.read_depth(manifest)
    file.unlink()
    with pytest.raises(NoInputError, match="No such file"):
        depthd.read_depth(manifest)
