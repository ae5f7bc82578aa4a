"""The page in a real browser: complete, silent and without any request."""

import shutil

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH")

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Per task two gallery pairs of two sources and three methods, overview and crop each, and at least two photographs with
# two synthetic and two target images and two modalities of three thumbnails.
LEAST_IMAGES = 4 * (2 * 5 * 2 + 2 * 5 + 2 * 3)


@pytest.fixture(scope="module")
def loaded(project):
    """The loaded page, and what it asked for and complained about."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page()
        requests, complaints = [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto((project / "data/report/index.html").as_uri())
        yield page, requests, complaints
        browser.close()


@pytest.fixture
def opened(loaded):
    """The loaded page on a light screen of ordinary size."""
    loaded[0].set_viewport_size({"width": 1280, "height": 900})
    loaded[0].emulate_media(media="screen", color_scheme="light")
    return loaded


def test_page_is_silent_and_asks_for_nothing_but_itself(opened):
    page, requests, complaints = opened
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [page.url]


def test_every_image_is_drawn(opened):
    page = opened[0]
    widths = page.evaluate("Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth)))")
    assert len(widths) >= LEAST_IMAGES
    assert min(widths) > 0


def test_every_image_says_what_it_is(opened):
    labels = opened[0].evaluate("[...document.images].map(i => i.alt)")
    assert all(labels)


def test_every_chart_is_drawn(opened):
    boxes = opened[0].evaluate(
        "[...document.querySelectorAll('.chart svg')].map(s => s.getBoundingClientRect().height)"
    )
    assert len(boxes) == 10 + 4 + 1
    assert min(boxes) > 80


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_no_sideways_scrolling(opened, width):
    page = opened[0]
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_lines_stand_out_from_the_page(opened, scheme):
    page = opened[0]
    page.emulate_media(color_scheme=scheme)
    back = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (back > 0.5) == (scheme == "light")
    texts = page.evaluate(
        "['p', 'td', 'figcaption', '.note', '.badge', 'caption', 'a', '.chart text'].map(s => "
        "getComputedStyle(document.querySelector(s))).map(s => s.fill !== 'rgb(0, 0, 0)' ? s.fill : s.color)"
    )
    lines = page.evaluate(
        "[...document.querySelectorAll('.chart [style*=\"stroke: #\"]')].map(p => getComputedStyle(p).stroke)"
    )
    assert len(set(lines)) >= 4
    assert min(contrast(back, luminance(ink)) for ink in texts) >= 4.5
    assert min(contrast(back, luminance(ink)) for ink in set(lines)) >= 3


def test_paper_shows_the_closed_tables_and_no_navigation(opened):
    page = opened[0]
    is_visible = "document.querySelector('details table').checkVisibility()"
    assert not page.evaluate(is_visible) and page.locator("nav").is_visible()
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(is_visible) and not page.locator("nav").is_visible()
    assert luminance(page.evaluate("getComputedStyle(document.body).backgroundColor")) == 1


def contrast(one: float, other: float) -> float:
    """Contrast ratio (WCAG 2) of two relative luminances."""
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2) of a CSS ``rgb(...)`` colour."""
    levels = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
