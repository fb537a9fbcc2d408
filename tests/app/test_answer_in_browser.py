"""What visitors do with an answer, and to a question, in headless Chromium."""

from importlib import resources
from importlib.util import find_spec

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

from ovparts_hf import PartSegmenter  # noqa: E402
from ovparts_hf.app.examples import drawings  # noqa: E402

from .app_page import AppPage  # noqa: E402

pytestmark = pytest.mark.slow
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice", "experimental"]


@pytest.fixture
def page(server, browser):
    return AppPage(browser, server[0])


def describe(result, x, y):
    """What is to be read at a place from 0 to 1."""
    places = result.at(int(x * result.image.width), int(y * result.image.height))
    first, *others = [f"{name or 'none of the parts'} {round(100 * score) / 100:.2f}" for name, score in places]
    return f"{first}; next: {', '.join(others)}"


def test_pixels_are_read_and_parts_are_named(page):
    page.pick(2)
    page.find_parts()
    example = drawings()[2]
    result = PartSegmenter.from_pretrained("toy-trained", device="cpu")(example.image, example.text, keep_ranking=True)
    assert page.point(Keys.ARROW_DOWN) == describe(result, 0.5, 0.51)
    page.point(Keys.SHIFT + Keys.ARROW_DOWN * 2 + Keys.NULL)
    page.until(lambda: page.one("#found .readout").text == describe(result, 0.5, 0.71))
    ActionChains(page.browser).move_to_element(page.one("#found .frame")).click().perform()
    page.until(lambda: page.one("#found .readout").text.startswith("car's door"))
    names = page.one("#found .labels")
    assert not names.is_displayed()
    page.one("#found .name").click()
    assert names.is_displayed() and set(names.text.split("\n")) == set(result.found)


def test_the_paint_can_be_moved_aside_and_be_weaker(page):
    page.pick(2)
    page.find_parts()
    assert page.style("#found .painted", "clipPath") == "inset(0px 0px 0px 0%)"
    page.slide("#found .split", 30)
    page.slide("#found .strength", 40)
    assert page.style("#found .painted", "clipPath") == "inset(0px 0px 0px 30%)"
    assert page.style("#found .painted", "opacity") == "0.4"
    page.find_again(page.switches["car's door"].click)
    assert page.style("#found .painted", "clipPath") == "inset(0px 0px 0px 30%)"


def test_the_picture_fills_the_screen(page):
    page.pick(2)
    page.find_parts()
    page.one("#found .fill-screen").click()
    page.until(lambda: page.browser.execute_script("return document.fullscreenElement?.className") == "stage")
    script = (
        "const box = document.querySelector('#found .frame').getBoundingClientRect(); return [box.width, box.height]"
    )
    width, height = page.browser.execute_script(script)
    inner = page.browser.execute_script("return [innerWidth, innerHeight]")
    page.browser.execute_script("return document.exitFullscreen()")
    page.until(lambda: page.browser.execute_script("return !document.fullscreenElement"))
    assert width / height == pytest.approx(4 / 3, abs=0.02)
    assert width == pytest.approx(inner[0], abs=2) or height == pytest.approx(inner[1], abs=2)


def test_a_part_of_the_table_is_shown_alone(page):
    page.pick(2)
    page.find_parts()
    page.one("#found .name").click()
    buttons = {button.text: button for button in page.all("#scores .part")}
    everything = list(buttons)
    assert len(everything) == 4
    page.find_again(lambda: buttons["car's wheel"].send_keys(Keys.ENTER))
    page.until(lambda: shown(page) == ["car's wheel"])
    assert set(page.one("#found .labels").text.split("\n")) == {"car's wheel"}
    page.find_again(lambda: page.all("#scores .part")[everything.index("car's wheel")].click())
    page.until(lambda: shown(page) == everything)


def shown(page):
    return [name for name, switch in page.switches.items() if switch.is_selected()]


