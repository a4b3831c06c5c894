"""Small inputs that people have reported, made anew: clocks, a silent device, corrected values.

A change to summer time and a device that is new on a weekend are in ``test_young_models``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.end_to_end.workspaces import PREDICTIONS, Workspace

pytestmark = pytest.mark.slow

STEP = timedelta(minutes=15)
STEPS = "ingest,aggregate,train,score,incidents"


def at(day: int, hour: int = 0) -> datetime:
    """A moment of March 2026."""
    return datetime(2026, 3, 1, hour, tzinfo=UTC) + timedelta(days=day - 1)


def lines(
    device: str, first: datetime, last: datetime, fault: Callable[[datetime], bool] = lambda _: False
) -> Iterator[str]:
    """Readings of 20 degrees and a little noise, of 0 while there is a fault."""
    rng = np.random.default_rng(len(device))
    for number in range((last - first) // STEP):
        moment = first + number * STEP
        value = 0.0 if fault(moment) else rng.normal(20, 0.4)
        yield f"{moment:%Y-%m-%dT%H:%M:%SZ},{device},temp,{value:.2f}"


def write(path: Path, *rows: Iterator[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    text = "\n".join(["time,device,sensor,value", *(row for some in rows for row in some)])
    path.write_text(text + "\n", encoding="utf-8")


def test_readings_of_1970_take_no_model_from_the_others(tmp_path, new_workspace):
    never_set = [f"1970-01-01T00:0{n}:00Z,restarted,temp,20.1" for n in range(3)]
    write(
        tmp_path / "readings.csv",
        lines("well", at(1), at(9)),
        iter(never_set),
        lines("restarted", at(1), at(9)),
    )
    workspace = new_workspace(tmp_path / "data", f"readings={tmp_path / 'readings.csv'},aggregate.window=1h")
    workspace.run(STEPS)
    status = workspace.table("07_model_output/status/train").to_pylist()
    assert {row["device"] for row in status} == {"well", "restarted"}
    assert {row["window_start"].year for row in workspace.table(PREDICTIONS).to_pylist()} == {2026}
    refused = workspace.table("02_intermediate/quarantine").to_pylist()
    assert [row["reason"] for row in refused] == ["implausible_time"] * 3


def test_a_device_that_stops_is_a_silence_and_is_sent(tmp_path, new_workspace):
    write(tmp_path / "readings.csv", lines("alive", at(2), at(12)), lines("silent", at(2), at(9)))
    alerts = tmp_path / "alerts.jsonl"
    sinks = f"alerts.sinks=[{{type: file, path: {alerts}}}]"
    params = f"readings={tmp_path / 'readings.csv'},aggregate.window=1h,at=2026-03-12T00:00Z,{sinks}"
    workspace = new_workspace(tmp_path / "data", params)
    workspace.run(STEPS)
    (silence,) = [
        row
        for row in workspace.table("07_model_output/device_incidents").to_pylist()
        if row["kind"] == "device_silent"
    ]
    assert (silence["device"], silence["start"], silence["state"]) == ("silent", at(9), "open")
    assert "device_silent" in alerts.read_text(encoding="utf-8")


def test_corrected_values_replace_those_that_were_wrong_and_their_windows_are_scored_again(
    tmp_path, new_workspace
):
    def is_wrong(moment: datetime) -> bool:
        return at(10, 8) <= moment < at(10, 13)

    folder = tmp_path / "raw"
    write(folder / "a.csv", lines("m", at(1), at(11), is_wrong))
    params = f"readings={folder},aggregate.window=1h,ingest.on_conflict=newest,at=2026-03-11T00:00Z"
    workspace: Workspace = new_workspace(tmp_path / "data", params)
    workspace.run(STEPS)

    def anomalies() -> list[datetime]:
        rows = workspace.table(PREDICTIONS).to_pylist()
        return [row["window_start"] for row in rows if row["is_anomaly"] and is_wrong(row["window_start"])]

    assert len(anomalies()) == 5
    write(folder / "b.csv", lines("m", at(10, 8), at(10, 13)))
    workspace.run("ingest,aggregate,score,incidents")
    assert anomalies() == []
    windows = workspace.table("03_primary/windows").to_pylist()
    assert min(row["mean"] for row in windows) > 18
