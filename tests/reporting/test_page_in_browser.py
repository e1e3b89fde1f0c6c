"""The HTML page in a real browser, opened from disk: Chromium, driven by playwright.

Chromium comes from Debian's packages, which are installed where that can be done; else the tests are skipped, and say why.
"""

import shutil
import urllib.parse
from pathlib import Path

import debian
import pandas as pd
import pytest
import results_folder
from playwright.sync_api import Browser, Page, sync_playwright

from flatvae.reporting import page as html

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
PROGRAMS = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome")
PHONE, DESK = {"width": 400, "height": 850}, {"width": 1280, "height": 900}
K = "table.leaders >> nth=0 >> th:has-text('condition number')"
# WCAG 2.2, 1.4.3: contrast of every visible text with what lies behind it
CONTRASTS = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const parse = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) =>
    [r, g, b].map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
      .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let part = element; part; part = part.parentElement) {
      const colour = parse(getComputedStyle(part).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest("script, style")) continue;
    const [a, b] = [parse(getComputedStyle(element).color), behind(element)].map(light).sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), walker.currentNode.data.trim().slice(0, 40)]);
  }
  return found;
}
"""


@pytest.fixture(scope="module")
def browser():
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        reason = debian.install("chromium-headless-shell")
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        if reason or program is None:
            pytest.skip(f"Chromium is not installed: {reason}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """The page of a copy of the committed default run."""
    folder = tmp_path_factory.mktemp("page") / "default"
    shutil.copytree(REFERENCE / "default", folder)
    html.make([folder], folder / "index.html")
    return folder / "index.html"


@pytest.fixture
def opened(browser: Browser):
    """Opens a page and waits for its script; fails at the end where the console said anything, or a request left the disk."""
    complaints, contexts = [], []

    def asked(request):
        if urllib.parse.urlsplit(request.url).scheme not in ("file", "blob", "data"):
            complaints.append(f"request: {request.url}")

    def open_page(path: Path, fragment: str = "", **options) -> Page:
        contexts.append(browser.new_context(**({"viewport": DESK} | options)))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page.on("request", asked)
        page.goto(path.as_uri() + fragment)
        page.wait_for_selector("table.dataTable", state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def widths(page: Page) -> tuple[int, int]:
    return tuple(page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]"))


def open_all(page: Page) -> None:
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")


def test_every_picture_is_shown(opened, run):
    page = opened(run)
    page.evaluate("for (const picture of document.images) picture.loading = 'eager'")
    page.wait_for_function("[...document.querySelectorAll('figure img')].every((picture) => picture.complete)")
    sizes = page.evaluate("[...document.querySelectorAll('figure img')].map((p) => [p.naturalWidth, p.naturalHeight])")
    assert len(sizes) == len(list((run.parent / "figures").glob("*.png")))
    assert all(width > 100 and height > 100 for width, height in sizes)


def test_every_link_resolves(opened, run):
    page = opened(run)
    links = page.evaluate("[...document.querySelectorAll('a[href]')].map((link) => link.href)")
    assert len(links) > 150
    for link in links:
        parts = urllib.parse.urlsplit(link)
        if parts.scheme == "file":
            path = Path(urllib.parse.unquote(parts.path))
            assert path.is_file(), link
            if parts.fragment:
                assert page.evaluate("id => document.getElementById(id) !== null", urllib.parse.unquote(parts.fragment))


ORDER = """[...document.querySelector("table.leaders").tBodies[0].rows]
  .map((row) => row.cells[2].dataset.order).filter(Boolean).map(Number)"""


def shown_order(page: Page) -> list[float]:
    """The condition numbers in the first leaderboard, from top to bottom."""
    return page.evaluate(ORDER)


def await_order(page: Page, expected: list[float], direction: str) -> None:
    """DataTables sorts after the event has been handled."""
    page.wait_for_function(
        f"expected => JSON.stringify({ORDER}) === JSON.stringify(expected)", arg=expected, timeout=5000
    )
    assert page.locator(K).get_attribute("aria-sort") == direction


def test_a_click_on_a_heading_sorts_and_the_keyboard_too(opened, run):
    page = opened(run)
    as_run = shown_order(page)
    page.locator(K).click(position={"x": 5, "y": 10})
    await_order(page, sorted(as_run), "ascending")
    page.locator(f"{K} >> [role=button]").focus()
    page.keyboard.press("Enter")
    await_order(page, sorted(as_run, reverse=True), "descending")
    assert as_run not in (sorted(as_run), sorted(as_run, reverse=True))


@pytest.mark.parametrize("way", ["hover", "click", "keyboard", "touch"])
def test_metrics_are_explained_without_sorting(opened, run, way):
    page = opened(run, has_touch=way == "touch")
    sign, note = page.locator(f"{K} >> button.term"), page.locator("#term-condition_number_median")
    before = shown_order(page)
    assert not note.is_visible()
    if way == "keyboard":
        sign.focus()
        page.keyboard.press("Enter")
    else:
        {"hover": sign.hover, "click": sign.click, "touch": sign.tap}[way]()
    assert note.is_visible()
    assert "λ_max / λ_min" in note.inner_text()
    box = note.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= DESK["width"]
    page.keyboard.press("Escape")
    assert not note.is_visible()
    page.wait_for_timeout(200)  # sorting is not immediate
    assert shown_order(page) == before
    assert page.locator(K).get_attribute("aria-sort") is None


def test_evidence_opens_the_numbers_behind_a_verdict(opened, run):
    page = opened(run)
    row = page.locator("#run1-digits-flatness-condition_number_median")
    assert not row.is_visible()
    page.locator("#run1-test-1a-digits >> text=numbers").click()
    row.wait_for(state="visible")
    assert row.evaluate(
        "(row) => row.getBoundingClientRect().top > 0 && row.getBoundingClientRect().bottom < innerHeight"
    )
    page.locator("#run1-test-1a-digits >> text=figure").click()
    figure = page.locator("#run1-digits_flatness")
    assert figure.evaluate("(figure) => figure.getBoundingClientRect().top < innerHeight")


def test_a_link_from_outside_opens_what_it_points_to(opened, run):
    page = opened(run, "#run1-crowd-tracking-IDF1")
    page.locator("#run1-crowd-tracking-IDF1").wait_for(state="visible")


def test_figures_are_enlarged(opened, run):
    page = opened(run)
    viewer, title = page.locator("#viewer"), page.locator("#viewer-title")
    page.locator("#run1-digits_distances a.enlarge").click()
    assert title.inner_text() == "Distances, digits"
    large = viewer.locator("img").bounding_box()["width"]
    assert large > page.locator("#run1-digits_distances img").bounding_box()["width"]
    page.keyboard.press("ArrowLeft")
    assert title.inner_text() == "Flatness, digits"
    page.keyboard.press("Escape")
    assert not viewer.is_visible()
    assert page.evaluate("document.activeElement.closest('figure').id") == "run1-digits_distances"


def test_the_switch_shows_one_run_at_a_time(opened, tmp_path):
    folders = [results_folder.write(tmp_path / name) for name in ("a", "b")]
    html.make(folders, tmp_path / "index.html")
    page = opened(tmp_path / "index.html")
    assert [page.locator(f"#{name}").is_visible() for name in ("run1", "run2")] == [True, False]
    page.locator("[data-shows=run2]").click()
    assert [page.locator(f"#{name}").is_visible() for name in ("run1", "run2")] == [False, True]
    assert page.locator("[data-shows=run2]").get_attribute("aria-pressed") == "true"
    assert opened(tmp_path / "index.html", "#run2-figures").locator("#run2-figures").is_visible()


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["400px", "1280px"])
def test_the_page_is_no_wider_than_the_window(opened, run, viewport):
    page = opened(run, viewport=viewport)
    open_all(page)
    scrolled, window = widths(page)
    assert scrolled <= window == viewport["width"]


def test_on_a_phone_every_section_can_be_reached(opened, run):
    """The navigation wraps: no link lies outside the window."""
    page = opened(run, viewport=PHONE)
    links = page.locator("nav.sections a")
    assert links.last.inner_text() == "Glossary"
    for box in (link.bounding_box() for link in links.all()):
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]


@pytest.mark.parametrize("table", [".leaders", "#run1-crowd-tracking-IDF1"])
def test_the_first_column_stays_in_sight(opened, run, table):
    page = opened(run, viewport=PHONE)
    open_all(page)
    scrolled = page.locator(".scroll").filter(has=page.locator(table)).first
    scrolled.evaluate("(part) => (part.scrollLeft = 250)")
    assert scrolled.evaluate("(part) => part.scrollLeft") == 250
    left = scrolled.bounding_box()["x"]
    for cell in scrolled.locator("tr > :first-child").all():
        assert abs(cell.bounding_box()["x"] - left) < 1


def test_every_tile_of_the_verdicts_is_filled(opened, run):
    fills = opened(run).evaluate(
        "[...document.querySelectorAll('.counts li')].map((t) => getComputedStyle(t).backgroundColor)"
    )
    assert len(set(fills)) == len(fills) == 5
    assert not {"rgba(0, 0, 0, 0)", "rgb(255, 255, 255)"} & set(fills)


def test_the_page_fits_on_paper(opened, run):
    """A4 without margins of 14 mm is 688 pixels wide."""
    ledger = pd.read_csv(REFERENCE / "default" / "claims.csv")
    first = ledger[ledger["note"].fillna("").str.startswith("the interval crosses")].iloc[0]
    undecided = f"#run1-test-{first['claim']}-{first['dataset']} >> text=the interval crosses the threshold"
    page = opened(run, viewport={"width": 688, "height": 1000})
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert widths(page)[0] <= 688
    assert page.locator(undecided).is_visible()
    assert not page.locator("nav.sections").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert not page.locator(undecided).is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(opened, run, scheme):
    page = opened(run, color_scheme=scheme)
    open_all(page)
    found = page.evaluate(CONTRASTS)
    assert len(found) > 2000
    assert min(found)[0] >= 4.5, min(found)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")


def test_without_a_script_the_page_can_be_read(browser, run):
    context = browser.new_context(viewport=DESK, java_script_enabled=False)
    page = context.new_page()
    page.goto(run.as_uri())
    assert page.locator("#run1-test-1a-digits").is_visible()
    assert page.locator("table.leaders").count() == 3
    context.close()
