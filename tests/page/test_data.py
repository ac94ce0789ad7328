"""What scripts and people get: numbers as they are, archives whole, photos where they belong."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import re
import shlex
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
import pytest
from page.scene import Page, Scene
from statuses import quiet_status
from unprivileged import needs_root

from depthd.cli.options import Configured
from depthd.config.load import load
from depthd.contract import status
from depthd.contract.errors import FAULTS
from depthd.contract.formats import ERROR_SUFFIX
from depthd.contract.health import CAUSES, Cause
from depthd.contract.names import SetName
from depthd.page import events
from depthd.page.depth import palette
from depthd.page.events import Events
from depthd.page.index import Index
from depthd.page.photos import published
from depthd.page.results import Opened, Results
from depthd.page.sending import zipped
from depthd.page.site import Site
from depthd.page.strings import LANGUAGES, WORDS, table
from depthd.publish.places import Place
from depthd.render import colors


def test_depth_is_the_arrays_own(page: Page, scene: Scene) -> None:
    array = np.load(scene.root / "outbox/cam1/cat.jpg.depth.npy")
    for most, step in ((1536, 1), (100, 5), (16, 29)):
        data = page.get(f"/depth?name=cam1/cat.jpg&format=npy&most={most}").content
        width, height, across, down = np.frombuffer(data[:16], "<u4")
        assert (height, width) == array.shape
        values = np.frombuffer(data[16:], "<f4").reshape(down, across)
        np.testing.assert_array_equal(values, array[::step, ::step])


def test_pfm_is_turned_upright(page: Page, scene: Scene, cat: bytes) -> None:
    results = scene.made(cat, formats=("pfm", "npy"))
    scene.publish("pfm.jpg", cat, results)
    (scene.root / "outbox/pfm.jpg.depth.npy").unlink()
    both = [
        page.get(f"/depth?name={name}&format={kind}&most=90").content
        for name, kind in (("cam1/cat.jpg", "npy"), ("pfm.jpg", "pfm"))
    ]
    assert both[0] == both[1]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\0\xff\xff{",
        b"Pf\n9 9\n-1.0\n",
        b"\x93NUMPY\x01\0\x10\0" + b"(" * 16,
    ],
)
def test_an_array_that_is_none_is_not_there(
    page: Page, scene: Scene, cat: bytes, content: bytes
) -> None:
    scene.publish("broken.jpg", cat, scene.made(cat))
    (scene.root / "outbox/broken.jpg.depth.npy").write_bytes(content)
    assert page.get("/depth?name=broken.jpg&format=npy").status == 404
    assert page.get("/thumbnail?name=broken.jpg").status == 200


def test_a_thumbnail_has_the_depths_colours(page: Page, scene: Scene) -> None:
    answer = page.get("/thumbnail?name=cam1/cat.jpg&v=1")
    assert "immutable" in answer.headers["cache-control"]
    array = np.load(scene.root / "outbox/cam1/cat.jpg.depth.npy")
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    small = array[::3, ::3]
    assert picture.shape[:2] == small.shape
    indices = ((small - small.min()) / (small.max() - small.min()) * 255).astype(np.uint8)
    expected = colors.palette("inferno")[indices].astype(int)
    assert np.abs(picture.astype(int) - expected).max() < 8


def test_the_preview_is_the_thumbnail_where_there_is_one(
    page: Page, scene: Scene, cat: bytes
) -> None:
    scene.publish("preview.jpg", cat, scene.made(cat, formats=("heatmap", "preview")))
    answer = page.get("/thumbnail?name=preview.jpg")
    assert answer.content == (scene.root / "outbox/preview.jpg.preview.jpg").read_bytes()


@pytest.mark.parametrize("name", ["inferno", "magma", "viridis", "turbo", "gray"])
def test_the_palettes_are_the_workers(name: Any) -> None:
    assert palette(name) == colors.palette(name).tobytes()


def test_the_archive_holds_every_file(page: Page, scene: Scene, cat: bytes) -> None:
    answer = page.get("/zip?name=cam1/cat.jpg")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        held = {name: archive.read(name) for name in archive.namelist()}
    outbox = scene.root / "outbox/cam1"
    listed = ("cat.jpg.heatmap.png", "cat.jpg.depth.npy", "cat.jpg.json")
    assert held == {"cat.jpg": cat} | {name: (outbox / name).read_bytes() for name in listed}


@pytest.mark.parametrize("year", [1970, 2106, 2200])
def test_the_archive_has_whatever_time_its_photo_has(
    page: Page, scene: Scene, cat: bytes, year: int
) -> None:
    moment = (year - 1970) * 365.25 * 86400
    os.utime(scene.root / "done/cam1/cat.jpg", (moment, moment))
    with zipfile.ZipFile(io.BytesIO(page.get("/zip?name=cam1/cat.jpg").content)) as archive:
        assert archive.read("cat.jpg") == cat


def test_what_is_not_the_photo_of_a_set_is_not_shown_as_it(
    page: Page, scene: Scene, cat: bytes
) -> None:
    """Whoever has sent it may exchange it, for one of the same size."""
    scene.publish("own.jpg", cat, scene.made(cat))
    assert page.get("/original?name=own.jpg").content == cat
    original = scene.root / "done/own.jpg"
    original.unlink()
    original.write_bytes(cat[:-1] + b"?")
    assert page.get("/original?name=own.jpg").status == 404
    original.write_bytes(cat)
    assert page.get("/original?name=own.jpg").content == cat


def test_times_are_shown_in_one_form_and_in_utc_for_programs(page: Page) -> None:
    day, clock = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d:\d\d"
    form = f'<time datetime="{day}T{clock}Z">({day} )?{clock}</time>'
    for path in ("/", "/gallery", "/failed", "/photo?name=cam1/cat.jpg"):
        text = page.get(path).content.decode()
        assert text.count("<time") == len(re.findall(form, text)) > 0, path
    assert '<time datetime="2026-11-23T06:45:00Z">' in text


@pytest.mark.parametrize(("zone", "shown"), [("UTC", "06:45"), ("Asia/Tokyo", "15:45")])
def test_times_for_people_are_those_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, zone: str, shown: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    manifest = {"times": {"published": "2026-11-23T06:45:00.5Z"}}
    try:
        assert published(manifest) == (f"2026-11-23 {shown}:00", "2026-11-23T06:45:00Z")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert published({}) is None
    assert published({"times": {"published": 7}}) is None


def test_a_photo_that_fails_again_has_its_new_time(tmp_path: Path) -> None:
    failed = Index(Place(tmp_path), ERROR_SUFFIX)
    note = tmp_path / f"a.jpg{ERROR_SUFFIX}"
    for second in (5, 7):  # tried again and failed between two looks: the names are the same
        note.unlink(missing_ok=True)
        note.touch()
        os.utime(note, (second, second))
        failed.look()
        assert failed.snapshot.entries == [(second * 10**9, "", "a.jpg")]


def test_the_command_that_the_page_names_acts_on_its_service() -> None:
    configured = Configured(None, Path("/srv/my depth"), ())
    site: Any = SimpleNamespace(in_hint=configured.in_hint)
    words = Site.retry_by_hand(site, WORDS["en"], SetName.of("cam1/my door.jpg"))
    assert words.endswith("depthd retry --root '/srv/my depth' 'cam1/my door.jpg'")
    words = Site.retry_by_hand(site, WORDS["en"], SetName.of("it's; depthd check;.jpg"))
    assert shlex.split(words)[-3:] == ["--root", "/srv/my depth", "it's; depthd check;.jpg"]


def test_one_more_listener_takes_the_place_of_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "news_of", lambda *_: "{}")
    monkeypatch.setattr(events, "_MOST", 2)

    async def listen() -> list[list[str]]:
        told: Any = Events()
        listeners = [told._tell(None, {}) for _ in range(3)]
        heard = [[await anext(each)] for each in listeners]
        for each, said in zip(listeners[1:], heard[1:], strict=True):
            said.append(await anext(each))
        told.end()
        for each, said in zip(listeners, heard, strict=True):
            said += [piece async for piece in each]
        assert not told._ends
        return heard

    first, *others = asyncio.run(listen())
    assert first == ["retry: 2000\n\n"]
    assert others == [["retry: 2000\n\n", "data: {}\n\n"]] * 2


def test_names_in_the_archive_lead_nowhere_on_windows(page: Page, scene: Scene, cat: bytes) -> None:
    name = "a\\..\\..\\b:c.jpg"
    scene.publish(name, cat, scene.made(cat))
    answer = page.get(f"/zip?name={quote(name, safe='')}")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = archive.namelist()
    assert len(names) == 4
    assert not any(set(each) & set("\\:/") for each in names)


def test_an_original_that_grows_is_sent_as_it_was(tmp_path: Path) -> None:
    """Its owner may go on writing: the archive has an end all the same."""
    path = tmp_path / "a.jpg"
    path.write_bytes(b"photo")
    handle = os.open(path, os.O_RDONLY)
    opened = Opened(handle, 5, path.stat().st_mtime_ns, "a.jpg")
    path.write_bytes(b"photo and more")
    pieces = b"".join(zipped([("a.jpg", lambda: opened)]))
    with zipfile.ZipFile(io.BytesIO(pieces)) as archive:
        assert archive.read("a.jpg") == b"photo"


def test_files_are_whole_and_not_sent_twice(page: Page, scene: Scene) -> None:
    path = "/result?name=cam1/cat.jpg&format=npy"
    first = page.get(path)
    assert first.content == (scene.root / "outbox/cam1/cat.jpg.depth.npy").read_bytes()
    assert first.headers["content-disposition"].startswith(
        'attachment; filename="cat.jpg.depth.npy"'
    )
    again = page.get(path, if_none_match=first.headers["etag"])
    assert (again.status, again.content) == (304, b"")
    head = page.ask("HEAD", path)
    assert head.headers["content-length"] == str(len(first.content))


def test_an_upload_is_the_photo_and_never_replaces_one(
    page: Page, scene: Scene, cat: bytes
) -> None:
    first = json.loads(page.upload("mine.jpg", cat, "new/deep").content)
    second = json.loads(page.upload("mine.jpg", cat + b"x", "new/deep").content)
    assert first["name"] == "new/deep/mine.jpg"
    assert second["name"].startswith("new/deep/mine~")
    assert (scene.root / "inbox" / first["name"]).read_bytes() == cat
    assert (scene.root / "inbox" / second["name"]).read_bytes() == cat + b"x"
    assert first["sha256"] == hashlib.sha256(cat).hexdigest()
    taken = json.loads(page.upload("cat.jpg", cat, "cam1").content)
    assert taken["name"].startswith("cam1/cat~"), "a result has this name"


def test_what_became_of_an_upload_is_told(page: Page, scene: Scene, cat: bytes) -> None:
    sent = json.loads(page.upload("soon.jpg", cat).content)
    ask = f"/arrival?name={sent['key']}&sha256={sent['sha256']}&since={sent['since']}"
    assert json.loads(page.get(ask).content) == {"state": "waiting"}
    scene.publish("soon.jpg", cat, scene.made(cat))
    assert json.loads(page.get(ask).content) == {"state": "done", "key": "soon.jpg"}
    other = json.loads(page.upload("later.jpg", cat).content)
    scene.fail("later.jpg", cat, failed="20990101T000000.000Z")
    ask = f"/arrival?name={other['key']}&sha256={other['sha256']}&since={other['since']}"
    assert json.loads(page.get(ask).content) == {"state": "failed", "key": "later.jpg"}


def test_what_a_killed_page_has_left_is_removed_later(scene: Scene) -> None:
    folder = scene.root / "inbox/left"
    folder.mkdir()
    old, new, other = (
        folder / name for name in (".depthd-page-1.part", ".depthd-page-2.part", ".other.part")
    )
    for path in (old, new, other):
        path.write_bytes(b"half")
    for path in (old, other):
        os.utime(path, (0, 0))
    with Page(scene.root) as page:
        page.wait_until(lambda: not old.exists(), "removal")
    assert new.exists()
    assert other.exists()


def test_a_failed_photo_goes_back(page: Page, scene: Scene) -> None:
    scene.fail("again.jpg", b"photo")
    page.wait_until(lambda: b"again.jpg" in page.get("/failed").content, "failure")
    assert page.post("/retry?name=again.jpg").status == 200
    assert (scene.root / "inbox/again.jpg").read_bytes() == b"photo"
    assert not (scene.root / "failed/again.jpg").exists()
    assert page.post("/retry?name=again.jpg").status == 404
    scene.fail("again.jpg", b"another")
    assert page.post("/retry?name=again.jpg").status == 409
    assert (scene.root / "inbox/again.jpg").read_bytes() == b"photo"


@pytest.fixture
def camera(scene: Scene, tmp_path: Path) -> Iterator[tuple[Page, Path]]:
    file = tmp_path / "cam1.csv"
    file.write_text("x,y,metres\n1,1,1\n2,2,2\n3,3,3\n")
    with Page(scene.root, f"folders.cam1.references_file={file}") as page:
        yield page, file


def test_points_go_into_the_file_that_is_named(camera: tuple[Page, Path]) -> None:
    from depthd.metres.references import References  # noqa: PLC0415

    page, file = camera
    body = {"points": [[10, 20.5, 1.5], [30, 40, 2], [50, 60, 3.25]], "size": [451, 300]}
    answer = page.post("/points?folder=cam1", json.dumps(body).encode())
    assert answer.status == 200, answer.content
    read = References.read(file)
    assert read.points == ((10, 20.5, 1.5), (30, 40, 2), (50, 60, 3.25))
    assert read.size == (451, 300)
    assert b"30.0, 40.0, 2.0" in page.get("/camera?folder=cam1").content
    before = file.read_bytes()
    for wrong in (
        b"", b"[]", b"{", b"0", b'{"points": [], "size": [1, 1]}',
        b'{"points": [[1, 2]], "size": [1, 1]}',
        b'{"points": [[1, 2, -3]], "size": [1, 1]}', b'{"points": [[NaN, 2, 3]], "size": [1, 1]}',
        b'{"points": [[1, 2, 3]], "size": null}', b"[" * 50_000,
        b'{"points": [[1%s, 2, 3]], "size": [1, 1]}' % (b"0" * 309),
    ):  # fmt: skip
        assert page.post("/points?folder=cam1", wrong).status == 400, wrong
    for other in ("cam2", "", "../cam1", str(file)):
        assert page.post(f"/points?folder={other}", json.dumps(body).encode()).status == 400
    assert file.read_bytes() == before


@needs_root
def test_a_page_of_another_user_reads_all_and_moves_only_its_own(
    scene: Scene, cat: bytes, tmp_path: Path
) -> None:
    """As the unit runs it: the folders are the daemon's, sticky and open to the group."""
    from unprivileged import NOBODY, as_nobody  # noqa: PLC0415

    from depthd.config import Config  # noqa: PLC0415
    from depthd.contract.names import SetName  # noqa: PLC0415
    from depthd.page.results import Results  # noqa: PLC0415
    from depthd.publish.returning import put_back  # noqa: PLC0415
    from depthd.system import files  # noqa: PLC0415

    root = tmp_path / "root"
    for folder in (root, *root.parents[:2]):
        folder.mkdir(exist_ok=True)
    own = Scene(root, scene.estimator)
    own.publish("a.jpg", cat, own.made(cat))
    own.fail("theirs.jpg", cat)
    os.chown(own.fail("mine.jpg", cat), NOBODY, NOBODY)
    for name in ("inbox", "failed", "done", "outbox"):
        os.chown(root / name, 0, NOBODY)
        os.chmod(root / name, 0o1770 if name != "outbox" else 0o750)
    os.chown(root / "state", 0, NOBODY)
    for folder in (root, *root.parents[:4]):
        os.chmod(folder, os.stat(folder).st_mode | 0o001)
    results = Results(Config(root=root))

    def look() -> list[object]:
        found = results.set(SetName.of("a.jpg"))
        mine, theirs = (results.failure(SetName.of(f"{who}.jpg")) for who in ("mine", "theirs"))
        assert found is not None
        assert mine is not None
        assert theirs is not None
        may = [results.may_take(each) for each in (mine, theirs)]
        put_back(results.places.failed, root / "inbox", mine.name)  # type: ignore[arg-type]
        mode = files.mode_for_all(root / "inbox")
        with files.beneath(root / "inbox", ["new"], create_mode=mode) as folder:
            made = os.fstat(folder).st_mode & 0o1777
        return [len(found.files), *may, made]

    # In a sticky folder of the page's the daemon could not move the photos.
    assert as_nobody(look) == [2, True, False, 0o770]
    assert (root / "inbox/mine.jpg").exists()
    for name in ("outbox", "failed", "done"):
        assert not (root / name / ".depthd").exists(), "who only looks makes nothing"


