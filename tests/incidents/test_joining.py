"""Anomalous windows become incidents, the same ones however the time is cut."""

import math
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.incidents.joining import JoinRules, hex_digits, join_windows
from batch_scoring.tables.schemas import INCIDENTS, JUDGED
from tests.factories import MINUTE_US
from tests.predictions import draw_predictions, window_number

NOTHING = INCIDENTS.empty_table()


def rules(gap=0, min_windows=1, cool_down=0):
    return JoinRules(gap, min_windows, cool_down * 5 * MINUTE_US)


def join(series, how, unfinished=NOTHING, first=0, sensor="s"):
    return join_windows(draw_predictions(series, sensor, first).select(JUDGED), unfinished, how)


def spans(table):
    """(device, first window, window after the last one, anomalous windows, peak) of each row."""
    return [
        (r["device"], window_number(r["start"]), window_number(r["end"]), r["n_windows"], r["peak_severity"])
        for r in table.to_pylist()
    ]


def walk(text, how):
    """Incidents of one device window by window: what the arrays must give. And which of them is open."""
    incidents, run, last = [], None, None
    cool_down = how.cool_down_us // (5 * MINUTE_US)
    for place, mark in enumerate(text):
        if mark == " ":
            continue
        last = place
        if mark == ".":
            continue
        reach = max(how.tolerated_gap, cool_down)
        if incidents and place - incidents[-1][-1] - 1 <= reach:
            incidents[-1].append(place)
            continue
        run = [*run, place] if run and place - run[-1] - 1 <= how.tolerated_gap else [place]
        if len(run) >= how.min_windows:
            incidents.append(run)
            run = None
    found = [(r[0], r[-1] + 1, len(r), max(float(text[i]) for i in r)) for r in incidents]
    is_open = bool(found) and last + 1 - found[-1][1] <= max(how.tolerated_gap, cool_down)
    return found, is_open


def test_each_stretch_of_anomalies_is_an_incident():
    closed, unfinished = join({"a": "..12.3..", "b": ".4......"}, rules())
    assert spans(closed) == [("a", 2, 4, 2, 2.0), ("a", 5, 6, 1, 3.0), ("b", 1, 2, 1, 4.0)]
    assert unfinished.num_rows == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1..1...", [(0, 4)]),
        ("1  1...", [(0, 4)]),
        ("1...1...", [(0, 1), (4, 5)]),
        ("11.1..1...", [(0, 7)]),
    ],
)
def test_a_tolerated_gap_is_windows_without_an_anomaly_or_without_readings(text, found):
    closed, _ = join({"a": text}, rules(gap=2))
    assert [span[1:3] for span in spans(closed)] == found


def test_too_few_windows_are_no_incident_and_do_not_begin_one():
    closed, unfinished = join({"a": "1..11..1....11"}, rules(min_windows=2, cool_down=3))
    assert spans(closed) == [("a", 3, 8, 3, 1.0)]
    assert spans(unfinished) == [("a", 12, 14, 2, 1.0)]


def test_short_runs_in_one_cool_down_do_not_add_up_over_a_cut():
    how = rules(min_windows=2, cool_down=4)
    _, unfinished = join({"a": "1...1"}, how)
    assert spans(unfinished) == [("a", 4, 5, 1, 1.0)]
    closed, unfinished = join({"a": "......"}, how, unfinished, first=5)
    assert (closed.num_rows, unfinished.num_rows) == (0, 0)


def test_in_the_cool_down_a_single_anomaly_goes_on_with_the_incident():
    closed, _ = join({"a": "11..1...1....1."}, rules(min_windows=2, cool_down=3))
    assert spans(closed) == [("a", 0, 9, 4, 1.0)]


def test_an_incident_is_open_until_a_window_shows_that_nothing_can_extend_it():
    for text, n_open in [("1", 1), ("1..", 1), ("1...", 0), ("1      ", 1), ("1      .", 0)]:
        closed, unfinished = join({"a": text}, rules(gap=2))
        assert (closed.num_rows, unfinished.num_rows) == (1 - n_open, n_open), text


def test_a_device_that_falls_silent_keeps_its_incident_open():
    _, unfinished = join({"a": ".1", "b": ".1"}, rules())
    closed, later = join({"b": "...."}, rules(), unfinished, first=2)
    assert [row[0] for row in spans(closed)] == ["b"]
    assert later.equals(unfinished.slice(0, 1))


