from datetime import timedelta

import pyarrow as pa
import pytest

from batch_scoring.core.ids import Selection
from batch_scoring.reporting.fleet_view import EVERYTHING, view_fleet
from batch_scoring.reporting.statuses import find_not_scored, sum_quarantine, sum_statuses
from batch_scoring.reporting.summary import summarise, write_summary
from batch_scoring.storage.row_table import Change
from batch_scoring.tables.schemas import CALIBRATIONS, QUARANTINE
from tests.reporting.fleet_factory import (
    START,
    Fleet,
    fleet_of,
    gather,
    prediction_rows,
    quarantine_rows,
    status_rows,
    tables_of,
    unscored_rows,
)

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)


def statuses_of(fleet: Fleet, selection: Selection = EVERYTHING) -> list[dict]:
    with tables_of(fleet) as tables:
        view = view_fleet(tables["daily_totals"], 14 * DAY, selection)
        return sum_statuses(tables["train_status"], view.totals, selection).to_pylist()


def quarantine_of(*tables: pa.Table, selection: Selection = EVERYTHING, max_rows: int = 100) -> list[dict]:
    with tables_of(Fleet()) as stored:
        quarantine = stored["quarantine"]
        for table in tables:
            quarantine = quarantine.commit(Change(QUARANTINE, [[table]]))
        return sum_quarantine(quarantine, max_rows, selection).to_pylist()


def test_the_days_of_a_series_are_added_up():
    days = [prediction_rows("a", "p", anomalies=[0], start=START + i * DAY) for i in range(3)]

    assert statuses_of(fleet_of(*days)) == [
        {
            "device": "a",
            "sensor": "p",
            "stage": "score",
            "status": "ok",
            "n_parts": 3,
            "n_windows": 9,
            "n_anomalies": 3,
            "message": "",
        }
    ]


def test_what_is_not_ok_comes_first_and_says_what_was_not_scored():
    unscored = [
        unscored_rows("z", "p", 2),
        unscored_rows("z", "p", 1000, START + DAY),
        unscored_rows("a", "p", 1, has_model=True),
    ]
    rows = statuses_of(fleet_of(prediction_rows("a", "p"), unscored=pa.concat_tables(unscored)))

    assert [(row["device"], row["status"], row["n_parts"], row["message"]) for row in rows] == [
        ("a", "bad_features", 1, "1 window not scored, of a feature that is not finite"),
        ("z", "no_model", 5, "1,002 windows, but no model of this device; train it"),
        ("a", "ok", 1, ""),
    ]


def test_a_series_that_was_not_scored_names_why_it_has_no_model():
    train = status_rows(
        ("z", "p", "train", "too_few_readings", 3, 0, "3 windows"), ("a", "p", "train", "ok", 9, 0, "")
    )
    fleet = fleet_of(prediction_rows("a", "p"), train_status=train, unscored=unscored_rows("z", "p", 3))

    assert gather(fleet).not_scored.to_pylist() == [
        {"device": "z", "sensor": "p", "stage": "train", "status": "too_few_readings", "message": "3 windows"}
    ]


def test_the_status_of_a_series_names_the_day_of_its_newest_calibration_and_so_does_the_summary():
    days = [START + n * DAY for n in range(3)]
    learned = [("a", 0, 5), ("a", 2, 9), ("a", 1, 7), ("b", 2, 0)]
    rows = [
        {
            "day": days[day],
            "device": d,
            "sensor": "p",
            "model_version": "1",
            "n_windows": n,
            "curve": [1.0] * 5,
        }
        for d, day, n in learned
    ]
    train = status_rows(*((d, "p", "train", "ok", 9, 0, "") for d in "ab"))
    fleet = fleet_of(*(prediction_rows(d, "p", start=day) for d in "abc" for day in days), train_status=train)
    fleet.calibrations = pa.Table.from_pylist(rows, CALIBRATIONS)
    contents = gather(fleet)

    found = {(r["device"], r["stage"]): r["calibrated"] for r in contents.statuses.to_pylist()}
    none = dict.fromkeys([("a", "train"), ("b", "train"), ("b", "score"), ("c", "score")], "")
    assert found == {("a", "score"): "2026-01-07", **none}
    summary = summarise(contents, "data")
    assert summary["calibrated"] == {"series": 1, "day": "2026-01-07"}
    assert "1 series recalibrated, last on 2026-01-07" in write_summary(summary)
    assert summarise(gather(fleet_of(prediction_rows("a"))), "data")["calibrated"] is None


def test_a_series_that_was_scored_on_other_days_is_not_missing():
    fleet = fleet_of(prediction_rows("a", "p"), unscored=unscored_rows("a", "p", 3, START + DAY))

    assert gather(fleet).not_scored.num_rows == 0


def test_without_any_status_the_table_is_empty():
    contents = gather(Fleet())

    assert contents.statuses.num_rows == 0
    assert find_not_scored(contents.statuses, contents.view.series).num_rows == 0


def test_the_selection_holds_for_statuses_and_quarantine():
    train = status_rows(("a", "p", "train", "ok", 9, 0, ""), ("b", "p", "train", "ok", 9, 0, ""))
    fleet = fleet_of(*(prediction_rows(d, "p") for d in "ab"), train_status=train)

    assert [row["device"] for row in statuses_of(fleet, Selection.read("b", None))] == ["b", "b"]
    assert statuses_of(fleet, Selection.read(None, "q")) == []
    assert quarantine_of(quarantine_rows("duplicate"), selection=Selection.read("b", None)) == []
    assert quarantine_of(quarantine_rows("duplicate"), selection=Selection.read("a", None))[0]["count"] == 1


def test_quarantine_is_counted_by_reason_most_frequent_first_with_the_first_example():
    rows = quarantine_of(
        quarantine_rows("missing", "duplicate", source="1.csv"), quarantine_rows("duplicate", source="2.csv")
    )

    assert [(r["reason"], r["count"], r["source"], r["row"]) for r in rows] == [
        ("duplicate", 2, "1.csv", 1),
        ("missing", 1, "1.csv", 0),
    ]


def test_of_a_large_quarantine_the_last_sources_are_counted_by_reason_and_the_others_only_counted():
    tables = [quarantine_rows(*["missing", "duplicate"][: i + 1], source=f"{i}.csv") for i in (2, 0, 1)]

    assert [(r["reason"], r["count"], r["source"]) for r in quarantine_of(*tables, max_rows=4)] == [
        ("duplicate", 2, "1.csv"),
        ("missing", 2, "1.csv"),
        ("older", 1, None),
    ]
    # At least one file is counted, however large it is.
    assert [(r["reason"], r["count"]) for r in quarantine_of(*tables, max_rows=1)] == [
        ("older", 3),
        ("duplicate", 1),
        ("missing", 1),
    ]


def test_an_empty_quarantine_has_no_reasons():
    assert quarantine_of() == []
