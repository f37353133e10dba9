"""The report's page in a browser: it asks for nothing, runs nothing, fits the window, can be read and be printed."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
COSMICAI = Path(os.environ.get("COSMICAI", TARGET / "debug/cosmicai"))
AXE = (TARGET / "browser/node_modules/axe-core/axe.min.js").read_text()
CORPUS = ROOT / "crates/accounting/tests/audit"
STUDY = ROOT / "record/2026-11-25-zen3-2c-study.jsonl"
#: A phone, half a screen, a screen: pixels.
WIDTHS = [360, 700, 1400]
#: Words that would fetch, run or end something if a page held them as they are.
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
    """Three runs whose every word is hostile, file names too."""
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
    """Pages by what they report: a sweep, runs with faults against a baseline, and hostile words."""
    folder = tmp_path_factory.mktemp("reports")
    runs = [CORPUS / name for name in ("12-straggler.json", "3-nested-merged.json", "clean-study-25MB.json")]
    return {
        "sweep": report(folder / "sweep", STUDY),
        "records": report(folder / "records", *runs, "--baseline", CORPUS / "clean-study-25MB.json"),
        "hostile": report(folder / "hostile", *hostile_records(folder)),
    }


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


class Look:
    """One page as one reader sees it, and what it did."""

    def __init__(self, browser, path, width, scheme, bypass_csp=False):
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=bypass_csp)
        self.page = self.context.new_page()
        self.requests, self.complaints = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(path.as_uri())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()


NAMES = ["sweep", "records", "hostile"]


@pytest.mark.parametrize("name", NAMES)
def test_it_asks_for_nothing_and_runs_nothing(browser, pages, name):
    # Without the page's own rule against fetching as well: it must hold nothing that it would have to forbid.
    for bypass_csp in (False, True):
        with Look(browser, pages[name], 1400, "light", bypass_csp) as look:
            look.page.wait_for_load_state("networkidle")
            assert look.requests == [pages[name].as_uri()]
            assert look.complaints == []
            assert look.page.evaluate("document.body.dataset.broken") is None
            assert look.page.locator("script, img, iframe, object, embed, link, [onclick], [onerror]").count() == 0
            assert look.page.locator("h1").count() == 1


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", NAMES)
def test_it_fits_the_window(browser, pages, name, width):
    with Look(browser, pages[name], width, "light") as look:
        assert look.page.evaluate("document.documentElement.scrollWidth") <= width
        for box in (figure.bounding_box() for figure in look.page.locator("figure svg").all()):
            assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["height"] > 50


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_read_by_everyone(browser, pages, name, scheme):
    # The judge is a script, which the page's own rule would forbid.
    with Look(browser, pages[name], 1400, scheme, bypass_csp=True) as look:
        look.page.evaluate(AXE)
        violations = look.page.evaluate("axe.run()")["violations"]
        assert [(each["id"], each["nodes"][0]["target"], each["nodes"][0]["failureSummary"]) for each in violations] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_of_pictures_stand_out(browser, pages, scheme):
    """The judge above does not see through a picture's layers: the ink of words against the paper, by WCAG's formula."""
    with Look(browser, pages["sweep"], 1400, scheme) as look:
        inks = look.page.evaluate(
            """() => [...new Set([...document.querySelectorAll('figure svg text')].map(text => getComputedStyle(text).fill))]""")
        paper = look.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert inks
        for ink in inks:
            assert contrast(ink, paper) >= 4.5, f"{ink} on {paper}"


def contrast(one, other):
    """WCAG 2.2's contrast ratio of two colours as a browser writes them: rgb(R, G, B)."""

    def luminance(colour):
        parts = [float(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", NAMES)
def test_each_picture_is_told_in_words(browser, pages, name):
    with Look(browser, pages[name], 1400, "light") as look:
        figures = look.page.locator("figure").all()
        assert figures
        for figure in figures:
            figure.locator("summary").click()
            words = figure.locator("figcaption").inner_text()
            assert any(letter.isdigit() for letter in words), words


def test_it_prints_light_and_whole(browser, pages):
    with Look(browser, pages["sweep"], 1400, "dark") as look:
        look.page.emulate_media(media="print")
        assert look.page.evaluate("getComputedStyle(document.body).backgroundColor") in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
        # A sheet has no scroll bar: what a table holds beyond its box would be lost.
        cut = look.page.evaluate(
            """() => [...document.querySelectorAll('.scroll')].filter(box => getComputedStyle(box).overflowX != 'visible').length""")
        assert cut == 0
        assert look.page.pdf(prefer_css_page_size=True).startswith(b"%PDF-")
