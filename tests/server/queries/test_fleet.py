"""Searching, ranking and counting the devices of a fleet."""

import html
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from batch_scoring.operations.actions import act, handled
from batch_scoring.server.queries.device_states import device_states
from batch_scoring.server.queries.fleet import Filter, count_heat, rank_devices
from batch_scoring.server.queries.incidents import list_incidents
from batch_scoring.server.queries.totals import newest_anomaly, read_totals
from batch_scoring.storage import open_folder
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.tables.arrow_arrays import are, strings, to_arrow
from batch_scoring.tables.schemas import DAILY
from tests.reporting.fleet_factory import START, fleet_of, prediction_rows, unscored_rows
from tests.server.sites import microseconds, site_of

DAY = 86_400_000_000
START_US = int(START.timestamp() * 1e6)


@pytest.fixture(scope="module")
def site():
    n = 4 * 288
    fleet = fleet_of(
        prediction_rows("pump-9", "flow", [1.0] * n, anomalies=[5, 6, 300], severity=2.0),
        prediction_rows("pump-10", "flow", [1.0] * n, anomalies=[5], severity=9.0),
        prediction_rows("Pump-11", "flow", [1.0] * n),
        prediction_rows("Pump-11", "power", [1.0] * n, anomalies=range(n - 12, n), severity=3.0),
        unscored=unscored_rows("new", "flow", 12, START + timedelta(days=3)),
    )
    with site_of(fleet) as made:
        yield made


@pytest.fixture(scope="module")
def totals(site):
    return read_totals(site.tables["daily_totals"])


def ranked(totals, **wanted):
    found = rank_devices(totals, Filter(**wanted))
    return [totals.names[i] for i in found.device], found


def test_totals_hold_all_days_and_the_length_of_a_window(totals):
    assert totals.names == ["Pump-11", "new", "pump-10", "pump-9"]
    assert (totals.start, totals.end) == (START_US, START_US + 4 * DAY)
    assert totals.window_us == 300_000_000
    assert not totals.is_cut


def test_earlier_days_are_left_out_of_a_large_fleet(site):
    cut = read_totals(site.tables["daily_totals"], max_rows=9)
    assert cut.is_cut
    assert cut.start == START_US + 2 * DAY
    assert read_totals(site.tables["daily_totals"], max_rows=1).start == START_US + 3 * DAY


def test_no_part_of_a_day_is_left_out_where_a_file_holds_a_month(site, tmp_path):
    rows = site.tables["daily_totals"].read()
    late = are(rows["device"], "new")  # a row of the last day
    table = RowTable(open_folder(str(tmp_path)), "day")
    month = table.commit(Change(DAILY, [[rows.filter(to_arrow(~late))]], by_month=True))
    both = month.commit(Change(DAILY, [[rows.filter(to_arrow(late))]]))
    found = read_totals(both, max_rows=1)
    assert not found.is_cut
    assert found.start == START_US


def test_the_most_anomalous_come_first_and_names_count(totals):
    assert ranked(totals)[0] == ["Pump-11", "pump-9", "pump-10", "new"]
    assert ranked(totals, order="name")[0] == ["Pump-11", "new", "pump-9", "pump-10"]


def test_a_search_finds_a_part_of_an_id_in_any_case(totals):
    assert ranked(totals, text="PUMP-1", order="name")[0] == ["Pump-11", "pump-10"]
    assert ranked(totals, text="(.*")[0] == []


def test_filters_of_sensor_ids_and_time(totals):
    assert ranked(totals, sensor="power")[0] == ["Pump-11"]
    assert ranked(totals, text="pump-10")[1].severity.tolist() == [9.0]
    assert ranked(totals, ids=strings(["pump-9"]))[0] == ["pump-9"]
    assert ranked(totals, ids=strings([]))[0] == []
    names, found = ranked(totals, start=START_US + DAY, end=START_US + 2 * DAY)
    assert names[0] == "pump-9"
    assert found.anomalies.tolist() == [1, 0, 0]
    assert found.windows.tolist() == [288, 576, 288]


