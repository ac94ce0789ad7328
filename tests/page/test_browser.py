"""The page in a real browser, over a real daemon: what people do, and what they see."""

from __future__ import annotations

import base64
import io
import json
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from daemon import Daemon, drop
from page.browser import Browser, chromium, needs_browser
from page.conftest import SAMPLES
from page.proxy import proxied
from page.scene import Page
from PIL import Image

pytestmark = needs_browser
SETTINGS = ("model.name=builtin", "intake.settle=0s", "disk.min_free=0")
PHONE = (360, 740)
TEMPLE = (640, 427)
# Distances as the built-in network sees them, near enough that other weights may change a little.
MEASURED = [[60, 390, 1.82], [320, 330, 2.5], [600, 300, 1.7], [320, 100, 15], [200, 380, 2.2]]
# Of the software that draws where there is no graphics card; nobody's page says it.
DRIVER_NOISE = "GPU stall due to ReadPixels"


@dataclass
class World:
    root: Path
    daemon: Daemon
    page: Page
    browser: Browser

    def wait_for_result(self, name: str) -> None:
        self.daemon.wait_until((self.root / f"outbox/{name}.json").exists, f"result of {name}")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("browser") / "root"
    points = root.parent / "cam1.csv"
    points.write_text("x,y,metres\n1,1,1\n2,2,2\n3,3,3\n")
    with ExitStack() as stack:
        extra = (
            "folders.full.formats=[heatmap, npy, png16, preview, ply, glb]",
            "folders.few.formats=[png16]",
            "folders.map.formats=[heatmap]",
            "folders.met.formats=[heatmap, npy, metres]",
            f"folders.met.references={MEASURED}",
        )
        daemon = stack.enter_context(Daemon(root, *SETTINGS, *extra))
        daemon.ready()
        camera = f"folders.cam1.references_file={points}"
        met = f"folders.met.references={MEASURED}"
        page = stack.enter_context(Page(root, *SETTINGS, camera, met))
        browser = stack.enter_context(chromium())
        browser.base = page.url
        world = World(root, daemon, page, browser)
        temple = (SAMPLES / "temple.jpg").read_bytes()
        drop(root, "first.jpg", (SAMPLES / "cat.jpg").read_bytes())
        world.wait_for_result("first.jpg")
        for folder in ("full", "few", "map", "met", "cam1"):
            drop(root, f"{folder}/temple.jpg", temple)
        for folder in ("full", "few", "map", "met", "cam1"):
            world.wait_for_result(f"{folder}/temple.jpg")
        yield world


@pytest.fixture
def browser(world: World) -> Iterator[Browser]:
    """With a large screen; the console must stay silent."""
    world.browser.resize(1280, 900)
    world.browser.media("light")
    world.browser.problems()
    yield world.browser
    problems = [text for text in world.browser.problems() if DRIVER_NOISE not in text]
    assert problems == []


def arrived(browser: Browser, name: str, state: str = "done") -> Any:
    """The line of an upload whose result is there."""
    (line,) = browser.wait(
        lambda: [
            line
            for line in browser.all(f"#sent li[data-state={state}]")
            if name in line.find_element("css selector", ".name").text
        ],
        f"{name} {state}",
    )
    return line


def test_photos_are_chosen_and_become_their_results(world: World, browser: Browser) -> None:
    browser.open("drop?folder=chosen")
    photos = [str(SAMPLES / name) for name in ("cat.jpg", "coffee.jpg")]
    browser.one("#files").send_keys("\n".join(photos))
    for name in ("cat.jpg", "coffee.jpg"):
        line = arrived(browser, name)
        picture = line.find_element("css selector", "img")
        browser.wait(lambda picture=picture: int(picture.get_property("naturalWidth")), "thumbnail")
        assert (world.root / f"done/chosen/{name}").read_bytes() == (SAMPLES / name).read_bytes()
    line.find_element("css selector", "a").click()
    browser.ready("#viewer")
    assert browser.one("h1").text == "chosen/coffee.jpg"


