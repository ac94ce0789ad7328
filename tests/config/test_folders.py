"""Which settings hold for a photo of which folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from depthd.config import Config, FolderPolicy
from depthd.config.load import load
from depthd.config.rolling import PHOTOS, RollingRanges
from depthd.contract import manifest
from depthd.contract.errors import ConfigurationError

POINTS = ((1.0, 2.0, 3.0), (4.0, 5.0, 6.5), (7.0, 8.0, 9.0))


def config(**folders: dict[str, Any]) -> Config:
    return Config.model_validate({"folders": folders, "output": {"size": 512, "range": [0, 9]}})


def test_without_folders_the_output_section_holds() -> None:
    policy = config().policy("cam1/a.jpg")
    assert type(policy) is FolderPolicy
    assert (policy.size, policy.range) == (512, (0, 9))
    assert policy.formats == ("heatmap", "npy", "model")


@pytest.mark.parametrize(
    ("name", "colormap"),
    [
        ("a.jpg", "inferno"),
        ("cam1/a.jpg", "magma"),
        ("cam1/day/a.jpg", "magma"),  # sub-folders belong to it
        ("cam1/night/a.jpg", "gray"),  # deeper
        ("cam1/night/2/a.jpg", "gray"),
        ("cam12/a.jpg", "turbo"),  # more letters
        ("camera/a.jpg", "viridis"),
        ("Cam1/a.jpg", "inferno"),
        ("x/cam1/a.jpg", "inferno"),
        ("cam1", "inferno"),  # a photo of that name
    ],
)
def test_the_most_exact_folder_wins(name: str, colormap: str) -> None:
    folders = {
        "cam*": {"colormap": "viridis"},
        "cam1?": {"colormap": "turbo"},
        "cam1": {"colormap": "magma"},
        "*/night": {"colormap": "gray"},
    }
    assert config(**folders).policy(name).colormap == colormap


def test_each_key_comes_from_the_most_exact_folder_that_gives_it() -> None:
    policy = config(**{"cam*": {"formats": ["pfm"], "fov": 50}, "cam1": {"fov": 60}}).policy(
        "cam1/a"
    )
    assert (policy.formats, policy.fov, policy.size) == (("pfm", "model"), 60, 512)


def test_what_belongs_to_points_comes_with_them() -> None:
    """A range of relative values is none in metres, and another photo's size is wrong."""
    folders = {
        "cam*": {"references": POINTS, "references_size": [640, 480], "range": [1, 5]},
        "cam1": {"references": POINTS[::-1]},
        "cam1/night": {"range": [2, 3]},
    }
    made = config(**folders)
    assert made.policy("cam2/a").range == (1, 5)
    first = made.policy("cam1/a")
    assert (first.references, first.references_size, first.range) == (POINTS[::-1], None, "minmax")
    night = made.policy("cam1/night/a")
    assert (night.references, night.range) == (POINTS[::-1], (2, 3))


def test_a_configuration_survives_json() -> None:
    made = config(**{"cam*": {"fov": 50}, "cam1": {"references": POINTS}})
    again = Config.model_validate_json(made.model_dump_json())
    assert again == made
    assert again.policy("cam1/a") == made.policy("cam1/a")
    assert again.policy("cam1/a").size == 512


def test_a_policy_survives_json() -> None:
    policy = config(cam1={"references": POINTS, "fov": 70}).policy("cam1/a")
    assert FolderPolicy.model_validate_json(policy.model_dump_json()) == policy


def test_files_with_names_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("x,y,metres\n1,2,3\n4,5,6.5\n7,8,9\n")
    file = tmp_path / "depthd.yaml"
    file.write_text(
        "folders:\n  cam.1/night:\n    references_file: p.csv\n  fov:\n    fov: 40\n  'cam*': ~\n"
    )
    loaded = load(file, {}, ["folders.cam.2.fov=50"], None)
    assert loaded.config.policy("cam.1/night/a").references == POINTS
    assert loaded.config.policy("cam.2/a").fov == 50
    assert loaded.config.policy("fov/a").fov == 40
    assert loaded.sources["folders.cam.2.fov"] == "--set folders.cam.2.fov"
    assert loaded.sources["folders.cam.1/night.references"].startswith(f"{tmp_path}/p.csv, {file}")


