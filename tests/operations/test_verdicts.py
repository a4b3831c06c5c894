"""Verdicts on incidents are feedback."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest
import yaml

from batch_scoring.datasets.annotations import FeedbackFile
from batch_scoring.operations.actions import act
from batch_scoring.operations.tables import append, read
from batch_scoring.operations.verdicts import feedback_of
from batch_scoring.storage.row_table import Change
from batch_scoring.tables.arrow_arrays import as_rows
from batch_scoring.tables.schemas import DEVICE_INCIDENTS, FEEDBACK, INCIDENT_ACTIONS
from tests.alerts.ledgers import make_incidents
from tests.doc_pages import PROJECT
from tests.factories import START
from tests.predictions import WINDOW
from tests.row_tables import dataset_at

PUMP = next(as_rows(make_incidents(("a", 0, 3, "open"))))


def verdict(value, minute=1, text=None, **incident):
    return act(PUMP | incident, "verdict", "ada", START + timedelta(minutes=minute), value, text)


def rows_of(*actions, **more):
    return list(as_rows(feedback_of(pa.concat_tables(actions), **more)))


def test_a_verdict_is_feedback_on_each_device_and_sensor_of_the_incident():
    rows = rows_of(verdict("true_event", text="bearing", devices=["a", "b"], sensors=["s", "t"]))
    assert [(row["device"], row["sensor"]) for row in rows] == [
        ("a", "s"),
        ("a", "t"),
        ("b", "s"),
        ("b", "t"),
    ]
    assert rows[0] == {
        "device": "a",
        "sensor": "s",
        "start": START,
        "end": START + 3 * WINDOW,
        "verdict": "true_event",
        "note": "bearing",
    }


def test_the_last_verdict_counts_and_none_takes_it_back():
    assert [row["verdict"] for row in rows_of(verdict("accepted", 2), verdict("true_event", 1))] == [
        "accepted"
    ]
    assert rows_of(verdict("accepted", 1), verdict(None, 2)) == []


@pytest.mark.parametrize("kind", ["sensor_silent", "device_silent", "source_silent"])
def test_a_verdict_on_silence_is_nothing_to_learn_from(kind):
    assert rows_of(verdict("accepted", kind=kind)) == []


def test_an_incident_that_has_grown_counts_as_it_is_now():
    now = make_incidents(("a", 0, 9, "closed"))
    assert [row["end"] for row in rows_of(verdict("true_event"), incidents=now)] == [START + 9 * WINDOW]


def test_what_has_flapped_since_counts_as_the_person_saw_it():
    now = make_incidents(("a", 0, 99, "closed"))
    place = now.schema.get_field_index("last_start")
    now = now.set_column(place, now.schema.field(place), [[START + 50 * WINDOW]])
    assert [row["end"] for row in rows_of(verdict("true_event"), incidents=now)] == [START + 3 * WINDOW]


def test_the_feedback_of_the_catalog_has_the_verdicts_of_the_page():
    catalog = yaml.safe_load((PROJECT / "conf/base/catalog.yml").read_text(encoding="utf-8"))
    assert catalog["feedback"]["actions"] == catalog["incident_actions"]["path"]
    assert catalog["feedback"]["incidents"] == catalog["device_incidents"]["path"]


def test_the_file_and_the_table_are_read_as_one(tmp_path):
    written = tmp_path / "feedback.csv"
    written.write_text("device,sensor,start,end,verdict\nb,s,2026-01-05,2026-01-06,false_alarm\n")
    actions = tmp_path / "actions"
    dataset_at(actions, None).save(append(verdict("true_event")))
    dataset_at(actions, None).save(append(act(PUMP, "comment", "bob", START, text="so it is")))
    stored = read(dataset_at(actions, None).load(), INCIDENT_ACTIONS)
    assert sorted(stored["who"].to_pylist()) == ["ada", "bob"]
    dataset_at(tmp_path / "incidents", None).save(
        lambda _: Change(DEVICE_INCIDENTS, [[make_incidents(("a", 0, 5, "open"))]])
    )
    more = {"actions": str(actions), "incidents": str(tmp_path / "incidents")}
    rows = FeedbackFile(str(written), **more).load()
    assert rows.schema == FEEDBACK
    assert [(row["device"], row["verdict"], row["end"].day) for row in as_rows(rows)] == [
        ("b", "false_alarm", 6),
        ("a", "true_event", (START + 5 * WINDOW).day),
    ]
    assert FeedbackFile(str(written), actions=str(tmp_path / "none")).load().num_rows == 1
