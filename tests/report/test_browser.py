"""The report in a browser: headless Chromium, from a file, with one browser for all tests."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from geodl.contract import Band, ClassInfo, Contract, Dim, ModelInput, ModelOutput
from geodl.report.figures import to_png
from geodl.report.html import Report, to_html
from geodl.report.layers import Viewer, class_layer
from geodl.report.lines import line_figure

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

RED, BLUE = (213, 94, 0), (0, 114, 178)
WORDS = "<img src=x onerror=alert(1)>\"'</script>"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A report of two layers: red on the left, blue on the right."""
    classes = (ClassInfo(1, f"red {WORDS}", "#d55e00"), ClassInfo(2, "blue", "#0072b2"))
    contract = Contract(
        "segmentation",
        ModelInput((Dim("y"), Dim("x"), Dim("band", size=1)), (Band(WORDS),)),
        ModelOutput("classes", classes=classes),
    )
    red, blue = (class_layer(name, np.full((20, 80), k), classes) for k, name in enumerate((WORDS, "prediction")))
    report = Report(
        f"Run {WORDS}",
        contract,
        main="miou",
        metrics={"miou": 0.5, "accuracy": 0.25, "ece": 0.75, "kappa": float("nan"), "iou/water": 0.25},
        baselines={"forest": {"miou": 0.25, "accuracy": 10.5}},
        viewer=Viewer(f"Place {WORDS}", (red, blue), 80, 20, pixel=(20.0, 10.0), north=0.0),
        figures={WORDS: to_png(line_figure(12, 3))},
        environment={"platform": "a_very_long_name_without_any_place_to_break_it_" * 4},
        command="geodl train " + "x" * 200,
        recipe="pipeline: segmentation # </script>",
    )
    target = tmp_path_factory.mktemp("page") / "report.html"
    target.write_text(to_html(report), encoding="utf-8")
    return target


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no browser: chromium, chromium-browser or google-chrome is not on PATH")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shared(browser, path):
    """One page for all tests that put back what they change; with what it said and asked for."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    return page, said, asked


@pytest.fixture
def page(shared):
    page, said, _ = shared
    page.locator("[data-role=fit]").click()
    page.evaluate("scrollTo(0, 0)")
    yield page
    assert said == []


def colour(page, x: float, y: float = 0.3) -> tuple[int, ...]:
    """The colour at a place of the stage, in parts of it."""
    stage = page.locator(".stage")
    picture = np.asarray(Image.open(io.BytesIO(stage.screenshot())).convert("RGB"))
    return tuple(int(v) for v in picture[int(y * picture.shape[0]), int(x * picture.shape[1])])


def slide(page, role: str, value: int) -> None:
    page.locator(f"[data-role={role}]").fill(str(value))


def scale(page) -> float:
    return float(page.locator(".stage").get_attribute("data-scale"))


def test_opens_without_a_word_and_asks_for_nothing(page, shared, path):
    assert page.locator("h1").inner_text() == f"Run {WORDS}"
    assert [url for url in shared[2] if not url.startswith("data:")] == [path.as_uri()]
    assert page.evaluate("document.querySelectorAll('main img[src=x]').length") == 0


def test_divider_moves_by_slider_mouse_and_key(page):
    slide(page, "swipe", 50)
    assert (colour(page, 0.2), colour(page, 0.8)) == (RED, BLUE)
    slide(page, "swipe", 90)
    assert (colour(page, 0.2), colour(page, 0.8)) == (RED, RED)
    box = page.locator(".stage").bounding_box()
    handle = page.locator(".divider span").bounding_box()
    page.mouse.move(handle["x"] + 16, handle["y"] + 16)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.1 * box["width"], handle["y"] + 16, steps=3)
    page.mouse.up()
    assert (colour(page, 0.05), colour(page, 0.2)) == (RED, BLUE)
    page.locator(".stage").press("]")
    assert page.locator("[data-role=swipe]").input_value() == "15"
    slide(page, "swipe", 50)


def test_opacity_mixes_the_layers(page):
    slide(page, "opacity", 50)
    np.testing.assert_allclose(colour(page, 0.8), (np.array(RED) + BLUE) / 2, atol=2)
    slide(page, "opacity", 100)
    assert colour(page, 0.8) == BLUE


def test_layers_are_chosen_and_have_their_legends(page):
    assert page.locator(".legends li").count() == 2
    page.locator("[data-role=right]").select_option("0")
    assert (colour(page, 0.8), page.locator('[data-tag="right"]').inner_text()) == (RED, WORDS)
    page.locator("[data-role=right]").select_option("1")
    assert colour(page, 0.8) == BLUE


def test_zoom_and_pan_by_wheel_buttons_keys_and_mouse(page):
    stage, first = page.locator(".stage"), scale(page)
    length = page.locator("[data-role=scalebar]").get_attribute("data-metres")
    page.locator("[data-role=in]").click()
    assert scale(page) == pytest.approx(1.5 * first)
    stage.hover()
    stage.focus()
    page.mouse.wheel(0, -200)
    page.wait_for_function(f"document.querySelector('.stage').dataset.scale > {1.6 * first}")
    stage.press("-")
    place = "document.querySelector('.pane img').style.transform"
    before, zoomed = page.evaluate(place), scale(page)
    stage.press("ArrowRight")
    assert page.evaluate(place) != before and scale(page) == zoomed
    box, before = stage.bounding_box(), page.evaluate(place)
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 120, steps=2)
    page.mouse.up()
    assert page.evaluate(place) != before
    for _ in range(4):
        stage.press("+")
    assert float(page.locator("[data-role=scalebar]").get_attribute("data-metres")) < float(length)
    stage.press("0")
    assert scale(page) == pytest.approx(first)


def test_scale_bar_is_as_long_as_it_says_and_pixels_as_tall(page):
    bar = page.locator("[data-role=scalebar]")
    width = bar.locator("span").bounding_box()["width"]
    assert float(bar.get_attribute("data-metres")) == pytest.approx(10 * width / scale(page), rel=0.02)
    image = page.locator(".pane img").first.bounding_box()
    assert image["width"] == pytest.approx(2 * image["height"], rel=0.01)


def test_table_sorts_by_numbers_both_ways_and_by_key(page):
    table = page.locator("#scores table").first
    column = table.locator("tbody td:nth-child(3)")

    def values() -> list[str | None]:
        return column.evaluate_all("cells => cells.map(cell => cell.dataset.value ?? cell.textContent)")

    head = table.locator("th").nth(2)
    head.locator("button").click()
    assert values() == ["0.25", "0.5", "0.75", "–"]
    assert head.get_attribute("aria-sort") == "ascending"
    head.locator("button").press("Enter")
    assert values() == ["0.75", "0.5", "0.25", "–"]
    assert head.get_attribute("aria-sort") == "descending"
    table.locator("th button").first.click()
    assert table.locator("th[aria-sort]").count() == 1
    assert table.locator("tbody th").all_inner_texts() == ["accuracy", "ece", "kappa", "miou"]


def test_theme_follows_the_system_until_it_is_chosen(page):
    def brightness() -> float:
        corner = page.screenshot(clip={"x": 2, "y": 2, "width": 9, "height": 9})
        return float(np.asarray(Image.open(io.BytesIO(corner))).mean())

    button = page.locator("[data-theme-button]")
    assert brightness() > 200
    page.emulate_media(color_scheme="dark")
    assert brightness() < 60
    button.click()
    assert brightness() > 200 and button.inner_text() == "Theme: light"
    page.emulate_media(color_scheme="light")
    button.click()
    assert brightness() < 60 and button.inner_text() == "Theme: dark"
    button.click()
    assert brightness() > 200


def test_pictures_open_large_and_close_by_key(page):
    page.locator(".enlarge").first.click()
    dialog = page.locator("dialog")
    assert dialog.is_visible() and dialog.locator("img").get_attribute("alt") == WORDS
    natural = page.evaluate("document.querySelector('dialog img').naturalWidth")
    assert dialog.locator("img").bounding_box()["width"] == natural
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_tabs_reach_every_control_in_order(browser, path):
    page = browser.new_page()
    page.goto(path.as_uri())
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "(e => e.dataset.role || (e.matches('.stage') ? 'stage' : e.matches('.enlarge') ? 'enlarge' : "
                "e.closest('nav') ? 'nav' : e.closest('thead') ? 'sort' : e.className))(document.activeElement)"
            )
        )
    controls = ["left", "right", "swipe", "opacity", "out", "in", "fit", "stage"]
    assert [name for name in reached if name in controls][: len(controls)] == controls
    assert {"nav", "theme", "sort", "enlarge"} <= set(reached)
    page.close()


@pytest.mark.parametrize("width", [360, 768], ids=["telephone", "tablet"])
def test_nothing_reaches_beyond_narrow_screens(page, width):
    page.set_viewport_size({"width": width, "height": 740})
    try:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert (colour(page, 0.2), colour(page, 0.8)) == (RED, BLUE)
    finally:
        page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.slow
def test_two_fingers_zoom_and_one_swipes(browser, path):
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    try:
        page = context.new_page()
        page.goto(path.as_uri())
        stage = page.locator(".stage")
        stage.scroll_into_view_if_needed()
        box, before = stage.bounding_box(), scale(page)
        x, y = box["x"] + 0.25 * box["width"], box["y"] + 0.25 * box["height"]
        touch = context.new_cdp_session(page)

        def fingers(kind: str, *points: tuple[float, float]) -> None:
            told = [{"x": px, "y": py, "id": number} for number, (px, py) in enumerate(points)]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": told})

        fingers("touchStart", (x, y), (x + 20, y))
        for reach in (30, 40, 60):
            fingers("touchMove", (x, y), (x + reach, y))
        fingers("touchEnd")
        page.wait_for_function(f"document.querySelector('.stage').dataset.scale > {2 * before}")
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        fingers("touchStart", middle)
        for share in (0.6, 0.7, 0.8):
            fingers("touchMove", (box["x"] + share * box["width"], middle[1]))
        fingers("touchEnd")
        page.wait_for_function("document.querySelector('[data-role=swipe]').value == 80")
    finally:
        context.close()


@pytest.mark.slow
def test_without_script_all_layers_are_seen(browser, path):
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(path.as_uri())
        assert page.locator(".store img").count() == 2 and page.locator(".store img").first.is_visible()
        assert not page.locator(".stage").is_visible()
    finally:
        context.close()
