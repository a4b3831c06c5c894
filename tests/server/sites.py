"""Workspaces that a test serves: tables of a made-up fleet, a published champion, and the application."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from starlette.testclient import TestClient

from batch_scoring.datasets.row_tables import RowTableDataset
from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.jobs.records import Records
from batch_scoring.registry.published import publish
from batch_scoring.reporting.run_records import RunRecord
from batch_scoring.server.access import Access, decide_access
from batch_scoring.server.app import make_app
from batch_scoring.server.pages.rendering import Site as Served
from batch_scoring.server.registry import Ended, Registry
from batch_scoring.server.security import Guard
from batch_scoring.server.workspace import Workspace
from batch_scoring.storage import open_folder
from batch_scoring.storage.row_table import Change, RowTable, Update
from batch_scoring.tables.arrow_arrays import empty_table
from batch_scoring.tables.schemas import (
    CALENDAR,
    DEVICES,
    GAPS,
    INCIDENT_ACTIONS,
    SILENCES,
    windows_schema,
)
from tests.factories import fit_fleet
from tests.reporting.fleet_factory import Fleet, tables_of
from tests.row_tables import table_at

FEATURES = ("mean", "std", "diff_mean")
OPENED = {"incident_actions": INCIDENT_ACTIONS, "silences": SILENCES, "drift": None, "gaps": GAPS}


class Site:
    """A workspace on disk, as the server reads it.

    Attributes
    ----------
    tables : dict of str to RowTable
    files : dict of str to pyarrow.Table
        What people have written: ``calendar`` and ``devices``.
    """

    def __init__(self, folder: Path, tables: dict[str, RowTable]) -> None:
        self.folder = folder
        self.tables = tables | {name: table_at(folder / name, None) for name in OPENED if name not in tables}
        self.files = {"calendar": empty_table(CALENDAR), "devices": empty_table(DEVICES)}
        self.published = open_folder(str(folder / "published"))
        self.pages: dict[str, str] = {}
        self.versions: list[dict[str, Any]] = []
        self.asked: list[list[str]] = []
        self.refusal: str | None = None
        self.metrics: Callable[[], bytes] | None = None
        self.slow: Callable[[Sequence[str]], Ended] | None = None
        self.runs: list[RunRecord] = []

    def load(self, name: str) -> Any:
        return self.files.get(name, self.pages.get(name)) if name not in self.tables else self.tables[name]

    def workspace(self) -> Workspace:
        name = "a made-up fleet"
        return Workspace(self.load, self.pages.__contains__, self.save, name, self.published, 0.0)

    def app(self, access: Access) -> Guard:
        """The application."""
        records = Records(str(self.folder))
        registry = Registry(self.kedro_models)
        return make_app(Served(self.workspace(), access, registry, records, self.metrics, lambda: self.runs))

    def client(self, access: Access | None = None, **more: Any) -> TestClient:
        """A browser of the application; close it."""
        app = self.app(access or decide_access("127.0.0.1", user="ada"))
        more = {"base_url": "http://127.0.0.1:8050", "follow_redirects": False, **more}
        return TestClient(app, **more)

    def kedro_models(self, arguments: Sequence[str]) -> Ended:
        """Stands in for the command: what it was asked for, and the versions that a test has set."""
        self.asked.append(list(arguments))
        if self.slow is not None:
            return self.slow(arguments)
        return Ended(0, json.dumps(self.versions), "") if self.refusal is None else Ended(1, "", self.refusal)

    def save(self, name: str, update: Update) -> None:
        RowTableDataset(self.tables[name].folder.path()).save(update)

    def write(self, name: str, rows: pa.Table) -> None:
        """Commit rows to a table, as a run does."""
        self.tables[name] = self.tables[name].latest().commit(Change(rows.schema, [[rows]]))


@contextmanager
def site_of(fleet: Fleet, with_models: bool | Sequence[str] = False) -> Iterator[Site]:
    """Lay down the tables of a fleet, with windows whose mean is the value of the prediction.

    Champions are trained of all devices, or of those that ``with_models`` names.
    """
    with tables_of(fleet) as tables:
        folder = Path(tables["predictions"].folder.path()).parent
        windows = windows_of(fleet.predictions)
        tables["windows"] = table_at(folder / "windows_with_features", "window_start")
        if windows.num_rows:
            tables["windows"] = tables["windows"].commit(Change(windows.schema, [[windows]]))
        if fleet.gaps.num_rows:
            tables["gaps"] = table_at(folder / "gaps", "start").commit(Change(GAPS, [[fleet.gaps]]))
        site = Site(folder, tables)
        if with_models:
            all_devices = windows["device"].unique().to_pylist()
            devices = all_devices if with_models is True else with_models
            publish_models(site, windows.filter(pc.is_in(windows["device"], pa.array(devices))))
        yield site


@contextmanager
def copy_of(site: Site) -> Iterator[Site]:
    """Copy a site for a test that changes it: to lay its tables down takes ten times as long."""
    with TemporaryDirectory() as name:
        folder = Path(name, "site")
        shutil.copytree(site.folder, folder)
        places = {one: Path(table.folder.path()) for one, table in site.tables.items()}
        yield Site(
            folder,
            {
                one: table_at(folder / place.relative_to(site.folder), site.tables[one].time)
                for one, place in places.items()
            },
        )


def windows_of(predictions: pa.Table) -> pa.Table:
    """Windows with ``FEATURES``, in the order of a stored table."""
    rows = predictions.sort_by(
        [("sensor", "ascending"), ("device", "ascending"), ("window_start", "ascending")]
    )
    mean = np.array(rows["value"].to_pylist(), float)
    columns = {
        **{name: rows[name] for name in ("window_start", "window_end", "device", "sensor")},
        "count": pa.array([5] * rows.num_rows, pa.int32()),
        "mean": mean,
        "std": 0.1 + 0.01 * np.abs(np.sin(np.arange(mean.size))),
        "diff_mean": np.diff(mean, prepend=mean[:1]),
        **{"min": mean - 0.2, "max": mean + 0.2, "change": np.zeros(mean.size)},
    }
    return pa.table(columns, windows_schema(FEATURES))


def publish_models(site: Site, windows: pa.Table) -> None:
    """Train and publish a champion of each sensor."""
    for sensor in windows["sensor"].unique().to_pylist():
        own = windows.filter(pc.equal(windows["sensor"], sensor))
        model, _ = fit_fleet(own, FEATURES, FitParameters())
        assert model is not None
        publish(site.published, model, "3", "run", f"of {sensor}")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def calendar_of(*rows: tuple[str, str, str, str, str]) -> pa.Table:
    """Rows of the calendar: device, sensor, start, end, reason."""
    names = ("device", "sensor", "start", "end", "reason")
    made = [(d, s, at(start), at(end), reason) for d, s, start, end, reason in rows]
    listed = [dict(zip(names, row, strict=True)) | {"every": None} for row in made]
    return pa.Table.from_pylist(listed, CALENDAR)


def devices_of(**groups: str) -> pa.Table:
    """Devices with their groups."""
    rows = [{"id": name.replace("_", "-"), "group": group} for name, group in groups.items()]
    return pa.Table.from_pylist(rows, DEVICES)


def microseconds(text: str) -> int:
    return int(at(text).timestamp() * 1e6)
