"""A fleet whose windows a Stream Analytics job makes is scored as one whose readings are ingested."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from batch_scoring.core.moments import EPOCH, MICROSECOND
from batch_scoring.deploy.stream_analytics.query import WindowsQuery
from batch_scoring.tables.schemas import WINDOW_KEY
from tests.deploy.stream_analytics.streams import Engine, Event, assert_same_windows
from tests.end_to_end.workspaces import PREDICTIONS, PROJECT, SMALL_FLEET

pytestmark = pytest.mark.slow


def sent(folder: Path) -> list[Event]:
    """The simulated readings as events, in the order in which `ingest` reads them."""
    files = sorted(folder.rglob("*.parquet"))
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    return [
        Event((row["timestamp"] - EPOCH) // MICROSECOND, row["device"], row["sensor"], row["value"])
        for row in rows
    ]


def land(windows: pa.Table, folder: Path) -> None:
    """Write the windows as the job does: Parquet by sensor and day, one sensor's as JSON lines."""
    for place in windows["sensor_day"].unique().to_pylist():
        part = windows.filter(pa.compute.equal(windows["sensor_day"], place))
        path = folder / place
        path.mkdir(parents=True)
        if place.startswith("vibration"):
            lines = [
                json.dumps(row, default=lambda t: f"{t:%Y-%m-%dT%H:%M:%S.%f}0Z") for row in part.to_pylist()
            ]
            (path / "0_1.json").write_text("\r\n".join(lines))
        else:
            pq.write_table(part, path / "0_1.parquet")


def test_windows_of_the_job_give_the_predictions_of_ingested_readings(
    tmp_path: Path, small_fleet, new_workspace
):
    # The job does not count equal values: that takes readings of windows before.
    features = "aggregate.features=[mean,std,min,max,change,diff_mean]"
    whole = small_fleet("windows").workspace.copy_to(tmp_path / "ingested")
    whole.run("aggregate,train,score", features)
    ranges = yaml.safe_load((PROJECT / "conf/base/parameters_ingest.yml").read_text())["ingest"]["ranges"]
    events = sent(whole.folder / "01_raw/readings")
    streamed = new_workspace(tmp_path / "streamed", SMALL_FLEET.split("simulate.sensors")[1].split("],")[1])
    land(Engine(WindowsQuery(ranges=ranges)).windows(events), streamed.folder / "01_raw/stream_windows")

    output = streamed.run("import_windows,train,score,report")

    made, wanted = streamed.table("03_primary/windows"), whole.table("03_primary/windows")
    assert_same_windows(made, wanted, scale=float(np.nanmax(np.abs(wanted["max"].to_numpy()))))
    order = [(name, "ascending") for name in WINDOW_KEY]
    predictions = [one.table(PREDICTIONS).sort_by(order) for one in (streamed, whole)]
    for name in (*WINDOW_KEY, "is_anomaly"):
        assert predictions[0][name].to_pylist() == predictions[1][name].to_pylist()
    np.testing.assert_allclose(*(one["score"].to_numpy() for one in predictions), rtol=1e-6, atol=1e-9)
    assert f"{made.num_rows:,}" in output
