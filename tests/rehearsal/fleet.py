"""The fleet of the rehearsal: its history, its three hours, and what a local run makes of them."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from batch_scoring.pipelines.publish.nodes import publish_readings
from tests.end_to_end.workspaces import PREDICTIONS, Workspace

SENSORS = ("temperature", "vibration")
DEVICES, DAYS = 4, 3
TRAINED = datetime(2026, 1, 7, tzinfo=UTC)  # two days of history
HOURS = tuple(TRAINED + timedelta(hours=n) for n in (1, 2, 3))
SIMULATED = f"simulate.devices={DEVICES},simulate.days={DAYS},simulate.sensors=[{','.join(SENSORS)}]"
_KEY = ("window_start", "device", "sensor")


def spans() -> list[tuple[datetime | None, datetime]]:
    """From when until when readings come: the history, then each hour."""
    return [(None, TRAINED), *zip((TRAINED, *HOURS), HOURS, strict=False)]


def publishing(span: tuple[datetime | None, datetime]) -> str:
    """The parameters with which ``publish`` sends the readings that come in a span."""
    start = f"publish.from={_text(span[0])}," if span[0] else ""
    return f"{SIMULATED},{start}publish.to={_text(span[1])}"


def write_readings(folder: Path, span: tuple[datetime | None, datetime]) -> Path:
    """The same readings as a file of JSON lines."""
    simulation = {"devices": DEVICES, "days": DAYS, "sensors": list(SENSORS)}
    settings = {"from": span[0], "to": span[1]}
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"until-{span[1]:%Y%m%dT%H%M}.jsonl"
    with file.open("wb") as lines:
        for events in publish_readings(simulation, settings, None, None).batches:
            lines.writelines(body + b"\n" for body in events["body"].to_pylist())
    return file


def train(folder: Path) -> None:
    """Make the local workspace with the history, and models of it."""
    write_readings(folder / "readings", spans()[0])
    workspace = Workspace(folder / "trained", f"train.fit.max_train_windows=200,readings={folder}/readings")
    workspace.run("ingest,aggregate,train", f"at={_text(TRAINED)}")


def score(folder: Path) -> None:
    """Make its copy with what one ``kedro run`` makes of all readings, once they are all there."""
    shutil.copytree(folder / "trained", folder / "expected")
    for span in spans()[1:]:
        write_readings(folder / "readings", span)
    workspace = Workspace(folder / "expected", f"readings={folder}/readings")
    workspace.run("ingest,aggregate,score", f"at={_text(HOURS[-1])}")


def trained(folder: Path) -> Workspace:
    """The local workspace with models."""
    return Workspace(folder / "trained")


def expected(folder: Path) -> pa.Table:
    """The predictions of the local run over all readings."""
    return Workspace(folder / "expected").table(PREDICTIONS)


def doubled(predictions: pa.Table) -> int:
    """How many predictions are there more than once for a window of a device and sensor."""
    return predictions.num_rows - predictions.group_by(list(_KEY)).aggregate([]).num_rows


def _text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%MZ")
