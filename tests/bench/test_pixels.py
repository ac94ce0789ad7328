"""The part of the bench that measures kinds of pixels runs, with every kind that it names."""

from __future__ import annotations

from depthd.bench.child import Child
from depthd.config import Config


def test_every_kind_of_pixels_is_measured() -> None:
    config = Config().model_dump(mode="json")
    with Child("depthd.bench.pixels", {"config": config}) as child:
        kinds = child.about["kinds"]
        answers = [child.ask(kind=kind, megapixels=0.05) for kind in kinds]
    assert len(kinds) > 15
    for answer in answers:
        assert answer.keys() == {"bytes", "decode", "preprocess"}
        assert min(answer.values()) > 0
