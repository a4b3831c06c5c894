"""A workspace is measured from its tables; what is not known is not 0."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest

from batch_scoring.operations.actions import act
from batch_scoring.operations.silences import silence
from batch_scoring.operations.tables import append
from batch_scoring.reporting.last_run import LastRun
from batch_scoring.reporting.metrics import TABLES, measure
from batch_scoring.storage.row_table import Change
from batch_scoring.tables.arrow_arrays import as_rows
from batch_scoring.tables.schemas import DEVICE_INCIDENTS, DRIFT, NOTIFICATIONS
from tests.alerts.ledgers import ledger_of, make_incidents
from tests.factories import START
from tests.reporting.fleet_factory import (
    Fleet,
    fleet_of,
    prediction_rows,
    quarantine_rows,
    tables_of,
    unscored_rows,
)
from tests.row_tables import dataset_at, table_at

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)


def metrics_of(fleet, tmp_path, run=None, at=START, **tables):
    """The numbers by name and labels; ``tables`` are saved beside those of the fleet."""
    for name, update in tables.items():
        dataset_at(tmp_path / name, None).save(update)
    with tables_of(fleet) as stored:
        known = {name: table_at(tmp_path / name, None) for name in TABLES} | {
            name: table for name, table in stored.items() if name not in tables
        }
        found = measure({**known, "devices": None}.__getitem__, run, at)
    assert len({one.name for one in found}) == len(found)
    return {(one.name, *labels): value for one in found for labels, value in one.samples}


def rows_of(schema, *rows):
    return lambda _: Change(schema, [[pa.Table.from_pylist(list(rows), schema=schema)]])


def test_an_empty_workspace_has_no_numbers(tmp_path):
    assert metrics_of(Fleet(has_incidents=False), tmp_path) == {}


def test_series_windows_and_their_age(tmp_path):
    rows = [prediction_rows("a", "p", anomalies=[0]), prediction_rows("b", "p")]
    fleet = fleet_of(*rows, unscored=unscored_rows("z", "p", 2))
    found = metrics_of(fleet, tmp_path)
    assert {key: value for key, value in found.items() if key[0] == "series"} == {
        ("series", "ok"): 2,
        ("series", "no_model"): 1,
    }
    assert (found["windows_scored",], found["windows_anomalous",], found["windows_unscored",]) == (6, 1, 2)
    newest = max(row["window_end"] for row in as_rows(fleet.predictions))
    assert found["newest_window_end_timestamp_seconds",] == newest.timestamp()
    assert found["table_rows", "predictions"] == 6
    assert found["table_files", "predictions"] == 1
    assert found["table_bytes", "predictions"] > 1000


def test_refused_rows_by_reason(tmp_path):
    fleet = Fleet(quarantine=quarantine_rows(*["out_of_range"] * 3, "conflict"))
    found = metrics_of(fleet, tmp_path)
    assert found["quarantined_rows", "out_of_range"] == 3
    assert found["quarantined_rows", "conflict"] == 1


def test_incidents_by_level_and_by_what_people_did(tmp_path):
    incidents = make_incidents(("a", 0, 3, "open", 13), ("b", 0, 3, "open", 13), ("c", 0, 3, "closed", 1))
    found = metrics_of(
        Fleet(),
        tmp_path,
        at=START + HOUR,
        device_incidents=lambda _: Change(DEVICE_INCIDENTS, [[incidents]]),
        incident_actions=append(act(next(as_rows(incidents)), "acknowledge", "ada", START)),
        silences=append(silence("ada", START, START, START + 2 * HOUR, device="b")),
    )
    states = {key[1:]: value for key, value in found.items() if key[0] == "incidents" and value}
    assert states == {("critical", "acknowledged"): 1, ("critical", "open"): 1, ("low", "closed"): 1}
    assert found["incidents", "high", "open"] == 0
    assert found["incidents_silenced",] == 1


def test_notifications_that_wait_and_drift(tmp_path):
    ledger = ledger_of([("a", 0, 1, 1), ("b", 0, 1, 1)], ["hook", "log"])
    sent = ledger.delivered(ledger.pending("log"))
    drift = [
        {"device": name, "sensor": "s", "status": status} for name, status in (("a", "ok"), ("b", "drifted"))
    ]
    found = metrics_of(
        Fleet(),
        tmp_path,
        notifications=lambda _: Change(NOTIFICATIONS, [[ledger.table], [sent.table]]),
        drift=rows_of(DRIFT, *drift),
    )
    assert (found["notifications_pending", "hook"], found["notifications_pending", "log"]) == (2, 0)
    assert (found["drift_series", "ok"], found["drift_series", "drifted"]) == (1, 1)


def test_the_last_run_keeps_the_last_success_and_the_steps_of_others(tmp_path):
    good = LastRun(START, START + HOUR, True, {"score": 3.0, "train": 60.0}, {"windows_scored": 7}).after(
        None
    )
    bad = LastRun(START + 2 * HOUR, START + 3 * HOUR, False, {"score": 4.0}).after(good)
    found = metrics_of(Fleet(), tmp_path, bad)
    assert found["last_run_succeeded",] == 0
    assert found["last_success_timestamp_seconds",] == (START + HOUR).timestamp()
    assert found["last_run_timestamp_seconds",] == (START + 3 * HOUR).timestamp()
    assert found["last_run_seconds",] == 3600
    assert (found["step_seconds", "score"], found["step_seconds", "train"]) == (4, 60)
    assert found["last_run_windows_scored",] == 7
    assert ("last_run_readings_stored",) not in found


def test_without_a_success_there_is_no_time_of_one(tmp_path):
    bad = LastRun(START, START + HOUR, False).after(None)
    assert ("last_success_timestamp_seconds",) not in metrics_of(Fleet(), tmp_path, bad)


@pytest.mark.parametrize("label", ["device", "sensor"])
def test_no_metric_is_of_a_single_device(tmp_path, label):
    with tables_of(Fleet()) as stored:
        known = {name: table_at(tmp_path / name, None) for name in TABLES} | stored
        found = measure({**known, "devices": None}.__getitem__, LastRun(START, START, True).after(None))
    assert not any(label in one.labels for one in found)
