"""The served pages as a person on shift meets them, in a real browser."""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pytest
import uvicorn

from batch_scoring.server.access import decide_access
from tests.browser.browser import keep_screenshot, open_page
from tests.browser.contrast import FOCUS, LOW_CONTRAST
from tests.reporting.fleet_factory import Fleet, prediction_rows
from tests.row_tables import readings
from tests.server.sites import site_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]

N_PUMPS, N_WINDOWS = 5_000, 6
FOUND = "pump-4321"
N_OF_FOUND = 288
FLAGGED = range(N_OF_FOUND - 20, N_OF_FOUND)


@pytest.fixture(scope="module")
def site():
    """5,000 pumps; one of them has a day of readings and an open incident led by its spread."""
    calm = 10 + np.random.default_rng(1).normal(0, 0.1, N_OF_FOUND)
    own = prediction_rows(FOUND, "flow", calm, anomalies=FLAGGED, severity=4.0)
    place = own.schema.get_field_index("top_feature")
    own = own.set_column(place, own.schema.field(place), pa.array(["std"] * own.num_rows))
    sister = prediction_rows(FOUND, "power", calm / 2)
    some = prediction_rows("x", "flow", [1.0] * N_WINDOWS)
    names = [f"pump-{n}" for n in range(1, N_PUMPS + 1) if f"pump-{n}" != FOUND]
    every = pa.concat_tables([some] * len(names)).set_column(
        some.schema.get_field_index("device"), "device", pa.array(np.repeat(names, N_WINDOWS))
    )
    rows = readings(*((minute, FOUND, "flow", 10 + (minute % 9) / 9) for minute in range(1440)))
    with site_of(Fleet(pa.concat_tables([own, sister, every]), readings=rows), with_models=[FOUND]) as made:
        yield made


