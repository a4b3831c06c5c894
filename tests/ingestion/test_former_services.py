"""Files of services that ended are read with the very settings that their how-tos show."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from batch_scoring.core.parameters import read_parameters
from batch_scoring.datasets.annotations import CalendarFile, LabelFile
from batch_scoring.plant.settings import DomainParameters, OffWhen
from batch_scoring.scoring.settings import ScoreParameters
from batch_scoring.windows.settings import AggregateParameters
from tests.doc_pages import code_blocks, read_page
from tests.evaluation.small_fleet import SmallFleet, evaluate, figure, hour
from tests.pipelines.ingest.ingestion import write_lines

pytestmark = pytest.mark.slow

ANOMALY_DETECTOR = read_page("how-to/from-anomaly-detector.md")
LOOKOUT = read_page("how-to/from-lookout-for-equipment.md")
AT = "2026-06-01T00:00Z"
TIMES = [datetime(2026, 3, 12, 20, tzinfo=UTC) + timedelta(minutes=10 * step) for step in range(30)]


def groups(page):
    """The settings of each YAML block, by group."""
    return [next(iter(yaml.safe_load(block).items())) for block in code_blocks(page, "yaml")]


def ingest_settings(page):
    return [values for group, values in groups(page) if group == "ingest"]


def ingested(store, place, settings):
    """All readings as they are stored; none is refused."""
    store.ingest(place, at=AT, group=settings)
    assert store.quarantine() == []
    return sorted(store.readings())


def value(step, device, sensor):
    return round(20 * len(device) + len(sensor) + step % 7 / 10 + step / 100, 3)


def expected(*series, times=TIMES):
    return sorted(
        (f"{time:%Y-%m-%dT%H:%M:%S.%f}", device, sensor, value(step, device, sensor.split()[-1]))
        for step, time in enumerate(times)
        for device, sensor in series
    )


def wide(path, device, *sensors, form="%Y-%m-%dT%H:%M:%S.%f", times=TIMES):
    rows = (
        ",".join([time.strftime(form), *(str(value(step, device, sensor)) for sensor in sensors)])
        for step, time in enumerate(times)
    )
    write_lines(path, [",".join(["Timestamp", *sensors]), *rows])


def test_saved_requests_and_a_file_a_variable_are_read(store, tmp_path):
    points = [
        {"timestamp": f"{time:%Y-%m-%dT%H:%M:%SZ}", "value": value(step, "pump-1", "temperature")}
        for step, time in enumerate(TIMES)
    ]
    request = {"granularity": "minutely", "customInterval": 10, "maxAnomalyRatio": 0.25, "sensitivity": 95}
    readings = tmp_path / "readings"
    text = json.dumps(request | {"series": points, "period": 0, "imputeMode": "auto"}, indent=2)
    write_lines(readings / "pump-1" / "temperature.json", text.splitlines())
    for sensor in ("flow", "temperature"):
        rows = [f"{time:%Y-%m-%dT%H:%M:%SZ},{value(n, 'mixer-2', sensor)}" for n, time in enumerate(TIMES)]
        write_lines(readings / "mixer-2" / f"{sensor}.csv", ["timestamp,value", *rows])
    a_file_a_variable, _ = ingest_settings(ANOMALY_DETECTOR)
    series = [("pump-1", "temperature"), ("mixer-2", "flow"), ("mixer-2", "temperature")]
    assert ingested(store, readings, a_file_a_variable) == expected(*series)


def test_one_table_a_device_is_read(store, tmp_path):
    for device in ("pump-1", "mixer-2"):
        wide(tmp_path / "in" / f"{device}.csv", device, "flow", "temperature", form="%Y-%m-%dT%H:%M:%SZ")
    _, one_table = ingest_settings(ANOMALY_DETECTOR)
    series = [(device, sensor) for device in ("pump-1", "mixer-2") for sensor in ("flow", "temperature")]
    assert ingested(store, tmp_path / "in", one_table) == expected(*series)


def test_windows_in_place_of_points_are_valid_settings():
    (shown,) = [values for group, values in groups(ANOMALY_DETECTOR) if group == "aggregate"]
    settings = read_parameters(AggregateParameters, shown, "aggregate")
    assert (settings.window, list(settings.features)) == (timedelta(hours=1), ["mean"])


# As the service's guide lists them.
TIME_FORMATS = (
    *("%Y-%m-%d-%H-%M-%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d-%H:%M:%S"),
    *("%Y/%m/%dT%H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y %m %dT%H:%M:%S", "%Y %m %d %H:%M:%S"),
    *("%Y%m%dT%H:%M:%S", "%Y%m%d %H:%M:%S", "%Y%m%d%H%M%S", "%Y-%m-%dT%H:%M:%S.%f"),
)


@pytest.mark.parametrize("form", TIME_FORMATS)
def test_components_of_assets_are_read_in_every_time_format(store, tmp_path, form):
    for asset in ("pump-1", "mixer-2"):
        wide(tmp_path / "in" / asset / "motor" / "motor.csv", asset, "rpm", "temp", form=form)
        wide(tmp_path / "in" / asset / "bearing" / "bearing.csv", asset, "temp", form=form)
    sensors = ("motor rpm", "motor temp", "bearing temp")
    series = [(asset, sensor) for asset in ("pump-1", "mixer-2") for sensor in sensors]
    (settings,) = ingest_settings(LOOKOUT)
    assert ingested(store, tmp_path / "in", settings) == expected(*series)


def test_seconds_since_1970_and_files_of_the_schedule_are_read(store, tmp_path):
    (settings,) = ingest_settings(LOOKOUT)
    motor = tmp_path / "in" / "pump-1" / "motor"
    write_lines(
        motor / "motor.csv",
        ["Timestamp,rpm", *(f"{t.timestamp():.0f},{value(n, 'pump-1', 'rpm')}" for n, t in enumerate(TIMES))],
    )
    assert ingested(store, tmp_path / "in", settings) == expected(("pump-1", "motor rpm"))
    later = [time + timedelta(days=1) for time in TIMES[:3]]
    wide(motor / "motor_20260313200500.csv", "pump-1", "rpm", form="%Y-%m-%d-%H-%M-%S", times=later)
    both = sorted(expected(("pump-1", "motor rpm")) + expected(("pump-1", "motor rpm"), times=later))
    assert ingested(store, tmp_path / "in", settings) == both


OTHER_PATHS = [
    ("pump-1.csv, all sensors", ["pump-1.csv"], ["rpm", "temp"]),
    ("pump-1/2026-03.csv, all", ["pump-1/2026-03.csv"], ["rpm", "temp"]),
    ("pump-1/rpm.csv, one", ["pump-1/rpm.csv", "pump-1/temp.csv"], None),
    ("pump-1/rpm/rpm.csv, one", ["pump-1/rpm/rpm.csv", "pump-1/temp/temp.csv"], None),
    ("pump-1/motor_20260312200500.csv", ["pump-1/motor_20260312200500.csv"], ["rpm", "temp"]),
    ("pump-1_20260312200500.csv", ["pump-1_20260312200500.csv"], ["rpm", "temp"]),
]


@pytest.mark.parametrize(("shape", "files", "sensors"), OTHER_PATHS)
def test_other_folders_of_assets_are_read_with_the_path_that_the_table_names(
    store, tmp_path, shape, files, sensors
):
    (settings,) = ingest_settings(LOOKOUT)
    rows = [line.split("|") for line in LOOKOUT.splitlines() if "`ingest.path`" not in line]
    (pattern,) = [
        row[2].strip(' `"') for row in rows if len(row) == 4 and f"`{shape.split(',')[0]}`" in row[1]
    ]
    for file in files:
        path = tmp_path / "in" / file
        wide(path, "pump-1", *(sensors or [path.stem]))
    found = ingested(store, tmp_path / "in", settings | {"path": pattern})
    part = "motor " if "{sensor}" in pattern else ""
    assert found == expected(("pump-1", f"{part}rpm"), ("pump-1", f"{part}temp"))


def test_the_off_condition_and_the_delay_are_valid_settings():
    shown = dict(groups(LOOKOUT))
    (rule,) = read_parameters(DomainParameters, shown["domain"], "domain").read_rules
    assert rule.off_when == OffWhen("motor rpm", below=100)
    assert read_parameters(ScoreParameters, shown["score"], "score").allowed_lateness == timedelta(minutes=5)


def test_labels_are_read_as_they_are(tmp_path):
    (text,) = code_blocks(LOOKOUT, "csv")
    for name in ("pump-1", "pump-2"):
        write_lines(tmp_path / "labels" / f"{name}.csv", text.splitlines())
    day = datetime(2026, 3, 1, tzinfo=UTC)
    times = [
        (day + timedelta(hours=8), day + timedelta(hours=12)),
        (day + timedelta(days=11, hours=20), day + timedelta(days=12, hours=1)),
    ]
    both = [(device, "*", *interval) for device in ("pump-1", "pump-2") for interval in times]
    for kind in (LabelFile, CalendarFile):
        rows = kind(str(tmp_path / "labels")).load().to_pylist()
        assert [(row["device"], row["sensor"], row["start"], row["end"]) for row in rows] == both


def test_evaluate_counts_a_label_as_an_event_of_its_asset(tmp_path):
    fleet = SmallFleet(tmp_path, ("pump-1", "pump-2"), ("rpm", "temp"), faults={("pump-1", "temp"): [3]})
    for asset in fleet.devices:
        row = ",".join(f"{hour(n):%Y-%m-%dT%H:%M:%S.%f}" for n in (3, 5))
        write_lines(tmp_path / "labels" / f"{asset}.csv", [row])
    found = evaluate(fleet, LabelFile(str(tmp_path / "labels")).load())
    assert figure(found, "device_events", "device") == {("pump-1",): 1, ("pump-2",): 1}
    assert figure(found, "device_events_found", "device") == {("pump-1",): 1, ("pump-2",): 0}
    assert found.metrics["judged"]["events_of_unknown_series"] == 0
