"""In the times of a calendar nothing is anomalous and nothing is silent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import EPOCH, microseconds
from batch_scoring.evaluation.annotations import read_calendar
from batch_scoring.incidents.calendar import Calendar
from batch_scoring.tables.schemas import CALENDAR
from tests.factories import START
from tests.incidents.test_silence import fleet, silences
from tests.pipelines.incidents.work import Work
from tests.predictions import WINDOW, draw_predictions


def entries(*rows):
    """Rows of (device, sensor, first window, window after the last[, every])."""
    return pa.Table.from_pylist(
        [
            {"device": device, "sensor": sensor, "start": START + start * WINDOW, "end": START + end * WINDOW}
            | {"every": every[0] if every else None, "reason": None}
            for device, sensor, start, end, *every in rows
        ],
        CALENDAR,
    )


def left_out(calendar, text, device="a", sensor="s", first=0):
    windows = draw_predictions({device: text}, sensor, first)
    return "".join("-" if one else "." for one in Calendar(calendar).mask(windows).tolist())


def test_windows_that_overlap_an_entry_are_left_out():
    assert left_out(entries(("a", "s", 2, 4)), "......") == "..--.."


@pytest.mark.parametrize(
    ("device", "sensor", "is_out"),
    [
        ("pump-1", "s", True),
        ("pump-*", "s", True),
        ("*", "*", True),
        ("fan-*", "s", False),
        ("*", "t", False),
    ],
)
def test_devices_and_sensors_are_named_by_pattern(device, sensor, is_out):
    assert left_out(entries((device, sensor, 0, 1)), ".", "pump-1") == ("-" if is_out else ".")


@given(st.data())
def test_many_entries_leave_out_what_each_of_them_does(data):
    name, at = st.sampled_from(["*", "a", "b", "?"]), st.integers(0, 20)
    row = st.tuples(name, st.sampled_from(["*", "s"]), at, at.map(lambda n: n + 1))
    rows = [
        (device, sensor, start, start + length, *every)
        for device, sensor, start, length in data.draw(st.lists(row, max_size=8))
        for every in [data.draw(st.sampled_from([(), (), ("day",)]))]
    ]
    alone = [left_out(entries(one), "." * 30) for one in rows]
    assert left_out(entries(*rows), "." * 30) == "".join(
        "-" if "-" in at_once else "." for at_once in zip("." * 30, *alone, strict=True)
    )


def test_an_entry_comes_again_every_day_from_its_first_time_on():
    calendar = entries(("*", "*", 288 + 2, 288 + 4, "day"))
    assert left_out(calendar, "......") == "......"
    for day in (1, 2, 40):
        assert left_out(calendar, "......", first=288 * day) == "..--.."


@given(st.integers(0, 600), st.integers(1, 300), st.sampled_from(["day", "week"]), st.integers(0, 4000))
def test_a_recurring_entry_leaves_out_what_its_intervals_cover(start, length, every, at):
    table = entries(("*", "*", start, start + min(length, 288), every))
    calendar = Calendar(table)
    (entry,) = calendar.entries
    windows = draw_predictions({"a": "."}, first=at)
    begin, end = (int(windows[name].cast(pa.int64())[0].as_py()) for name in ("window_start", "window_end"))
    assert bool(calendar.mask(windows)[0]) == (list(entry.stretches(begin, end)) != [])


DAY, HOUR_END = 288, 12


@pytest.mark.parametrize(
    ("every", "since", "until", "days"),
    [
        ("day", HOUR_END, DAY + 1, [1]),
        ("day", 2 * DAY + HOUR_END, 3 * DAY + 1, [3]),
        ("day", 2 * DAY + HOUR_END, 3 * DAY, []),
        ("day", 2 * DAY + HOUR_END - 1, 3 * DAY, [2]),
        (None, HOUR_END, DAY, []),
        (None, -DAY, 0, []),
        (None, HOUR_END - 1, DAY, [0]),
    ],
)
def test_what_only_touches_a_range_is_not_in_it(every, since, until, days):
    """The first hour of a day."""
    (entry,) = Calendar(entries(("*", "*", 0, HOUR_END, every))).entries
    found = entry.stretches(*(microseconds(START + n * WINDOW) for n in (since, until)))
    assert [(start - microseconds(START)) // microseconds(EPOCH + DAY * WINDOW) for start, _ in found] == days


def test_an_entry_comes_again_by_the_clocks_of_its_zone(tmp_path):
    (tmp_path / "calendar.csv").write_text("start,end,every\n2026-03-02 06:00,2026-03-02 08:00,week\n")
    calendar = Calendar(read_calendar(tmp_path / "calendar.csv", zone="Europe/Berlin"))
    hours = {"2026-03-09T04": False, "2026-03-09T05": True, "2026-03-09T06": True, "2026-03-09T07": False}
    hours |= {"2026-03-30T03": False, "2026-03-30T04": True, "2026-03-30T05": True, "2026-03-30T06": False}
    starts = [datetime.fromisoformat(f"{hour}:00Z") for hour in hours]
    windows = pa.table(
        {"device": ["a"] * len(starts), "sensor": ["s"] * len(starts), "window_start": starts}
        | {"window_end": [one + timedelta(hours=1) for one in starts]}
    )
    assert calendar.mask(windows).tolist() == list(hours.values())
    (entry,) = calendar.entries
    weeks = [datetime(2026, 3, 9, 5, tzinfo=UTC), datetime(2026, 3, 30, 4, tzinfo=UTC)]
    for begin in weeks:
        span = microseconds(begin - timedelta(days=3)), microseconds(begin + timedelta(days=3))
        found = [(microseconds(begin), microseconds(begin + timedelta(hours=2)))]
        assert list(entry.stretches(*span)) == found


@pytest.mark.parametrize(("first", "last"), [("01:00", "02:00"), ("01:00", "02:30"), ("02:30", "04:00")])
def test_the_hour_that_clocks_leave_out_bounds_an_entry(first, last):
    start, end = (datetime.fromisoformat(f"2026-03-02T{clock}-05:00") for clock in (first, last))
    row = {"device": "*", "sensor": "*", "start": start, "end": end, "every": "day", "reason": None}
    (entry,) = Calendar(pa.Table.from_pylist([row | {"zone": "America/New_York"}], CALENDAR)).entries
    # Clocks go from 02:00 to 03:00 at 07:00 UTC.
    at = microseconds(datetime(2026, 3, 8, tzinfo=UTC)) + 300_000_000 * np.arange(288)
    found = np.zeros(288, bool)
    for begin, until in entry.stretches(at[0], at[-1]):
        found |= (at < until) & (at + 300_000_000 > begin)
    assert found.any()
    assert found.tolist() == entry.mask(at, at + 300_000_000).tolist()


def test_an_entry_of_some_sensors_excuses_no_device():
    calendar, a = Calendar(entries(("*", "s", 0, 12))), pa.array(["a"])
    span = microseconds(START), microseconds(START + WINDOW)
    assert calendar.stretches(a, None, *span)[0].tolist() == []
    assert calendar.stretches(a, pa.array(["s"]), *span)[0].tolist() == [0]


def test_an_anomaly_in_maintenance_is_no_incident_and_another_calendar_joins_anew(tmp_path):
    work = Work(tmp_path)
    work.draw({"a": "..11..", "b": "..11.."})
    work.find()
    assert len(work.rows()) == 2
    calendar = entries(("a", "*", 0, 6))
    assert work.find(calendar=calendar)
    assert [row["device"] for row in work.rows()] == ["b"]
    assert not work.find(calendar=calendar)


@pytest.mark.parametrize(("feature", "listed"), [("diff_mean", []), ("max", ["a"])])
def test_a_step_from_maintenance_is_no_incident_and_another_feature_is(tmp_path, feature, listed):
    work = Work(tmp_path)
    work.draw({"a": "...1.."})
    work.predictions.change(
        lambda rows: rows.set_column(
            rows.schema.get_field_index("top_feature"), "top_feature", pa.array([feature] * rows.num_rows)
        )
    )
    work.find(calendar=entries(("a", "*", 1, 3)))
    assert [row["device"] for row in work.rows()] == listed


def test_silence_in_maintenance_does_not_count():
    hours = 12
    table = fleet(200, a_s=[(100, 116)], a_t=[(100, 116)], b_s=[(100, 102)], b_t=[])
    assert len(silences(table)[1]) == len(silences(table)[2]) == 1
    assert silences(table, entries(("a", "*", 101 * hours, 110 * hours))) == [[], [], silences(table)[2]]
    assert silences(table, entries(("b", "s", 100 * hours, 102 * hours)))[2] == []
    assert silences(table, entries(("*", "*", 4 * hours, 20 * hours, "day")))[1:] == [[], []]


def test_a_file_is_read_with_all_for_what_is_not_named(tmp_path):
    path = Path(tmp_path, "calendar.csv")
    path.write_text("start,end,every,reason\n2026-01-03T00:00Z,2026-01-05T00:00Z,week,weekend\n")
    (row,) = read_calendar(path).to_pylist()
    assert (row["device"], row["sensor"], row["every"], row["reason"]) == ("*", "*", "week", "weekend")
    assert row["end"] - row["start"] == timedelta(days=2)


def test_blanks_behind_commas_are_no_part_of_ids(tmp_path):
    path = Path(tmp_path, "calendar.csv")
    path.write_text(
        'device, sensor, start, end\na, s, 2026-01-03, 2026-01-05\nb, " t", 2026-01-03, 2026-01-05\n'
    )
    assert [(row["device"], row["sensor"]) for row in read_calendar(path).to_pylist()] == [
        ("a", "s"),
        ("b", " t"),
    ]


@pytest.mark.parametrize("names", ["machine", "machine,sensor", "device,tag"])
def test_a_calendar_whose_devices_have_another_column_is_not_one_of_all(tmp_path, names):
    path = Path(tmp_path, "calendar.csv")
    path.write_text(f"{names},start,end\n{'x,' * len(names.split(','))}2026-01-03,2026-01-05\n")
    with pytest.raises(
        InputError, match=r"line 2: there is no column '(machine|tag)'; known are device, sensor"
    ):
        read_calendar(path)
    path.write_text("device,sensor,start,end,who\na,,2026-01-03,2026-01-05,me\n")
    assert read_calendar(path).num_rows == 1


def test_a_column_that_ends_or_repeats_entries_otherwise_is_refused(tmp_path):
    path = Path(tmp_path, "calendar.csv")
    path.write_text("device,sensor,start,end,every,until\na,s,2026-01-03,2026-01-04,week,2026-03-01\n")
    with pytest.raises(InputError, match="line 2, column 'until': '2026-03-01' is not read; expected"):
        read_calendar(path)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("2026-01-03T00:00Z,2026-01-05T00:00Z,month", "line 2, column 'every': 'month' is not valid"),
        ("2026-01-03T00:00Z,2026-01-05T00:00Z,day", "line 2, column 'end': it lasts longer than a day"),
    ],
)
def test_what_is_not_valid_is_named(tmp_path, line, says):
    path = Path(tmp_path, "calendar.csv")
    path.write_text(f"start,end,every\n{line}\n")
    with pytest.raises(InputError, match=says):
        read_calendar(path)