def test_photos_are_dropped_and_pasted(world: World, browser: Browser) -> None:
    browser.open("drop")
    data = base64.b64encode((SAMPLES / "cat.jpg").read_bytes()).decode()
    browser.run(
        """
        const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));
        const carry = (name) => {
          const made = new DataTransfer();
          made.items.add(new File([bytes], name, {type: "image/jpeg"}));
          return made;
        };
        document.getElementById("zone").dispatchEvent(
          new DragEvent("drop", {dataTransfer: carry("dropped.jpg"), cancelable: true}));
        document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: carry("pasted.jpg")}));
        """,
        data,
    )
    arrived(browser, "dropped.jpg")
    arrived(browser, "pasted.jpg")


def test_what_is_no_photo_is_refused_with_the_reason(world: World, browser: Browser) -> None:
    browser.open("drop")
    browser.run("document.getElementById('files').accept = ''")
    browser.one("#files").send_keys(str(Path(__file__).absolute()))
    line = browser.wait_for("#sent .bad")
    assert "not taken" in line.text
    assert line.find_element("css selector", "button").text == "Send again"
    browser.driver.get_log("browser")  # the refusal itself is in the console


def test_the_first_page_lives(world: World, browser: Browser, tmp_path: Path) -> None:
    browser.open("")
    before = int(browser.one("[data-field=results]").text)
    drop(world.root, "live.jpg", (SAMPLES / "cat.jpg").read_bytes())
    browser.wait(lambda: int(browser.one("[data-field=results]").text) > before, "live count")
    browser.wait(lambda: "live.jpg" in browser.one("#newest").text, "live result")
    assert browser.one("#state").get_attribute("data-level") == "ok"
    world.daemon.signal(signal.SIGSTOP)
    try:
        other = browser.one("#state").text
        assert "running" in other
    finally:
        world.daemon.signal(signal.SIGCONT)


def test_the_end_of_the_daemon_is_seen_and_its_return(
    tmp_path: Path, browser: Browser, world: World
) -> None:
    root = tmp_path / "root"
    with Daemon(root, *SETTINGS) as daemon:
        daemon.ready()
        with Page(root, *SETTINGS) as page:
            browser.driver.get(page.url)
            browser.wait(lambda: "running" in browser.one("#state").text, "running")
            daemon.kill()
            browser.wait(lambda: "gone" in browser.one("#state").text, "its end")
            with Daemon(root, *SETTINGS) as again:
                again.ready()
                browser.wait(lambda: "running" in browser.one("#state").text, "its return")
            browser.driver.get("about:blank")


def pixel_value(browser: Browser, x: int, y: int) -> dict[str, str]:
    """What the page says of a pixel of the temple."""
    width, height = TEMPLE
    browser.run(
        """
        const frame = document.getElementById("map-frame"), box = frame.getBoundingClientRect();
        const at = (share, start, length) => start + share * length;
        frame.dispatchEvent(new PointerEvent("pointermove", {
          clientX: at(arguments[0], box.left, box.width),
          clientY: at(arguments[1], box.top, box.height)}));
        """,
        (x + 0.5) / width,
        (y + 0.5) / height,
    )
    return dict(
        browser.run(
            "return {...document.getElementById('value').dataset, "
            "text: document.getElementById('value').textContent}"
        )
    )


@pytest.mark.parametrize("folder", ["cam1", "few", "full"])
def test_the_value_under_the_pointer_is_the_arrays(
    world: World, browser: Browser, folder: str
) -> None:
    array = np.load(world.root / "outbox/cam1/temple.jpg.depth.npy")
    browser.open(f"photo?name={folder}%2Ftemple.jpg")
    browser.ready("#viewer")
    step = (array.max() - array.min()) / 65535
    for x, y in ((0, 0), (100, 400), (639, 426), (320, 213)):
        said = pixel_value(browser, x, y)
        assert (int(said["x"]), int(said["y"])) == (x, y)
        assert abs(float(said["raw"]) - array[y, x]) <= step
        number = float(said["text"].split()[0])
        assert number == pytest.approx(array[y, x], rel=2e-3)
    assert float(browser.one("#low").text) == pytest.approx(array.min(), rel=2e-3)
    assert float(browser.one("#high").text) == pytest.approx(array.max(), rel=2e-3)


