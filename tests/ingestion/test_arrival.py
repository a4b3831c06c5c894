"""Where a hub's times of arrival are taken for those of readings, it is said."""

import logging

import pytest

from batch_scoring.ingestion.path_ids import FileIds
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.shapes import find_shape

HUB = "EventEnqueuedUtcTime"


def warned(caplog, names, kinds, **settings):
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        find_shape(names, IngestSettings(**settings), "a.csv", lambda: kinds, FileIds({"device": "d"}))
    return [record.getMessage() for record in caplog.records]


def test_a_time_beside_that_of_arrival_is_named_once(caplog: pytest.LogCaptureFixture):
    names, kinds = ["Zeitstempel", HUB, "temp"], ["time", "time", "number"]
    (said,) = warned(caplog, names, kinds)
    assert said.startswith(f"a.csv: the times are taken from {HUB}")
    assert said.endswith("set ingest.columns.timestamp=Zeitstempel")
    assert warned(caplog, names, kinds) == []


@pytest.mark.parametrize(
    ("names", "kinds", "settings"),
    [
        ([HUB, "EventProcessedUtcTime", "IoTHub.EnqueuedTime", "temp"], [*3 * ["time"], "number"], {}),
        ([HUB, "time", "temp"], ["time", "time", "number"], {}),
        ([HUB, "bis", "temp"], ["time", "time", "number"], {"columns": {"timestamp": HUB}}),
    ],
)
def test_nothing_is_said_where_there_is_no_other_or_it_was_named(
    caplog: pytest.LogCaptureFixture, names: list[str], kinds: list[str], settings: dict[str, object]
):
    assert warned(caplog, names, kinds, **settings) == []
