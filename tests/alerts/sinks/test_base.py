"""A line of the log tells what a person needs, and is one line whatever an id holds."""

import logging

from batch_scoring.alerts.messages import OUR_WORDS, message_of
from batch_scoring.alerts.sinks.base import to_json
from batch_scoring.alerts.sinks.log import LogSink
from tests.alerts.events import make_message
from tests.alerts.ledgers import ledger_of


def test_opening_is_a_warning_and_closing_is_not(caplog):
    caplog.set_level(logging.INFO, "batch_scoring")
    sink = LogSink("log")
    for number in (1, 2):
        sink.send(make_message(number))
    sink.close()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert [record.getMessage() for record in caplog.records] == [make_message(n)["text"] for n in (1, 2)]


def test_a_line_break_in_an_id_makes_no_second_line():
    row = message_of(ledger_of([("a\nincident 1 closed", 0, 1, 1)]).table, OUR_WORDS)
    assert "device 'a\\nincident 1 closed'" in row["text"]
    assert b"\n" not in to_json(row)


def test_a_severity_that_is_not_finite_is_no_number_of_json():
    table = ledger_of([("a", 0, 1, 1)]).table
    place = table.column_names.index("peak_severity")
    row = message_of(table.set_column(place, "peak_severity", [[float("inf")]]), OUR_WORDS)
    assert row["peak_severity"] is None
    assert "severity beyond measure" in row["text"]
    to_json(row)
