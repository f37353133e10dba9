"""Tests of the report page in a browser: no requests, no scripts, layout, accessibility and printing."""

import contextlib
import csv
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
COSMICAI = ROOT / os.environ.get("COSMICAI", TARGET / "debug/cosmicai")
AXE = (TARGET / "browser/node_modules/axe-core/axe.min.js").read_text()
CORPUS = ROOT / "crates/accounting/tests/audit"
STUDY = ROOT / "record/2026-11-25-zen3-2c-study.jsonl"
#: Widths in pixels of a phone, half a screen and a screen.
WIDTHS = [360, 700, 1400]
#: Text that would load, run or close something if a page contained it without escaping.
HOSTILE = (
    "</title></style></svg><script>document.body.dataset.broken=1</script>"
    "<img src='http://127.0.0.1:9/a.png' onerror='document.body.dataset.broken=1'>"
    "<style>@import 'http://127.0.0.1:9/a.css'</style>\"'&lt;"
)


def report(out, *sources):
    done = subprocess.run([COSMICAI, "report", *sources, "--out", out], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return out / "report.html"


def hostile_records(folder):
    """Writes three runs with hostile text in all values and file names."""
    records = json.loads((CORPUS / "12-straggler.json").read_text())
    for run in range(3):
        for record in records:
            record.update(result_path=f"{HOSTILE}{run}", device=HOSTILE, batch_size=2**run * 64)
            record["data_path"] = f"{HOSTILE}/{record['data_path']}"
        path = folder / f"<b onclick=alert({run})>&amp;.json"
        path.write_text(json.dumps(records))
        yield path


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """Report pages and their inputs: a sweep, runs with faults and a baseline, and runs with hostile text."""
    folder = tmp_path_factory.mktemp("reports")
    runs = [CORPUS / name for name in ("12-straggler.json", "3-nested-merged.json", "clean-study-25MB.json")]
    hostile = list(hostile_records(folder))
    return {
        "sweep": report(folder / "sweep", STUDY),
        "sweep inputs": [STUDY],
        "records": report(folder / "records", *runs, "--baseline", CORPUS / "clean-study-25MB.json"),
        "records inputs": runs,
        "hostile": report(folder / "hostile", *hostile),
        "hostile inputs": hostile,
    }


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


class View:
    """A page in a browser window, with its requests and its console messages."""

    def __init__(self, browser, path, width, scheme, bypass_csp=False):
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=bypass_csp)
        self.page = self.context.new_page()
        self.requests, self.messages = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.goto(path.as_uri())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()


NAMES = ["sweep", "records", "hostile"]


@pytest.mark.parametrize("name", NAMES)
def test_page_makes_no_requests_and_runs_no_scripts(browser, pages, name):
    # Test also without the page's content security policy: the page must have nothing that the policy would block.
    for bypass_csp in (False, True):
        with View(browser, pages[name], 1400, "light", bypass_csp) as view:
            view.page.wait_for_load_state("networkidle")
            assert view.requests == [pages[name].as_uri()]
            assert view.messages == []
            assert view.page.evaluate("document.body.dataset.broken") is None
            assert view.page.locator("script, img, iframe, object, embed, link, [onclick], [onerror]").count() == 0
            assert view.page.locator("h1").count() == 1


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", NAMES)
def test_page_fits_the_window(browser, pages, name, width):
    with View(browser, pages[name], width, "light") as view:
        assert view.page.evaluate("document.documentElement.scrollWidth") <= width
        boxes = [figure.bounding_box() for figure in view.page.locator("figure svg").all()]
        assert boxes
        for box in boxes:
            assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["height"] > 50


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_page_has_no_accessibility_violations(browser, pages, name, scheme):
    # axe is a script, which the page's content security policy would block.
    with View(browser, pages[name], 1400, scheme, bypass_csp=True) as view:
        view.page.evaluate(AXE)
        violations = view.page.evaluate("axe.run()")["violations"]
        assert [(each["id"], each["nodes"][0]["target"], each["nodes"][0]["failureSummary"]) for each in violations] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_in_plots_has_contrast(browser, pages, scheme):
    """axe does not check text over the layers of an SVG, so compute the WCAG contrast of text and background."""
    with View(browser, pages["sweep"], 1400, scheme) as view:
        inks = view.page.evaluate(
            """() => [...new Set([...document.querySelectorAll('figure svg text')].map(text => getComputedStyle(text).fill))]""")
        paper = view.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert inks
        for ink in inks:
            assert contrast(ink, paper) >= 4.5, f"{ink} on {paper}"


def contrast(one, other):
    """Returns the WCAG 2.2 contrast ratio of two colours in the browser's format `rgb(R, G, B)`."""

    def luminance(colour):
        parts = [float(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", NAMES)
def test_every_plot_has_a_description(browser, pages, name):
    with View(browser, pages[name], 1400, "light") as view:
        figures, data = view.page.locator("figure").all(), numbers(pages, name)
        assert figures
        for figure in figures:
            figure.locator("summary").click()
            words = figure.locator("figcaption").inner_text()
            assert len(words) > 100, words
            stated = [float(number) for number in re.findall(r"([\d.]+) (?:s|MB|images/s)\b", words)]
            assert any(number in data for number in stated), words


def numbers(pages, name):
    """Returns the numbers in the inputs and in the table of a page, as the descriptions round them."""
    found = []

    def add(value):
        if isinstance(value, (dict, list)):
            for item in value.values() if isinstance(value, dict) else value:
                add(item)
        elif isinstance(value, (int, float)):
            found.append(float(f"{value:.3g}"))

    for path in pages[f"{name} inputs"]:
        lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        add([json.loads(line) for line in lines])
    with open(pages[name].parent / "rows.csv", newline="") as table:
        for cell in (cell for row in csv.reader(table) for cell in row):
            with contextlib.suppress(ValueError):
                add(float(cell))
    return set(found)


def test_page_prints_in_light_colours_without_cut_tables(browser, pages):
    with View(browser, pages["sweep"], 1400, "dark") as view:
        view.page.emulate_media(media="print")
        assert view.page.evaluate("getComputedStyle(document.body).backgroundColor") in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
        # Paper has no scroll bars: columns beyond the box of a table would be lost.
        assert view.page.locator(".scroll").count() > 0
        cut = view.page.evaluate(
            """() => [...document.querySelectorAll('.scroll')].filter(box => getComputedStyle(box).overflowX != 'visible').length""")
        assert cut == 0
        assert view.page.pdf(prefer_css_page_size=True).startswith(b"%PDF-")