@contextmanager
def served(site, token=""):
    """The application on a free port; its address."""
    access = decide_access("127.0.0.1", token, user="Ada")
    config = uvicorn.Config(site.app(access), port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
        assert thread.is_alive()
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def address(site):
    with served(site) as found:
        yield found


READOUT = "document.getElementById('panels-readout').textContent"


def open_incident(page):
    page.goto(re.match(r"http://[^/]+", page.url)[0] + "/incidents?state=any&q=" + FOUND)
    page.click("#main .list a")
    page.wait_for_selector("#state")


def state_of(page):
    return page.inner_text("#state")


def test_one_pump_of_5000_is_found_by_typing_and_opened(browser, address):
    with open_page(browser, address) as page:
        assert page.inner_text("#results-title") == "5,000 devices"
        page.type("#q", "4321", delay=20)
        page.wait_for_function("() => document.querySelectorAll('#heat tbody tr').length === 1")
        assert page.url.endswith("?q=4321&order=worst&range=14d")
        page.click(f"text={FOUND}")

        page.wait_for_selector("#panels path.value", state="attached")
        assert page.inner_text("h1").startswith(FOUND)
        assert page.locator("#panels path.raw").get_attribute("d").startswith("M")
        assert page.locator("#panels path.band").first.get_attribute("d").startswith("M")
        assert "leads: spread (std)" in page.locator("#panels").inner_text()
        assert page.locator("#panels circle.dot").count() >= len(FLAGGED)
        assert page.complaints == []
        keep_screenshot(page, "served_device")


def test_the_charts_are_read_and_zoomed_by_keyboard(browser, address):
    with open_page(browser, f"{address}/device?id={FOUND}") as page:
        page.focus("#panels")
        page.keyboard.press("n")
        text = page.inner_text("#panels-readout")
        assert "Anomaly, severity 4.0; furthest from normal: spread (std)" in text
        assert "expected" in text
        page.keyboard.press("ArrowRight")
        assert page.inner_text("#panels-readout") != text
        whole = page.locator("#panels path.value").first.get_attribute("d")
        page.keyboard.press("+")
        assert page.locator("#panels path.value").first.get_attribute("d") != whole
        page.keyboard.press("Escape")
        assert page.locator("#panels path.value").first.get_attribute("d") == whole


def test_a_zoom_outlives_a_reload_and_goes_with_the_link(browser, address):
    with open_page(browser, f"{address}/device?id={FOUND}") as page:
        page.click("[data-zoom=in]")
        page.wait_for_url("**#zoom=2026-01-05T06:00:00Z/2026-01-05T18:00:00Z")
        path = page.locator("#panels path.value").first.get_attribute("d")
        page.reload()
        page.wait_for_selector("#panels path.value", state="attached")
        assert page.locator("#panels path.value").first.get_attribute("d") == path
        page.click(".tabs a >> text=power")
        page.wait_for_url("**sensor=power#zoom=2026-01-05T06:00:00Z/2026-01-05T18:00:00Z")
        page.click("[data-zoom=all]")
        page.wait_for_url(re.compile("sensor=power$"))


def test_a_finger_reads_a_value_and_it_stays(browser, address):
    link = f"{address}/device?id={FOUND}"
    with open_page(browser, link, width=390, has_touch=True, is_mobile=True) as page:
        assert "Tap the charts" in page.inner_text("#panels-readout")
        assert "Keys:" not in page.inner_text("#panel-keys")
        page.locator("#panels").tap()
        page.wait_for_function(f"() => {READOUT}.includes('score')")
        assert page.locator("#panels line.cursor").count() == 1


def test_the_map_moves_by_keyboard_and_opens_a_device_at_a_time(browser, address):
    with open_page(browser, f"{address}/?q=432&range=1d") as page:
        page.focus("#heat td[tabindex='0']")
        for key in ("ArrowDown", "ArrowUp", "Home", "ArrowRight"):
            page.keyboard.press(key)
        label = page.evaluate("document.activeElement.ariaLabel")
        assert label.startswith(f"{FOUND}, 5 Jan 2026, 00:30 to 01:00: 0 of ")
        assert page.inner_text("#heat-readout") == label
        page.keyboard.press("Shift+Enter")
        page.wait_for_url("**from=2026-01-05T00%3A30%3A00Z**")
        page.click("#zoom-out")
        page.wait_for_selector("#heat")
        page.focus("#heat td[tabindex='0']")
        page.keyboard.press("Enter")
        page.wait_for_selector("#panels path.value", state="attached")
        assert page.complaints == []


def test_an_incident_is_acknowledged_commented_silenced_and_all_is_undone(browser, site, address):
    with open_page(browser, address) as page:
        open_incident(page)
        page.fill("#comment", "on my way")
        page.click("text=Acknowledge")
        page.wait_for_selector("#done")
        assert state_of(page) == "acknowledged"
        assert "Ada acknowledged" in page.inner_text("#trail")
        assert "done=" not in page.url
        page.click("#done button")
        page.wait_for_selector("text=taken back")
        assert state_of(page) == "open"

        page.fill("#comment", "the valve was replaced <today>")
        page.click("button[value=comment]")
        page.wait_for_selector("text=The comment is kept.")
        assert "<today>" in page.inner_text("#trail li >> nth=0")

        page.click("#silence-form button")
        page.wait_for_selector("text=Silenced.")
        assert state_of(page) == "silenced"
        page.click("#done button")
        page.wait_for_selector("text=The silence is revoked.")
        assert state_of(page) == "open"
        assert page.complaints == []
        keep_screenshot(page, "served_incident")
    assert site.tables["silences"].latest().num_rows == 2


# Somebody else has acted at the moment at which this person sends a form.
MEANWHILE = """() => {
  window.fetch = async () => new Response("another-one");
  const look = () => document.dispatchEvent(new Event("visibilitychange"));
  document.addEventListener("submit", () => setTimeout(look));
}"""


def test_what_was_done_is_said_though_the_fleet_changes_meanwhile(browser, address):
    with open_page(browser, address) as page:
        open_incident(page)
        page.evaluate(MEANWHILE)
        page.click("#silence-form button")
        page.wait_for_selector("text=Silenced.")
        page.click("#done button")
        page.wait_for_selector("text=The silence is revoked.")


def test_the_link_of_an_alert_opens_that_incident(browser, site, address):
    rows = site.tables["device_incidents"].read(["incident_id", "device"]).to_pylist()
    (name,) = [row["incident_id"] for row in rows if row["device"] == FOUND]
    with open_page(browser, f"{address}/incidents/{name}") as page:
        assert page.inner_text("h1").startswith(FOUND)
        page.click("#chart-link")
        page.wait_for_selector("#panels path.value", state="attached")


def test_two_people_see_what_the_other_does(browser, address):
    with open_page(browser, address) as ada, open_page(browser, address) as grace:
        open_incident(ada)
        open_incident(grace)
        grace.fill("#main input[name=who] >> nth=0", "Grace")
        grace.click("button[value=acknowledge]")
        grace.wait_for_selector("#done")

        ada.wait_for_selector("text=Grace acknowledged", timeout=60_000)
        assert state_of(ada) == "acknowledged"
        assert ada.inner_text("#news") == "Updated. Somebody has acted on an incident or a silence."
        ada.click("button[value=unacknowledge]")
        grace.wait_for_selector("text=Ada took back the acknowledgement", timeout=60_000)


def test_a_new_run_is_noticed(browser, site, address):
    with open_page(browser, f"{address}/?q=pump-77&order=name") as page:
        assert page.locator("text=pump-77777").count() == 0
        rows = site.tables["daily_totals"].read(devices=["pump-77"])
        place = rows.schema.get_field_index("device")
        site.write("daily_totals", rows.set_column(place, "device", pa.array(["pump-77777"] * rows.num_rows)))
        page.wait_for_selector("text=pump-77777", timeout=60_000)
        assert page.inner_text("#news") == "Updated. A run has committed."
        assert page.url.endswith("?q=pump-77&order=name")


def test_a_person_who_is_writing_is_not_disturbed(browser, site, address):
    with open_page(browser, address) as page:
        open_incident(page)
        page.fill("#comment", "half a sen")
        site.write("readings", readings((5_000, FOUND, "flow", 1.0)))
        page.wait_for_selector("#news button", timeout=60_000)
        assert page.input_value("#comment") == "half a sen"


def test_a_link_from_elsewhere_finds_a_person_who_has_signed_in(browser, site):
    token = "0123456789abcdef"
    with served(site, token) as address, open_page(browser, address) as page:
        page.fill("input[name=token]", token)
        page.click("#sign-in button")
        page.wait_for_selector("#heat")
        page.goto("about:blank")
        page.set_content(f'<a href="{address}/incidents?state=any">an alert</a>')
        page.click("a")
        page.wait_for_selector("#list-title", timeout=60_000)
        assert page.url.endswith("/incidents?state=any")


VIEWS = ("/", f"/device?id={FOUND}", "/incidents?state=any", "/incidents/silences", "/models", "/jobs")


def test_every_view_fits_a_phone_and_has_landmarks_and_names(browser, address):
    for number, path in enumerate(VIEWS):
        with open_page(browser, address + path, width=390, reduced_motion="reduce") as page:
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            assert [page.locator(name).count() for name in ("main", "header", "h1", "footer")] == [1] * 4, (
                path
            )
            assert page.evaluate(UNNAMED) == [], path
            assert page.evaluate(CUT) == [], path
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                assert page.evaluate(LOW_CONTRAST) == [], (path, scheme)
                keep_screenshot(page, f"served_{number}_{scheme}")
            assert page.complaints == [], path


def test_the_first_incident_is_on_the_first_screen_of_a_phone(browser, address):
    with open_page(browser, address + "/incidents?state=any", width=390, height=844) as page:
        box = page.locator("#main .list > li").first.bounding_box()
        assert box["y"] + box["height"] < 700
        page.select_option("#incident-filters [name=level]", "critical")
        page.wait_for_url("**level=critical**")


def test_a_text_without_contrast_is_found(browser, address):
    with open_page(browser, address) as page:
        page.evaluate("document.querySelector('h1').style.color = 'rgb(200 200 200 / 60%)'")
        assert [found[:2] for found in page.evaluate(LOW_CONTRAST)] == [["H1", "Fleet"]]


def test_the_tab_key_goes_through_every_view_and_is_seen(browser, address):
    for path in VIEWS:
        with open_page(browser, address + path, width=390) as page:
            seen = []
            while len(seen) < 100:
                page.keyboard.press("Tab")
                name, is_seen = page.evaluate(FOCUS)
                if name.startswith("BODY"):
                    break
                seen.append(name)
                assert is_seen, (path, name)
            assert len(seen) > 5, path


# Fields, buttons and links that a screen reader could not name.
UNNAMED = """() => [...document.querySelectorAll(
  "input:not([type=hidden]), select, textarea, button, a[href]"
)].filter(
  (e) => !(e.labels?.length || e.textContent.trim() || e.ariaLabel || e.title)
).map((e) => e.outerHTML)"""

# Tables, but for the map, that a phone shows in part only.
CUT = """() => [...document.querySelectorAll(".scroller:not(#heat-scroller)")].filter(
  (e) => e.scrollWidth > e.clientWidth
).map((e) => e.innerText)"""