def test_metres_are_said_where_there_are_some(world: World, browser: Browser) -> None:
    metres = np.load(world.root / "outbox/met/temple.jpg.metres.npy")
    browser.open("photo?name=met%2Ftemple.jpg")
    browser.ready("#viewer")
    y, x = (int(place[0]) for place in np.nonzero(np.isfinite(metres)))
    said = pixel_value(browser, x, y)
    number, unit = said["text"].split()[:2]
    assert unit.startswith("m")
    assert float(number) == pytest.approx(metres[y, x], rel=5e-3)


def test_numbers_are_written_as_their_readers_do(world: World, browser: Browser) -> None:
    metres = np.load(world.root / "outbox/met/temple.jpg.metres.npy")
    browser.open("photo?name=met%2Ftemple.jpg&language=de")
    browser.ready("#viewer")
    y, x = (int(place[0]) for place in np.nonzero(np.isfinite(metres)))
    number = pixel_value(browser, x, y)["text"].split()[0]
    assert "," in number
    assert float(number.replace(",", ".")) == pytest.approx(metres[y, x], rel=5e-3)
    assert re.search(r"\d,\d [kMG]B", browser.one("main").text)
    browser.open("gallery?language=en")


def test_the_heatmap_alone_gives_a_guess_that_says_so(world: World, browser: Browser) -> None:
    array = np.load(world.root / "outbox/cam1/temple.jpg.depth.npy")
    browser.open("photo?name=map%2Ftemple.jpg")
    browser.ready("#viewer")
    said = pixel_value(browser, 100, 400)
    assert "approximate" in said["text"]
    assert float(said["raw"]) == pytest.approx(array[400, 100], abs=float(np.ptp(array)) * 2 / 255)


def test_colours_are_the_heatmaps_and_can_be_played_with(world: World, browser: Browser) -> None:
    browser.open("photo?name=cam1%2Ftemple.jpg")
    browser.ready("#viewer")
    heatmap = np.array(Image.open(world.root / "outbox/cam1/temple.jpg.heatmap.png").convert("RGB"))

    def drawn() -> Any:
        text = browser.run("return document.getElementById('map').toDataURL()")
        return np.array(
            Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2]))).convert("RGB")
        )

    assert np.abs(drawn().astype(int) - heatmap).max() <= 12, "one palette step"
    browser.run("const c = document.getElementById('colours'); c.value = 'gray'; c.oninput()")
    assert np.ptp(drawn(), axis=2).max() == 0
    browser.run("const d = document.getElementById('brightest'); d.value = 1; d.oninput()")
    assert drawn().mean() > 200
    browser.one("#reset").click()
    assert np.abs(drawn().astype(int) - heatmap).max() <= 12


def test_the_slider_uncovers_the_photo(browser: Browser) -> None:
    browser.open("photo?name=cam1%2Ftemple.jpg")
    browser.ready("#viewer")
    browser.one("[name=mode][value=over]").click()

    def columns() -> Any:
        shot = Image.open(io.BytesIO(browser.one("#pair").screenshot_as_png)).convert("RGB")
        return np.array(shot).astype(int)

    def share(amount: int) -> Any:
        browser.run(
            "const s = document.getElementById('share'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('input'))",
            amount,
        )
        return columns()

    photo, heatmap, half = share(0), share(100), share(50)
    middle = half.shape[1] // 2
    assert np.abs(photo - heatmap).mean() > 20
    np.testing.assert_array_equal(half[:, : middle - 4], photo[:, : middle - 4])
    np.testing.assert_array_equal(half[:, middle + 4 :], heatmap[:, middle + 4 :])


