"""The page of a run in a real headless Chromium, opened from its file.

With PACKSEAL_SCREENSHOT_DIR set, pictures of it are taken as well.
"""

import base64
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from tests.hil.report import sample
from tests.hil.report.conftest import Show

from packseal_hil.report.folder import Check, Run
from packseal_hil.report.page import render
from packseal_hil.story import Band, Comparison, Point, Story, Trace, Verdict

PHONE_PX, DESK_PX = 390, 1200
HOSTILE = (
    "<script>alert(1)</script>$\\alpha_{x}$ & \"quoted\" 'single' \x00\x1b[31m --> </svg><b onclick=x>\u202e汉字🔋"
)
LARGEST_PLOT = 60_000
NAN = float("nan")


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest, chromium: webdriver.Chrome) -> Iterator[str]:
    prefer(chromium, request.param)
    yield request.param
    prefer(chromium, "light")


def prefer(browser: webdriver.Chrome, scheme: str) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )


def width(browser: webdriver.Chrome, px: int) -> None:
    size = {"width": px, "height": 900, "deviceScaleFactor": 1, "mobile": px == PHONE_PX}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def picture(browser: webdriver.Chrome, name: str) -> None:
    folder = os.environ.get("PACKSEAL_SCREENSHOT_DIR")
    if folder:
        taken = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
        (Path(folder) / name).write_bytes(base64.b64decode(taken["data"]))


def text_of(browser: webdriver.Chrome, selector: str) -> str:
    return str(browser.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector))


def _ascii(text: str) -> str:
    for shown, plain in (("\n", " "), ("\N{MINUS SIGN}", "-"), ("\N{NARROW NO-BREAK SPACE}", "")):
        text = text.replace(shown, plain)
    return text


