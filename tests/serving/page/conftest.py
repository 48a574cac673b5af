"""A browser that looks at the page."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    """Headless Chromium."""
    selenium = pytest.importorskip("selenium.webdriver", reason="no selenium is installed")
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    chromium = next((path for path in map(shutil.which, names) if path), None)
    chromedriver = shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("no Chromium with its chromedriver here (Debian: chromium, chromium-driver)")
    options = selenium.ChromeOptions()
    options.binary_location = chromium
    for one in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", "lang=en-US"):
        options.add_argument(f"--{one}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = selenium.Chrome(options, selenium.ChromeService(chromedriver))
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def fresh_page(driver: Any, films_url: str) -> Callable[[], Page]:
    """Makes the page as it is when nobody has been there."""

    def fresh() -> Page:
        page = Page(driver, films_url)
        page.screen(1280, 900)
        page.visit("about:blank")
        page.log()
        return page

    return fresh


@pytest.fixture
def page(fresh_page: Callable[[], Page]) -> Page:
    return fresh_page()


class Page:
    """The page in a browser, in the words of the tests."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver = driver
        self.url = url

    # -- going somewhere

    def visit(self, address: str) -> None:
        self.driver.get("about:blank")  # else an address that differs after # loads nothing
        self.driver.get(address)

    def open(self, **place: str | Sequence[str]) -> None:
        """Load the page at a place, with its lists if it is a user's."""
        self.visit(f"{self.url}/#{urlencode(place, doseq=True)}")
        if place:
            self.settled()
        else:
            self.until(lambda: self.all("#some-users button"))

    def settled(self) -> None:
        """Wait until what was asked for is there."""
        self.until(lambda: self.all(".column") or self.text("#alert"))
        self.until(lambda: not self.all("#recommended[aria-busy]"))

    def address(self) -> dict[str, list[str]]:
        """What the address says after its `#`."""
        return parse_qs(self.driver.current_url.partition("#")[2])

    def screen(self, width: int, height: int = 800, *, scheme: str = "light") -> None:
        """Take the size of a phone or a desk, and the colors of day or night."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    @contextlib.contextmanager
    def offline(self) -> Iterator[None]:
        """Within, nothing can be reached."""
        limits = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        change = "Network.emulateNetworkConditions"
        self.driver.execute_cdp_cmd("Network.enable", {})
        self.driver.execute_cdp_cmd(change, {"offline": True, **limits})
        yield
        self.driver.execute_cdp_cmd(change, {"offline": False, **limits})

    # -- looking

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[Any]:
        found: list[Any] = self.driver.find_elements("css selector", selector)
        return found

    def texts(self, selector: str) -> list[str]:
        """The texts as they are in the document, all at one moment."""
        found: list[str] = self.run(
            "[...document.querySelectorAll(arguments[0])].map(one => one.textContent)", selector
        )
        return found

    def text(self, selector: str) -> str:
        """The text of the first, "" where there is none."""
        return next(iter(self.texts(selector)), "")

    def titles(self, column: int = 0) -> list[str]:
        """The titles of a list in its order, without their years."""
        found = self.texts(f"[data-list=column-{column}] h4 bdi")
        return [one.partition(" (")[0] for one in found]

    def run(self, expression: str, *given: Any) -> Any:
        return self.driver.execute_script(f"return {expression}", *given)

    def until(self, condition: Callable[[], Any], seconds: float = 20) -> None:
        """Wait for a condition; elements that are drawn anew meanwhile do not count."""
        from selenium.common.exceptions import StaleElementReferenceException

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(StaleElementReferenceException):
                if condition():
                    return
            time.sleep(0.02)
        raise AssertionError(f"nothing came of it; alert: {self.text('#alert')!r}")

    def focused(self) -> str:
        """The id, or the kind of control, of what has the focus."""
        return str(self.run("document.activeElement.id || document.activeElement.dataset.control"))

    def row(self) -> str:
        """The item whose controls have the focus."""
        return str(self.run("document.activeElement.closest('[data-item]')?.dataset.item"))

    def log(self) -> list[str]:
        """What the browser said since it was asked last."""
        return [one["message"] for one in self.driver.get_log("browser")]

    def fits(self) -> bool:
        """Whether there is nothing to scroll to sideways."""
        return bool(self.run("document.documentElement.scrollWidth <= innerWidth"))

    def is_safe(self) -> bool:
        """Whether no data became markup or script, and nothing even tried."""
        tried = [one for one in self.log() if "Content Security" in one or "TrustedHTML" in one]
        made = "document.images.length + document.scripts.length + document.styleSheets.length"
        return not tried and self.run("window.hacked") is None and self.run(made) == 2

    # -- doing

    def keys(self, *keys: str) -> None:
        """Press keys wherever the focus is."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def tab_to(self, name: str) -> None:
        for _ in range(40):
            self.keys("\ue004")
            if self.focused() == name:
                return
        raise AssertionError(f"{name} is not reached by the tab key")

    def choose(self, selector: str, value: str) -> None:
        """Choose an option by its value."""
        from selenium.webdriver.support.select import Select

        before = self.driver.current_url
        Select(self.find(selector)).select_by_value(value)
        self.until(lambda: self.driver.current_url != before)
        self.settled()

    def search(self, text: str) -> None:
        """Search items and wait for what is found."""
        box = self.find("#find-input")
        box.send_keys("\ue009a\ue000", "\ue017")  # all of it, away
        self.until(lambda: not self.all("#found .card"))
        box.send_keys(text)
        self.until(lambda: self.all("#found .card"))

    def act(self, control: str, title: str, within: str = "[data-list=column-0]") -> None:
        """Press a control of the item with that title and wait for what it does to the lists."""
        self.run("document.getElementById('status').textContent = ''")
        pressed = self.run(
            "(() => { const row = [...document.querySelectorAll(arguments[1] + ' .card')]"
            ".find(one => one.querySelector('h3, h4').textContent.startsWith(arguments[2]));"
            "return row?.querySelector(`[data-control=${arguments[0]}]`); })()",
            control,
            within,
            title,
        )
        assert pressed is not None, f"{title} has no {control}"
        self.run("arguments[0].scrollIntoView({block: 'center'})", pressed)
        pressed.click()
        self.until(lambda: self.text("#status"))
