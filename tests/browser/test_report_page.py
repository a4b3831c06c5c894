"""The report page as a person meets it: with a mouse, a keyboard, a phone, in the dark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from batch_scoring.pipelines.report.nodes import draw_page, summarise_run
from tests.browser.browser import open_browser, open_page
from tests.pipelines.report.fleet_factory import (
    Fleet,
    gather,
    make_fleet,
    prediction_partitions,
    prediction_rows,
    status_rows,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HOSTILE = (
    "<script>alert(1)</script>",
    "Pumpe №7/Süd",
    "../../etc/x",
    "</script><img src=x onerror=alert(1)>",
    "&lt;b",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fleet = make_fleet(32, 3, names=HOSTILE)
    fleet.train_status["power"] = status_rows(
        ("pump-99", "power", "train", "too_few_readings", 3, 0, "3 windows, but at least 60 are needed"),
        ("pump-98", "power", "train", "bad_features", 300, 0, "std is not finite in 300 windows"),
    )
    return write_page(fleet, tmp_path_factory.mktemp("report"))


def write_page(fleet: Fleet, folder: Path) -> Path:
    contents = gather(fleet)
    _, text = summarise_run(contents, {})
    path = folder / "report.html"
    path.write_text(draw_page(contents, text, {}), encoding="utf-8")
    return path


@contextmanager
def report(browser: Any, path: Path, **context: Any) -> Iterator[Any]:
    with open_page(browser, path.as_uri(), reduced_motion="reduce", **context) as page:
        yield page
        assert page.complaints == []


def title(page: Any) -> str:
    return page.inner_text("#series-title")


def test_the_page_opens_without_an_error_and_asks_nobody_for_anything(browser, page_file):
    with report(browser, page_file) as page:
        assert page.requests == [page_file.as_uri()]
        assert page.inner_text("h1") == "Fleet report"
        assert page.inner_text("#range") == "5 Jan 2026 00:00 to 8 Jan 2026 00:00 UTC, 5-minute windows"
        assert page.locator("#chart svg path.value").get_attribute("d").startswith("M")


def test_a_click_on_a_cell_opens_that_device(browser, page_file):
    with report(browser, page_file) as page:
        row = page.locator("#heat tbody tr").nth(4)
        row.locator("td").nth(10).click()

        assert title(page).startswith(row.locator("th").inner_text())
        assert page.evaluate("document.activeElement.id") == "chart"
        assert page.locator("#chart .cell").count() == 1


def test_the_keyboard_moves_through_the_map_and_opens_a_device(browser, page_file):
    with report(browser, page_file) as page:
        page.focus("#heat td[tabindex='0']")
        for key in ("ArrowDown", "ArrowDown", "ArrowRight", "End", "ArrowLeft", "ArrowUp"):
            page.keyboard.press(key)
        name = page.locator("#heat tbody tr").nth(1).locator("th").inner_text()
        label = page.evaluate("document.activeElement.ariaLabel")

        assert label.startswith(f"{name}, 7 Jan 2026, 22:00 to 23:00")
        assert page.inner_text("#heat-readout") == label
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        assert page.locator("#heat td[tabindex='0']").count() == 1
        page.keyboard.press("Enter")
        assert title(page).startswith(f"{name} · ")


def test_page_down_shows_the_other_devices(browser, page_file):
    with report(browser, page_file) as page:
        first = page.inner_text("#heat tbody th >> nth=0")
        page.focus("#heat td[tabindex='0']")
        page.keyboard.press("PageDown")

        assert page.inner_text("#heat-pager span") == "2 of 2"
        assert page.inner_text("#heat tbody th >> nth=0") != first


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


def test_choosing_a_device_and_a_sensor_changes_the_chart(browser, page_file):
    with report(browser, page_file) as page:
        page.select_option("#chart-device", label="Pumpe №7/Süd")
        page.select_option("#chart-sensor", label="pressure")
        assert title(page) == "Pumpe №7/Süd · pressure"
        line = page.locator("#chart path.value").get_attribute("d")
        page.select_option("#chart-sensor", label="power")
        assert page.locator("#chart path.value").get_attribute("d") != line


def test_the_chart_is_read_and_zoomed_by_keyboard(browser, page_file):
    with report(browser, page_file) as page:
        page.focus("#chart")
        page.keyboard.press("n")
        words = page.inner_text("#chart-readout")
        assert "UTC: value " in words
        assert "Anomaly, severity " in words
        page.keyboard.press("ArrowRight")
        assert page.inner_text("#chart-readout") != words
        page.keyboard.press("+")
        assert page.is_enabled("[data-zoom='out']")
        page.keyboard.press("Escape")
        assert page.is_disabled("[data-zoom='out']")


def test_dragging_over_the_chart_zooms_into_that_part(browser, page_file):
    with report(browser, page_file) as page:
        page.locator("#chart").scroll_into_view_if_needed()
        box = page.locator("#chart").bounding_box()
        page.mouse.move(box["x"] + 300, box["y"] + 100)
        page.mouse.down()
        page.mouse.move(box["x"] + 500, box["y"] + 120, steps=4)
        page.mouse.up()
        assert page.is_enabled("[data-zoom='all']")
        page.click("[data-zoom='all']")
        assert page.is_disabled("[data-zoom='all']")


def test_an_anomaly_chosen_in_the_table_is_shown_in_the_chart(browser, page_file):
    with report(browser, page_file) as page:
        page.click("#anomaly-details summary")
        row = page.locator("#anomalies tbody tr").first
        value = row.locator("td").first.inner_text()
        row.locator("button").click()
        assert f"value {value}, score" in page.inner_text("#chart-readout")


def test_the_status_table_can_be_filtered_and_sorted(browser, page_file):
    with report(browser, page_file) as page:
        devices = page.locator("#status tbody th")
        assert devices.all_inner_texts()[:2] == ["pump-98", "pump-99"]
        page.fill("#status-filter", "at least 60")
        assert devices.all_inner_texts() == ["pump-99"]
        assert page.inner_text("#status-note").startswith("1 of ")
        page.fill("#status-filter", "")
        page.select_option("#status-choice", label="bad_features")
        assert devices.all_inner_texts() == ["pump-98"]
        page.select_option("#status-choice", label="any")
        page.click("#status thead button:has-text('Anomalies')")
        page.wait_for_selector("#status th[aria-sort='descending']:has-text('Anomalies')")
        counts = [int(text) for text in page.locator("#status tbody tr td:nth-child(6)").all_inner_texts()]
        assert counts == sorted(counts, reverse=True)
        assert counts[0] > 0


def test_the_map_can_be_filtered_by_device_and_sensor(browser, page_file):
    with report(browser, page_file) as page:
        page.fill("#heat-filter", "süd")
        assert page.locator("#heat tbody th").all_inner_texts() == ["Pumpe №7/Süd"]
        everything = page.locator("#heat tbody td").nth(2).get_attribute("aria-label")
        page.select_option("#heat-sensor", label="power")
        assert page.locator("#heat tbody td").nth(2).get_attribute("aria-label") != everything
        page.fill("#heat-filter", "nobody")
        assert page.is_visible("#heat-empty")


def test_hostile_ids_are_shown_as_text(browser, page_file):
    with report(browser, page_file) as page:
        page.on("dialog", lambda dialog: page.complaints.append(dialog.message))
        for name in HOSTILE:
            page.select_option("#chart-device", label=name)
            assert title(page).startswith(f"{name} · ")
        page.fill("#incident-filter", HOSTILE[3])
        page.locator("#incident-list summary").first.click()
        assert page.inner_text("#incident-list .who b >> nth=0") == HOSTILE[3]
        page.fill("#heat-filter", "<script>")
        assert page.locator("#heat tbody th").all_inner_texts() == [HOSTILE[0]]
        assert page.locator("script").count() == 2
        assert page.locator("img").count() == 0


def test_the_worst_incident_opens_by_keyboard_and_leads_to_its_chart(browser, page_file):
    with report(browser, page_file) as page:
        first = page.locator("#incident-list > li").first
        device = first.locator(".who b").inner_text()
        first.locator("summary").focus()
        page.keyboard.press("Enter")
        rows = first.locator(".behind tbody tr")
        assert rows.count() >= 1
        assert rows.first.locator(".part").count() >= 1
        sensor = rows.first.locator("th").inner_text()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")

        assert title(page) == f"{device} · {sensor}"
        assert page.evaluate("document.activeElement.id") == "chart"
        assert page.locator("#chart .incident-stripe").count() >= 1


def test_incidents_can_be_filtered_and_paged(browser, page_file):
    with report(browser, page_file) as page:
        ranks = page.locator("#incident-list .rank")
        assert ranks.all_inner_texts() == [f"Rank\n{i}" for i in range(1, 11)]
        page.click("#incident-pager button:has-text('Next')")
        assert ranks.first.inner_text() == "Rank\n11"
        page.fill("#incident-filter", "süd")
        assert set(page.locator("#incident-list .who b").all_inner_texts()) == {"Pumpe №7/Süd"}
        page.fill("#incident-filter", "nobody")
        assert page.is_visible("#incidents-empty")


def test_a_severity_has_no_upper_end_on_the_page(browser, tmp_path):
    rows = prediction_rows("a", values=[1] * 60, anomalies=[4], severity=61.6)
    with report(browser, write_page(Fleet(predictions=prediction_partitions(rows)), tmp_path)) as page:
        assert page.inner_text("#incident-list .severity b") == "62"
        assert "worst severity 62" in page.inner_text("#chart-note")


def test_a_fleet_without_incidents_says_so(browser, tmp_path):
    quiet = Fleet(predictions=prediction_partitions(prediction_rows("a")))
    with report(browser, write_page(quiet, tmp_path)) as page:
        assert page.inner_text("#incidents-note") == "No incidents: nothing to work through."
        assert page.is_hidden("#incident-tools")
    quiet.has_incidents = False
    with report(browser, write_page(quiet, tmp_path)) as page:
        assert page.inner_text("#incidents-note").startswith("Nobody has looked for incidents yet.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_the_page_without_scrolling_sideways(browser, page_file, scheme):
    with report(browser, page_file, width=360, height=740, color_scheme=scheme) as page:
        widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert widths[0] <= widths[1]
        page.locator("#incident-list summary").first.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= widths[1]
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


def test_a_project_that_has_scored_nothing_says_so(browser, tmp_path):
    with report(browser, write_page(Fleet(), tmp_path)) as page:
        assert page.inner_text("#range").startswith("Nothing has been scored yet.")
        assert page.is_hidden("#heat")
        assert page.inner_text("#quarantine-note") == "No reading was refused."


def test_without_scripts_the_summary_is_there(browser, page_file):
    with report(browser, page_file, java_script_enabled=False) as page:
        assert "Where to look next" in page.inner_text("noscript pre")
