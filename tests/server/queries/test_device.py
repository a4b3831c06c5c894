"""A device's readings, windows, expected range, gaps and marks, packed for the page."""

import base64
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.server.queries.device import device_data, device_range, list_sensors
from batch_scoring.server.queries.series import thinned
from batch_scoring.server.queries.totals import read_totals
from batch_scoring.storage.row_table import Change
from batch_scoring.tables.schemas import GAPS, READINGS
from tests.reporting.fleet_factory import START, fleet_of, prediction_rows
from tests.row_tables import readings, table_at
from tests.server import sites
from tests.server.sites import calendar_of, site_of

DAY = 86_400_000_000
START_US = int(START.timestamp() * 1e6)
N = 8 * 288


def unpack(text, kind):
    return np.frombuffer(base64.b64decode(text), f"<{kind}")


@pytest.fixture(scope="module")
def site():
    rng = np.random.default_rng(3)
    calm = 10 + rng.normal(0, 0.1, N)
    calm[N - 24 : N - 12] = np.nan
    series = {"device": "a", "sensor": "flow"}
    begin, end = START + timedelta(days=7, hours=22), START + timedelta(days=7, hours=23)
    ended = {**series, "start": begin, "end": end, "state": "ended"}
    last = {**series, "start": START + timedelta(days=8), "first_start": START, "state": "last"}
    gaps = pa.Table.from_pylist([ended, last], GAPS)
    fleet = fleet_of(
        prediction_rows("a", "flow", calm, anomalies=range(N - 12, N)),
        prediction_rows("a", "power", 5 + rng.normal(0, 0.1, N)),
        prediction_rows("b", "flow", 10 + rng.normal(0, 0.1, N)),
        readings=readings(*((7 * 1440 + i, "a", "flow", float(i)) for i in range(1440))),
        gaps=gaps,
    )
    with site_of(fleet, with_models=True) as made:
        made.files["calendar"] = calendar_of(
            ("a", "flow", "2026-01-12T03:00", "2026-01-12T04:00", "new <valve>"),
            ("b", "*", "2026-01-12T03:00", "2026-01-12T04:00", "of another"),
        )
        yield made


@pytest.fixture(scope="module")
def data(site):
    end = START_US + 8 * DAY
    return device_data(site.workspace(), "a", "flow", ["power"], end - DAY, end)


@pytest.mark.slow
def test_windows_lie_on_their_times_and_gaps_are_missing(data):
    flow, power = data["series"]
    assert (flow["sensor"], power["sensor"]) == ("flow", "power")
    assert unpack(flow["t"], "f8").size == 288 - 12
    assert unpack(power["t"], "f8").tolist() == [300.0 * i for i in range(288)]
    assert data["window"] == 300.0
    assert flow["flags"] == list(range(276 - 12, 276))
    assert power["flags"] == []


def test_readings_are_of_the_sensor_in_front(data):
    assert data["n_readings"] == 1440
    assert unpack(data["readings"]["value"], "f4")[:3].tolist() == [0.0, 1.0, 2.0]


def test_the_expected_range_holds_what_is_normal(data):
    power = data["series"][1]
    lower, upper = (unpack(power["band"][name], "f4") for name in ("lower", "upper"))
    value = unpack(power["band"]["value"], "f4")
    assert ((lower < value) & (value < upper)).mean() > 0.99
    assert (upper - lower).max() < 5


def test_the_range_of_a_sensor_below_is_that_of_the_level_it_is_at(monkeypatch):
    monkeypatch.setattr(sites, "FEATURES", (*sites.FEATURES, "min", "max", "change"))
    noise = np.random.default_rng(3).normal(0, 0.1, N)
    fleet = fleet_of(
        prediction_rows("a", "flow", 10 + noise),
        prediction_rows("a", "power", 5.0 * (np.arange(N) % 41 < 20) + noise),
    )
    end = START_US + 8 * DAY
    with site_of(fleet, with_models=True) as made:
        band = device_data(made.workspace(), "a", "flow", ["power"], end - DAY, end)["series"][1]["band"]
    value, expected = (unpack(band[name], "f4") for name in ("value", "expected"))
    assert np.abs(expected - value).max() < 0.5


