"""Reference points from people's files, and on photos of another size."""

from __future__ import annotations

from pathlib import Path

import pytest

from depthd.metres.references import MOST_POINTS, References, ReferencesError, Undetermined

POINTS = ((120.0, 400.0, 1.5), (610.0, 380.5, 2.25))


def written(folder: Path, content: str | bytes) -> Path:
    file = folder / "points.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


@pytest.mark.parametrize(
    "text",
    [
        "x,y,metres\n120,400,1.5\n610,380.5,2.25\n",
        "\ufeffX, Y, Metres\r\n120,400,1.5\r\n610,380.5,2.25",
        "# by tape\n\nmetres;y;x\n1,5;400;120\n# the chair\n2,25;380,5;610\n",
        "name\tx\ty\tmetres\ndoor\t120\t400\t1.5\nchair\t610\t380.5\t2.25\n",
        'x,y,metres,note\n120,400,1.5,"left, low"\n610,380.5,2.25,\n',
    ],
)
def test_files_as_people_and_spreadsheets_write_them(text: str, tmp_path: Path) -> None:
    assert References.read(written(tmp_path, text)) == References(POINTS)


def test_a_file_can_say_which_photo_was_measured(tmp_path: Path) -> None:
    text = "x,y,metres,width,height\n120,400,1.5,1280,720\n610,380.5,2.25,1280,720\n"
    assert References.read(written(tmp_path, text)) == References(POINTS, (1280, 720))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "it is empty; its first line must be x,y,metres"),
        ("x,y,metres\n", "it holds no points"),
        ("120,400,1.5\n", "line 1: needs the column x once"),
        ("x,y\n1,2\n", "line 1: needs the column metres once"),
        ("x,x,y,metres\n1,1,2,3\n", "line 1: needs the column x once"),
        ("x,y,metres\n1,2,3\n\n1,2\n", "line 4: has 2 columns and not 3"),
        ("x,y,metres\n1,2,two\n", "line 2: metres is 'two', which is no number"),
        ("x,y,metres\n1,2,nan\n", "line 2: metres is 'nan', which is no number"),
        ("x,y,metres\n1,2,0\n", "line 2: 0 m must be above 0"),
        ("x,y,metres\n1,2,1e9\n", "line 2: 1e+09 m must be above 0 and at most 100000"),
        ("x,y,metres\n-1,2,3\n", "line 2: x -1 and y 2 must not be below 0"),
        ("x,y,metres,width,height\n1,2,3,4,4\n1,2,3,4,5\n", "the same in all lines"),
        ("x,y,metres\n" + "1,2,3\n" * (MOST_POINTS + 1), "more than 1000"),
        (b"x,y,metres\n1,2,\xff\n", "it is not UTF-8 text"),
        (b"x" * 1_000_001, "larger than 1 MB"),
    ],
)
def test_wrong_files_are_told_with_their_line(
    content: str | bytes, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ReferencesError) as caught:
        References.read(written(tmp_path, content))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ("x", "needs a list of points"),
        ([[1, 2]], "point 1 needs three numbers"),
        ([[1, 2, 3], [1, "b", 3]], "point 2: 'b' is no number"),
        ([[1, 2, 3], [1, 2, -3]], "point 2: -3 m must be above 0"),
        ([[1, 2, float("nan")]], "point 1: nan m"),
        ([[float("inf"), 2, 3]], "point 1: x inf"),
        ([[1, 2, True]], "True is no number"),
    ],
)
def test_wrong_points_are_told_by_number(points: object, words: str) -> None:
    with pytest.raises(ReferencesError) as caught:
        References.of(points)  # type: ignore[arg-type]
    assert words in str(caught.value)


@pytest.mark.parametrize("size", [[0, 4], [4], [1, 2, 3], "ab", [float("inf"), 2]])
def test_wrong_sizes(size: object) -> None:
    with pytest.raises(ReferencesError):
        References.of([(1, 2, 3)], size)  # type: ignore[arg-type]


def test_points_follow_the_photos_size() -> None:
    assert References(POINTS).on(640, 480) == POINTS
    assert References(POINTS, (1280, 720)).on(640, 360) == ((60, 200, 1.5), (305, 190.25, 2.25))
    fractions = References(((0.25, 0.5, 3),), (1, 1))
    assert fractions.on(400, 300) == ((100, 150, 3),)
    assert fractions.on(300, 400) == ((75, 200, 3),)


def test_a_photo_of_another_shape_has_no_metres() -> None:
    with pytest.raises(Undetermined, match="measured on a photo of 1280 x 720, and this one, 480"):
        References(POINTS, (1280, 720)).on(480, 640)
    References(POINTS, (1280, 720)).on(1279, 721)


def test_points_outside_of_the_photo_are_told() -> None:
    with pytest.raises(Undetermined, match=r"point 2 at 610, 380\.5 lies outside of the photo"):
        References(POINTS).on(600, 480)
