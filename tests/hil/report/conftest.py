"""A real Chromium, and a sample run in it."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from tests.hil.report import sample

from packseal_hil.report.folder import Run
from packseal_hil.report.page import write_page
from packseal_hil.story import Story

Show = Callable[[Sequence[Story], Run], webdriver.Chrome]


@pytest.fixture(scope="session")
def chromium() -> Iterator[webdriver.Chrome]:
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed: apt-get install chromium chromium-driver")
    options = Options()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(driver))
    yield made
    made.quit()


@pytest.fixture(scope="session")
def sample_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("sample"), sample.stories(), sample.rest())


@pytest.fixture
def show(chromium: webdriver.Chrome, tmp_path: Path) -> Show:
    """Write a page and open it from its file."""
    return lambda stories, run: opened(chromium, write_page(tmp_path, stories, run))


@pytest.fixture
def shown_sample(chromium: webdriver.Chrome, sample_page: Path) -> webdriver.Chrome:
    return opened(chromium, sample_page)


def opened(browser: webdriver.Chrome, page: Path) -> webdriver.Chrome:
    """Open it; what it asks of the network, or tells the console, is an error."""
    browser.get_log("performance")  # type: ignore[no-untyped-call]
    browser.get(page.as_uri())
    assert [entry["message"] for entry in browser.get_log("browser")] == []  # type: ignore[no-untyped-call]
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]  # type: ignore[no-untyped-call]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert {url for url in urls if not url.startswith("data:")} == {page.as_uri()}
    return browser