def test_keys_lead_to_the_next_and_the_values(world: World, browser: Browser) -> None:
    from selenium.webdriver.common.keys import Keys  # noqa: PLC0415

    browser.open("photo?name=cam1%2Ftemple.jpg")
    browser.wait(lambda: browser.driver.refresh() or browser.one("#older"), "an older one")
    browser.ready("#viewer")
    frame = browser.one("#map-frame")
    frame.send_keys(Keys.ARROW_RIGHT)
    first = browser.one("#value").get_attribute("data-x")
    frame.send_keys(Keys.ARROW_RIGHT)
    assert int(browser.one("#value").get_attribute("data-x")) == int(first) + 1
    title = browser.one("h1").text
    older = browser.one("#older").get_attribute("href")
    browser.run("document.activeElement.blur()")
    browser.one("body").send_keys(Keys.ARROW_LEFT)
    browser.wait(lambda: browser.driver.current_url == older, "the older one")
    browser.ready("#viewer")
    browser.one("body").send_keys(Keys.ARROW_RIGHT)
    browser.wait(lambda: browser.one("h1").text == title, "back again")


def test_the_relief_is_drawn_and_turns(browser: Browser) -> None:
    browser.open("space?name=full%2Ftemple.jpg")
    browser.ready("#space")

    def seen() -> Any:
        picture = Image.open(io.BytesIO(browser.one("#space").screenshot_as_png)).convert("RGB")
        return np.array(picture).astype(int)

    def frames() -> str:
        return str(browser.one("#space").get_attribute("data-frame"))

    assert seen().std() > 30, "something is drawn"
    for key in ("ArrowRight", "ArrowDown", "+"):
        before, frame = seen(), frames()
        browser.run(
            "const key = new KeyboardEvent('keydown', {key: arguments[0]});"
            "for (let i = 0; i < 3; i += 1) document.getElementById('space').onkeydown(key)",
            key,
        )
        browser.wait(lambda frame=frame: frames() != frame, "a frame")
        assert np.abs(seen() - before).mean() > 5, key
    links = [link.get_attribute("href") for link in browser.all("a[download]")]
    assert [re.findall(r"format=(\w+)", link)[0] for link in links] == ["glb", "ply"]


