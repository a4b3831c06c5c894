from datetime import timedelta

import pyarrow as pa
import pytest

from batch_scoring.incidents.joining import JoinRules
from batch_scoring.reporting import incident_list
from batch_scoring.reporting.summary import summarise, write_summary
from batch_scoring.tables.schemas import GAPS
from tests.reporting import fleet_factory
from tests.reporting.fleet_factory import START, fleet_of, gather, prediction_rows

pytestmark = pytest.mark.slow

TEN = [1.0] * 10


def listed(*tables: pa.Table, device=None, sensor=None, **fields):
    return gather(fleet_of(*tables, **fields), device, sensor).incidents


def test_incidents_of_a_device_come_worst_first_with_the_sensors_behind_them():
    found = listed(
        prediction_rows("a", "power", TEN, anomalies=[2, 3]),
        prediction_rows("b", "power", TEN, anomalies=[1, 2], severity=1.0),
        prediction_rows("b", "vibration", TEN, anomalies=[3], severity=4.0),
    )

    assert found.devices["device"].to_pylist() == ["b", "a"]
    rows = found.sensors.select(["of", "device", "sensor", "n_windows"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        (0, "b", "vibration", 1),
        (0, "b", "power", 2),
        (1, "a", "power", 2),
    ]


def test_an_incident_belongs_to_that_of_its_device_in_whose_time_it_lies():
    later = START + timedelta(days=2)
    found = listed(
        prediction_rows("a", "power", TEN, anomalies=[2, 3, 4]),
        prediction_rows("a", "power", TEN, anomalies=[5, 6], start=later),
        prediction_rows("a", "vibration", TEN, anomalies=[5], start=later),
    )

    starts = found.devices["start"].to_pylist()
    inside = [(starts[row["of"]] == row["start"], row["n_windows"]) for row in found.sensors.to_pylist()]
    assert inside == [(True, 2), (True, 1), (True, 3)]


def test_what_happens_to_other_sensors_between_flaps_is_not_behind_them():
    hours = [START + timedelta(hours=n) for n in (0, 6, 12)]
    found = listed(
        prediction_rows("a", "power", TEN, anomalies=[2, 3, 4], start=hours[0]),
        prediction_rows("a", "vibration", TEN, anomalies=[2, 3], start=hours[1]),
        prediction_rows("a", "power", TEN, anomalies=[2, 3, 4], start=hours[2]),
    )

    assert found.devices["n_incidents"].to_pylist() == [2, 1]
    rows = found.sensors.select(["of", "sensor", "start"]).to_pylist()
    of = [(row["of"], row["sensor"], (row["start"] - START) // timedelta(hours=6)) for row in rows]
    assert of == [(0, "power", 0), (0, "power", 2), (1, "vibration", 1)]


def test_the_peak_is_the_most_severe_window_and_tells_what_made_it_rare():
    mild = prediction_rows("a", values=[1, 2, 3, 4], anomalies=[1])
    worst = prediction_rows(
        "a",
        values=[5, 6],
        anomalies=[0],
        start=START + timedelta(minutes=20),
        severity=3.0,
        contributions={"mean": 2.5, "std": 0.1},
    )
    (peak,) = gather(fleet_of(mild, worst)).details.peaks

    assert (peak.value, peak.score, peak.threshold) == (5.0, -0.5, -0.1)
    assert peak.contributions == [("mean", 2.5), ("std", 0.1)]


def test_an_incident_whose_prediction_is_not_read_has_no_peak():
    rows = [prediction_rows("a", anomalies=[1, 2], start=START + timedelta(hours=h)) for h in (0, 9)]

    contents = gather(fleet_of(*rows, is_hourly=True), max_rows=1)
    found = dict(zip(contents.incidents.sensors["start"].to_pylist(), contents.details.peaks, strict=True))
    assert [found[start] is None for start in sorted(found)] == [True, False]


def test_only_incidents_of_the_range_are_listed_and_open_ones_that_began_before_it():
    day = timedelta(days=1)
    rows = [
        prediction_rows("over", values=TEN * 30, anomalies=[1, 2]),
        prediction_rows("over", values=TEN, anomalies=[1, 2], start=START + 30 * day),
        prediction_rows("silent", values=TEN, anomalies=[8, 9]),
        prediction_rows("quiet", values=TEN, start=START + 30 * day),
    ]
    found = listed(*rows)

    assert sorted(zip(*found.devices.select(["device", "start"]).to_pydict().values(), strict=True)) == [
        ("over", START + 30 * day + timedelta(minutes=5)),
        ("silent", START + timedelta(minutes=40)),
    ]
    assert sorted(found.sensors["device"].to_pylist()) == ["over", "silent"]


def test_what_is_no_incident_yet_is_not_listed(monkeypatch):
    monkeypatch.setattr(fleet_factory, "RULES", JoinRules(2, 3, 0))
    found = listed(prediction_rows("a", anomalies=[2]))

    assert found.is_known
    assert (found.devices.num_rows, found.of_page.num_rows) == (0, 0)


def test_a_workspace_that_nobody_looked_for_incidents_in_is_told_from_one_without_any():
    rows = prediction_rows("a")

    assert listed(rows).is_known
    assert not listed(rows, has_incidents=False).is_known
    assert listed(rows).devices.num_rows == 0


@pytest.mark.parametrize(("asked", "devices"), [({"device": "b"}, ["b"]), ({"sensor": "power"}, ["a"])])
def test_a_report_on_some_lists_theirs_only(asked, devices):
    found = listed(
        prediction_rows("a", "power", anomalies=[1, 2]),
        prediction_rows("b", "vibration", anomalies=[1, 2]),
        **asked,
    )

    assert found.devices["device"].to_pylist() == devices
    assert found.sensors["device"].to_pylist() == devices


def test_of_a_device_with_very_many_incidents_the_most_severe_are_kept(monkeypatch):
    monkeypatch.setattr(incident_list, "MAX_OF_A_DEVICE_INCIDENT", 2)
    tables = [prediction_rows("a", f"s{i}", anomalies=[1], severity=float(i)) for i in range(1, 6)]
    found = listed(*tables, prediction_rows("b", "s1", anomalies=[1, 2]))

    assert found.sensors["sensor"].to_pylist() == ["s5", "s4", "s1"]


def test_single_windows_are_listed_apart_and_silences_among_the_devices():
    gaps = pa.Table.from_pylist(
        [
            {"device": "a", "sensor": sensor, "start": START + timedelta(days=10), "state": "last"}
            | {"first_start": START}
            for sensor in ("power", "pressure")
        ]
        + [
            {"device": "a", "sensor": "power", "start": START + timedelta(days=5), "state": "ended"}
            | {"end": START + timedelta(days=5, hours=3)}
        ],
        GAPS,
    )
    found = listed(prediction_rows("b", anomalies=[1]), gaps=gaps)

    assert found.outliers.select(["device", "kind"]).to_pylist() == [{"device": "b", "kind": "outlier"}]
    assert found.devices.select(["device", "kind"]).to_pylist() == [{"device": "a", "kind": "sensor_silent"}]
    (silence,) = found.silences.to_pylist()
    assert (silence["sensor"], silence["window_end"] - silence["window_start"]) == (
        "power", timedelta(hours=3),
    )  # fmt: skip


def fallen_silent():
    """A sensor that is unusual on the tenth day, and then sends nothing, while another of its device does."""
    began = START + timedelta(days=10)
    last = {"device": "a", "state": "last", "first_start": START}
    gaps = [
        last | {"sensor": "power", "start": began + timedelta(minutes=20)},
        last | {"sensor": "pressure", "start": began + timedelta(hours=3)},
    ]
    return [prediction_rows("a", "power", TEN[:4], anomalies=[2, 3], start=began)], {
        "gaps": pa.Table.from_pylist(gaps, GAPS)
    }


def test_what_fell_silent_has_its_incidents_behind_it_and_is_silent_since_its_last_window():
    rows, gaps = fallen_silent()
    found = listed(*rows, **gaps)
    (row,) = found.devices.to_pylist()
    assert (row["kind"], row["start"]) == ("sensor_silent", START + timedelta(days=10, minutes=10))
    assert found.sensors.select(["of", "sensor", "n_windows"]).to_pylist() == [
        {"of": 0, "sensor": "power", "n_windows": 2}
    ]
    (silence,) = found.silences.to_pylist()
    assert silence["window_start"] == START + timedelta(days=10, minutes=20)
    told = summarise(gather(fleet_of(*rows, **gaps)), "there")
    assert told["incidents"]["silent"] == 1
    text = write_summary(told)
    assert (
        "a, power: silent for 2 h 40 min, OPEN since 2026-01-15 00:10\n       power: sends nothing since"
        in text
    )
