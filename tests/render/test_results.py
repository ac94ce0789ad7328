"""One call from a photo's bytes to its results, as a program of its own or a cluster makes it."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from pictures import SAMPLES

from depthd.config import Config, FolderPolicy, Model
from depthd.contract.errors import FaultCode, PhotoError
from depthd.contract.formats import Format
from depthd.contract.manifest import Facts
from depthd.estimate.estimator import DepthEstimator
from depthd.render.results import process


@pytest.fixture(scope="module")
def estimator(random_weights: Path, _prepared_once: Path) -> DepthEstimator:
    return DepthEstimator(Config(model=Model(weights=random_weights)), state=_prepared_once)


def test_facts_tell_what_the_files_hold(estimator: DepthEstimator) -> None:
    data = (SAMPLES / "astronaut.jpg").read_bytes()
    policy = FolderPolicy(formats=(Format.NPY, Format.PNG16, Format.PREVIEW))
    results = process(data, policy, estimator)
    facts = Facts.model_validate_json(results.facts.model_dump_json())
    assert facts.source_sha256 == hashlib.sha256(data).hexdigest()
    assert facts.source_size == len(data)
    assert (facts.photo.width, facts.photo.height) == (384, 512)
    assert [file.format for file in facts.files] == list(policy.formats)
    for file, said in zip(results.files, facts.files, strict=True):
        content = b"".join(file.parts)
        assert said.bytes == len(content)
        assert said.sha256 == hashlib.sha256(content).hexdigest()
    assert facts.files[1].scale == results.files[1].scale is not None
    depth = np.load(io.BytesIO(b"".join(results.files[0].parts)))
    assert np.array_equal(depth, estimator.estimate(data).depth)
    assert set(facts.milliseconds) == {"decode", "preprocess", "infer", "resize", "render"}


def test_a_photo_at_fault_is_said(estimator: DepthEstimator) -> None:
    with pytest.raises(PhotoError) as caught:
        process(b"no photo", FolderPolicy(), estimator)
    assert caught.value.code == FaultCode.NOT_AN_IMAGE
