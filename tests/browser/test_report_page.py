"""The report page as a person meets it: the map, the chart and the tables, by mouse and keyboard."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.browser.report_pages import HOSTILE, report, title, write_page
from tests.reporting.fleet_factory import START, Fleet, fleet_of, prediction_rows

pytestmark = [pytest.mark.browser, pytest.mark.slow]


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


def test_short_ids_are_not_broken_beside_long_messages(browser, page_file):
    with report(browser, page_file, width=640) as page:
        heights = "them => them.map(it => it.getBoundingClientRect().height)"
        ids = page.locator("#status tbody th .cell").evaluate_all(heights)
        stages = page.locator("#status tbody td:nth-child(3) .cell").evaluate_all(heights)
        assert ids == stages


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
        listed = page.locator("#incident-list .who b").all_inner_texts()
        name = next(name for name in reversed(HOSTILE) if name in listed)
        page.fill("#incident-filter", name)
        page.locator("#incident-list summary").first.click()
        assert page.inner_text("#incident-list .who b >> nth=0") == name
        page.fill("#heat-filter", "<script>")
        assert page.locator("#heat tbody th").all_inner_texts() == [HOSTILE[0]]
        assert page.locator("script").count() == 2
        assert page.locator("img").count() == 0


def test_a_project_that_has_scored_nothing_says_so(browser, tmp_path):
    with report(browser, write_page(Fleet(), tmp_path)) as page:
        assert page.inner_text("#range").startswith("Nothing has been scored yet.")
        assert page.is_hidden("#heat")
        assert page.inner_text("#quarantine-note") == "No reading was refused."


def test_a_page_of_a_part_of_the_history_says_which(browser, tmp_path):
    later = START + timedelta(days=20)
    hours = [
        prediction_rows("a", values=[1] * 12, anomalies=[3], start=later + timedelta(hours=h))
        for h in range(9)
    ]
    fleet = fleet_of(prediction_rows("a"), *hours, is_hourly=True)
    with report(browser, write_page(fleet, tmp_path, max_rows=24)) as page:
        assert page.inner_text("#range").endswith("history since 5 Jan 2026")
        assert "Charts begin on 25 Jan 2026 07:00" in page.inner_text("#chart-note")
        assert page.inner_text("#chart-readout").startswith("25 Jan 2026, 07:00 to 09:00")
        assert page.locator("#heat tbody td").count() == 1


def test_older_refused_readings_are_counted_without_a_reason(browser, tmp_path):
    page = write_page(Fleet(), tmp_path)
    older = {"reason": "older", "count": 7} | dict.fromkeys(
        ("source", "row", "timestamp", "device", "sensor", "value")
    )
    text = page.read_text(encoding="utf-8").replace('"quarantine":[]', f'"quarantine":[{json.dumps(older)}]')
    page.write_text(text, encoding="utf-8")
    with report(browser, page) as opened:
        assert opened.inner_text("#quarantine tbody tr").split() == [
            "older",
            "7",
            "see",
            "the",
            "table",
            "quarantine",
        ]
