"""The windows to train on are found in the log of their table, and read no more than needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.operations.annotations import Annotations
from batch_scoring.tables.schemas import DEVICES, FEEDBACK, windows_schema
from batch_scoring.training import windows as training_windows
from batch_scoring.training.settings import TrainParameters
from batch_scoring.training.windows import Plant, find_windows, training_range
from tests.factories import DAY_US, MINUTE_US, START, START_US, make_windows
from tests.incidents.test_calendar import entries
from tests.tables_on_disk import TableOnDisk

pytestmark = pytest.mark.slow

LATER = datetime(2026, 3, 1, tzinfo=UTC)
ALL = TrainParameters(share=1.0)


def make_day(day, devices=("a", "b"), sensor="s", rows=288):
    rng = np.random.default_rng(abs(day))
    names = [device for device in devices for _ in range(rows)]
    X = rng.normal(size=(len(names), 2))
    return make_windows(X, names, sensor, start_us=START_US + day * DAY_US)


def write_days(folder, devices=("a", "b"), days=3, rows=288, others=()):
    """A table with a file a day, in which the windows of other sensors lie, too."""
    table = TableOnDisk(folder, "window_start")
    for day in range(days):
        sensors = sorted(["s", *others])
        table.add(pa.concat_tables([make_day(day, devices, sensor, rows) for sensor in sensors]))
    return table.load()


def read(windows, devices=None):
    nothing = windows.table.schema.empty_table()
    parts = [part for parts in windows.ranges(devices) for part in parts]
    return pa.concat_tables([nothing, *parts], promote_options="default").sort_by(
        [("device", "ascending"), ("window_start", "ascending")]
    )


@given(hours=st.integers(-3, 80), length=st.integers(1, 80), now=st.integers(-3, 80), others=st.booleans())
def test_just_the_windows_inside_the_range_that_have_ended_are_read(
    tmp_path_factory, hours, length, now, others
):
    table = write_days(tmp_path_factory.mktemp("w"), rows=48, others=["r", "t"] if others else [])
    start = START + timedelta(hours=hours)
    settings = TrainParameters(from_=start, to=start + timedelta(hours=length))
    moment = START + timedelta(hours=now)
    found = find_windows("s", table, settings, moment)
    every = table.read(sensors=["s"])
    inside = pc.and_(
        pc.and_(pc.greater_equal(every["window_start"], start), pc.less(every["window_start"], settings.to)),
        pc.less_equal(every["window_end"], moment),
    )
    expected = every.filter(inside).sort_by([("device", "ascending"), ("window_start", "ascending")])
    rows = read(found) if found else expected.slice(0, 0)
    columns = ["device", "window_start", "mean"]
    assert rows.select(columns).to_pylist() == expected.select(columns).to_pylist()


def test_a_range_is_read_a_few_devices_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(training_windows, "BATCH_ROWS", 1)
    names = [f"d{i:02}" for i in range(40)]
    found = find_windows("s", write_days(tmp_path, names, rows=100), ALL, LATER)
    ranges = list(found.ranges())
    assert max(sum(part.num_rows for part in parts) for parts in ranges) < 12_000 / 2
    assert read(found, frozenset(["d07", "d33"]))["device"].unique().to_pylist() == ["d07", "d33"]


def test_the_fingerprint_does_not_depend_on_the_files_or_on_other_sensors(tmp_path):
    one = write_days(tmp_path / "days", days=2)
    table = TableOnDisk(tmp_path / "parts", "window_start")
    both = pa.concat_tables([make_day(0), make_day(1)])
    late = pa.array(np.random.default_rng(0).random(both.num_rows) < 0.2)
    by = [("sensor", "ascending"), ("device", "ascending"), ("window_start", "ascending")]
    table.add(pa.concat_tables([both.filter(pc.invert(late)), make_day(0, sensor="t")]).sort_by(by))
    table.add(both.filter(late).sort_by(by))
    prints = {find_windows("s", rows, ALL, LATER).fingerprint(ALL) for rows in (one, table.load())}
    assert len(prints) == 1
    table.change(lambda rows: rows.slice(1))
    assert find_windows("s", table.load(), ALL, LATER).fingerprint(ALL) not in prints


@pytest.mark.parametrize(
    "other",
    [
        TrainParameters(share=0.9),
        TrainParameters(share=1.0, features=("mean",)),
        TrainParameters(share=1.0, fit=FitParameters(nu=0.2)),
    ],
)
def test_the_fingerprint_tells_range_features_and_fit(tmp_path, other):
    table = write_days(tmp_path)
    prints = [find_windows("s", table, settings, LATER).fingerprint(settings) for settings in (ALL, other)]
    assert prints[0] != prints[1]


def test_another_version_of_the_fit_is_another_fingerprint(tmp_path, monkeypatch):
    windows = find_windows("s", write_days(tmp_path), ALL, LATER)
    before = windows.fingerprint(ALL)
    monkeypatch.setattr(training_windows, "FIT_VERSION", training_windows.FIT_VERSION + 1)
    assert windows.fingerprint(ALL) != before


def test_the_data_are_named_by_table_version_and_digest(tmp_path):
    table = write_days(tmp_path, days=2)
    settings = TrainParameters(from_=START, to=START + timedelta(days=1), features=("std",))

    data = find_windows("s", table, settings, LATER).data

    assert data.place == str(tmp_path)
    assert (data.version, data.n_rows, data.features) == (table.version, 2 * 288, ("std",))
    assert (data.first, data.last) == (f"{START:%Y-%m-%dT%H:%M:%SZ}", f"{settings.to:%Y-%m-%dT%H:%M:%SZ}")
    more = write_days(tmp_path / "more", days=3)
    assert find_windows("s", more, settings, LATER).data.digest == data.digest
    assert find_windows("s", more, ALL, LATER).data.digest != data.digest


def test_a_day_beside_the_range_changes_no_fingerprint(tmp_path):
    settings = TrainParameters(from_=START, to=START + timedelta(days=1))
    few, more = (find_windows("s", write_days(tmp_path / str(n), days=n), settings, LATER) for n in (1, 3))
    assert few.fingerprint(settings) == more.fingerprint(settings)


def test_a_range_that_is_named_asks_for_no_share():
    window = 5 * MINUTE_US
    day = TrainParameters(from_=START, to=START + timedelta(days=1))
    assert training_range(0, window, window, day, no_share) == (START_US, START_US + DAY_US)


def no_share(first):
    raise AssertionError(f"the share from {first} was asked for")


def test_the_share_is_of_the_windows_and_one_clock_that_was_not_set_does_not_move_it(tmp_path, caplog):
    devices = ("a", "b")
    half = TrainParameters(share=0.5)
    good = find_windows("s", write_days(tmp_path / "good", devices, days=2), half, LATER)
    assert (good.first, good.last) == (START_US, START_US + DAY_US)
    table = TableOnDisk(tmp_path / "bad", "window_start")
    table.add(make_windows(np.zeros((3, 2)), ["a"] * 3, "s", start_us=0))
    for day in range(2):
        table.add(make_day(day, devices))
    with caplog.at_level("INFO"):
        found = find_windows("s", table.load(), half, LATER)
    assert found.last == pytest.approx(good.last, abs=5 * 5 * MINUTE_US)
    assert "windows from 1970-01-01 00:00 to 2026-01-05 23:55 UTC" in caplog.text
    rows = read(found)
    assert set(rows["device"].to_pylist()) == {"a", "b"} and rows.num_rows > 2 * 280


def test_a_device_with_a_long_history_does_not_end_the_training_before_others_began(tmp_path):
    table = TableOnDisk(tmp_path, "window_start")
    for day in range(-40, 2):
        table.add(make_day(day, ("old", "a", "b") if day >= 0 else ("old",), rows=48))
    found = find_windows("s", table.load(), TrainParameters(share=0.7), LATER)
    counts = read(found).group_by("device").aggregate([([], "count_all")]).to_pylist()
    assert {row["device"]: row["count_all"] for row in counts if row["device"] != "old"} == {
        "a": pytest.approx(2 * 48 * 0.55, abs=2),
        "b": pytest.approx(2 * 48 * 0.55, abs=2),
    }


def test_which_devices_have_windows_is_looked_up(tmp_path):
    found = find_windows("s", write_days(tmp_path), ALL, LATER)
    assert found.devices_among(frozenset(["b", "mute"])) == {"b"}
    assert found.n_windows == 3 * 2 * 288


def test_no_window_that_has_ended_is_nothing(tmp_path):
    table = write_days(tmp_path)
    assert find_windows("s", table, ALL, START) is None
    assert find_windows("t", table, ALL, LATER) is None


def test_a_range_is_the_last_so_long_before_the_end():
    window = 5 * MINUTE_US
    rolling = TrainParameters(range=timedelta(hours=1), hold_out=timedelta(minutes=12))
    # The end lies on a window's edge, 12 minutes or more before the newest window's.
    assert training_range(0, 100 * window, window, rolling, no_share) == (85 * window, 97 * window)
    assert training_range(0, 200 * window, window, rolling, no_share) == (185 * window, 197 * window)
    short = TrainParameters(range=timedelta(days=9), hold_out=timedelta(days=9))
    assert training_range(0, 100 * window, window, short, no_share) == (0, window)
    both = TrainParameters(from_=START, range=timedelta(minutes=10), to=START + timedelta(hours=1))
    assert training_range(0, window, window, both, no_share) == (
        START_US + 10 * window,
        START_US + 12 * window,
    )


def feedback(*rows):
    columns = zip(*[(*row, None) for row in rows], strict=True)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, FEEDBACK, strict=True)], schema=FEEDBACK)


def event(device="b", first=30, last=40, sensor="s", verdict="true_event"):
    minutes = (START + timedelta(minutes=m) for m in (first, last))
    return (device, sensor, *minutes, verdict)


def test_windows_that_overlap_a_confirmed_event_are_not_read(tmp_path):
    known = feedback(event(), event("a", 0, 3), event("nobody"), event("b", 1441, 1442))
    table = write_days(tmp_path, days=2)
    found = find_windows("s", table, ALL, LATER, known)
    rows = read(found)
    every = read(find_windows("s", table, ALL, LATER))
    gone = {(row["device"], row["window_start"]) for row in every.to_pylist()}
    gone -= {(row["device"], row["window_start"]) for row in rows.to_pylist()}
    minutes = {(device, int((at - START).total_seconds() / 60)) for device, at in gone}
    assert minutes == {("b", 30), ("b", 35), ("a", 0), ("b", 1440)}
    assert read(found, frozenset("a")).num_rows == 2 * 288 - 1


def test_only_confirmed_events_of_the_sensor_in_the_range_are_part_of_the_fingerprint(tmp_path):
    settings = TrainParameters(to=START + timedelta(days=1))
    table = write_days(tmp_path)

    def fingerprint(*rows):
        known = feedback(*rows) if rows else None
        return find_windows("s", table, settings, LATER, known).fingerprint(settings)

    none = fingerprint()
    assert fingerprint(event(verdict="false_alarm"), event(sensor="t"), event("b", 1440, 1445)) == none
    assert fingerprint(event()) != none
    assert fingerprint(event(), event("a")) == fingerprint(event("a"), event()) != fingerprint(event())


def test_held_out_windows_are_those_that_start_later_and_are_no_events(tmp_path):
    settings = TrainParameters(to=START + timedelta(days=1))
    found = find_windows("s", write_days(tmp_path), settings, LATER, feedback(event("b", 1445, 1450)))
    rest = found.held_out(found.last, ["mean"])
    rows = read(rest)
    assert rows.num_rows == 2 * 2 * 288 - 1
    assert rows["window_start"].to_pylist()[0] == START + timedelta(days=1)
    assert "f1" not in next(rest.ranges())[0].column_names
    assert found.held_out(found.last + 9 * DAY_US, ["mean"]) is None


def test_another_warm_up_is_another_training_since_it_is_stored_with_the_models(tmp_path):
    found = find_windows("s", write_days(tmp_path), ALL, LATER)
    other = TrainParameters(share=1.0, warm_up=timedelta(days=14))
    assert found.fingerprint(ALL) == found.fingerprint(TrainParameters(share=1.0, warm_up=timedelta(days=7)))
    assert found.fingerprint(other) != found.fingerprint(ALL)


def test_what_is_read_has_the_schema_of_windows_of_these_features_even_held_out(tmp_path):
    found = find_windows("s", write_days(tmp_path), TrainParameters(share=0.5), LATER)
    held_out = found.held_out(found.last, ["f1", "count"])
    for windows, features in ((found, ["mean", "f1"]), (held_out, ["f1"])):
        schemas = {part.schema for parts in windows.ranges() for part in parts}
        assert schemas == {windows_schema(features)}


def test_the_times_of_the_calendar_are_not_trained_on_and_a_device_in_them_is_heard(tmp_path):
    table = write_days(tmp_path, ["a", "b"], days=2, rows=6)
    calendar = entries(("a", "*", 2, 4))
    found = find_windows("s", table, ALL, LATER, plant=Plant.of(Annotations({"calendar": calendar})))
    plain = find_windows("s", table, ALL, LATER)
    left_out = read(plain).to_pylist()[2:4]
    assert read(found).to_pylist() == [row for row in read(plain).to_pylist() if row not in left_out]
    assert found.fingerprint(ALL) != plain.fingerprint(ALL)
    other = Plant.of(Annotations({"calendar": entries(("c", "*", 2, 4))}))
    assert find_windows("s", table, ALL, LATER, plant=other).fingerprint(ALL) == plain.fingerprint(ALL)
    assert read(found.heard(START_US)).num_rows == read(plain).num_rows


def accepted(*rows):
    """Feedback that accepts the level of (device, from a day on)."""
    return pa.Table.from_pylist(
        [
            {"device": device, "sensor": "s", "verdict": "accepted"}
            | {"start": START + timedelta(days=day), "end": START + timedelta(days=day, hours=1)}
            for device, day in rows
        ],
        FEEDBACK,
    )


def days_of(windows, device):
    rows = read(windows)
    mine = rows.filter(pc.equal(rows["device"], device))["window_start"].cast(pa.int64()).to_numpy()
    return sorted(set(((mine - START_US) // DAY_US).tolist()))


@pytest.mark.parametrize(
    ("step", "expected"),
    [(1, [1, 2]), (4, [4, 5]), (7, [7, 8]), (9, [9])],
    ids=["within the range", "after it", "as long as there are windows", "on the last day"],
)
def test_an_accepted_level_is_trained_on_from_its_step_on_for_a_week_at_least(tmp_path, step, expected):
    table = write_days(tmp_path, ["a", "b"], days=10, rows=6)
    settings = TrainParameters(to=START + timedelta(days=3), warm_up=timedelta(days=2))
    found = find_windows("s", table, settings, LATER, accepted(("a", 0), ("a", step)))
    assert days_of(found, "a") == expected
    assert days_of(found, "b") == [0, 1, 2]
    plain = find_windows("s", table, settings, LATER)
    assert found.fingerprint(settings) != plain.fingerprint(settings)


def test_an_accepted_level_is_held_out_after_its_own_training_only(tmp_path):
    table = write_days(tmp_path, ["a", "b"], days=10, rows=6)
    settings = TrainParameters(to=START + timedelta(days=3), warm_up=timedelta(days=2))
    found = find_windows("s", table, settings, LATER, accepted(("a", 5)))
    rest = found.held_out(START_US + 3 * DAY_US, found.features)
    assert days_of(rest, "a") == [7, 8, 9]
    assert days_of(rest, "b") == [3, 4, 5, 6, 7, 8, 9]


def test_a_level_that_was_accepted_of_an_old_name_is_that_of_the_new_one(tmp_path):
    table = write_days(tmp_path, ["new", "old"], days=4, rows=6)
    devices = pa.Table.from_pylist([{"id": "new", "replaces": "old"}], DEVICES)
    plant = Plant.of(Annotations({"devices": devices}))
    found = find_windows("s", table, ALL, LATER, accepted(("old", 2)), plant)
    assert days_of(found, "new") == [2, 3]
