"""The pure parts of the hourly benchmark: its readings, its models, what it reads from a log, its figures."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from batch_scoring.registry.published import load_published, publish
from batch_scoring.windows.features import DEFAULT_FEATURES, aggregate_readings
from tests.fleet_models import make_model

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LOG = """\
101.500 Running node: ingest_readings: ingest_readings([raw;params:at]) -> [readings]
101.700 3 of 3 source files read
103.500 Completed node: ingest_readings
103.600 Running node: aggregate_windows: aggregate_windows([readings]) -> [windows]
104.000 Completed node: aggregate_windows
104.100 Running node: count_refused: count_refused([quarantine]) -> [refused]
104.250 Completed node: count_refused
104.300 score: 24,000 windows scored, 2 of them anomalies

Windows             48,000  scored, 5 min each
"""


@pytest.fixture(autouse=True)
def benchmarks_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_the_steps_of_a_run_add_up_to_its_time():
    from hourly_site import steps_of

    pipelines = {"ingest_readings": "ingest", "count_refused": "ingest", "aggregate_windows": "aggregate"}
    steps = steps_of(LOG, began=100.0, ended=105.0, pipeline_of=pipelines)
    assert steps == pytest.approx({"start": 1.5, "ingest": 2.25, "aggregate": 0.5, "end": 0.75})
    assert sum(steps.values()) == pytest.approx(5.0)


def test_a_run_says_how_many_windows_it_scored():
    from hourly_site import windows_scored

    assert windows_scored(LOG) == 24_000
    assert windows_scored("103.5 nothing new in 3 source files") == 0


def test_a_run_that_has_not_scored_everything_stops_the_benchmark():
    from hourly import require_windows
    from hourly_site import Cycle

    with pytest.raises(SystemExit, match="11 windows scored, 12 expected"):
        require_windows(Cycle(1.0, 1.0, {}, 0.1, 0, 11), 12, "hour 1")


def test_a_figure_is_the_median_of_the_rounds_ratios_and_null_where_not_measured():
    from hourly_results import FIGURES, Results
    from hourly_site import Cycle

    results = Results(new_bytes=100)
    for first, last in ((1.0, 2.0), (10.0, 30.0), (2.0, 2.0)):
        results.add("day", "hour 1", 50, Cycle(first, 1.0, {}, 0.1, 5, 600))
        results.add("day", "hour 23", 50, Cycle(last, 1.5, {}, 0.1, 250, 600))
    values, sizes = results.figures()
    assert values.keys() == {figure.key for figure in FIGURES}
    measured = {key: value for key, value in values.items() if value is not None}
    assert measured == {"hour_23_over_hour_1": 2.0, "bytes_written_over_new": 2.5}
    assert sizes == {"hour_23_over_hour_1": 50, "bytes_written_over_new": 50}
    of_processor, _ = results.figures(lambda run: run.cpu_seconds)
    assert of_processor["hour_23_over_hour_1"] == 1.5


def test_readings_are_the_same_however_often_they_are_made_and_in_the_order_of_time():
    from hourly_data import BASES, DAY, MINUTE, Fleet, make_readings

    fleet = Fleet(BASES + 1, ("a", "b"))
    first, again = (pa.concat_tables(make_readings(fleet, DAY, 3 * MINUTE)) for _ in range(2))
    assert first.equals(again)
    assert first.num_rows == 3 * fleet.series
    assert pc.unique(first["timestamp"]).to_pylist() == [DAY + i * MINUTE for i in range(3)]
    assert np.all(np.diff(first["timestamp"].cast(pa.int64()).to_numpy()) >= 0)
    # Device 200 is like device 0, with a noise of its own.
    values = first["value"].to_numpy()
    assert 0 < abs(values[BASES] - values[0]) < 8
    later = pa.concat_tables(make_readings(fleet, DAY + 3 * MINUTE, 3 * MINUTE))
    assert not np.any(later["value"].to_numpy() == values)


def test_small_files_hold_the_rows_of_the_one_file(tmp_path):
    from hourly_data import DAY, Fleet, write_one_file, write_small_files
    from pyarrow import csv

    many = write_small_files(tmp_path / "many", Fleet(2), DAY, 12)
    one = write_one_file(tmp_path / "one", Fleet(2), DAY, 12)
    files = sorted(many.glob("*.csv"))
    assert len(files) == 12
    rows = pa.concat_tables([csv.read_csv(file) for file in files])
    assert rows.equals(csv.read_csv(next(one.glob("*.csv"))))
    assert rows.num_rows == 24


def test_every_device_of_every_sensor_gets_a_copy_of_its_bases_model(tmp_path):
    from hourly_data import BASES, SENSOR, Fleet, device_names, publish_copies

    trained = make_model(SENSOR, device_names(0, BASES))
    publish(tmp_path / "trained", trained, "1", "run", "fingerprint")
    publish_copies(tmp_path / "trained", Fleet(2 * BASES + 5, ("a", "b")), tmp_path / "fleet")
    for sensor in ("a", "b"):
        copies = load_published(tmp_path / "fleet", sensor).verify().models.read()
        assert copies.info.sensor == sensor
        assert copies.devices.to_pylist() == device_names(0, 2 * BASES + 5)
        expected = trained.table.drop_columns("device")
        assert copies.table.drop_columns("device").slice(BASES, BASES).combine_chunks().equals(expected)


def test_a_state_is_restored_in_place_and_lost_with_the_code_that_made_it(tmp_path):
    from hourly_site import Site

    site = Site(tmp_path / "site", "code 1")
    site.data.mkdir()
    (site.data / "table").write_text("early")
    site.save("early", [1, 2])
    (site.data / "table").write_text("late")
    (site.data / "more").touch()
    site.restore("early")
    assert {file.name: file.read_text() for file in site.data.iterdir()} == {"table": "early"}
    assert Site(tmp_path / "site", "code 1").notes("early") == [1, 2]
    assert Site(tmp_path / "site", None).has("early")
    (site.sources / "hour-01.parquet").touch()
    changed = Site(tmp_path / "site", "code 2")
    assert not changed.has("early")
    assert not changed.data.exists()
    assert (changed.sources / "hour-01.parquet").exists()


def test_giving_files_again_does_not_touch_them(tmp_path):
    from hourly_site import Site

    site = Site(tmp_path / "site", None)
    file = site.sources / "hour-01.parquet"
    file.write_text("readings")
    before = file.stat()
    site.give([file])
    site.give([file])
    assert [given.stat() for given in site.readings.iterdir()] == [before]


def test_what_a_process_and_its_children_write_is_counted(tmp_path):
    import timed_process

    write = "from pathlib import Path; Path({!r}).write_bytes(bytes({}))"
    child = write.format(str(tmp_path / "child"), 2_000_000)
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True); "
    program += write.format(str(tmp_path / "own"), 1_000_000)
    done = timed_process.run([sys.executable, "-c", program], tmp_path)
    assert 3_000_000 <= done.written_bytes < 3_100_000


@pytest.mark.slow
def test_the_picture_shows_every_fleet(tmp_path):
    from hourly_picture import draw
    from hourly_site import STEPS

    steps = dict.fromkeys(STEPS, 1.0)
    hours = [
        {"series": series, "hour": hour, "steps": steps} for series in (10_000, 50_000) for hour in (1, 2)
    ]
    one, both = tmp_path / "images/one.png", tmp_path / "images/both.png"
    draw(hours[:2], one)
    draw(hours, both)
    widths = [int.from_bytes(path.read_bytes()[16:20], "big") for path in (one, both)]
    assert widths[1] == 2 * widths[0]


def test_polars_makes_the_windows_of_the_product():
    pl = pytest.importorskip("polars")
    from competitors.polars_windows import FEATURES, windows_of
    from hourly_data import DAY, WINDOW, Fleet, make_readings

    fleet = Fleet(5)
    both = pa.concat_tables(make_readings(fleet, DAY, timedelta(hours=2)))
    ours = aggregate_readings(both, int(WINDOW.total_seconds() * 1e6), DEFAULT_FEATURES)
    hours = [pl.from_arrow(both.slice(i * 300, 300)) for i in range(2)]
    before = windows_of(hours[0])
    found = pl.concat([before, windows_of(hours[1], before)]).sort("device", "window_start")
    assert [*FEATURES, "equal_run"] == [*DEFAULT_FEATURES]
    assert found["device"].to_list() == ours["device"].to_pylist()
    for name in FEATURES:
        np.testing.assert_allclose(found[name].to_numpy(), ours[name].to_numpy(), atol=1e-12)
