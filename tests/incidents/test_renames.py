"""A device that fell silent may go on under another id: proposed where a new one is like it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.incidents import renames
from batch_scoring.incidents.calendar import Calendar
from batch_scoring.incidents.devices import roll_up
from batch_scoring.incidents.level_reading import windows_reader
from batch_scoring.incidents.renames import find_candidates, find_renames
from batch_scoring.incidents.silence import Gaps, SilenceRules, find_silences
from batch_scoring.tables.schemas import GAPS, TIMESTAMP, windows_schema
from tests.factories import START_US
from tests.incidents.test_devices import RULES, incidents
from tests.tables_on_disk import TableOnDisk

HOUR_US = 3_600_000_000
# The old device is silent from the tenth day on, and now is two days later.
SILENT, NOW = 240, 288
SLACK_US, AFTER_US = HOUR_US, 12 * HOUR_US


def series(device, sensor, first, until, level=20.0, spread=1.0, counts=False, seed=0):
    """Hourly windows of a sensor, from an hour on up to another: warmer by day than by night."""
    random = np.random.default_rng([seed, *f"{device}{sensor}".encode()])
    hours = np.arange(first, until)
    mean = level + spread * (3 * np.sin(hours * np.pi / 12) + random.normal(size=hours.size))
    if counts:
        mean = level + np.cumsum(random.integers(0, 9, hours.size))
    start = START_US + hours * HOUR_US
    columns = {
        "window_start": pa.array(start).cast(TIMESTAMP),
        "window_end": pa.array(start + HOUR_US).cast(TIMESTAMP),
        "device": [device] * hours.size,
        "sensor": [sensor] * hours.size,
        "count": [60] * hours.size,
        "mean": mean,
        "std": spread * random.uniform(0.5, 1.5, hours.size),
    }
    return pa.table(columns).cast(windows_schema(["mean", "std"]))


OLD = [series("old", "s", 0, SILENT), series("old", "t", 0, SILENT, level=700.0, counts=True)]
OTHERS = [series(name, "s", 0, NOW) for name in ("x", "y", "z")]


def new(name="new", first=SILENT + 1, until=NOW, counter=1_700.0, **more):
    return [
        series(name, "s", first, until, **more),
        series(name, "t", first, until, level=counter, counts=True),
    ]


def gaps_of(windows):
    """The last row of each series, as the gaps have it: nothing is missing in the middle."""
    found = windows.group_by(["device", "sensor"]).aggregate([("window_start", "min"), ("window_end", "max")])
    rows = [
        dict(zip(("device", "sensor", "first_start", "start"), row.values(), strict=True)) | {"state": "last"}
        for row in found.select(["device", "sensor", "window_start_min", "window_end_max"]).to_pylist()
    ]
    return pa.Table.from_pylist(rows, GAPS)


def proposed(*parts):
    windows = pa.concat_tables([*OLD, *OTHERS, *parts])
    known = Gaps.of(gaps_of(windows))
    silences = find_silences(known, SilenceRules(HOUR_US, AFTER_US), Calendar())[1]
    return find_renames(known, silences, SLACK_US, AFTER_US, lambda *_: windows)


def test_a_new_device_with_the_sensors_and_values_of_a_silent_one_may_be_it():
    assert proposed(*new()) == {"old": ["new"]}


def test_a_counter_may_begin_again():
    assert proposed(*new(counter=0.0)) == {"old": ["new"]}


@pytest.mark.parametrize(
    "others",
    [
        new(level=40.0),
        new(spread=4.0),
        new(spread=0.02),
        new(first=SILENT - 3),
        new(first=SILENT + 14),
        new(until=SILENT + 5),
        new()[:1],
        [*new(), series("new", "u", SILENT + 1, NOW)],
    ],
    ids=["level", "spread", "still", "before", "long after", "hours", "fewer sensors", "more sensors"],
)
def test_one_that_is_not_like_it_is_not_proposed(others):
    assert proposed(*others) == {}


def test_a_new_device_is_no_other_while_the_old_one_sends():
    goes_on = [series("old", "s", SILENT, NOW), series("old", "t", SILENT, NOW, level=1_700.0, counts=True)]
    assert proposed(*goes_on, *new()) == {}


def test_of_several_that_fit_all_are_named_by_their_start():
    assert proposed(*new("b", SILENT + 2), *new("a", SILENT + 3), *new("c", SILENT + 1, level=90.0)) == {
        "old": ["b", "a"]
    }


def test_nothing_is_proposed_where_there_is_nothing():
    known = Gaps.of(GAPS.empty_table())
    silences = find_silences(known, SilenceRules(HOUR_US, AFTER_US), Calendar())[1]
    assert find_renames(known, silences, SLACK_US, AFTER_US, lambda *_: pytest.fail("nothing to read")) == {}


def test_where_many_begin_at_once_none_is_proposed(monkeypatch):
    monkeypatch.setattr(renames, "MAX_CANDIDATES", 1)
    assert proposed(*new("a")) == {"old": ["a"]}
    assert proposed(*new("a"), *new("b")) == {}


def test_a_new_device_that_falls_silent_itself_is_still_the_old_one():
    first = [series("mid", "s", SILENT + 1, 265), series("mid", "t", SILENT + 1, 265, 1_700.0, counts=True)]
    windows = pa.concat_tables([*OLD, *OTHERS, *first, *new("last", 266, 310)])
    windows = pa.concat_tables([windows, *(series(name, "s", NOW, 310) for name in ("x", "y", "z"))])
    known = Gaps.of(gaps_of(windows))
    # Of a device that is younger than three days no silence is known.
    silences = find_silences(known, SilenceRules(HOUR_US, AFTER_US), Calendar())[1]
    assert find_renames(known, silences, SLACK_US, AFTER_US, lambda *_: windows) == {"old": ["mid"]}


def test_the_list_proposes_it_and_ranks_it_below_what_may_be_a_fault(tmp_path):
    table = TableOnDisk(tmp_path / "windows", "window_start")
    every = pa.concat_tables([*OLD, *OTHERS, *new()])
    order = [(name, "ascending") for name in ("sensor", "device", "window_start")]
    table.add(every.sort_by(order))
    read = windows_reader(table.load())
    mild = incidents(("x", "s", 3300, 3320, 0.6, "closed"))
    rows = roll_up(mild, gaps_of(every), RULES, 0, read=read).to_pylist()
    assert [(row["kind"], row["device"], row["state"]) for row in rows] == [
        ("anomaly", "x", "closed"), ("device_silent", "old", "open"),
    ]  # fmt: skip
    assert rows[1]["advice"] == (
        "may be renamed to new: if so, add a line to devices.csv with id new and replaces old"
    )
    assert (rows[1]["level"], 0 < rows[1]["priority"] < 0.5) == ("low", True)
    # Without windows, or where it was not renamed, a silence is a silence.
    assert roll_up(mild, gaps_of(every), RULES, 0).to_pylist()[0]["device"] == "old"
    # What was unusual before it fell silent counts as it did.
    unusual = incidents(("old", "s", 2870, 2880, 4, "open"), ("x", "s", 3300, 3312, 5, "closed"))
    other, first = roll_up(unusual, gaps_of(every), RULES, 0, read=read).to_pylist()
    assert (first["device"], first["priority"]) == ("old", 4.0)
    # What is open counts three times, but nothing is known to go on here.
    assert (first["state"], other["priority"]) == ("open", 5.0)
    assert first["advice"].startswith("may be renamed to new")


def test_two_that_fit_are_both_named():
    windows = pa.concat_tables([*OLD, *OTHERS, *new("a"), *new("b")])
    (row,) = roll_up(incidents(), gaps_of(windows), RULES, 0, read=lambda *_: windows).to_pylist()
    assert row["advice"] == (
        "may be renamed to a or b: if so, add a line to devices.csv with the id of the one it is and "
        "replaces old"
    )


def test_windows_are_read_of_these_devices_and_times_and_may_have_no_mean(tmp_path):
    table = TableOnDisk(tmp_path / "windows", "window_start")
    table.add(*OLD, *OTHERS)
    first = np.array([START_US])
    rows = windows_reader(table.load())(["old"], first, first + HOUR_US)
    assert set(rows["device"].to_pylist()) == {"old"}
    other = TableOnDisk(tmp_path / "others", "window_start")
    other.add(OLD[0].drop_columns(["mean", "std"]))
    assert windows_reader(other.load())(["old"], first, first + HOUR_US).num_rows == 0


DEVICES = st.dictionaries(
    st.sampled_from("abcdef"),
    st.tuples(st.integers(0, 200), st.integers(1, 100), st.sampled_from(["s", "t", "st"])),
    min_size=1,
)


@given(DEVICES)
def test_candidates_are_those_of_looking_at_each_pair(devices):
    rows = [
        {"device": name, "sensor": sensor, "state": "last"}
        | {"first_start": START_US + first * HOUR_US, "start": START_US + (first + size) * HOUR_US}
        for name, (first, size, sensors) in devices.items()
        for sensor in sensors
    ]
    known = Gaps.of(pa.Table.from_pylist(rows, GAPS))
    silences = find_silences(known, SilenceRules(HOUR_US, AFTER_US), Calendar())[1]
    found = find_candidates(known, silences, SLACK_US, AFTER_US)
    names = known.devices.to_pylist()
    pairs = {(names[old], names[new]) for old, new in zip(found.old, found.new, strict=True)}
    expected = set()
    now = silences.is_open
    for place, start in zip(silences.device[now], silences.start[now], strict=True):
        old, since = names[place], (start - START_US) / HOUR_US
        for name, (first, size, sensors) in devices.items():
            if name != old and -1 <= first - since <= 12 and size >= 6 and sensors == devices[old][2]:
                expected.add((old, name))
    assert pairs == expected