def test_an_object_is_marked_by_dragging_and_the_link_asks_again(page, browser):
    page.pick(2)
    page.one("#where button").click()
    page.until(lambda: any(field.is_displayed() for field in page.all("#boxes textarea")))
    actions = ActionChains(browser).move_to_element_with_offset(page.one("#image img"), -60, -60)
    actions.click_and_hold().move_by_offset(50, 60).move_by_offset(50, 40).release().perform()
    page.until(lambda: page.one("#boxes textarea").get_attribute("value"))
    written = page.one("#boxes textarea").get_attribute("value")
    name, _, numbers = written.partition(": ")
    left, top, right, bottom = map(int, numbers.split(", "))
    assert name == "car" and right - left == pytest.approx(bottom - top, abs=3) and right - left > 100
    assert len(page.all("#image .boxes-layer div")) == 1
    page.find_parts()
    example = drawings()[2]
    segmenter = PartSegmenter.from_pretrained("toy-trained", device="cpu")
    expected = segmenter(example.image, example.text, boxes={"car": [(left, top, right, bottom)]})
    areas = {name: f"{area:,}" if area else "not found" for name, area in expected.areas().items()}
    assert {name: cells[-2] if len(cells) > 1 else cells[0] for name, cells in page.table().items()} == areas
    link = page.one("#link textarea").get_attribute("value")
    assert browser.current_url == link and link.endswith("&example=2")

    again = AppPage(browser, link)
    again.until(lambda: again.text == example.text and again.source("#image img"))
    again.find_parts()
    assert {name: cells[-2] if len(cells) > 1 else cells[0] for name, cells in again.table().items()} == areas


def test_two_models_answer_side_by_side(page):
    page.pick(2)
    page.choose("#other", "toy")
    page.find_parts()
    page.until(lambda: page.all("#found img.other"))
    assert len(page.all("#scores table")) == 2
    assert page.style("#found .other", "clipPath") == "inset(0px 50% 0px 0px)"
    first, second = page.point(Keys.ARROW_DOWN).split("\n")
    assert first.startswith("toy-trained: car's door") and second.startswith("toy: ")
    page.choose("#other", "none")
    page.find_again(page.one("#ask").click)
    page.until(lambda: not page.all("#found img.other"))
    assert page.style("#found .painted", "clipPath") == "inset(0px 0px 0px 0%)"


def test_nothing_found_says_what_to_do(page):
    page.pick(2)
    page.type("zebra: wing")
    page.one("#settings button").click()
    page.until(lambda: page.all("#settings input[type=number]"))
    threshold = page.all("#settings input[type=number]")[0]
    threshold.send_keys(Keys.CONTROL + "a")
    threshold.send_keys("1" + Keys.TAB)
    page.find_parts()
    page.until(lambda: "None of the parts was found" in page.one("#hint").text)
    assert not page.switches


def test_the_answer_scrolls_into_view_on_a_telephone(page):
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.pick(3)
        page.find_parts()
        script = "const box = document.querySelector('#found').getBoundingClientRect(); return [box.top, scrollX]"
        page.until(lambda: -20 < page.browser.execute_script(script)[0] < 400)
        assert page.browser.execute_script(script)[1] == 0
        assert page.browser.execute_script("return document.documentElement.scrollWidth") == 400
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_no_rule_of_accessibility_is_broken(page, width, scheme):
    if find_spec("axe_core_python") is None:
        pytest.skip("axe-core-python is not installed")
    rules = (resources.files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        page = AppPage(page.browser, page.browser.current_url)
        assert broken_rules(page, rules) == []
        page.pick(2)
        for panel in ("#where", "#settings", "#known"):
            page.one(f"{panel} button").click()
        page.choose("#other", "toy")
        page.find_parts()
        page.until(lambda: page.all("#found img.other"))
        page.one("#found .name").click()
        assert broken_rules(page, rules) == []
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def broken_rules(page, rules):
    page.browser.execute_script(rules)
    script = """const done = arguments[1];
    axe.run(document, { runOnly: arguments[0] }).then(({ violations }) => done(violations));"""
    violations = page.browser.execute_async_script(script, STANDARDS)
    return [(rule["id"], node["html"]) for rule in violations for node in rule["nodes"]]
