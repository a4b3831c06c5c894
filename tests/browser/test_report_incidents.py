"""The list of incidents on the report page: opened, filtered, and led from to the chart."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.browser.contrast import LOW_CONTRAST
from tests.browser.report_pages import report, title, write_page
from tests.reporting.fleet_factory import START, fleet_of, prediction_rows, with_stay

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_worst_incident_opens_by_keyboard_and_leads_to_its_chart(browser, page_file):
    with report(browser, page_file) as page:
        first = page.locator("#incident-list > li").first
        device = first.locator(".who b").inner_text()
        first.locator("summary").focus()
        page.keyboard.press("Enter")
        rows = first.locator(".behind tbody tr")
        rows.first.wait_for()  # the page fills an incident when it has opened
        assert rows.first.locator(".part").count() >= 1
        sensor = rows.first.locator("th").inner_text()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")

        assert title(page) == f"{device} · {sensor}"
        assert page.evaluate("document.activeElement.id") == "chart"
        assert page.locator("#chart .incident-stripe").count() >= 1


def test_incidents_can_be_filtered_and_paged(browser, tmp_path):
    names = ["Pumpe №7/Süd", *(f"pump-{i:02}" for i in range(11))]
    hours = [timedelta(hours=5 * i) for i in range(12)]
    fleet = fleet_of(
        *(
            prediction_rows(name, anomalies=[1, 2], start=START + hour)
            for name, hour in zip(names, hours, strict=True)
        )
    )
    with report(browser, write_page(fleet, tmp_path)) as page:
        ranks = page.locator("#incident-list .rank")
        assert ranks.all_inner_texts() == [f"Rank\n{i}" for i in range(1, 11)]
        page.click("#incident-pager button:has-text('Next')")
        assert ranks.first.inner_text() == "Rank\n11"
        page.fill("#incident-filter", "süd")
        assert set(page.locator("#incident-list .who b").all_inner_texts()) == {"Pumpe №7/Süd"}
        page.fill("#incident-filter", "nobody")
        assert page.is_visible("#incidents-empty")


def test_a_line_says_what_was_measured_and_what_would_have_been_usual(browser, tmp_path):
    rows = prediction_rows("a", values=[1] * 4 + [2.5, 3.25] + [1] * 54, anomalies=[4, 5])
    with report(browser, write_page(fleet_of(rows), tmp_path)) as page:
        assert page.inner_text("#incident-list .how") == (
            "2 windows; peak severity 0.75, 5 Jan 00:20; level (mean) 2.5, expected −1 to 1"
        )


def test_what_is_open_stands_out_and_what_is_over_is_quiet(browser, tmp_path):
    calm = [1] * 60
    fleet = fleet_of(
        prediction_rows("over", values=calm, anomalies=range(20), severity=99.0),
        prediction_rows("mild", values=calm, anomalies=[58, 59]),
    )
    with report(browser, write_page(fleet, tmp_path)) as page:
        looks = {
            row.locator(".who b").inner_text(): row.evaluate(LOOK)
            for row in page.locator("#incident-list > li").all()
        }
        assert looks["mild"]["edge"] != "none"
        assert looks["over"]["edge"] == "none"
        assert looks["over"]["bar"] == looks["over"]["quiet"] != looks["mild"]["bar"]
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(LOW_CONTRAST) == []
        page.click("text=1 open now")
        assert page.locator("#incident-list .who b").all_inner_texts() == ["mild"]


def test_long_names_stay_in_their_columns_and_turned_ones_turn_nothing_else(browser, tmp_path):
    names = ("a" * 120, "photo\u202egnp.exe")
    hours = [START + timedelta(hours=5 * i) for i in range(2)]
    rows = [prediction_rows(name, anomalies=[1, 2], start=at) for name, at in zip(names, hours, strict=True)]
    with report(browser, write_page(fleet_of(*rows), tmp_path)) as page:
        beyond = "(e) => e.getBoundingClientRect().right - e.closest('th').getBoundingClientRect().right"
        assert all(cell.evaluate(beyond) <= 0 for cell in page.locator("#status tbody th button").all())
        row = page.locator("#incident-list > li", has_text="photo")
        name, mark = (row.locator(part).bounding_box() for part in (".who b", ".who .mark"))
        assert mark["x"] >= name["x"] + name["width"]


def test_the_first_incidents_are_on_the_first_screen_of_a_phone(browser, page_file):
    with report(browser, page_file, width=390, height=844) as page:
        box = page.locator("#incident-list > li >> nth=1").bounding_box()
        assert box["y"] + box["height"] < 844
        assert page.is_visible("#counts dt")


def test_a_large_severity_has_no_decimals_on_the_page(browser, tmp_path):
    rows = prediction_rows("a", values=[1] * 60, anomalies=[4, 5], severity=61.6)
    with report(browser, write_page(fleet_of(rows), tmp_path)) as page:
        assert page.inner_text("#incident-list .severity b") == "medium"
        assert "2 windows; peak severity 62" in page.inner_text("#incident-list .how")
        assert "worst severity 62" in page.inner_text("#chart-note")


def test_a_fleet_without_incidents_says_so(browser, tmp_path):
    quiet = fleet_of(prediction_rows("a"))
    with report(browser, write_page(quiet, tmp_path)) as page:
        assert page.inner_text("#incidents-note") == "No incidents."
        assert page.is_hidden("#incident-tools")
    quiet.has_incidents = False
    with report(browser, write_page(quiet, tmp_path)) as page:
        assert page.inner_text("#incidents-note").startswith("No incidents computed yet.")


def test_single_windows_are_below_the_incidents_and_lead_to_their_chart(browser, tmp_path):
    rows = prediction_rows("a", values=[1] * 60, anomalies=[4], severity=61.6)
    with report(browser, write_page(fleet_of(rows), tmp_path)) as page:
        assert page.inner_text("#incidents-note") == "No incidents."
        assert page.inner_text("#outlier-count") == "1 outlier reading: a window or two of a device"
        page.click("#outlier-count")
        row = page.locator("#outlier-table tbody tr")
        assert row.locator("td").nth(2).inner_text() == "62"
        row.locator("button").click()
        assert title(page) == "a · vibration"


# How a row looks: its edge, the colour of its bar, and the colour of a bar that says nothing.
LOOK = """(row) => {
  const probe = document.createElement("i");
  probe.style.color = "var(--edge)";
  row.append(probe);
  const quiet = getComputedStyle(probe).color;
  probe.remove();
  const edge = getComputedStyle(row.querySelector("summary")).boxShadow;
  return { edge, quiet, bar: getComputedStyle(row.querySelector(".bar > i")).backgroundColor };
}"""


def test_a_stay_shows_since_when_how_long_and_where_in_the_chart(browser, tmp_path):
    fleet = fleet_of(
        prediction_rows("a", "power", [1] * 60), **with_stay("a", "power", start=1, may_stay=2.0, until=5)
    )
    with report(browser, write_page(fleet, tmp_path)) as page:
        first = page.locator("#incident-list > li").first
        words = "for 4 h, expected up to 2 h"
        assert first.locator(".how").inner_text().partition("; open")[0] == f"stays at one level {words}"
        first.locator("summary").click()
        row = first.locator(".behind tbody tr")
        row.first.wait_for()
        shown = row.locator("th, td").all_inner_texts()
        assert shown == ["power", "since 5 Jan 2026 01:00, last 05:00 open", words]
        row.locator("button").click()

        assert title(page) == "a · power"
        assert "milder" not in first.inner_text()
        usual, beyond = (
            page.locator(f"#chart .{kind}-stripe").first.bounding_box() for kind in ("usual", "incident")
        )
        assert usual["width"] > 100
        assert usual["x"] + usual["width"] == pytest.approx(beyond["x"], abs=1)
