"""The page in a real headless Chromium, while records come in.

With PACKSEAL_SCREENSHOT_DIR set, the pictures of the documentation are taken as well.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from tests.cloud_sink.holed import Writer
from tests.cloud_sink.pack import BATTERY, START_MS, Pack
from tests.cloud_sink.running import SinkProcess

from packseal.core import exchange, record
from packseal.core.bodies import Kind
from packseal.core.chain import Head
from packseal.keys.file import FileSigner

LIMIT_S = 20
PHONE_PX, DESK_PX = 390, 1280
SINCE = "return document.querySelector('[data-field=state_of_charge] .age').dataset.since"
LINE = "return document.querySelector('[data-chart=capacity_throughput] .line').getAttribute('d')"


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
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


def text_of(browser: webdriver.Chrome, selector: str) -> str:
    """Read in one step, since the page may replace the element at any moment."""
    text = browser.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
    return str(text).replace("\N{NARROW NO-BREAK SPACE}", "").replace("\N{MINUS SIGN}", "-")


def until(browser: webdriver.Chrome, true: Callable[[webdriver.Chrome], Any]) -> None:
    WebDriverWait(browser, LIMIT_S, poll_frequency=0.1).until(true)


def width(browser: webdriver.Chrome, px: int, scheme: str = "light") -> None:
    size = {"width": px, "height": 900, "deviceScaleFactor": 1, "mobile": px == PHONE_PX}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def picture(browser: webdriver.Chrome, name: str, px: int, height: int) -> None:
    folder = os.environ.get("PACKSEAL_SCREENSHOT_DIR")
    if folder:
        size = {"width": px, "height": height, "deviceScaleFactor": 1, "mobile": px == PHONE_PX}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.execute_script("scrollTo(0, 0)")
        time.sleep(0.3)  # until it is painted
        browser.save_screenshot(str(Path(folder) / name))


def requested_hosts(browser: webdriver.Chrome) -> set[str]:
    messages = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))  # type: ignore[no-untyped-call]
    urls = (m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent")
    return {urlsplit(url).netloc for url in urls if url.startswith(("http", "ws"))}


def test_values_change_on_the_open_page(
    running: SinkProcess, gateway_key: FileSigner, browser: webdriver.Chrome
) -> None:
    running.start()
    pack = Pack(gateway_key, start_ms=time.time_ns() // 1_000_000 - 4_200_000)
    running.send(
        pack.begin() + pack.drive(1500) + pack.silence(240) + pack.drive(1000) + pack.restart() + pack.drive(1000)
    )
    browser.get(f"{running.url}battery/{BATTERY}")
    soc, throughput = '[data-field="state_of_charge"] .value', '[data-field="capacity_throughput"] .value'
    first = (float(text_of(browser, soc)), float(text_of(browser, throughput)))
    until(browser, lambda b: text_of(b, "#live") == "live")
    since = browser.execute_script(SINCE)
    line = browser.execute_script(LINE)

    running.send(pack.drive(300))
    until(browser, lambda b: float(text_of(b, soc)) != first[0])
    shown = running.json(f"/batteries/{BATTERY}/snapshot")
    readings = {r["field"]: r for r in shown["readings"]}
    assert float(text_of(browser, soc)) == pytest.approx(readings["state_of_charge"]["value"], abs=0.005)
    until(browser, lambda b: float(text_of(b, throughput)) > first[1])
    assert browser.execute_script(SINCE) != since
    until(browser, lambda b: b.execute_script(LINE) != line)
    row = text_of(browser, '[data-field="capacity_throughput"]')
    assert all(word in row for word in ("Ah", "±", "derived", "trapezoidal integral", "%", "verified"))
    assert "bms" in text_of(browser, '[data-field="state_of_charge"]')
    assert text_of(browser, '[data-missing="no_data"] dt') == "nothing usable has come yet"
    assert "State of certified energy" in text_of(browser, '[data-missing="no_data"] dd')

    forged = Pack(gateway_key).begin()
    running.send(forged)
    until(browser, lambda b: "1 fork" in text_of(b, '[data-live="facts"]'))
    assert "the log was forked" in text_of(browser, '[data-live="refusals"]')
    assert requested_hosts(browser) == {running.url.split("/")[2]}
    assert [e["message"] for e in browser.get_log("browser")] == []  # type: ignore[no-untyped-call]
    width(browser, DESK_PX)
    picture(browser, "page-battery.png", DESK_PX, 2740)


def test_the_newest_comes_first_and_what_was_removed_is_told(
    running: SinkProcess, records: list[bytes], gateway_key: FileSigner, browser: webdriver.Chrome
) -> None:
    running.start()
    running.send(records[:30])
    newest = max(n for n, raw in enumerate(records) if record.parse(raw).kind is Kind.SNAPSHOT)
    early = exchange.encode_early([records[newest]])
    running.request("POST", "/v1/exchange", early, content_type="application/cbor")
    browser.get(f"{running.url}battery/{BATTERY}")
    assert f"{newest - 30} records before them are still to come" in text_of(browser, '[data-live="logs"]')
    assert f"Record {newest}," in text_of(browser, '[data-live="fields"]')
    running.send(records[30:])
    until(browser, lambda b: "still to come" not in text_of(b, '[data-live="logs"]'))
    writer = Writer(gateway_key, head=Head(len(records), record.record_hash(records[-1])))
    running.send([writer.hole(20, 29, 7)])
    until(browser, lambda b: "7 of the records 20 to 29" in text_of(b, '[data-live="holes"]'))
    running.send(Pack(gateway_key, start_ms=START_MS + 1).begin())
    until(browser, lambda b: "two histories of log" in text_of(b, '[data-live="logs"]'))
    browser.get(running.url)
    assert "the key is in two devices" in text_of(browser, '[data-live="signs"]')
    assert "used twice or restored" in text_of(browser, '[data-live="gateways"]')


def test_a_chart_tells_the_value_under_the_pointer(
    running: SinkProcess, records: list[bytes], browser: webdriver.Chrome
) -> None:
    running.start()
    running.send(records)
    browser.get(f"{running.url}battery/{BATTERY}?span=all")
    figure = browser.find_element(By.CSS_SELECTOR, "[data-chart=state_of_charge]")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", figure)
    chart = figure.find_element(By.TAG_NAME, "svg")
    webdriver.ActionChains(browser).move_to_element_with_offset(chart, -40, 0).perform()
    latest = '[data-chart="state_of_charge"] .latest'
    until(browser, lambda b: " at " in text_of(b, latest))
    points = running.json(f"/batteries/{BATTERY}/history?field=state_of_charge")["points"]
    shown = text_of(browser, latest).split(" % at ")
    assert shown[0] in {f"{p['value']:.2f}" for p in points}
    assert shown[1] in {f"{p['time'][:10]} {p['time'][11:19]}Z" for p in points}


def test_the_front_page_shows_trouble_and_fits_a_phone(
    running: SinkProcess, gateway_key: FileSigner, browser: webdriver.Chrome
) -> None:
    running.start()
    browser.get(running.url)
    until(browser, lambda b: text_of(b, "#live") == "live")
    assert "No battery has sent anything yet" in text_of(browser, "main")
    now_ms = time.time_ns() // 1_000_000
    forklift = "https://example.com/batteries/forklift-17"
    for name, seconds in (("urn:example:battery:1", 3700), ("urn:example:battery:2", 1900), (forklift, 600)):
        log_id = name[-1].encode() * 16
        pack = Pack(gateway_key, log_id=log_id, battery=name, start_ms=now_ms - seconds * 1000)
        running.send(pack.begin() + pack.drive(seconds) + (pack.end() if name == forklift else []))
    until(browser, lambda b: "agent stopped" in text_of(b, '[data-live="batteries"]'))
    browser.execute_script("document.querySelector('[data-live=batteries] a').focus()")
    stranger = FileSigner(Ed25519PrivateKey.generate())
    running.send(Pack(stranger, log_id=b"9" * 16).begin())
    running.send(Pack(gateway_key, log_id=b"2" * 16, battery="urn:example:battery:2", start_ms=now_ms).begin())
    until(browser, lambda b: "1 unknown gateway" in text_of(b, '[data-live="unknown"]'))
    assert "1 fork" in text_of(browser, '[data-live="batteries"]')
    assert browser.execute_script("return document.activeElement.matches('[data-live=batteries] a')")
    browser.execute_script("document.activeElement.blur()")
    width(browser, DESK_PX)
    picture(browser, "page.png", DESK_PX, 1000)
    for target, name in (("", "page-phone.png"), ("battery/urn:example:battery:1", "")):
        browser.get(running.url + target)
        width(browser, PHONE_PX, "dark")
        assert browser.execute_script("return document.documentElement.scrollWidth") == PHONE_PX
        if name:
            picture(browser, name, PHONE_PX, 1300)
    background = "return getComputedStyle(document.body).backgroundColor"
    dark = browser.execute_script(background)
    width(browser, DESK_PX, "light")
    assert browser.execute_script(background) != dark


def test_a_sink_that_is_gone_is_said_on_the_page(running: SinkProcess, browser: webdriver.Chrome) -> None:
    running.start()
    browser.get(running.url)
    until(browser, lambda b: text_of(b, "#live") == "live")
    running.stop()
    until(browser, lambda b: text_of(b, "#live") == "sink not reachable")
