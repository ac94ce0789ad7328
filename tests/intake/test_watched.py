"""The tree of watched folders, also when notes of the past meet a scan of the present."""

from __future__ import annotations

from depthd.intake.watched import Node, Tree


def tree(*folders: str) -> Tree:
    made = Tree(1, (0, 1))
    for number, folder in enumerate(folders, 2):
        assert made.add(folder, number, (0, number)) == []
    return made


def nodes(made: Tree, *numbers: int) -> list[Node]:
    return [node for number in numbers if (node := made.get(number)) is not None]


def test_paths_follow_a_renamed_folder() -> None:
    made = tree("cam", "cam/day", "cam/day/deep")
    cam, day, deep = nodes(made, 2, 3, 4)
    assert made.move(day, cam, "night") == []
    assert made.path(deep) == "cam/night/deep"
    assert made.watches("cam/night/deep", (0, 4))
    assert not made.watches("cam/day", (0, 3))
    assert made.size_of("cam") == 3


def test_a_folder_moved_below_another_gives_its_watches_back() -> None:
    """Each has its own share of them; a scan watches it anew."""
    made = tree("cam", "cam/day", "cam/day/deep", "other")
    day, other = nodes(made, 3, 5)
    assert sorted(made.move(day, other, "day")) == [3, 4]
    assert (made.size_of("cam"), made.size_of("other"), len(made)) == (1, 1, 3)


def test_no_folder_comes_to_lie_in_itself() -> None:
    """Of deep's way out nothing was told, and then day is moved into it; paths would not end."""
    made = tree("cam", "cam/day", "cam/day/deep")
    day, deep = nodes(made, 3, 4)
    made.detach(day)
    assert sorted(made.move(day, deep, "day")) == [3, 4]
    assert (made.size_of("cam"), len(made)) == (1, 2)


def test_a_folder_in_the_place_of_another_ends_the_other() -> None:
    made = tree("cam", "cam/day")
    assert sorted(made.add("cam", 9, (0, 9))) == [2, 3]
    assert made.size_of("cam") == 1


def test_the_same_watch_under_another_path_moves() -> None:
    made = tree("cam")
    assert made.add("cam2", 2, (0, 2)) == []
    assert made.watches("cam2", (0, 2))
    assert not made.watches("cam", (0, 2))
    assert (made.size_of("cam"), made.size_of("cam2")) == (0, 1)


def test_a_folder_whose_folder_is_not_watched_is_refused() -> None:
    assert tree().add("cam/day", 7, (0, 7)) == [7]


def test_a_late_rename_does_not_end_the_watch_of_what_has_its_name_now() -> None:
    made = tree("cam")
    (cam,) = nodes(made, 2)
    made.detach(cam)  # its rename is read now; a scan has been quicker
    assert made.add("cam", 2, (0, 2)) == []
    assert made.cut(cam) == []
    assert made.move(cam, made.root, "cam2") == []
    assert made.watches("cam", (0, 2))


def test_after_lost_events_each_folder_is_to_be_watched_anew() -> None:
    made = tree("cam", "cam/day")
    made.doubt()
    assert not made.watches("cam", (0, 2))
    assert made.add("cam", 2, (0, 2)) == []  # the kernel knew it
    assert made.watches("cam", (0, 2))
    assert made.size_of("cam") == 2


def test_what_is_cut_is_counted_off() -> None:
    made = tree("cam", "cam/day", "cam/day/deep", "cam/night")
    (day,) = nodes(made, 3)
    assert sorted(made.cut(day)) == [3, 4]
    assert made.size_of("cam") == 2
    assert made.cut(day) == []
