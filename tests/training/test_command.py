"""The one command, at a tiny size: data that is there already, four batches, weights and card."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from depthd.training import __main__ as command
from depthd.training import sources, weights
from depthd.training.dataset import Source
from depthd.training.train import untrained

TABLE = """photo,depth,set,kind,div,max_m,label,use
a.jpg,a.png,desk,metric,1000,10,sensor,train
a.jpg,a.png,shelf,metric,1000,10,simulator,measure
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table with one photo, once to be trained on and once to be measured."""
    folder = tmp_path / "table"
    folder.mkdir()
    depth = np.linspace(4000, 500, 96)[:, None].repeat(128, axis=1)
    cv2.imwrite(str(folder / "a.png"), depth.astype(np.uint16))
    cv2.imwrite(str(folder / "a.jpg"), np.full((96, 128, 3), 90, np.uint8))
    (folder / "pairs.csv").write_text(TABLE)
    return folder / "pairs.csv"


def test_goes_on_from_weights_and_says_what_it_saw(
    photos: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_out = shutil.copytree(photos, tmp_path / "held-out")
    monkeypatch.setattr(sources, "motorcycle", lambda folder: held_out)
    made = [Source("scenes", photos, 0.9), Source("frames", photos, 0.1)]
    monkeypatch.setattr(command, "make_data", lambda options: made)
    monkeypatch.setattr(command, "BATCH", 2)
    start = tmp_path / "start.safetensors"
    digest = weights.write(untrained(None), start)

    out = tmp_path / "out" / "weights.safetensors"
    command.main(
        [
            f"--data={tmp_path / 'data'}",
            f"--pairs={table}",
            f"--rgbd={photos}",
            "--steps=4",
            f"--start={start}",
            f"--weights={out}",
        ]
    )

    text = out.with_suffix(".card.md").read_text(encoding="utf-8")
    assert "{" not in text
    assert digest in text
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    for name in ("photos *", "desk *", "shelf", "held-out"):
        assert rows.count(name) == 2, name  # before and after
    assert "in percent of the ramp's" in text
    weights.load(out)


def test_the_encoder_goes_half_of_the_way() -> None:
    old, new = untrained(None), untrained(None)
    with torch.no_grad():
        for parameter in new.parameters():
            parameter.add_(1.0)
    found = weights.blended(old, new)
    for (name, a), b in zip(found.named_parameters(), old.parameters(), strict=True):
        share = 0.5 if name.startswith("pretrained.") else 1.0
        step = 0.0 if name.startswith(weights.KEPT) else share
        assert torch.allclose(a, b + step, atol=1e-5), name


def test_figures_are_kept_for_the_weights_and_folders_that_gave_them(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, cache = untrained(None), tmp_path / "figures.json"
    found = command.figures(network, [photos], cache)
    with monkeypatch.context() as patch:
        patch.setattr(command.evaluate, "measure", lambda *_: pytest.fail("measured again"))
        assert command.figures(network, [photos], cache) == found
    with torch.no_grad():
        network.scratch.output_conv[4].weight.mul_(-1.0)
    other = command.figures(network, [photos], cache)
    assert other["photos"]["network"] != found["photos"]["network"]
    copied = shutil.copytree(photos, tmp_path / "more")
    assert command.figures(network, [photos, copied], cache).keys() == {"photos", "more"}


def test_a_contact_sheet_is_written_where_no_folder_is_yet(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "not" / "yet"
    command.main(["sheet", *map(str, sorted(photos.glob("*.jpg"))), f"--data={data}"])
    sheet = cv2.imread(str(data / "sheet.png"))
    assert sheet is not None
    assert sheet.shape == (2 * 180, 4 * 480, 3)  # six photos, four in a row
    with pytest.raises(SystemExit):
        command.main(["sheet"])
    assert "name photos" in capsys.readouterr().err


def test_no_set_drowns_the_others(photos: Path, table: Path, tmp_path: Path) -> None:
    options = command.parse([f"--rgbd={photos}"])
    sets = command.listing.read(table, tmp_path / "listed")
    many, one = command.real_sources(options, sets)
    assert (many.name, one.name) == ("photos", "desk")
    assert many.weight / one.weight == pytest.approx(6**0.5)
    assert many.weight + one.weight <= command.REAL
