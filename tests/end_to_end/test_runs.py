"""Whole runs: once, twice, with a late reading, killed at any moment, and with devices nobody wants."""

import os
import random
import re
import signal
import time
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.end_to_end.workspaces import PREDICTIONS, SMALL_FLEET, Workspace
from tests.factories import START, START_US, make_readings

pytestmark = pytest.mark.slow


def test_one_command_ends_with_a_summary_a_person_understands(small_fleet):
    workspace, _, output = small_fleet("whole")
    readings, windows = workspace.table("02_intermediate/readings"), workspace.table("03_primary/windows")
    assert f"{readings.num_rows:,}" in output
    assert f"{windows.num_rows:,}" in output
    for word in ("Models", "Anomalies", "Quarantined", "Not scored", "report.html", "make watch"):
        assert word in output
    assert (workspace.folder / "08_reporting/report.html").stat().st_size > 10_000


def test_every_closed_window_has_one_prediction(whole):
    keys = ["device", "sensor", "window_start"]
    windows, predictions = (
        whole.table("03_primary/windows"),
        whole.table(PREDICTIONS),
    )
    assert predictions.num_rows == windows.num_rows
    assert predictions.group_by(keys).aggregate([]).num_rows == windows.num_rows


def test_a_second_run_changes_not_one_byte_and_commits_nothing(tmp_path, whole):
    workspace = whole.copy_to(tmp_path)
    workspace.run()  # the files are copies, which the table of sources notes
    folders = ("01_raw", "02_intermediate", "03_primary", "07_model_output", "06_models/published")
    before = workspace.files(*folders)
    assert {name.partition("_delta_log")[1] for name in before} == {"", "_delta_log"}
    stored = [name for name in before if not name.startswith("01_raw")]
    times = {name: (tmp_path / name).stat().st_mtime_ns for name in stored}
    output = workspace.run()
    assert workspace.files(*folders) == before
    assert "score: 0 windows scored" in output
    # Not even written again with the same bytes.
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in stored} == times


def test_a_late_reading_changes_the_predictions_of_its_window_and_the_next(tmp_path, whole):
    # diff_mean is the change since the window before, so the next window has news as well.
    workspace = whole.copy_to(tmp_path)
    before = by_window(workspace)
    minute = 2 * 1440 - 7.5
    late = make_readings([minute], [1000.0], "pump-02", "temperature")
    pq.write_table(late, tmp_path / "01_raw/readings/late.parquet")
    workspace.run()
    after = by_window(workspace)
    assert after.keys() == before.keys()
    changed = sorted(key for key in after if after[key] != before[key])
    its_own = ("pump-02", "temperature", START + timedelta(minutes=2 * 1440 - 10))
    assert changed == [its_own, (*its_own[:2], its_own[2] + timedelta(minutes=5))]
    assert after[its_own]["is_anomaly"]


def test_a_run_killed_at_any_moment_and_repeated_ends_in_the_same_rows(small_fleet, tmp_path, trial, trials):
    reference, seconds, _ = small_fleet("whole")
    workspace = Workspace(tmp_path)
    process = workspace.start()
    # Spread over the whole run, with luck within each part.
    moment = seconds * (trial + random.random()) / trials
    time.sleep(moment)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    workspace.run()
    assert workspace.data() == reference.data(), f"killed after {moment:.1f} s"
    # The tables published for scoring are the same; the manifest beside them names its MLflow run.
    published = ("06_models/published",)
    tables = [
        {name: digest for name, digest in w.files(*published).items() if name.endswith(".arrow")}
        for w in (workspace, reference)
    ]
    assert tables[0] == tables[1]


def test_devices_nobody_wants_leave_the_others_untouched(tmp_path, new_workspace):
    # By default the training ends after a share of all windows, those of new devices included.
    calm = new_workspace(tmp_path / "calm/data", f"{SMALL_FLEET},train.hold_out=14h")
    calm.run("simulate,ingest,aggregate,train,score")
    workspace = new_workspace(tmp_path / "trouble/far/below", calm.params)
    workspace.run("simulate")
    minutes = [float(m) for m in range(0, 2 * 1440, 2)]
    wave = [float((m // 2) % 17) for m in range(len(minutes))]
    trouble = {
        "all-nan": [float("nan")] * len(minutes),
        "constant": [20.0] * len(minutes),
        "../../etc/x": wave,
        "Pumpe №7/Süd": wave,
    }
    tables = [make_readings(minutes, values, name, "temperature") for name, values in trouble.items()]
    tables.append(make_readings([1.0, 6.0, 11.0], [1.0, 2.0, 3.0], "three-windows", "temperature"))
    pq.write_table(pa.concat_tables(tables), workspace.folder / "01_raw/readings/trouble.parquet")
    output = workspace.run()

    names = {*trouble, "three-windows"}
    mine = [row for row in workspace.table(PREDICTIONS).to_pylist() if row["device"] not in names]
    theirs = calm.table(PREDICTIONS).to_pylist()
    order = lambda row: (row["sensor"], row["device"], row["window_start"])  # noqa: E731
    assert sorted(mine, key=order) == sorted(theirs, key=order)

    status = {row["device"]: row for row in workspace.table("07_model_output/status/train").to_pylist()
              if row["sensor"] == "temperature"}  # fmt: skip
    assert {name: status[name]["status"] for name in names} == {
        "all-nan": "no_data", "constant": "constant", "three-windows": "too_few_windows",
        "../../etc/x": "ok", "Pumpe №7/Süd": "ok",
    }  # fmt: skip
    assert re.search(r"1,440 no_value", status["all-nan"]["message"])
    assert "three-windows" in output
    scored = workspace.table(PREDICTIONS)["device"].unique().to_pylist()
    assert {"../../etc/x", "Pumpe №7/Süd", "constant"} <= set(scored)
    assert [path.name for path in (tmp_path / "trouble").iterdir()] == ["far"]
    assert [path.name for path in (tmp_path / "trouble/far").iterdir()] == ["below"]


def test_one_device_and_sensor_can_be_scored_alone(tmp_path, trained):
    workspace = trained.copy_to(tmp_path)
    workspace.run("score", "device=pump-03,sensor=vibration")
    predictions = workspace.table(PREDICTIONS)
    assert predictions.group_by(["device", "sensor"]).aggregate([]).to_pylist() == [
        {"device": "pump-03", "sensor": "vibration"}
    ]
    output = workspace.run("score", "device=pump-33", expect=1)
    assert "device 'pump-33' is not among the 4 known; did you mean 'pump-03'" in output
    assert "Traceback" not in output


def by_window(workspace):
    rows = workspace.table(PREDICTIONS).to_pylist()
    return {(row["device"], row["sensor"], row["window_start"]): row for row in rows}


def test_the_factories_start_where_the_simulation_does():
    assert int(datetime.fromisoformat("2026-01-05T00:00Z").timestamp() * 1e6) == START_US
