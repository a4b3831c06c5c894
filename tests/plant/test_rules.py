"""What people know decides what counts as an anomaly; another rule scores again the windows it is about."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import read_parameters
from batch_scoring.incidents.devices import roll_up
from batch_scoring.incidents.evidence import window_evidence
from batch_scoring.incidents.joining import JoinRules, join_windows
from batch_scoring.operations.annotations import NOTHING_WRITTEN
from batch_scoring.plant.devices import Devices
from batch_scoring.plant.rules import Domain, judged
from batch_scoring.plant.settings import DomainParameters
from batch_scoring.tables.schemas import INCIDENTS, PREDICTIONS
from batch_scoring.training.windows import Plant, find_windows
from tests.factories import make_windows
from tests.incidents.test_devices import RULES, last_rows
from tests.plant.test_devices import known
from tests.predictions import draw_predictions
from tests.scoring.work import Work, at, constant
from tests.tables_on_disk import TableOnDisk
from tests.training.test_windows import ALL, LATER, read


def rules(*some):
    return read_parameters(DomainParameters, {"rules": list(some)}, "domain").read_rules


def predictions(*rows, device="a"):
    """Rows of (is_anomaly, top_feature, top_value, expected) of the sensor s."""
    marks = "".join("5" if row[0] else "." for row in rows)
    table = draw_predictions({device: marks})
    columns = dict(zip(table.column_names, table.columns, strict=True))
    for place, name in enumerate(("top_feature", "top_value", "expected"), 1):
        columns[name] = pa.array([row[place] for row in rows], PREDICTIONS.field(name).type)
    return pa.table(columns, schema=PREDICTIONS)


def windows(*values):
    """Windows of the sensor s with min, mean and max."""
    X = [[low, (low + high) / 2, high] for low, high in values]
    return make_windows(X, ["a"] * len(values), "s", features=["min", "mean", "max"])


def apply(rule, table, beside=None, is_off=None):
    n = table.num_rows
    beside = windows(*[(0.0, 0.0)] * n) if beside is None else beside
    found = Domain(rules(rule)).of("s", table["device"])
    return judged(table, beside, found, np.zeros(n, bool) if is_off is None else np.array(is_off))


def verdicts(rule, *rows, **more):
    table = apply(rule, predictions(*rows), **more)
    return list(zip(table["is_anomaly"].to_pylist(), table["rule"].to_pylist(), strict=True))


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        ("above", [(True, None), (False, "direction")]),
        ("below", [(False, "direction"), (True, None)]),
        ("both", [(True, None), (True, None)]),
    ],
)
def test_an_anomaly_on_the_side_that_does_not_matter_is_none(direction, expected):
    rows = (True, "mean", 9.0, 5.0), (True, "min", 1.0, 5.0)
    assert verdicts({"direction": direction}, *rows) == expected


@pytest.mark.parametrize(("smallest", "counts"), [(0.5, True), (0.6, False), ("5%", True), ("6%", False)])
def test_an_anomaly_closer_than_the_smallest_deviation_is_none(smallest, counts):
    found = verdicts({"smallest_deviation": smallest}, (True, "mean", 9.5, 10.0))
    assert found == [(counts, None if counts else "deviation")]


def test_what_has_no_value_to_compare_counts_as_it_is():
    rule = {"direction": "above", "smallest_deviation": 100}
    rows = (True, "equal_run", 50.0, 90.0), (True, "mean", 1.0, None), (False, "mean", 1.0, 5.0)
    assert verdicts(rule, *rows) == [(True, None), (True, None), (False, None)]


def test_beyond_a_limit_is_always_an_anomaly_that_counts():
    rule = {"limits": [0, 10], "direction": "above", "smallest_deviation": 100}
    row = (False, "mean", 5.0, 5.0)
    beside = windows((0.0, 10.0), (0.0, 10.1), (-0.1, 5.0))
    table = apply(rule, predictions(row, row, row), beside)
    assert table["rule"].to_pylist() == [None, "limit", "limit"]
    assert table["is_anomaly"].to_pylist() == [False, True, True]
    assert table["severity"].to_pylist() == [0.0, 1.0, 1.0]
    assert np.allclose(window_evidence(table), [0.3, 1.3, 1.3])


def test_limits_are_held_against_the_mean_where_there_is_nothing_else():
    beside = make_windows([[11.0], [9.0]], ["a", "a"], "s")
    row = (False, "mean", 5.0, 5.0)
    assert verdicts({"limits": [None, 10]}, row, row, beside=beside) == [(True, "limit"), (False, None)]


def test_a_machine_that_is_off_has_no_score_whatever_it_reads():
    rule = {"limits": [0, 1]}
    table = apply(rule, predictions((True, "mean", 9.0, 5.0)), windows((5.0, 9.0)), [True])
    (row,) = table.to_pylist()
    assert (row["rule"], row["score"], row["is_anomaly"]) == ("off", None, False)
    assert (row["severity"], row["evidence"]) == (0.0, None)


def test_a_machine_that_is_off_may_stay_so_and_others_as_long_as_before():
    row = (False, "mean", 5.0, 5.0)
    table = predictions(row, row, row)
    place = table.schema.get_field_index("may_stay")
    table = table.set_column(place, PREDICTIONS.field(place), pa.array([4.0, 4.0, None], pa.float64()))
    found = apply({"limits": [0, 1]}, table, is_off=[True, False, False])
    assert found["may_stay"].to_pylist() == [np.inf, 4.0, None]


def test_of_rules_that_match_the_last_one_that_says_something_counts():
    some = rules(
        {"direction": "above", "limits": [0, 1]},
        {"sensor": "temp*", "direction": "below"},
        {"sensor": "t*", "device": "press-*", "smallest_deviation": 2},
    )
    devices = pa.chunked_array([["pump-1", "press-1", "pump-1"]])
    found = Domain(some).of("temperature", devices)
    pump, press = (found.rules[place] for place in found.of[:2])
    assert found.of[0] == found.of[2]
    assert (pump.direction, pump.limits, pump.deviation) == ("below", (0, 1), None)
    assert (press.direction, press.limits, press.deviation) == ("below", (0, 1), (2.0, 0.0))
    other = Domain(some).of("power", devices)
    assert {other.rules[place].direction for place in other.of} == {"above"}


def test_a_pattern_matches_the_group_of_a_device():
    written = Devices(known(("pump-1", None, None, "cellar")))
    domain = Domain(rules({"device": "cellar", "direction": "above"}), written)
    found = domain.of("s", pa.chunked_array([["pump-1", "pump-2"]]))
    assert [found.rules[place].direction for place in found.of] == ["above", None]


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"direction": "up"}, r"domain.rules\[1\].direction: 'up' is not valid; expected one of 'above'"),
        ({"smallest_deviation": "5 bar"}, "smallest_deviation: '5 bar' is not valid; expected a number"),
        ({"smallest_deviation": -1}, "smallest_deviation: -1 is not valid"),
        (
            {"limits": [3, 1]},
            r"domain.rules\[1\].limits: \(3, 1\) is not valid; expected a lower and an upper limit",
        ),
        ({"limits": [1]}, "limits: .* is not valid"),
        ({"limits": [3, math.nan]}, "limits: .* is not valid"),
        ({"sensor": "s"}, r"domain.rules\[1\]: says nothing; expected direction, smallest_deviation, "),
        (
            {"off_when": {"sensor": "power"}},
            "off_when with the sensor 'power' is not valid; expected 'below'",
        ),
        ({"off_when": {"below": 1}}, r"domain.rules\[1\].off_when.sensor: this setting is missing"),
        ({"directon": "above"}, "there is no such setting; did you mean 'direction'"),
    ],
)
def test_what_is_not_valid_is_named(rule, says):
    with pytest.raises(InputError, match=says):
        rules(rule)


def scored(work):
    return {key: (row["is_anomaly"], row["rule"]) for key, row in work.rows().items()}


@pytest.mark.slow
def test_another_rule_scores_again_just_the_windows_it_is_about(tmp_path):
    work = Work(tmp_path)
    work.train("ab")
    work.put(constant(3.0, "ab", range(8)))
    work.score()
    before = work.rows()
    assert set(scored(work).values()) == {(True, None)}
    work.rules = [{"device": "b", "limits": [0, 2]}]
    work.score()
    after = work.rows()
    assert {key for key in after if after[key] != before[key]} == {key for key in after if key[1] == "b"}
    assert {value for key, value in scored(work).items() if key[1] == "b"} == {(True, "limit")}
    assert work.score() == (False, False)
    work.rules = []
    work.score()
    assert work.rows() == before


POWER_OFF = {"sensor": "s", "off_when": {"sensor": "t", "below": 1.0}}


def test_nothing_is_judged_while_another_sensor_shows_that_the_machine_is_off(tmp_path):
    work = Work(tmp_path)
    work.train("ab")
    work.train("ab", "t", threshold=-1.0)
    work.rules = [POWER_OFF]
    values = {("t", "a", step): 0.5 if step in (2, 3) else 2.0 for step in range(6)}
    work.put(constant(3.0, "ab", range(6)) | values)
    work.score()
    found = scored(work)
    assert [found["s", "a", step] for step in range(6)] == [
        (False, "off") if step in (2, 3) else (True, None) for step in range(6)
    ]
    assert {found["s", "b", step] for step in range(6)} == {(True, None)}
    daily = work.daily()
    assert daily["s", "a", 0, "1"]["n_windows"] == 6
    assert daily["s", "a", 0, "1"]["n_anomalies"] == 4


@pytest.mark.slow
def test_with_several_files_and_sensors_the_same_windows_are_off(tmp_path):
    values = {("t", device, step): float(step % 3) for device in "abc" for step in range(13)}
    results = []
    for name, file_each in (("one", False), ("each", True)):
        work = Work(tmp_path / name)
        work.train("abc")
        work.train("abc", "t")
        work.rules = [POWER_OFF, {"sensor": "t", "device": "b", "off_when": {"sensor": "s", "above": 2.0}}]
        work.put(constant(3.0, "abc", range(13)) | values, file_each=file_each)
        for hour in (4, 9, 20):
            work.score(at(hour))
        results.append(scored(work))
    assert results[0] == results[1]
    off = {key for key, value in results[0].items() if value[1] == "off"}
    assert off == {("s", device, step) for device in "abc" for step in (0, 3, 6, 9, 12)} | {
        ("t", "b", step) for step in range(13)
    }


def test_what_shows_late_that_a_machine_was_off_is_heeded(tmp_path):
    work = Work(tmp_path)
    work.train("a")
    work.rules = [POWER_OFF]
    work.put(constant(3.0, "a", range(6)))
    work.score()
    assert set(scored(work).values()) == {(True, None)}
    work.put({("t", "a", 2): 0.0})
    work.score()
    assert {key[2] for key, value in scored(work).items() if value[1] == "off"} == {2}


def test_windows_of_a_machine_that_is_off_are_not_trained_on(tmp_path):
    table = TableOnDisk(tmp_path, "window_start")
    rng = np.random.default_rng(0)
    power = np.where(np.arange(48) % 4 == 0, 0.0, 5.0)[:, None]
    for devices in (["a"] * 24 + ["b"] * 24,):
        table.add(
            pa.concat_tables(
                [make_windows(power, devices, "power"), make_windows(rng.normal(size=(48, 1)), devices, "s")]
            )
        )
    rows = table.load()
    rule = {"device": "a", "off_when": {"sensor": "power", "below": 0.1}}
    plant = Plant.of(NOTHING_WRITTEN, {"rules": [rule]})
    found = find_windows("s", rows, ALL, LATER, plant=plant)
    plain = find_windows("s", rows, ALL, LATER)
    expected = [row for n, row in enumerate(read(plain).to_pylist()) if n >= 24 or n % 4]
    assert read(found).to_pylist() == expected
    assert found.fingerprint(ALL) != plain.fingerprint(ALL)


def test_an_incident_says_that_a_limit_was_passed():
    table = draw_predictions({"a": "..555..", "b": "..5...."})
    place = table.schema.get_field_index("rule")
    reasons = [None] * table.num_rows
    reasons[3] = "limit"
    table = table.set_column(place, "rule", pa.array(reasons, pa.string()))
    closed, going_on = join_windows(table, INCIDENTS.empty_table(), JoinRules())
    found = pa.concat_tables([closed, going_on])
    assert dict(zip(found["device"].to_pylist(), found["beyond_limits"].to_pylist(), strict=True)) == {
        "a": True,
        "b": False,
    }
    listed = roll_up(found, last_rows(*((name, "s") for name in "abcdefghijklm")), RULES, 0)
    assert {row["device"]: row["advice"] for row in listed.to_pylist()} == {"a": "s: beyond a limit", "b": ""}
    assert math.isclose(sum(listed["n_windows"].to_pylist()), 4)


def test_sensors_of_rules_that_match_none_are_listed():
    names = ["*", "temp*", "vibraton", "Flow [l/min]", "flow*", "vibraton"]
    domain = Domain(rules(*({"sensor": name, "direction": "above"} for name in names)))
    assert domain.unknown_sensors(["temperature", "vibration", "Flow [l/min]"]) == ["vibraton", "flow*"]
    assert domain.unknown_sensors([]) == list(dict.fromkeys(names))
    off = Domain(rules(*({"off_when": {"sensor": name, "below": 1}} for name in ("power", "powr", "pow*"))))
    assert off.unknown_sensors(["power"]) == ["powr", "pow*"]


def test_there_may_be_a_rule_for_each_of_many_devices():
    names = [f"d{n}" for n in range(200)]
    own = [{"device": name, "limits": [0, n + 1]} for n, name in enumerate(names)]
    found = Domain(rules(*own, {"device": "d19?", "direction": "above"})).of("s", pa.array([*names, "other"]))
    limits = [found.rules[place].limits for place in found.of.tolist()]
    assert limits == [*((0, n + 1) for n in range(200)), None]
    assert [found.rules[place].direction for place in found.of[[63, 64, 189, 190, 199]]] == [
        *[None] * 3,
        *["above"] * 2,
    ]