def test_the_peak_is_the_first_window_of_the_largest_severity():
    closed, _ = join({"a": "2393."}, rules())
    row = closed.to_pylist()[0]
    assert (row["peak_severity"], window_number(row["peak_at"])) == (9.0, 2)
    assert (row["top_feature"], row["model_version"]) == ("feature 9", "1")


def led(features, severities, first=0):
    """Windows of a device, each led by a feature; its value is the severity."""
    windows = draw_predictions({"a": "".join("1" if name else "." for name in features)}, "s", first)
    own = {
        "top_feature": pa.array(features, pa.string()),
        "severity": pa.array(severities, pa.float64()),
        "top_value": pa.array(severities, pa.float64()),
        "expected": pa.array([0.0] * len(features)),
    }
    for name, values in own.items():
        place = windows.schema.get_field_index(name)
        windows = windows.set_column(place, windows.schema.field(name), values)
    return windows.select(JUDGED)


def test_the_windows_that_the_mean_leads_are_counted_and_the_worst_of_them_is_kept():
    closed, _ = join_windows(
        led(["std", "mean", "min", "mean", None], [9.0, 2.0, 3.0, 4.0, 0.0]), NOTHING, rules()
    )
    (row,) = closed.to_pylist()
    assert (row["n_windows"], row["top_feature"], row["top_value"]) == (4, "std", 9.0)
    assert (row["n_level"], row["level_severity"], row["level_value"]) == (2, 4.0, 4.0)
    assert (row["level_expected"], row["level_upper"]) == (0.0, None)


def test_where_the_mean_leads_no_window_there_is_no_level():
    closed, _ = join_windows(led(["std", "min", None], [9.0, 2.0, 0.0]), NOTHING, rules())
    (row,) = closed.to_pylist()
    assert [row[name] for name in ("n_level", "level_severity", "level_value")] == [0, None, None]


@given(
    st.lists(st.tuples(st.sampled_from(["mean", "std", "min"]), st.integers(1, 9)), min_size=2, max_size=12),
    st.data(),
)
def test_the_level_is_the_same_however_the_time_is_cut(windows, data):
    features, severities = zip(*windows, strict=True)
    cut = data.draw(st.integers(1, len(windows) - 1))
    _, whole = join_windows(led(features, severities), NOTHING, rules())
    _, before = join_windows(led(features[:cut], severities[:cut]), NOTHING, rules())
    _, after = join_windows(led(features[cut:], severities[cut:], cut), before, rules())
    assert after.to_pylist() == whole.to_pylist()


def test_a_severity_that_is_no_number_is_no_peak():
    windows = draw_predictions({"a": "19."}).select(JUDGED)
    severity = np.array([1.0, np.nan, 0.0])
    windows = windows.set_column(windows.column_names.index("severity"), "severity", [severity])
    closed, _ = join_windows(windows, NOTHING, rules())
    assert spans(closed) == [("a", 0, 2, 2, 1.0)]


def test_an_id_stays_while_its_incident_grows_and_differs_between_series():
    short, long = join({"a": ".1"}, rules())[1], join({"a": ".12345"}, rules())[1]
    other_sensor, other = join({"a": ".12345"}, rules(), sensor="t")[1], join({"b": ".1"}, rules())[1]
    ids = [rows["incident_id"][0].as_py() for rows in (short, long, other_sensor, other)]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    # Receivers keep ids for ever: this one must never change.
    assert ids[0] == "32db28b2d0aeadbb"


def test_runs_that_are_too_short_so_far_are_forming():
    _, unfinished = join({"a": ".1", "b": ".11"}, rules(min_windows=2))
    assert unfinished["state"].to_pylist() == ["forming", "open"]
    closed, unfinished = join({"a": "1.", "b": ".."}, rules(min_windows=2), unfinished, first=2)
    assert (closed["device"].to_pylist(), closed["state"].to_pylist()) == (["a", "b"], ["closed", "closed"])
    assert unfinished.num_rows == 0