def test_a_file_says_the_photos_size_or_leaves_it_to_the_configuration(tmp_path: Path) -> None:
    points = tmp_path / "p.csv"
    file = tmp_path / "depthd.yaml"
    file.write_text("folders: {cam1: {references_file: p.csv, references_size: [1, 1]}}")
    points.write_text("x,y,metres\n0.1,0.2,3\n0.4,0.5,6.5\n0.7,0.8,9\n")
    assert load(file, {}, [], None).config.policy("cam1/a").references_size == (1, 1)
    points.write_text("x,y,metres,width,height\n10,20,3,640,480\n")
    with pytest.raises(ConfigurationError, match="width and height say the same as folders"):
        load(file, {}, [], None)
    file.write_text("folders: {cam1: {references_file: p.csv}}")
    assert load(file, {}, [], None).config.policy("cam1/a").references_size == (640, 480)


def test_the_environment_sets_folders_too() -> None:
    loaded = load(None, {"DEPTHD_FOLDERS__CAM1__FOV": "50"}, [], None)
    assert loaded.config.policy("cam1/a").fov == 50


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("folders: 3", "folders holds no keys"),
        ("folders: {cam1: 3}", "folders.cam1 holds no keys"),
        (
            "folders: {cam1: {fow: 3}}",
            "folders.cam1.fow: is not a known key; did you mean folders.",
        ),
        ("folders: {cam1: {fov: wide}}", "folders.cam1.fov: 'wide' should be a number"),
        ("folders: {cam1: {range: [5, 1]}}", "folders.cam1.range: ['5', '1'] needs two finite"),
        (
            "folders: {cam1: {references: [[1, 2, 3], [1, 2, -3]]}}",
            "folders.cam1.references: [['1', '2', '3'], ['1', '2', '-3']] point 2: -3 m must be",
        ),
        (
            "folders: {cam1: {references: [[1, 2, 3]], range: [0, 3]}}",
            "folders.cam1: range is in metres where there are references, so above 0",
        ),
        ("folders: {../x: {fov: 4}}", "'../x' is no folder inside the inbox"),
        ("folders: {cam1: {references_file: /none.csv}}", "/none.csv: cannot be read: No such"),
        (
            "folders: {cam1: {references_file: depthd.yaml}}",
            "line 1: needs the column x once",
        ),
        (
            "folders: {cam1: {references_file: /none.csv, references: [[1, 2, 3]]}}",
            "says the same as folders.cam1.references; leave one of them out",
        ),
    ],
)
def test_mistakes_are_told_with_their_path(text: str, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "depthd.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(file, {}, [], None)
    assert expected in caught.value.message
    assert "1 problem" in caught.value.message


def test_a_file_of_points_that_nobody_read_is_not_passed_over() -> None:
    with pytest.raises(ValueError, match="is read when a configuration is loaded"):
        FolderPolicy(references_file=Path("points.csv"))


def depth(low: float, high: float) -> manifest.Depth:
    percentiles = {"2": low, "25": low, "50": low, "75": high, "98": high}
    return manifest.Depth(width=1, height=1, min=low, max=high, percentiles=percentiles)


def test_rolling_is_the_middle_of_the_folders_last_photos() -> None:
    ranges, rolling = RollingRanges(), FolderPolicy(range="rolling")
    assert ranges.resolve("cam1/a", rolling).range == "rolling"
    for low, high in ((0, 100), (10, 110), (900, 1000)):
        ranges.note("cam1/a", rolling, depth(low, high))
    assert ranges.resolve("cam1/b", rolling).range == (10, 110)
    assert ranges.resolve("cam2/b", rolling).range == "rolling"
    fixed = FolderPolicy(range=(0, 5))
    assert ranges.resolve("cam1/b", fixed) == fixed
    for _ in range(PHOTOS):
        ranges.note("cam1/a", rolling, depth(500, 600))
    assert ranges.resolve("cam1/b", rolling).range == (500, 600)


def test_rolling_forgets_quiet_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("depthd.config.rolling._MOST_FOLDERS", 2)
    ranges, rolling = RollingRanges(), FolderPolicy(range="rolling")
    for folder in ("a", "b", "a", "c"):
        ranges.note(f"{folder}/x", rolling, depth(0, 1))
    kept = [f for f in "abc" if ranges.resolve(f"{f}/x", rolling).range == (0, 1)]
    assert kept == ["a", "c"]
