"""The shipped query, executed, makes the windows of `aggregate`; what it cannot make it refuses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sqlglot.errors import ParseError

from batch_scoring.core.errors import InputError
from batch_scoring.deploy.stream_analytics.query import WindowsQuery, configured_query
from batch_scoring.windows import features
from batch_scoring.windows.features import aggregate_readings
from tests.deploy.stream_analytics.stream_sql import UnknownSyntaxError, to_duckdb
from tests.deploy.stream_analytics.streams import Engine, Event, aggregated, assert_same_windows
from tests.doc_pages import code_blocks, read_page
from tests.factories import DAY_US, START_US, make_readings

ALL_FEATURES = (
    *("mean", "std", "min", "max", "range", "first", "last", "change", "sum", "count", "diff_mean"),
    *("p05", "p50", "p99"),
)
SECOND = 1_000_000
WINDOWS = (timedelta(minutes=5), timedelta(seconds=1), timedelta(hours=6), timedelta(days=1))


def event(time_us: int, value: object = 1.0, device: str = "d", sensor: str = "s") -> Event:
    return Event(START_US + time_us, device, sensor, value)


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[Event], timedelta]:
    """Events in any order: on the edges of windows, beside them, anywhere; some sent twice, some gaps."""
    window = draw(st.sampled_from(WINDOWS))
    length = window // timedelta(microseconds=1)
    near_edge = st.builds(
        lambda k, off: max(0, k * length + off), st.integers(0, 6), st.sampled_from([-1000, -1, 0, 1, 999])
    )
    times = near_edge | st.integers(0, 7 * length)
    values = st.floats(-1e6, 1e6).map(lambda x: round(x, 3)) | st.integers(-1000, 1000)
    one = st.builds(event, times, values, st.sampled_from(["d", "d", "Pumpe №7/Süd"]), st.sampled_from("sst"))
    events = draw(st.lists(one, max_size=40) | st.lists(one, min_size=20, max_size=40))
    repeated = draw(st.lists(st.sampled_from(events), max_size=5)) if events else []
    return events + repeated, window


@pytest.mark.slow
@given(streams(), st.booleans(), st.integers(1, 3))
def test_the_executed_query_makes_the_windows_of_aggregate(stream, inclusive, min_readings):
    events, window = stream
    query = WindowsQuery(window, ALL_FEATURES, min_readings)
    scale = max((abs(e.value) for e in events), default=0.0)
    made = Engine(query, inclusive).windows(events)
    assert_same_windows(made, aggregated(events, query), scale)


@pytest.mark.slow
@given(streams(), st.sets(st.sampled_from(ALL_FEATURES), min_size=1))
def test_any_choice_of_features_is_made_in_its_order(stream, chosen):
    query = WindowsQuery(stream[1], tuple(sorted(chosen)))
    wanted = aggregated(stream[0], query)
    made = Engine(query).windows(stream[0])
    names = [name for name in made.column_names if name not in ("processed_time", "sensor_day")]
    assert names == wanted.column_names
    assert_same_windows(made, wanted, max((abs(e.value) for e in stream[0]), default=0.0))


def test_the_shipped_text_is_the_query_of_the_default_settings():
    shipped = files("batch_scoring.deploy.stream_analytics").joinpath("windows.asaql").read_text("utf-8")
    assert shipped == str(WindowsQuery())


def test_a_reading_on_the_edge_opens_the_next_window():
    made = (
        Engine()
        .windows([event(0), event(300 * SECOND - 1), event(300 * SECOND, 7.0)])
        .sort_by("window_start")
    )
    assert made["count"].to_pylist() == [2, 1]
    assert made["window_start"].cast("int64").to_pylist() == [START_US, START_US + 300 * SECOND]


def test_of_contradicting_readings_the_first_enqueued_counts():
    made = Engine().windows([event(0, 5.0), event(0, 9.0), event(0, 5.0)])
    assert (made["count"].to_pylist(), made["mean"].to_pylist()) == ([1], [5.0])


@pytest.mark.parametrize("limit_is_inclusive", [True, False])
def test_a_window_after_a_gap_has_no_window_before_it(limit_is_inclusive):
    made = Engine(limit_is_inclusive=limit_is_inclusive).windows(
        [event(0, 1.0), event(300 * SECOND, 4.0), event(900 * SECOND, 9.0)]
    )
    assert made.sort_by("window_start")["diff_mean"].to_pylist() == [0.0, 3.0, 0.0]


@pytest.mark.parametrize(
    "unusable",
    [
        event(1, "x"),
        event(1, None),
        event(1, float("nan")),
        event(1, float("inf")),
        event(1, device=""),
        event(1, sensor=""),
    ],
)
def test_what_ingest_would_refuse_is_in_no_window(unusable):
    assert Engine().windows([event(0), unusable])["count"].to_pylist() == [1]


def test_values_that_are_no_numbers_or_out_of_range_are_left_out():
    query = WindowsQuery(ranges={"s": (-40, 150), "it's": (0, 1)})
    events = [
        event(0, "x"),
        event(1, None),
        event(2, -40),
        event(3, 150),
        event(4, 151),
        event(5, 200, sensor="t"),
    ]
    made = Engine(query).windows(events).sort_by("sensor")
    assert made["count"].to_pylist() == [2, 1]


def test_the_output_lies_by_sensor_and_day_of_the_windows_start():
    made = Engine().windows([event(86_400 * SECOND - 1)])
    assert made["sensor_day"].to_pylist() == ["s/2026-01-05"]


@dataclass(frozen=True)
class OfIotHub(Event):
    """An event that an IoT Hub has sent on: it states the device, and the payload may, too."""

    stated: str = ""

    @property
    def payload(self):
        return super().payload | {"device": self.device or None, "IoTConnectionDeviceId": self.stated or None}


def test_a_reading_that_comes_by_an_iot_hub_is_of_the_device_that_sent_it():
    def sent(device, stated, value):
        return OfIotHub(START_US, device, "s", value, stated)

    events = [sent("", "unit-a", 1.0), sent("line 7", "gateway", 2.0), sent("", "", 3.0)]
    found = Engine(WindowsQuery(from_iot_hub=True)).windows(events)
    assert sorted(zip(found["device"].to_pylist(), found["mean"].to_pylist(), strict=True)) == [
        ("line 7", 2.0),
        ("unit-a", 1.0),
    ]
    assert Engine().windows(events)["device"].to_pylist() == ["line 7"]
    assert str(configured_query({"deploy": {"iot_hub": {"enabled": True}}})) == str(
        WindowsQuery(from_iot_hub=True)
    )


def test_other_names_of_the_fields_are_used_throughout():
    columns = {"timestamp": "TS", "device": "Device", "sensor": "Tag", "value": "Value"}
    text = str(WindowsQuery(columns=columns))
    assert "TIMESTAMP BY [TS] OVER [Device], [Tag], PartitionId" in text
    assert "[sensor]" not in text
    to_duckdb(text)


@pytest.mark.parametrize("minutes", [7, 0.001, 0, 2880, 5.5125])
def test_windows_that_do_not_divide_a_day_are_refused(minutes):
    with pytest.raises(InputError, match=r"aggregate\.window: Stream Analytics cannot cut windows of"):
        WindowsQuery(timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"features": ("mean", "slope")}, "Stream Analytics cannot compute 'slope'"),
        ({"features": ("maen",)}, "feature 'maen' is not valid"),
        ({"columns": {"value": "a]b"}}, r"ingest\.columns\.value: 'a\]b' cannot name a field"),
        ({"columns": {"vlaue": "a"}}, r"ingest\.columns\.vlaue"),
    ],
)
def test_what_the_service_cannot_do_is_refused_in_one_sentence(given, says):
    with pytest.raises(InputError, match=says):
        WindowsQuery(**given)


def test_a_feature_added_as_the_page_says_is_computed_and_named_by_the_query(monkeypatch):
    page = read_page("how-to/add-a-feature.md")
    (function,), (command,) = code_blocks(page, "python"), code_blocks(page, "console")
    name, written = re.search(r'`"(\w+)": (\w+)`', page).groups()
    exec(function, vars(features))
    monkeypatch.setitem(features._FEATURES, name, vars(features).pop(written))
    chosen = yaml.safe_load(re.search(r"aggregate\.features=(\[.*?\])", command)[1])
    readings = make_readings([0, 1, 2], [1.0, 3.0, 7.0])
    assert aggregate_readings(readings, DAY_US, chosen)[name].to_pylist() == [3.0]
    with pytest.raises(InputError, match=rf"cannot compute '{name}'.*diff_mean"):
        configured_query({"aggregate": {"features": chosen}})


@pytest.mark.parametrize(
    ("known", "unknown"),
    [
        ("AVG(value)", "VAR(value)"),
        ("STDEVP(value)", "STDEV(value)"),
        ("TopOne(value)", "CollectTop(value)"),
        ("TumblingWindow(", "HoppingWindow("),
        ("Offset(microsecond, -1)", "Offset(fortnight, -1)"),
        ("[last] - [first]", "[last] / [first]"),
        ("AS nvarchar(max)", "AS datetime"),
        ("LAG(window_end)", "LAG(window_end, 2)"),
        ("FROM followed\n", "FROM followed, summary\n"),
        ("TIMESTAMP BY [timestamp] OVER", "TIMESTAMP BY UPPER([timestamp]) OVER"),
        ("HAVING COUNT(*) >= 1", "HAVING COUNT(*) >= 1 ORDER BY window_end"),
        ("[sensor], PartitionId, System.Timestamp()\n", "PartitionId, System.Timestamp()\n"),
        ("INTO windows", ""),
    ],
)
def test_the_translation_refuses_what_it_does_not_know(known, unknown):
    text = str(WindowsQuery())
    assert known in text
    with pytest.raises((UnknownSyntaxError, ParseError)):
        to_duckdb(text.replace(known, unknown))


@pytest.mark.parametrize(
    "ingest", [{"convert": {"t": "°F → °C"}}, {"missing": [-200]}, {"decimal": ","}, {"same_time": "mean"}]
)
def test_settings_of_values_that_a_stream_does_not_follow_are_refused(ingest):
    with pytest.raises(InputError, match=rf"ingest\.{next(iter(ingest))}: .* Stream Analytics"):
        configured_query({"ingest": ingest})


def test_settings_of_files_are_nothing_to_a_stream():
    plain = configured_query({})
    assert (
        configured_query({"ingest": {"on_conflict": "newest", "rounding": 1, "on_bad_file": "stop"}}) == plain
    )