def test_a_range_is_bounded_and_never_empty(totals):
    found = rank_devices(totals, Filter(start=0, end=2**60))
    assert (found.start, found.end) == (START_US, START_US + 4 * DAY)
    found = rank_devices(totals, Filter(start=2**60))
    assert found.start < found.end


@pytest.mark.parametrize("days", [1, 2, 3, 4])
def test_cells_add_up_to_the_counts_by_windows_and_by_days(site, totals, days):
    start = START_US + (4 - days) * DAY
    found = rank_devices(totals, Filter(start=start))
    heat = count_heat(totals, site.tables["predictions"], found.device, "", found.start, found.end)
    assert heat.windows.sum(axis=1).tolist() == found.windows.tolist()
    assert heat.anomalies.sum(axis=1).tolist() == found.anomalies.tolist()
    assert heat.windows.shape[1] <= 90
    assert heat.cell == (DAY if days > 3 else {1: 1_800, 2: 3_600, 3: 3_600}[days] * 1_000_000)


def test_a_zoom_counts_the_windows_of_an_hour(site, totals):
    start = START_US + 3 * DAY + 23 * 3_600_000_000
    found = rank_devices(totals, Filter(text="pump-11", start=start))
    heat = count_heat(totals, site.tables["predictions"], found.device, "power", start, start + DAY // 24)
    assert heat.windows.sum() == 12
    assert heat.anomalies.sum() == 12


def test_states_name_the_open_incident_and_what_was_not_scored(site, totals):
    states = device_states(totals, list_incidents(site.workspace(), datetime.now(UTC)))
    words = {name: states.words(i) for i, name in enumerate(totals.names)}
    assert words["Pump-11"] in ("medium", "high", "critical")
    assert words["new"] == "not scored"
    assert words["pump-9"] == ""
    assert states.named(totals, "quiet", "").to_pylist() == ["pump-10", "pump-9"]
    assert states.named(totals, "", "low").to_pylist() == ["Pump-11"]
    assert np.count_nonzero(states.mask("silent", "")) == 0


def test_an_acknowledged_incident_no_longer_ranks_its_device_first(site, totals):
    listed = list_incidents(site.workspace(), datetime.now(UTC))
    row = next(one for one in listed.rows(range(listed.incidents.num_rows)) if one["device"] == "Pump-11")
    actions = act(row, "acknowledge", "ada", datetime.now(UTC))
    after = device_states(totals, replace(listed, state=handled(listed.incidents, actions)["state"]))
    before = device_states(totals, listed)
    place = totals.names.index("Pump-11")
    assert (before.priority[place] > 0, after.priority[place]) == (True, 0)
    assert after.words(place) == "acknowledged"
    assert after.named(totals, "acknowledged", "").to_pylist() == ["Pump-11"]


def test_times_of_tests_are_those_of_the_fleet():
    assert microseconds("2026-01-05") == START_US


def test_the_newest_anomalous_day_is_found_of_the_sensor_that_is_asked_for(totals):
    names, found = ranked(totals)
    days = dict(zip(names, (found.last_day - START_US // DAY).tolist(), strict=True))
    assert days == {"Pump-11": 3, "pump-9": 1, "pump-10": 0, "new": -1 - START_US // DAY}
    asked = {name: newest_anomaly(totals, i, "flow") for i, name in enumerate(totals.names)}
    assert asked["pump-9"] == (START_US + DAY, "flow")
    assert asked["Pump-11"] == (START_US + 3 * DAY, "power")
    assert asked["new"] is None


def test_a_device_opens_where_it_was_anomalous(site):
    with site.client() as client:
        text = client.get("/").text
        for link, name in re.findall(r'<th scope="row"><a href="([^"]*)" title="([^"]*)"', text):
            assert ("from=" in link) == (name in ("pump-9", "pump-10"))
        quiet = client.get("/device", params={"id": "pump-9"}).text
        there = re.search(r'No anomaly of flow in this range; the last one was on <a href="([^"]*)"', quiet)
        text = client.get(html.unescape(there[1])).text
        assert "No anomaly" not in text
        assert "6 Jan 2026 00:00 to 7 Jan 2026 00:00" in text
