"""A line break in an id or a file's name breaks no line of the log, of an error or of the summary."""

import re
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scoring.tables.schemas import READINGS
from tests.factories import DAY_US, MINUTE_US, START, START_US

DEVICES, SENSOR = ["pump\n7", "pump\n8"], "flow\nin"
RAW = [*DEVICES, SENSOR, "read\nings"]
RECORD = re.compile(r"\d\d:\d\d:\d\d (INFO|WARNING|ERROR) +\S")


@pytest.fixture
def work(tmp_path, new_workspace):
    """Three days of readings; one device has a jump on the last of them."""
    at = f"{START + timedelta(days=3):%Y-%m-%dT%H:%MZ}"
    params = f"readings={tmp_path}/raw,at={at},alerts.warming_up=true"
    workspace = new_workspace(tmp_path / "data", params)
    (tmp_path / "raw").mkdir()
    times = np.arange(START_US, START_US + 3 * DAY_US, 5 * MINUTE_US)
    values = np.random.default_rng(0).normal(size=(2, times.size))
    values[0, -40:-20] += 100
    columns = {
        "timestamp": np.tile(times, 2),
        "device": np.repeat(DEVICES, times.size),
        "sensor": [SENSOR] * values.size,
        "value": values.ravel(),
    }
    pq.write_table(pa.table(columns).cast(READINGS), tmp_path / "raw/read\nings.parquet")
    (tmp_path / "raw/read\nings.csv").touch()
    return workspace


def broken(output):
    return [text for text in RAW if text in output]


@pytest.mark.slow
def test_a_whole_run_and_its_errors_show_line_breaks_escaped(work, tmp_path):
    output = work.run()
    log, _, summary = output.partition("\n\nFleet report: ")
    assert [line for line in log.splitlines() if not RECORD.match(line)] == []
    assert broken(output) == []
    assert broken((work.folder / "08_reporting/summary.txt").read_text()) == []
    for what in (r"read\\nings\.csv.* is empty", r"flow\\nin.* fitted", r"opened: .*pump\\n7.*flow\\nin"):
        assert re.search(what, log), what
    assert r"pump\n7" in summary

    unknown = work.run("train", 'device="pump\n9"', expect=1)
    assert r"'pump\n9' is not among the 2 known; did you mean 'pump\n" in unknown
    (tmp_path / "raw/read\nings.csv.gz").write_bytes(b"not gzip")
    refused = work.run("ingest", expect=1)
    assert r"read\nings.csv.gz" in refused
    assert broken(refused) == []
