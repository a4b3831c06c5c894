"""A history whose days hold few rows is stored a file a month, with the rows of a day by day run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.registry.published import publish
from batch_scoring.storage.row_table import RowTable
from tests.factories import START, fit_fleet
from tests.scoring.work import PER_DAY, Key, Work, assert_totals_are_a_count, at, constant, windows_of
from tests.tables_on_disk import TableOnDisk

pytestmark = pytest.mark.slow

# From 5 January 2026: a window a day, models from the first 40.
DAYS, TRAINED = 104, 40
MONTHS = ["2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01"]


def life() -> dict[Key, Any]:
    """Two devices with a window a day."""
    values = np.random.default_rng(3).normal(size=(2, DAYS, 2))
    return {
        ("s", device, day * PER_DAY): values[place, day]
        for place, device in enumerate("ab")
        for day in range(DAYS)
    }


def workspace(folder: Any) -> Work:
    work = Work(folder)
    work.put(life())
    seen = windows_of({key: value for key, value in life().items() if key[2] < TRAINED * PER_DAY})
    model, _ = fit_fleet(seen, ["mean", "f1"], FitParameters(false_alarm_rate=0.05))
    assert model is not None
    publish(folder / "models", model, "1", "run", "f1")
    return work


def tables(work: Work) -> dict[str, TableOnDisk]:
    return {"predictions": work.predictions, "totals": work.totals, "calibrations": work.calibrations}


def partitions(table: RowTable) -> list[str]:
    return [file.day.isoformat() for file in table.files() if file.day is not None]


def rows_of(table: TableOnDisk) -> list[dict[str, Any]]:
    order = [
        name for name in ("sensor", "device", "window_start", "day") if name in table.load().schema.names
    ]
    rows: list[dict[str, Any]] = table.load().read().sort_by([(n, "ascending") for n in order]).to_pylist()
    return rows


def test_a_long_history_is_a_file_a_month_and_has_the_rows_of_a_run_every_ten_days(tmp_path):
    at_once, often = workspace(tmp_path / "once"), workspace(tmp_path / "often")
    at_once.score()
    for day in range(10, DAYS + 10, 10):
        often.score(at(day * PER_DAY))
    for name, table in tables(at_once).items():
        found = partitions(table.load())
        assert sorted(set(found)) == (MONTHS[1:] if name == "calibrations" else MONTHS), name
        # February's windows are scored with the models' own curves at first.
        assert len(found) <= len(MONTHS) + 1
        assert len(partitions(tables(often)[name].load())) > DAYS / 2, name
        assert rows_of(table) == rows_of(tables(often)[name]), name


def test_files_of_months_are_in_order(tmp_path):
    work = workspace(tmp_path)
    work.score()
    for table in tables(work).values():
        order = [(name, "ascending") for name in ("sensor", "device", table.load().time)]
        for file in table.load().files():
            rows = table.load().open(file).read()
            assert rows == rows.sort_by(order)


def test_a_day_is_recalibrated_once_where_its_file_holds_a_month(tmp_path):
    work = workspace(tmp_path)
    work.score()
    before = rows_of(work.calibrations)
    assert len(before) == 2 * (DAYS - TRAINED)
    # A second window of a known day, late.
    work.put({("s", "a", 60 * PER_DAY + 3): np.array([0.1, 0.2])})
    work.score()
    assert rows_of(work.calibrations) == before
    assert work.rows()["s", "a", 60 * PER_DAY + 3]["calibrated"] == START + timedelta(days=60)
    assert work.daily()["s", "a", 60, "1"]["n_windows"] == 2


def test_a_late_window_replaces_the_prediction_in_the_file_of_its_month(tmp_path):
    work = workspace(tmp_path)
    work.score()
    before = work.rows()
    late = ("s", "b", 50 * PER_DAY)
    work.put({late: np.array([99.0, 99.0])})
    work.score()
    after = work.rows()
    assert {key for key in before if before[key] != after[key]} == {late}
    assert after[late]["is_anomaly"]
    assert sum(row["n_windows"] for row in work.daily().values()) == 2 * DAYS
    assert work.daily()["s", "b", 50, "1"]["n_anomalies"] == 1


def test_windows_that_are_gone_leave_totals_of_their_days_though_the_run_was_killed(tmp_path):
    work = Work(tmp_path)
    work.put(constant(3.0, steps=range(0, DAYS * PER_DAY, PER_DAY)))
    work.train()
    work.score()
    assert partitions(work.predictions.load()) == MONTHS
    # With other settings there are windows on every second day only.
    work.aggregate_otherwise(constant(3.0, steps=range(PER_DAY, DAYS * PER_DAY, 2 * PER_DAY)), settings=2)
    work.score(save=1)  # killed before the totals
    work.score()
    assert len(work.rows()) == DAYS
    assert_totals_are_a_count(work)
