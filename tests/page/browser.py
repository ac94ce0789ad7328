"""A real browser: Debian's Chromium, driven by Selenium."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

DEADLINE = 60.0
DRIVER = shutil.which("chromedriver")
CHROMIUM = shutil.which("chromium")

needs_browser = pytest.mark.skipif(
    not (DRIVER and CHROMIUM), reason="chromium and chromium-driver are not installed here"
)
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--lang=en"),
    *("--disable-dev-shm-usage", "--use-gl=angle", "--use-angle=swiftshader"),
    *("--enable-unsafe-swiftshader", "--hide-scrollbars"),
)


class Browser:
    """What the tests ask of it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.base = ""

    def open(self, path: str) -> None:
        self.driver.get(f"{self.base}/{path}")

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """What it returns, once that is true."""
        from selenium.common.exceptions import WebDriverException  # noqa: PLC0415

        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                if found := condition():
                    return found
            except WebDriverException:
                pass  # it is being drawn anew
            if time.monotonic() > deadline:
                text = self.one("body").text[:2000]
                raise AssertionError(f"no {what}: {self.problems()}\n{text}")
            time.sleep(0.05)  # looks again; the deadline is what counts

    def wait_for(self, selector: str) -> Any:
        return self.wait(lambda: self.one(selector), selector)

    def ready(self, selector: str) -> None:
        """A script has said that it is done."""
        state = self.wait(lambda: self.one(selector).get_attribute("data-ready"), "ready script")
        assert state == "yes", state

    def problems(self) -> list[str]:
        """What the console has said since the last time, but for what is not the page's fault."""
        entries = self.driver.get_log("browser")
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def resize(self, width: int, height: int, *, phone: bool = False) -> None:
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone},
        )

    def media(self, scheme: str) -> None:
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )

    def picture(self, file: Path) -> None:
        """The whole page."""
        self.driver.save_screenshot(str(file))

    def violations(self) -> list[str]:
        """What axe finds wrong."""
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        self.run(_axe())
        found, trouble = self.driver.execute_async_script(
            """
            const [options, done] = arguments;
            axe.run(document, options).then(
              (found) => done([found.violations, ""]), (error) => done([[], String(error)]));
            """,
            {"runOnly": {"type": "tag", "values": tags}, "resultTypes": ["violations"]},
        )
        assert not trouble, trouble
        return [
            f"{each['id']}: {json.dumps([node['target'] for node in each['nodes']])} {each['help']}"
            for each in found
        ]


@cache
def _axe() -> str:
    """axe-core, as a package of the test extra carries it."""
    spec = importlib.util.find_spec("axe_playwright_python")  # not imported: it would need more
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("axe.min.js").read_text(encoding="utf-8")


@contextmanager
def chromium() -> Iterator[Browser]:
    from selenium.webdriver import Chrome, ChromeOptions  # noqa: PLC0415
    from selenium.webdriver.chrome.service import Service  # noqa: PLC0415

    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with tempfile.TemporaryDirectory(prefix="depthd-browser-") as profile:
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = Chrome(options=options, service=Service(DRIVER))
        try:
            driver.set_page_load_timeout(DEADLINE)
            yield Browser(driver)
        finally:
            driver.quit()
