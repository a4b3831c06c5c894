from batch_scoring.core.ids import Selection
from batch_scoring.reporting.fleet_view import view_fleet
from batch_scoring.reporting.statuses import find_not_scored, sum_quarantine, sum_statuses
from tests.reporting.fleet_factory import (
    loaders,
    prediction_partitions,
    prediction_rows,
    quarantine_rows,
    status_rows,
)

OK = ("a", "p", "score", "ok", 288, 2, "")


def test_the_days_of_a_series_are_added_up():
    days = {f"p/2026-01-0{i}": status_rows(OK) for i in (5, 6, 7)}

    assert sum_statuses({}, loaders(days)).to_pylist() == [
        {
            "device": "a",
            "sensor": "p",
            "stage": "score",
            "status": "ok",
            "n_parts": 3,
            "n_windows": 864,
            "n_anomalies": 6,
            "message": "",
        }
    ]


def test_what_is_not_ok_comes_first_with_its_newest_message():
    days = {
        "p/2026-01-05": status_rows(OK, ("z", "p", "score", "no_model", 288, 0, "old")),
        "p/2026-01-06": status_rows(OK, ("z", "p", "score", "no_model", 288, 0, "new")),
    }
    rows = sum_statuses({}, loaders(days)).to_pylist()

    assert [(row["device"], row["message"]) for row in rows] == [("z", "new"), ("a", "")]


def test_a_series_that_was_not_scored_names_why_it_has_no_model():
    train = {
        "p": status_rows(
            ("z", "p", "train", "too_few_readings", 3, 0, "3 windows"), ("a", "p", "train", "ok", 9, 0, "")
        )
    }
    score = {"p/2026-01-05": status_rows(OK, ("z", "p", "score", "no_model", 288, 0, "no model"))}
    view = view_fleet(loaders(prediction_partitions(prediction_rows("a", "p"))))

    missing = find_not_scored(sum_statuses(loaders(train), loaders(score)), view.series)

    assert missing.to_pylist() == [
        {"device": "z", "sensor": "p", "stage": "train", "status": "too_few_readings", "message": "3 windows"}
    ]


def test_a_series_that_was_scored_on_other_days_is_not_missing():
    score = {"p/2026-01-05": status_rows(("a", "p", "score", "no_model", 288, 0, "not yet"))}
    view = view_fleet(loaders(prediction_partitions(prediction_rows("a", "p"))))

    assert find_not_scored(sum_statuses({}, loaders(score)), view.series).num_rows == 0


def test_without_any_status_the_table_is_empty():
    statuses = sum_statuses({}, {})

    assert statuses.num_rows == 0
    assert find_not_scored(statuses, view_fleet({}).series).num_rows == 0


def test_the_selection_holds_for_statuses_and_quarantine():
    score = loaders({"p/2026-01-05": status_rows(OK, ("b", "p", "score", "ok", 1, 0, ""))})

    assert sum_statuses({}, score, Selection.read("b", None))["device"].to_pylist() == ["b"]
    assert sum_statuses({}, score, Selection.read(None, "q")).num_rows == 0
    assert (
        sum_quarantine(loaders({"x": quarantine_rows("duplicate")}), Selection.read("b", None)).num_rows == 0
    )


def test_quarantine_is_counted_by_reason_most_frequent_first_with_the_first_example():
    sources = {
        "1": quarantine_rows("missing", "duplicate", source="1.csv"),
        "2": quarantine_rows("duplicate", source="2.csv"),
    }
    rows = sum_quarantine(loaders(sources)).to_pylist()

    assert [(r["reason"], r["count"], r["source"], r["row"]) for r in rows] == [
        ("duplicate", 2, "1.csv", 1),
        ("missing", 1, "1.csv", 0),
    ]


def test_an_empty_quarantine_has_no_reasons():
    assert sum_quarantine({})["count"].to_pylist() == []