def test_sensors_are_joined_apart():
    tables = [
        draw_predictions({"a": mark, "b": mark}, sensor) for sensor, mark in (("s", ".1."), ("t", "1.1"))
    ]
    closed, unfinished = join_windows(pa.concat_tables(tables).select(JUDGED), NOTHING, rules())
    series = [(row["sensor"], row["device"], window_number(row["start"])) for row in closed.to_pylist()]
    assert series == [("s", "a", 1), ("s", "b", 1), ("t", "a", 0), ("t", "b", 0)]
    assert unfinished.select(["sensor", "device"]).to_pylist() == [
        {"sensor": "t", "device": "a"}, {"sensor": "t", "device": "b"},
    ]  # fmt: skip


def test_no_windows_no_incidents():
    closed, unfinished = join({}, rules())
    assert (closed.num_rows, unfinished.num_rows) == (0, 0)
    assert closed.schema == unfinished.schema == INCIDENTS


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_ids_are_the_numbers_in_hexadecimal(numbers):
    assert hex_digits(np.array(numbers, np.uint64)).to_pylist() == [f"{n:016x}" for n in numbers]


MARKS = st.text(st.sampled_from([".", ".", " ", "1", "2", "9"]), max_size=25)
FLEETS = st.dictionaries(st.sampled_from(["", "a", "ab", "ü", "\U0001f600"]), MARKS, max_size=4)
RULES = st.builds(rules, st.integers(0, 3), st.integers(1, 3), st.integers(0, 5))


@given(FLEETS, RULES, st.lists(st.integers(1, 24), max_size=4))
def test_incidents_are_those_of_a_walk_however_the_time_is_cut(fleet, how, cuts):
    closed, unfinished = [], NOTHING
    edges = [0, *sorted(cuts), 25]
    for begin, end in pairwise(edges):
        part = {device: text[begin:end] for device, text in fleet.items()}
        done, unfinished = join(part, how, unfinished, begin)
        closed += spans(done)
    still_open = spans(unfinished.filter(pc.equal(unfinished["state"], "open")))
    expected = {device: walk(text, how) for device, text in fleet.items()}
    assert sorted(closed + still_open) == sorted(
        (device, *one) for device, (found, _) in expected.items() for one in found
    )
    assert {row[0] for row in still_open} == {device for device, (_, is_open) in expected.items() if is_open}
    names = unfinished["device"].to_pylist()
    assert names == sorted(set(names), key=str.encode)


@given(FLEETS, RULES)
def test_of_normal_windows_only_the_last_of_a_device_matters(fleet, how):
    windows = draw_predictions(fleet).select(JUDGED)
    device, is_anomaly = windows["device"].to_pylist(), windows["is_anomaly"].to_pylist()
    keep = [
        bad or name != after
        for name, after, bad in zip(device, [*device[1:], None], is_anomaly, strict=False)
    ]
    whole, part = (
        join_windows(windows, NOTHING, how),
        join_windows(windows.filter(pa.array(keep, pa.bool_())), NOTHING, how),
    )
    assert [table.to_pylist() for table in part] == [table.to_pylist() for table in whole]


def test_an_incident_keeps_the_most_evidence_it_has_had():
    """A window's evidence is its severity here; of what it counts, a tenth goes with each window."""
    _, unfinished = join({"a": "9........1"}, rules(gap=9))
    (row,) = unfinished.to_pylist()
    assert row["evidence"] == pytest.approx(1.3)
    assert row["evidence_at_end"] == pytest.approx(1.3 * 0.9**9 + 0.3 + math.log10(2))


def test_an_incident_is_warming_up_while_all_its_windows_are():
    young = draw_predictions({"a": "11", "b": "1."}, young=["a", "b"]).select(JUDGED)
    later = draw_predictions({"a": "..1", "b": "..."}, first=2).select(JUDGED)
    closed, going_on = join_windows(young, NOTHING, rules(gap=3))
    assert (closed.num_rows, going_on["warming_up"].to_pylist()) == (0, [True, True])
    closed, going_on = join_windows(later, going_on, rules(gap=3))
    found = {row["device"]: row["warming_up"] for row in pa.concat_tables([closed, going_on]).to_pylist()}
    assert found == {"a": False, "b": True}


def test_windows_scored_before_young_models_were_marked_count_as_of_old_ones():
    windows = draw_predictions({"a": "11"}, young=["a"]).select(JUDGED)
    place = windows.schema.get_field_index("warming_up")
    unknown = windows.set_column(place, "warming_up", pa.nulls(2, pa.bool_()))
    assert join_windows(unknown, NOTHING, rules())[1]["warming_up"].to_pylist() == [False]
