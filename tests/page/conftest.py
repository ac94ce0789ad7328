"""What the tests of the page share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parents[2] / "depthd/samples"


@pytest.fixture(scope="session")
def estimator(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The built-in network."""
    from depthd import DepthEstimator  # noqa: PLC0415
    from depthd.config import Config  # noqa: PLC0415

    config = Config.model_validate({"model": {"name": "builtin"}})
    return DepthEstimator(config, state=tmp_path_factory.mktemp("state"), report=print)


@pytest.fixture(scope="session")
def cat() -> bytes:
    return (SAMPLES / "cat.jpg").read_bytes()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, estimator: Any, cat: bytes) -> Any:
    """A root with one set, cam1/cat.jpg, and one failure, bad.jpg."""
    from page.scene import Scene  # noqa: PLC0415

    scene = Scene(tmp_path_factory.mktemp("page") / "root", estimator)
    scene.publish("cam1/cat.jpg", cat, scene.made(cat))
    scene.fail("bad.jpg", cat[:2000])
    return scene


@pytest.fixture(scope="module")
def page(scene: Any) -> Iterator[Any]:
    """A page over it that takes everything."""
    from page.scene import Page  # noqa: PLC0415

    with Page(scene.root, "disk.min_free=0") as page:
        yield page
