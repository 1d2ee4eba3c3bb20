# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""report.html in a real Chromium: it renders, nothing overflows, every transcript opens.

And that what an attacker says on the wire stays text.
"""

import pathlib
import re

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from stslab import middle, scenarios
from stslab.report import page
from stslab.world import HELD, Run

pytestmark = pytest.mark.timeout(240)
SHOWN = ("honest", "strip-starttls", "forge-mx", "smuggle", "tlsa-mismatch")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage")
OVERFLOW = """
const wide = document.documentElement.clientWidth + 0.5;
const out = [...document.querySelectorAll("body *")].filter(part =>
  !part.closest("svg.defs") && part.getClientRects().length &&
  (part.getBoundingClientRect().right > wide || part.getBoundingClientRect().left < -0.5));
return [document.documentElement.scrollWidth, innerWidth,
        out.map(part => part.outerHTML.slice(0, 80))];
"""
# Texts of a diagram that lie over each other.
COLLISIONS = """
const hits = [];
for (const svg of document.querySelectorAll("svg.way")) {
  const boxes = [...svg.querySelectorAll("text")].map(text => [text, text.getBoundingClientRect()]);
  for (const [a, one] of boxes) for (const [b, two] of boxes)
    if (a !== b && one.left < two.right - 1 && two.left < one.right - 1 &&
        one.top < two.bottom - 3 && two.top < one.bottom - 3)
      hits.push(a.textContent + " / " + b.textContent);
}
return hits;
"""
CODE = re.compile(r"<pre>.*?</pre>|<ol class=\"wire\">.*?</ol>", re.DOTALL)  # what was seen


@pytest.fixture(scope="module")
def report(lab_run):
    """The page of a real tour."""
    done = lab_run("tour", *SHOWN, "--report", "page.html")
    assert done.returncode == 0, done.stdout + done.stderr
    return lab_run.here / "page.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = Options()
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    yield driver
    driver.quit()


def show(browser, path, width, scheme):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
        "features": [{"name": "prefers-color-scheme", "value": scheme},
                     {"name": "prefers-reduced-motion", "value": "reduce"}]})
    browser.get(pathlib.Path(path).as_uri())


def click(browser, element):
    """As a reader does, who sees it first."""
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def open_all(browser):
    click(browser, browser.find_element("css selector", "button"))


def colour(browser, selector, what):
    """The red, green and blue of a computed style."""
    text = browser.execute_script(
        "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]",
        selector, what)
    return [int(number) for number in re.findall(r"\d+", text)[:3]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_it_renders_and_nothing_overflows(browser, report, width, scheme):
    show(browser, report, width, scheme)
    for opened in (False, True):
        if opened:
            open_all(browser)
        scroll, inner, outside = browser.execute_script(OVERFLOW)
        assert scroll <= inner == width and outside == [], outside
    assert browser.execute_script(COLLISIONS) == []
    paper, ink = colour(browser, "body", "backgroundColor"), colour(browser, "body", "color")
    assert (sum(paper) > sum(ink)) == (scheme == "light")
    for css in ("clear", "tls"):
        red, green, _ = colour(browser, f".edge.{css}", "stroke")
        assert (red > green) == (css == "clear"), "red was readable, green was not"
    assert [line["message"] for line in browser.get_log("browser")
            if report.name in line["message"]] == []


def test_every_transcript_opens(browser, report):
    show(browser, report, 1280, "light")
    sections = browser.find_elements("css selector", "section")
    assert [section.get_attribute("id") for section in sections] == list(SHOWN)
    for section in sections:
        runs = section.find_elements("css selector", ".run")
        assert len(runs) in (2, 4)
        for run in runs:
            assert run.find_element("css selector", "svg.way").size["height"] > 50
            wire = run.find_element("css selector", ".transcript .wire")
            assert not wire.is_displayed()
            click(browser, run.find_element("css selector", ".transcript summary"))
            assert wire.is_displayed() and wire.text.strip()
        report_of = section.find_element("css selector", ".tlsrpt")
        click(browser, report_of.find_element("css selector", "summary"))
        assert '"policy-type"' in report_of.text and section.get_attribute("id") in report_of.text


def test_stolen_text_is_marked_where_it_was_readable(browser, report):
    show(browser, report, 1280, "light")
    open_all(browser)
    alone, guarded = browser.find_elements("css selector", "#strip-starttls .run")[:2]
    (mark,) = alone.find_elements("css selector", ".in-clear mark")
    assert re.fullmatch(r"4711-\d+", mark.text)
    assert not guarded.find_elements("css selector", "mark")
    assert guarded.find_elements("css selector", "svg .stop")
    assert "MAIL FROM" in alone.find_element("css selector", ".wire").text
    assert "MAIL FROM" not in guarded.find_element("css selector", ".wire").text


def test_it_asks_the_network_for_nothing(browser, report):
    browser.get_log("performance")
    show(browser, report, 1280, "light")
    asked = re.findall(r'"url":"([^"]+)"', str([
        line["message"] for line in browser.get_log("performance")
        if "Network.requestWillBeSent" in line["message"]]))
    assert asked and all(url.startswith(("file:", "data:")) for url in asked), asked
    text = pathlib.Path(report).read_text("utf-8")
    assert not re.search(r'(?:src|href)="(?!#|data:)', text) and not re.search(
        r"url\((?!#)|@import|https?://(?!www\.w3\.org)", CODE.sub("", text))


def test_what_the_wire_says_stays_text(browser, tmp_path):
    """Each place where foreign text comes in, with markup in it."""
    evil = '<img src=x onerror="document.title=\'owned\'"></details><script>1</script>\x1b[2J'
    exchange = middle.Exchange(evil, content=bytearray(b"4711 " + evil.encode()))
    for who in (middle.SENDER, middle.SERVER, middle.ATTACKER, middle.NOTE):
        exchange.note(who, "4711 " + evil)
    stolen = Run("Exim", False, evil, "4711", "stolen", [exchange], log=[evil], arrived="clear")
    held = Run("Exim", True, evil, "4711", HELD, [exchange], True, log=[evil],
               delivery={"reply": evil, "policy": evil})
    result = {"policies": [{"policy": {"policy-type": evil},
                            "summary": {"total-successful-session-count": 0,
                                        "total-failure-session-count": 1},
                            "failure-details": [{"result-type": evil}]}]}
    performance = scenarios.Performance(scenarios.every()["strip-starttls"], [(stolen, held)],
                                        result)
    path = tmp_path / "evil.html"
    path.write_text(page([performance], {evil: evil}), "utf-8")
    show(browser, path, 375, "light")
    open_all(browser)
    assert browser.title == "Mail under attack, with and without stsgate"
    assert not browser.find_elements("css selector", "img")
    assert len(browser.find_elements("css selector", "script")) == 1
    assert "<img src=x" in browser.find_element("css selector", ".wire").text
    scroll, inner, outside = browser.execute_script(OVERFLOW)
    assert scroll <= inner and outside == []
