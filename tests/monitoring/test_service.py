"""How versions do in service, day by day, from the daily totals."""

from __future__ import annotations

import pyarrow as pa
import pytest

from batch_scoring.monitoring.service import days_of, service_days
from batch_scoring.scoring.totals import scored_totals
from tests.factories import DAY_US, START_US
from tests.predictions import draw_predictions
from tests.tables_on_disk import TableOnDisk

DAY = "." * 288


@pytest.fixture
def totals(tmp_path):
    """Three days of two sensors: a device that is calm, and one that is anomalous every other window once."""
    table = TableOnDisk(tmp_path / "daily_totals", "day")
    series = {"a": 3 * DAY, "b": DAY + 144 * "1." + DAY}
    table.replace(*(scored_totals(draw_predictions(series, one), lambda *_: True) for one in ("s", "t/u")))
    return table.load()


def figures(table):
    return {key: dict(days) for key, days in days_of(table)}


def test_a_version_has_its_figures_on_each_day(totals):
    found = figures(service_days(totals, None, None))

    assert list(found) == [("s", "1"), ("t/u", "1")]
    days = found["s", "1"]
    assert list(days) == [START_US, START_US + DAY_US, START_US + 2 * DAY_US]
    calm, wild = days[START_US], days[START_US + DAY_US]
    assert (calm["flag_rate"], calm["windows"], calm["series"]) == (0.0, 576.0, 2.0)
    assert wild["flag_rate"] == 144 / 576
    # 144 alarms in two sensor-days.
    assert wild["alarms_per_sensor_week"] == pytest.approx(144 * 7 / 2)


def test_the_budget_is_what_the_thresholds_promise(totals):
    rows = totals.read().to_pylist()
    day = START_US + DAY_US
    mine = [row for row in rows if row["sensor"] == "s" and row["day"].timestamp() * 1e6 == day]
    promised = sum(row["n_windows"] * 10 ** row["threshold"] for row in mine)

    (wild,) = (dict(days)[day] for key, days in days_of(service_days(totals, None, None)) if key[0] == "s")

    assert wild["budget_used"] == pytest.approx(144 / promised)
    assert wild["drift"] > dict(figures(service_days(totals, None, None))["s", "1"])[START_US]["drift"]


def test_only_days_of_the_range_that_are_over_count(totals):
    found = figures(service_days(totals, START_US + DAY_US, START_US + 2 * DAY_US))
    assert list(found["s", "1"]) == [START_US + DAY_US]
    half = TableOnDisk(totals.folder.root / "half", "day")
    half.replace(scored_totals(draw_predictions({"a": DAY + 144 * "."}, "s"), lambda *_: True))
    assert list(figures(service_days(half.load(), None, None))["s", "1"]) == [START_US]


def test_scores_that_are_no_tail_probabilities_have_no_budget_and_no_drift(tmp_path):
    table = TableOnDisk(tmp_path, "day")
    table.replace(scored_totals(draw_predictions({"a": DAY}, "s"), lambda *_: False))

    ((_, ((_, found),)),) = days_of(service_days(table.load(), None, None))

    assert set(found) == {"flag_rate", "alarms_per_sensor_week", "windows", "series"}


def test_without_predictions_there_are_no_days(tmp_path):
    found = service_days(TableOnDisk(tmp_path, "day").load(), None, None)
    assert isinstance(found, pa.Table)
    assert found.num_rows == 0
