"""What is written of a device or sensor without windows is said: it may be misspelt."""

from __future__ import annotations

import pyarrow as pa
import pytest

from batch_scoring.incidents.calendar import Calendar
from batch_scoring.incidents.unknown_names import warn_of_unknown_names
from batch_scoring.plant.devices import Devices
from tests.incidents.test_calendar import entries
from tests.plant.test_devices import known, last
from tests.tables_on_disk import TableOnDisk
from tests.training.test_windows import LATER

SERIES = pa.table({"device": ["pump-1", "pump-2"], "sensor": ["s", "s"]})


def test_pairs_of_names_that_match_no_series_are_listed():
    devices = Devices(known(("new", "pump-1", None, "hall")))
    names = [("pump-1", "*"), ("pump-*", "s"), ("hall", "*"), ("new", "*"), ("*", "*")]
    wrong = [("pump-3", "*"), ("fan-*", "*"), ("pump-1", "speed")]
    calendar = Calendar(entries(*((*one, 0, 1) for one in [*names, *wrong])), devices)
    assert calendar.without_windows(SERIES) == wrong


def test_ids_that_are_replaced_or_retired_are_listed_and_new_ones_may_be_yet_to_come():
    rows = known(("new", "pump-1"), ("x", "pomp-2"), ("gone", None, LATER), ("pump-2", None, LATER))
    assert Devices(rows).without_windows(SERIES["device"]) == ["gone", "pomp-2"]


@pytest.mark.parametrize(
    ("calendar", "devices", "said"),
    [
        ((), (), []),
        ((("a", "s", 0, 1),), (("b", "a"),), []),
        ((("A", "s", 0, 1), ("a", "S", 0, 1)), (), ["'A'"]),
        ((), (("b", "A"),), ["'A'"]),
    ],
)
def test_the_log_names_the_first(tmp_path, caplog, calendar, devices, said):
    gaps = TableOnDisk(tmp_path / "gaps", "start")
    gaps.add(last(("a", 0, 1)))
    read = Devices(known(*devices))
    warn_of_unknown_names(Calendar(entries(*calendar), read), read, gaps.load())
    assert len(caplog.records) == len(said)
    assert all(name in record.getMessage() for name, record in zip(said, caplog.records, strict=True))