def test_a_failed_photo_is_tried_again(world: World, browser: Browser) -> None:
    photo = (SAMPLES / "cat.jpg").read_bytes()
    drop(world.root, "half.jpg", photo[: len(photo) // 2])
    world.daemon.wait_for("photo.failed", name="half.jpg")
    browser.wait(
        lambda: browser.open("failed") or "half.jpg" in browser.one("main").text, "failure"
    )
    assert "ends before the picture does" in browser.one(".failure").text
    (world.root / "failed/half.jpg").write_bytes(photo)  # somebody has mended it
    browser.one(".failure .retry").click()
    browser.wait(lambda: "back in the inbox" in browser.one("#said").text, "retry")
    world.wait_for_result("half.jpg")
    world.daemon.wait_for("photo.done", name="half.jpg")
    assert (world.root / "done/half.jpg").read_bytes() == photo


def test_points_are_clicked_fitted_and_saved(world: World, browser: Browser) -> None:
    browser.open("camera?folder=cam1")
    browser.ready("#camera")
    for _ in range(3):
        browser.one("#points tbody button").click()
    array = np.load(world.root / "outbox/cam1/temple.jpg.depth.npy").astype(float)
    places = [(60, 390), (320, 330), (600, 300), (320, 100), (200, 380), (450, 240), (500, 400)]
    low, high = array.min(), array.max()
    for x, y in places:
        metres = 1 / (0.05 + 0.6 * (array[y, x] - low) / (high - low))
        browser.run(
            "const p = document.getElementById('pick'), b = p.getBoundingClientRect();"
            "p.dispatchEvent(new MouseEvent('click', {clientX: b.left + arguments[0] * b.width,"
            "clientY: b.top + arguments[1] * b.height}))",
            (x + 0.5) / TEMPLE[0],
            (y + 0.5) / TEMPLE[1],
        )
        browser.driver.switch_to.active_element.send_keys(f"{metres:.4f}")
    said = browser.one("#fit").text
    assert said.startswith("7 of 7 points agree")
    scale = float(browser.one("#fit").get_attribute("data-scale"))
    assert scale == pytest.approx(0.6 / (high - low), rel=0.05)
    browser.one("#save").click()
    browser.wait(lambda: browser.one("#said").text == "Saved.", "saved points")
    from depthd.metres.references import References  # noqa: PLC0415

    read = References.read(world.root.parent / "cam1.csv")
    assert len(read.points) == len(places)
    assert read.size == TEMPLE
    for (x, y, _), (px, py) in zip(read.points, places, strict=True):
        assert (x, y) == pytest.approx((px + 0.5, py + 0.5), abs=1)


def test_the_fit_of_a_known_camera_is_that_of_its_manifest(world: World, browser: Browser) -> None:
    manifest = json.loads((world.root / "outbox/met/temple.jpg.json").read_bytes())
    browser.open("camera?folder=met")
    browser.ready("#camera")
    fit = browser.one("#fit")
    for name in ("scale", "shift"):
        said = float(fit.get_attribute(f"data-{name}"))
        assert said == pytest.approx(manifest["metres"][name], rel=1e-3)
    error = round(manifest["metres"]["error_percent"])
    assert f"error to expect: {error} %" in fit.text
    assert "references_file" in browser.one("main").text


def problems_of_fit() -> Iterator[dict[str, Any]]:
    """Points as they come: few and many, exact and not, some wrong, some that tell nothing."""
    random = np.random.default_rng(5)
    for _ in range(150):
        count = int(random.integers(2, 16))
        place = random.random((count, 2))
        depth = random.uniform(0, 100, count)
        inverse = 0.02 + random.uniform(0.001, 0.01) * depth
        metres = 1 / inverse * random.normal(1, random.choice([0.01, 0.1, 0.4]), count).clip(0.3, 3)
        wrong = random.random(count) < random.choice([0, 0, 0.3])
        metres[wrong] *= 3
        if random.random() < 0.1:
            depth[:] = depth[0] + random.normal(0, 0.1, count)
        yield {
            "place": place.tolist(),
            "depth": depth.tolist(),
            "metres": metres.tolist(),
            "low": 2.0,
            "high": 97.0,
        }


def test_the_browsers_fit_is_the_workers(world: World, browser: Browser) -> None:
    from depthd.metres.fit import Points, fit  # noqa: PLC0415
    from depthd.metres.references import Undetermined  # noqa: PLC0415

    browser.open("drop")
    given = list(problems_of_fit())
    found = browser.driver.execute_async_script(
        """
        const [problems, done] = arguments;
        import(new URL("static/fit.js", document.baseURI)).then(({ fit }) => {
          const one = (problem) => {
            try { return fit(problem); } catch (error) { return error.key || String(error); }
          };
          done(problems.map(one));
        });
        """,
        given,
    )
    fitted = 0
    for problem, theirs in zip(given, found, strict=True):
        arrays = [np.array(problem[name], np.float64) for name in ("place", "depth", "metres")]
        try:
            ours = fit(Points(*arrays, problem["low"], problem["high"]))
        except Undetermined:
            ours = None
        if ours is None:
            assert str(theirs).startswith("fit_"), theirs
            continue
        fitted += 1
        assert not isinstance(theirs, str), theirs
        assert theirs["used"] == ours.used.tolist()
        assert theirs["scale"] == pytest.approx(ours.scale, rel=1e-6)
        assert theirs["shift"] == pytest.approx(ours.shift, rel=1e-6, abs=1e-9)
        assert theirs["error"] == pytest.approx(ours.error, rel=1e-6)
        assert theirs["predicted"] == pytest.approx(ours.predicted.tolist(), rel=1e-6)
    assert 30 < fitted < len(given)


PAGES = (
    *("", "drop", "gallery", "gallery?text=nothing-is-called-this", "failed", "camera?folder=cam1"),
    *("camera", "photo?name=met%2Ftemple.jpg", "photo?name=few%2Ftemple.jpg"),
    *("space?name=full%2Ftemple.jpg",),
)


@pytest.mark.parametrize("path", PAGES)
def test_nobody_is_shut_out(world: World, browser: Browser, path: str) -> None:
    """axe in light and dark, on a large screen and a phone's; nothing is wider than that."""
    drop(world.root, "bad.jpg", b"\xff\xd8\xff no picture")
    for scheme in ("light", "dark"):
        browser.media(scheme)
        for width, height in ((1280, 900), PHONE):
            browser.resize(width, height, phone=width < 500)
            browser.open(path)
            for selector in ("#viewer", "#space", "#camera"):
                if browser.all(selector):
                    browser.ready(selector)
            assert browser.violations() == [], f"{scheme}, {width} wide"
            wide = browser.run("return document.documentElement.scrollWidth")
            assert wide <= width, f"{wide} wide on {width}"


def test_the_daemon_does_not_notice(world: World, browser: Browser) -> None:
    """Slow connections and uploads that break off at the page, and its sudden end."""
    before = len(world.daemon.entries())
    with Page(world.root, *SETTINGS) as page, ExitStack() as stack:
        for number in range(300):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", page.port), 60))
            head = f"POST /upload?name=slow{number}.jpg HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n"
            head += f"Origin: {page.url}\r\nContent-Length: 5000000\r\n\r\n"
            slow.sendall(head.encode() + b"x" * 5000 if number % 20 == 0 else head.encode()[:60])
        drop(world.root, "calm.jpg", (SAMPLES / "cat.jpg").read_bytes())
        world.wait_for_result("calm.jpg")
        page.process.kill()
    drop(world.root, "calm2.jpg", (SAMPLES / "cat.jpg").read_bytes())
    world.wait_for_result("calm2.jpg")
    loud = [e for e in world.daemon.entries()[before:] if e["level"] in ("warning", "error")]
    assert loud == []


def test_german_fits_on_a_phone(browser: Browser) -> None:
    browser.resize(*PHONE, phone=True)
    browser.open("gallery?language=de")
    assert browser.one("h1").text == "Galerie"
    assert browser.violations() == []
    for path in PAGES:
        browser.open(path)
        assert browser.run("return document.documentElement.scrollWidth") <= PHONE[0], path
    browser.open("gallery?language=en")


def test_the_password_is_asked_for_in_the_browser(world: World, browser: Browser) -> None:
    secret = world.root.parent / "password"
    secret.write_text("correct horse\n")
    secret.chmod(0o600)
    with Page(world.root, *SETTINGS, f"page.password_file={secret}") as page:
        browser.driver.get(f"{page.url}/photo?name=cam1%2Ftemple.jpg")
        assert browser.violations() == []
        browser.one("#password").send_keys("wrong horse\n")
        browser.wait(lambda: "not the password" in browser.one("[role=alert]").text, "refusal")
        browser.driver.get_log("browser")  # the refusal itself
        browser.one("#password").send_keys("correct horse\n")
        browser.wait(lambda: browser.driver.current_url.startswith(f"{page.url}/"), "the page")
        browser.open("")
        browser.driver.get(f"{page.url}/photo?name=cam1%2Ftemple.jpg")
        browser.ready("#viewer")
        browser.one("footer button").click()
        browser.wait_for("#password")
        browser.driver.get("about:blank")


def test_behind_a_proxy_it_works_under_a_sub_path(world: World, browser: Browser) -> None:
    secret = world.root.parent / "proxy-password"
    secret.write_text("correct horse\n")
    secret.chmod(0o600)
    with (
        Page(world.root, *SETTINGS, f"page.password_file={secret}") as page,
        proxied(page.port) as address,
    ):
        browser.driver.get(f"{address}/gallery?folder=cam1")
        browser.one("#password").send_keys("correct horse\n")
        browser.wait(lambda: browser.one("h1").text == "Gallery", "the page that was asked for")
        assert browser.driver.current_url == f"{address}/gallery?folder=cam1"
        browser.one(".card").click()
        browser.ready("#viewer")
        browser.one("a[href^=space]").click()
        browser.ready("#space")
        browser.one(".brand").click()
        browser.wait(lambda: "running" in browser.one("#state").text, "the first page")
        browser.wait(lambda: browser.one("#offline").get_attribute("hidden"), "its events")
        browser.one("nav a[href=drop]").click()
        browser.one("#files").send_keys(str(SAMPLES / "astronaut.jpg"))
        arrived(browser, "astronaut.jpg")
        browser.driver.get("about:blank")