def test_every_language_has_every_word() -> None:
    import string  # noqa: PLC0415

    for key, words in table().items():
        assert set(words) == set(LANGUAGES), key
        fields = {
            tuple(sorted(str(field) for _, field, _, _ in string.Formatter().parse(text) if field))
            for text in words.values()
        }
        assert len(fields) == 1, f"{key}: other fields in another language"
        assert all(words.values()), key
    assert {f"fault_{code}" for code in FAULTS} <= table().keys()


def test_the_language_is_the_visitors(page: Page) -> None:
    page.wait_until(lambda: b"bad.jpg" in page.get("/failed").content, "failure")
    german = page.get("/failed", accept_language="de-AT,en;q=0.5")
    assert b"Die Datei endet vor dem Bild." in german.content
    chosen = page.get("/failed?language=en", accept_language="de")
    assert b"The file ends before the picture does." in chosen.content
    cookie = chosen.headers["set-cookie"].split(";")[0]
    assert b'lang="en"' in page.get("/failed", accept_language="de", cookie=cookie).content
    assert b'lang="en"' in page.get("/failed?language=xx", accept_language="xx").content


def test_the_first_page_says_why_the_service_is_not_well(page: Page, scene: Scene) -> None:
    now = datetime.now(UTC)
    model = status.Model(
        name="builtin", sha256="0", fallback=True, engine="openvino", precision="f32"
    )
    told = quiet_status(now, model=model, held_by_operator={".": now})
    file = scene.root / "state/status.json"
    file.write_text(told.model_dump_json())
    try:
        said = page.get("/").content.decode()
        german = page.get("/", accept_language="de").content.decode()
    finally:
        file.unlink()
    assert 'data-level="warn"' in said
    assert f"The daemon is running. {CAUSES[Cause.FALLBACK].text} Held by" in said
    assert "Held by the operator: the whole inbox" in said
    assert "Das eingebaute Netz springt ein" in german


def test_the_page_is_small_and_light(page: Page) -> None:
    maps = Path(f"/proc/{page.process.pid}/maps").read_text()
    for heavy in ("numpy", "cv2", "torch", "openvino"):
        assert f"/{heavy}" not in maps
    assert page.resident() < 100_000_000


def test_a_listener_who_comes_while_the_page_stops_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "news_of", lambda *_: "{}")

    async def listen() -> list[str]:
        told: Any = Events()
        told.end()
        return [each async for each in told._tell(None, {})]

    assert asyncio.run(asyncio.wait_for(listen(), 10)) == ["retry: 2000\n\n"]


def test_an_original_that_cannot_be_read_leaves_no_handle_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load(None, {}, (), tmp_path).config
    done = config.folder("done")
    done.mkdir(parents=True)
    (done / "a.jpg").write_bytes(b"1234")

    def breaks(_: object) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("depthd.page.results._sha256", breaks)
    found: Any = SimpleNamespace(
        name=SetName.of("a.jpg"), manifest={"source": {"name": "a.jpg", "size": 4, "sha256": ""}}
    )
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match="Input/output"):
        Results(config).open_original(found)
    assert len(os.listdir("/proc/self/fd")) == len(before)
