"""The report page for everybody: by keyboard, on a phone, in the dark, read out, without scripts."""

from __future__ import annotations

import pytest

from tests.browser.report_pages import report

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_tab_reaches_every_control_in_the_order_of_the_page(browser, page_file):
    with report(browser, page_file) as page:
        seen = []
        for _ in range(30):
            page.keyboard.press("Tab")
            seen.append(page.evaluate(FOCUSED))

    wanted = [
        "skip",
        "theme",
        "incident-filter",
        "incident-state",
        "heat-sensor",
        "heat-filter",
        "heat-order",
        "chart-device",
        "chart-sensor",
        "chart",
    ]
    assert [name for name in seen if name in wanted] == wanted


def test_a_phone_shows_the_page_without_scrolling_sideways(browser, page_file):
    with report(browser, page_file, width=360, height=740) as page:
        widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert widths[0] <= widths[1]
        page.locator("#incident-list summary").first.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= widths[1]
        # Nor has the table of statuses to be moved: what went wrong is read below its device.
        scroller = page.locator(".scroller:has(#status)")
        table = scroller.evaluate("it => [it.scrollWidth, it.clientWidth]")
        assert table[0] <= table[1]
        page.locator("#heat td").last.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= widths[1]


def test_dark_follows_the_system_and_the_button(browser, page_file):
    paper = "getComputedStyle(document.body).backgroundColor"
    with report(browser, page_file, color_scheme="dark") as page:
        dark = page.evaluate(paper)
        page.click("#theme")
        light = page.evaluate(paper)
        assert page.inner_text("#theme-name") == "Dark"
        page.click("#theme")
        assert page.evaluate(paper) == dark != light
    with report(browser, page_file, color_scheme="light") as page:
        assert page.evaluate(paper) == light


def test_paper_is_printed_dark_on_light(browser, page_file):
    ink = "getComputedStyle(document.body).color"
    with report(browser, page_file, color_scheme="light") as page:
        light = page.evaluate(ink)
        page.click("#theme")
        assert page.evaluate(ink) != light
        page.emulate_media(media="print")
        assert page.evaluate(ink) == light
        assert page.locator(".pager button:visible").count() == 0
        assert page.locator(".pager span:visible").count() > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_enough(browser, page_file, scheme):
    with report(browser, page_file, color_scheme=scheme) as page:
        page.locator("#incident-list summary").first.click()
        worst = page.evaluate(CONTRAST)
    assert worst["ratio"] >= 4.5, worst


# The lowest contrast of any visible text with the first opaque background behind it (WCAG 2.2, 1.4.3).
CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const unread = ":disabled, .unseen, .skip, script, noscript";
  let worst = { ratio: 99 };
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest(unread)) continue;
    const style = getComputedStyle(element);
    let behind = element;
    while (behind && rgb(getComputedStyle(behind).backgroundColor)[3] < 255) behind = behind.parentElement;
    const ink = light(rgb(element instanceof SVGElement ? style.fill : style.color));
    const paper = light(rgb(getComputedStyle(behind ?? document.body).backgroundColor));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (ratio < worst.ratio) worst = { ratio, text: element.textContent.trim().slice(0, 40) };
  }
  return worst;
}"""


NAMELESS = """() => [...document.querySelectorAll("button, select, input")]
  .filter((e) => !(e.ariaLabel || e.labels?.length || (e.tagName === "BUTTON" && e.textContent.trim())))
  .map((e) => e.outerHTML)"""


HEADLESS = """() => [...document.querySelectorAll("table")]
  .filter((table) => table.rows.length && !table.querySelector("thead th[scope]")).map((table) => table.id)"""


FOCUSED = "(({ id, className, tagName }) => id || className || tagName)(document.activeElement)"


def test_every_control_has_a_name_and_every_table_its_headers(browser, page_file):
    with report(browser, page_file) as page:
        page.locator("#incident-list summary").first.click()
        nameless, headless = page.evaluate(NAMELESS), page.evaluate(HEADLESS)
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert nameless == []
    assert headless == []
    assert len(ids) == len(set(ids))


def test_nothing_jumps_when_a_cell_or_a_window_is_read_out(browser, page_file):
    with report(browser, page_file) as page:
        before = page.evaluate("document.documentElement.scrollHeight")
        page.hover("#heat tbody td >> nth=5")
        page.hover("#chart")
        assert page.evaluate("document.documentElement.scrollHeight") == before


def test_without_scripts_the_summary_is_there(browser, page_file):
    with report(browser, page_file, java_script_enabled=False) as page:
        assert "Where to look next" in page.inner_text("noscript pre")