def test_the_week_before_lies_under_this_week(site, data):
    times = unpack(data["series"][1]["before"]["t"], "f8")
    former = site.tables["predictions"].read(["value"], START_US, START_US + DAY, ["power"], ["a"])
    assert times.tolist() == [300.0 * i for i in range(288)]
    np.testing.assert_allclose(unpack(data["series"][1]["before"]["value"], "f4"), former["value"], rtol=1e-6)


def test_marks_of_gaps_calendar_and_incidents(data):
    flow, power = data["series"]
    start = data["start"]
    assert flow["gaps"] == [[start + 22 * 3600, start + 23 * 3600, False]]
    assert flow["unjudged"] == [[start + 3 * 3600, start + 4 * 3600, "new <valve>"]]
    assert [one[:2] for one in flow["incidents"]] == [[start + 23 * 3600, start + 24 * 3600]]
    assert (power["gaps"], power["unjudged"], power["incidents"]) == ([], [], [])


def test_incidents_of_a_table_of_older_code_are_shown(site, data, tmp_path, monkeypatch):
    rows = site.tables["incidents"].latest().read().drop_columns(["shift"])
    older = table_at(tmp_path / "older", "start").commit(Change(rows.schema, [[rows]]))
    monkeypatch.setitem(site.tables, "incidents", older)
    end = START_US + 8 * DAY
    found = device_data(site.workspace(), "a", "flow", ["power"], end - DAY, end)
    assert found["series"][0]["incidents"] == data["series"][0]["incidents"]


def test_facts_name_the_champion_and_what_it_learned_from(data):
    facts = data["facts"]
    assert (facts["version"], facts["detector"], facts["scored_by"]) == ("3", "combined", ["1"])
    assert (facts["n"], facts["n_scored"]) == (276, 276)
    assert facts["calibrated"] is None


def test_a_workspace_without_models_has_no_range():
    with site_of(fleet_of(prediction_rows("a", "flow", [1.0] * 40))) as site:
        data = device_data(site.workspace(), "a", "flow", [], START_US, START_US + DAY)
    assert "lower" not in data["series"][0]["band"]
    assert data["facts"] == data["facts"] | {"version": None, "has_model": False}
    assert data["n_readings"] == 0


def test_readings_that_retention_removed_are_said(site):
    table, since = site.tables["readings"], START_US + 7 * DAY + DAY // 2
    site.tables["readings"] = table.commit(Change(READINGS, progress={"retention": since}))
    data = device_data(site.workspace(), "a", "flow", [], START_US + 7 * DAY, START_US + 8 * DAY)
    assert data["kept_since"] == since / 1e6
    later = device_data(site.workspace(), "a", "flow", [], since, START_US + 8 * DAY)
    assert later["kept_since"] is None


def test_the_worst_sensor_comes_first(site):
    totals = read_totals(site.tables["daily_totals"])
    rows = list_sensors(totals, 0, totals.start, totals.end)
    assert [(one.name, one.anomalies) for one in rows] == [("flow", 12), ("power", 0)]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(None, None, (9, 10)), (3, None, (3, 4)), (None, 5, (4, 5)), (0, 10, (0, 10)), (-90, 10, (-4, 10))],
)
def test_a_range_is_a_day_unless_asked_for_and_at_most_two_weeks(start, end, expected):
    days = [None if one is None else one * DAY for one in (start, end)]
    assert device_range(*days, 10 * DAY) == tuple(one * DAY for one in expected)


@pytest.mark.parametrize("end", [3, 5])
def test_a_range_that_ends_before_it_starts_is_refused(end):
    with pytest.raises(InputError, match="from earlier than to"):
        device_range(5 * DAY, end * DAY, 10 * DAY)


def test_thinned_readings_keep_the_extremes_in_order():
    value = np.sin(np.arange(100_000) / 50)
    value[77_777] = 9.0
    time, kept = thinned(np.arange(value.size), value, 1000)
    assert time.size <= 1000
    assert (np.diff(time) > 0).all()
    assert kept.max() == 9.0
    assert kept.min() == value.min()
