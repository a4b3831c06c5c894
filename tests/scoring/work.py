"""A small workspace of windows, champions, predictions and daily totals, scored as `kedro run` does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from batch_scoring.detection.model import FleetModel
from batch_scoring.operations.annotations import Annotations
from batch_scoring.pipelines.score.nodes import score_windows
from batch_scoring.registry.published import InService, load_published, publish
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.upsert import Upsert
from batch_scoring.tables.schemas import DAILY, WINDOW_KEY, windows_schema
from tests.factories import MINUTE_US, START, START_US, make_model
from tests.tables_on_disk import TableOnDisk

# Windows of 4 hours, 6 of them a day.
HOURS, PER_DAY = 4, 6
WINDOW = timedelta(hours=HOURS)
WINDOW_US = 60 * HOURS * MINUTE_US
AFTER_ALL = "2027-01-01T00:00Z"
# Sensor, device, and the number of a window since START.
Key = tuple[str, str, int]


def at(step: int) -> str:
    """When the windows before this one are closed."""
    return (START + step * WINDOW).isoformat()


class Work:
    """A workspace in a folder; sensors are named by letters from s on, devices by others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.windows = TableOnDisk(folder / "windows", "window_start")
        self.predictions = TableOnDisk(folder / "predictions", "window_start")
        self.totals = TableOnDisk(folder / "totals", "day")
        self.calibrations = TableOnDisk(folder / "calibrations", "day")
        self.erased = TableOnDisk(folder / "erased")
        self.feedback: pa.Table | None = None
        self.calendar: pa.Table | None = None
        self.counts: dict[str, Any] = {}
        self.devices: pa.Table | None = None
        self.rules: list[dict[str, Any]] = []

    def put(self, values: Mapping[Key, float], settings: int = 1, file_each: bool = False) -> None:
        """Add or change windows, as `aggregate` does."""

        def update(table: RowTable) -> Change:
            rows = windows_of(values)
            upsert = Upsert(table, table.files(), WINDOW_KEY)
            parts = [rows.slice(n, 1) for n in range(rows.num_rows)] if file_each else [rows]
            fresh = [[one] for one in upsert.fresh(parts)]
            return Change(
                rows.schema, fresh, {"aggregate.settings": settings}, guard="w", rewritten=upsert.rewritten
            )

        self.windows.save(update)

    def aggregate_otherwise(self, values: Mapping[Key, float], settings: int) -> None:
        """Put windows in place of all, as `aggregate` does with other settings."""
        rows = windows_of(values)
        self.windows.add(rows, progress={"aggregate.settings": settings}, replaces_all=True)

    def train(
        self, devices: Sequence[str] = ("a", "b"), sensor: str = "s", version: str = "1", **model: Any
    ) -> None:
        """Publish models as a sensor's champion."""
        made = make_model(sorted(devices), sensor, **model)
        info = replace(made.info, window_seconds=3600.0 * HOURS)
        publish(self.folder / "models", FleetModel(made.table, info), version, "run", f"f{version}")

    def models(self) -> dict[str, Any]:
        """The champions as the catalog loads them."""
        root = self.folder / "models"
        sensors = [path.parent.name for path in root.glob("*/manifest.json")]
        return {sensor: lambda sensor=sensor: load_published(root, sensor) for sensor in sensors}

    def chunks(self, at: str = AFTER_ALL, **asked: Any) -> Any:
        """What the node yields."""
        selection = [asked.pop(name, None) for name in ("device", "sensor", "shard")]
        people = {"feedback": self.feedback, "calendar": self.calendar, "devices": self.devices}
        annotations = Annotations(people | {"erased": self.erased.load()})
        models = InService(self.models(), self.calibrations.load())
        known = (annotations, {"rules": self.rules})
        return score_windows(self.windows.load(), models, asked, at, *selection, *known)

    def score(
        self,
        at: str = AFTER_ALL,
        save: int = 2,
        meanwhile: Callable[[], None] = lambda: None,
        before: int = 0,
        **asked: Any,
    ) -> tuple[bool, bool]:
        """Run the node; whether predictions and totals were committed.

        ``save`` ends it early, as a kill. ``meanwhile`` is called when it has read the windows, before the
        predictions are committed, or where ``before`` is 1 the totals.
        """
        tables = (self.predictions, self.totals)[:save]
        former = [table.load().version for table in (self.predictions, self.totals)]
        for number, (*updates, counts) in enumerate(self.chunks(at, **asked)):
            if number == before:
                meanwhile()
            for table, update in zip(tables, updates, strict=False):
                table.save(update)
            self.counts = counts
        after = [table.load().version for table in (self.predictions, self.totals)]
        return former[0] != after[0], former[1] != after[1]

    def rows(self) -> dict[Key, dict[str, Any]]:
        """The predictions; each window once."""
        table = self.predictions.load()
        rows = table.read().to_pylist() if table.exists else []
        found = {(r["sensor"], r["device"], (r["window_start"] - START) // WINDOW): r for r in rows}
        assert len(found) == len(rows)
        return found

    def daily(self) -> dict[tuple[str, str, int, str], dict[str, Any]]:
        """The daily totals by sensor, device, day and version."""
        table = self.totals.load()
        rows = table.read().to_pylist() if table.exists else []
        found = {}
        for row in rows:
            assert tuple(row) == tuple(DAILY.names)
            found[row["sensor"], row["device"], (row["day"] - START).days, row["model_version"]] = row
        assert len(found) == len(rows)
        return found

    def statuses(self) -> dict[tuple[str, str, int], set[str]]:
        """The statuses of each sensor, device and day."""
        found: dict[tuple[str, str, int], set[str]] = defaultdict(set)
        for (sensor, device, day, _), row in self.daily().items():
            found[sensor, device, day].add(row["status"])
        return dict(found)


def windows_of(values: Mapping[Key, Any]) -> pa.Table:
    """Windows with one feature, ``mean``, or with as many as their values have."""
    keys = sorted(values, key=lambda key: (key[0].encode(), key[1].encode(), key[2]))
    X = np.array([np.atleast_1d(values[key]) for key in keys], float)
    names = ["mean", *(f"f{i}" for i in range(1, X.shape[1] if keys else 1))]
    start = np.array([START_US + step * WINDOW_US for _, _, step in keys], np.int64)
    columns = [
        pa.array(start),
        pa.array(start + WINDOW_US),
        pa.array([device for _, device, _ in keys], pa.string()),
        pa.array([sensor for sensor, _, _ in keys], pa.string()),
        pa.array([5] * len(keys), pa.int32()),
        *(pa.array(X[:, i]) for i in range(len(names))),
    ]
    schema = windows_schema(names)
    return pa.table([c.cast(f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def constant(
    value: float, devices: str = "ab", steps: Any = range(4), sensors: str = "s"
) -> dict[Key, float]:
    """The same value in all windows of some series."""
    return {(sensor, device, step): value for sensor in sensors for device in devices for step in steps}


def count_days(
    predictions: Mapping[Key, Mapping[str, Any]],
) -> dict[tuple[str, str, int, str], dict[str, Any]]:
    """Count predictions one by one, as the daily totals of a detector without tail probabilities."""
    found: dict[Any, dict[str, Any]] = {}
    for (sensor, device, step), row in sorted(predictions.items(), key=lambda item: item[0][2]):
        key = (sensor, device, step // PER_DAY, row["model_version"])
        total = found.setdefault(
            key,
            {
                "day": START + step // PER_DAY * timedelta(days=1),
                "device": device,
                "sensor": sensor,
                "model_version": row["model_version"],
                "status": "ok",
                **dict.fromkeys(("n_unscored", "n_windows", "n_anomalies", "n_alarms"), 0),
                "begins_flagged": row["is_anomaly"],
                "ends_flagged": False,
                "first_start": row["window_start"],
                "last_start": row["window_start"],
                "last_end": row["window_end"],
                "last_anomaly": None,
                "severity": 0.0,
                "threshold": None,
                "decades": [],
            },
        )
        flagged = row["is_anomaly"]
        total["n_windows"] += 1
        total["n_anomalies"] += flagged
        total["n_alarms"] += flagged and not total["ends_flagged"]
        total["ends_flagged"] = flagged
        total["last_start"], total["last_end"] = row["window_start"], row["window_end"]
        total["last_anomaly"] = row["window_start"] if flagged else total["last_anomaly"]
        total["severity"] = max(total["severity"], row["severity"])
        total["threshold"] = row["threshold"]
    return found


def assert_totals_are_a_count(work: Work, unscored: Mapping[Key, str] | None = None) -> None:
    """The daily totals count all predictions, and the windows without one, where they are named."""
    found = work.daily()
    scored = {key: row for key, row in found.items() if row["n_windows"]}
    assert scored == count_days(work.rows())
    for row in found.values():
        if not row["n_windows"]:
            assert row["model_version"] == ""
            assert (row["n_unscored"] > 0) == (row["status"] in ("no_model", "bad_features"))
    silent = {key[:3] for key, row in found.items() if row["status"] == "no_data"}
    assert not silent & {key[:3] for key, row in found.items() if row["status"] != "no_data"}
    if unscored is not None:
        expected: dict[Any, int] = defaultdict(int)
        for (sensor, device, step), status in unscored.items():
            expected[sensor, device, step // PER_DAY, status] += 1
        rows = {
            (*key[:3], row["status"]): row["n_unscored"] for key, row in found.items() if row["n_unscored"]
        }
        assert rows == expected


__all__ = ["AFTER_ALL", "PER_DAY", "Work", "at", "constant", "count_days", "windows_of"]
