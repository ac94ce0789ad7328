"""What cannot be moved is tried again, less and less often, and a folder of it only as a whole."""

from __future__ import annotations

from depthd.intake.immovable import Immovables


def test_a_photo_waits_longer_each_time() -> None:
    immovables, now, waits = Immovables(), 1000.0, []
    for _ in range(12):
        immovables.failed("cam/a.jpg", now)
        until = now
        while immovables.waits("cam/a.jpg", until):
            until += 5.0
        waits.append(until - now)
        now = until + 100_000.0  # its folder has long been forgotten
    assert waits[:3] == [30.0, 60.0, 120.0]
    assert waits[-1] == 3600.0


def test_the_others_of_its_folder_go_on() -> None:
    immovables = Immovables()
    immovables.failed("cam/a.jpg", 0.0)
    assert immovables.waits("cam/a.jpg", 1.0)
    assert not immovables.waits("cam/b.jpg", 1.0)
    assert not immovables.waits("other/a.jpg", 1.0)


def test_a_folder_in_which_it_happens_again_and_again_waits_as_a_whole() -> None:
    immovables, tries = Immovables(), 0
    for second in range(3600):
        name = f"cam/{second}.jpg"
        if not immovables.waits(name, float(second)):
            immovables.failed(name, float(second))
            tries += 1
    assert tries < 70  # eight, then half a minute of rest; eight, then a minute
    assert not immovables.waits("other/a.jpg", 3600.0)


def test_memory_is_bounded() -> None:
    immovables = Immovables()
    for number in range(30_000):
        immovables.failed(f"{'x' * 500}{number}/a.jpg", 0.0)
    assert len(immovables._photos) <= 10_000
    assert len(immovables._folders) <= 1000