def channels(colour: str) -> list[float]:
    return [float(part) for part in re.findall(r"[\d.]+", colour)][:3]


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [c / 255 for c in channels(colour)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_what_failed_when_and_under_which_fault_is_said_first(shown_sample: webdriver.Chrome) -> None:
    browser = shown_sample
    width(browser, DESK_PX)
    assert text_of(browser, "h1") == "1 of 6 scenarios failed, 1 did not come to its end, 1 other test failed"
    trouble = text_of(browser, ".trouble li")
    assert "The bus goes off and comes back" in trouble
    assert "records 14 to 16 of log 3fa9c1 are missing at the sink" in trouble
    assert "bus-off 20.0 to 45.0 s" in trouble
    assert "nothing was lost" in text_of(browser, ".trouble li:last-child")
    tiles = {tile.find_element(By.TAG_NAME, "dt").text: tile.find_element(By.TAG_NAME, "dd").text
             for tile in browser.find_elements(By.CSS_SELECTOR, ".tiles > div")}  # fmt: skip
    assert {name: tiles[name] for name in ("failed", "error", "skipped", "passed")} == {
        "failed": "1", "error": "1", "skipped": "1", "passed": "3",
    }  # fmt: skip
    picture(browser, "bench-report.png")


def test_bands_and_lines_are_seen(show: Show, scheme: str) -> None:
    browser = show([sample.bus_off()], Run())
    width(browser, DESK_PX)
    drawn = browser.execute_script("""
        const paper = getComputedStyle(document.querySelector('article')).backgroundColor;
        return [paper, [...document.querySelectorAll('.plot path')].map(path => {
            const box = path.getBoundingClientRect(), style = getComputedStyle(path);
            return [style.fill, style.stroke, box.width, box.height];
        })];
    """)
    paper, paths = drawn
    plot_px = browser.execute_script("return document.querySelector('.plot').getBoundingClientRect().width")
    bands = [path for path in paths if path[0].startswith("rgba") and path[3] > 60]
    assert len(bands) == 3 * 5, "three faults through five panels"
    seconds = sorted({round(path[2] / (plot_px * 540 / 620) * 96.4) for path in bands})
    assert seconds == [8, 22, 25], "as wide as the faults were long"
    lines = [path for path in paths if path[0] == "none" and path[2] > plot_px / 2 and path[3] > 5]
    assert len(lines) == 3 + 1 + 1 + 1 + 2
    for line in lines:
        assert contrast(line[1], paper) >= 3, "WCAG 2.2, 1.4.11: graphics"
    picture(browser, f"bench-report-plots-{scheme}.png")


def test_text_has_contrast(shown_sample: webdriver.Chrome, scheme: str) -> None:
    browser = shown_sample
    pairs = browser.execute_script("""
        const opaque = node => {
            for (; node; node = node.parentElement) {
                const colour = getComputedStyle(node).backgroundColor;
                if (/^rgb\\(/.test(colour)) return colour;
            }
        };
        return [...document.querySelectorAll('main *')].filter(n => !n.closest('svg') && n.innerText?.trim())
            .map(n => [n.className, getComputedStyle(n).color, opaque(n)]);
    """)
    assert len(pairs) > 100
    poor = {(name, text, paper) for name, text, paper in pairs if contrast(text, paper) < 4.5}
    assert poor == set(), f"WCAG 2.2, 1.4.3, {scheme}"


def test_every_link_leads_to_its_scenario(shown_sample: webdriver.Chrome) -> None:
    browser = shown_sample
    width(browser, DESK_PX)
    links = browser.find_elements(By.CSS_SELECTOR, ".runs a")
    assert len(links) == 6
    for link in links:
        link.click()
        target = "return document.querySelector(':target')?.querySelector('h2').innerText"
        assert browser.execute_script(target) == link.text
        top = browser.execute_script("return document.querySelector(':target').getBoundingClientRect().top")
        assert 0 <= top < 900
        browser.execute_script("scrollTo(0, 0)")


def test_it_fits_a_phone_and_can_be_read_there(show: Show, scheme: str) -> None:
    long = Story("a" * 200, "b" * 200, "c" * 300, "d" * 200, 0, error="e" * 400, bands=[Band("f" * 200, 0, 1)])
    broken = Check("tests/" + "g" * 200, "failed", 0, "h" * 300)
    browser = show([*sample.stories(), long], Run("i" * 200, "1", {"j" * 100 + "_s": 1}, [broken]))
    width(browser, PHONE_PX)
    assert browser.execute_script("return document.documentElement.scrollWidth") == PHONE_PX
    letters = (
        "return Math.min(...[...document.querySelectorAll('.plot text')].map(t => t.getBoundingClientRect().height))"
    )
    assert browser.execute_script(letters) >= 9
    outside = browser.execute_script("""
        return [...document.querySelectorAll('.plot')].flatMap(plot => [...plot.querySelectorAll('text')].filter(t => {
            const box = t.getBoundingClientRect(), all = plot.getBoundingClientRect();
            return box.left < all.left - 1 || box.right > all.right + 1;
        })).map(t => t.textContent);
    """)
    assert outside == []
    picture(browser, f"bench-report-phone-{scheme}.png")
    width(browser, DESK_PX)


def test_the_colours_follow_the_reader(show: Show, chromium: webdriver.Chrome) -> None:
    show([sample.bus_off()], Run())
    asked = """
        const text = document.querySelector('.plot text');
        return [getComputedStyle(document.body).backgroundColor, getComputedStyle(text).fill];
    """
    seen = []
    for scheme in ("dark", "light"):
        prefer(chromium, scheme)
        seen.append(chromium.execute_script(asked))
    (dark, dark_text), (light, light_text) = seen
    assert max(luminance(dark), luminance(light_text)) < 0.1
    assert min(luminance(light), luminance(dark_text)) > 0.6


def test_whoever_does_not_see_it_is_told(shown_sample: webdriver.Chrome) -> None:
    browser = shown_sample
    levels = [int(h.tag_name[1]) for h in browser.find_elements(By.CSS_SELECTOR, "h1, h2, h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    for plot in browser.find_elements(By.CSS_SELECTOR, ".plot"):
        assert plot.aria_role == "image"
        assert len(plot.accessible_name) > 10
    told = browser.execute_script("return document.querySelector('#s2-s-text').textContent")
    assert "Fault: bus-off, from 20 s to 45 s." in told
    assert "Pack voltage, V: " in told


def test_hostile_words_stay_words(show: Show) -> None:
    story = Story(
        HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1e300, 5, error=HOSTILE,
        points=[Point(1, 1, 1, 1, 1)],
        bands=[Band(HOSTILE, -5, float("inf")), Band(HOSTILE, 3, 1)],
        traces=[Trace(HOSTILE, HOSTILE, [0, 1, NAN, 3], [1, NAN, 3, 1e12]), Trace("empty", "V", [], [])],
        verdicts=[Verdict(HOSTILE, held=False, found=HOSTILE)],
        comparisons=[Comparison(HOSTILE, HOSTILE, 0, 0, 0), Comparison("x", "1", NAN, 1, 1)],
        figures={HOSTILE: float("inf"), "odd": NAN},
    )  # fmt: skip
    browser = show([story, story], Run(HOSTILE, HOSTILE, {HOSTILE: 1}, [Check(HOSTILE, "error", 1, HOSTILE)]))
    assert browser.find_elements(By.CSS_SELECTOR, "script, [onclick]") == []
    assert "<script>alert(1)</script>" in text_of(browser, "article h2")
    assert "$\\alpha_{x}$ & \"quoted\" 'single'" in text_of(browser, "article h2")
    assert browser.execute_script("return document.querySelectorAll('article').length") == 2
    ids = browser.execute_script("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    width(browser, PHONE_PX)
    assert browser.execute_script("return document.documentElement.scrollWidth") == PHONE_PX
    width(browser, DESK_PX)


def test_a_run_of_nothing_proves_nothing(show: Show) -> None:
    browser = show([], Run())
    assert text_of(browser, "h1") == "No scenario was run"
    skipped = Story("a", "A", "why", "rig", 0, skipped="this rig has no power")
    browser = show([skipped], Run())
    assert text_of(browser, "h1") == "Nothing was proven: no scenario ran"
    assert "this rig has no power" in text_of(browser, ".runs tbody")
    assert "this rig has no power" in text_of(browser, "article")
    browser = show([Story("a", "A", "why", "rig", 0, 3.0)], Run())
    assert text_of(browser, "h1") == "1 of 1 scenarios failed"
    assert "nothing was checked" in text_of(browser, "article .banner").lower()


def test_truth_stands_beside_what_the_passport_says(show: Show) -> None:
    browser = show([sample.compressed_day()], Run())
    width(browser, DESK_PX)
    rows = [[_ascii(cell.text) for cell in row.find_elements(By.XPATH, "*")]
            for row in browser.find_elements(By.CSS_SELECTOR, ".compared tbody tr")]  # fmt: skip
    assert rows[0] == ["state of charge", "61.24", "61.00 ± 0.50", "%", "-0.24 -0.39%", "-0.5"]
    assert rows[4][-1] == "+6.7"
    assert rows[5][-1] == "no uncertainty given"
    assert rows[6][2] == "not available"
    assert rows[-1][4:] == ["0", "equal"]
    wide = browser.find_elements(By.CSS_SELECTOR, ".strip .wide")
    assert len(wide) == 1


def test_the_same_run_makes_the_same_page_and_plots_stay_small() -> None:
    long = sample.bus_off()
    long.took_s = 4000
    long.points = sample.points(4000, dead=(20, 2000), offline=(1500, 3000))
    long.traces = [sample.trace(f"Cell {n}", "V", 4000, 3.6, 0.1 * n) for n in range(16)]
    first, second = (render([long, sample.compressed_day()], sample.rest()) for _ in range(2))
    assert first == second
    plots = re.findall(r"<svg class=\"plot\".*?</svg>", first, re.DOTALL)
    assert len(plots) == 3
    assert all(5_000 < len(plot) < LARGEST_PLOT for plot in plots), [len(plot) for plot in plots]
    assert re.search(r"<figcaption>.*Cell 15.*</figcaption>", first, re.DOTALL), "lines without room are named below"
    references = set(re.findall(r"(?:url\(|href=\")#([\w-]+)", first))
    assert references <= set(re.findall(r'id="([\w-]+)"', first))
