"""Every sensor has its drift table, of its newest days, written when something has changed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.detection.model_file import FleetFile
from batch_scoring.monitoring import recent
from batch_scoring.pipelines.monitor.nodes import watch_drift
from tests.factories import make_model
from tests.fleet_models import in_file
from tests.partitions import Store
from tests.predictions import draw_days

DAY = "." * 288


@dataclass
class Published:
    models: FleetFile
    version: str = "1"

    @property
    def manifest(self) -> SimpleNamespace:
        return SimpleNamespace(version=self.version, sha256=self.models.sha256())


class Workspace:
    """Three days of two sensors, and their models."""

    def __init__(self, folder):
        self.folder = folder
        self.predictions, self.drift = Store(folder / "predictions"), Store(folder / "drift")
        self.published = {}
        for sensor in ("s", "t/u"):
            self.draw({"a": 3 * DAY, "b": DAY + 2 * ("1." * 144)}, sensor)
            self.published[sensor] = Published(in_file(make_model(["a", "b"], sensor)))

    def draw(self, series, sensor="s"):
        self.predictions.save(draw_days(series, sensor))

    def run(self, sensor=None, at=None, **settings):
        """Which tables were written."""
        models = {name: (lambda one=one: one) for name, one in self.published.items()}
        chunks = watch_drift(self.predictions.load(), models, self.drift.load(), settings, at, sensor)
        return self.drift.save(chunks)

    def rows(self, sensor="s"):
        return {row["device"]: row for row in self.drift.table().to_pylist() if row["sensor"] == sensor}


@pytest.fixture
def work(tmp_path):
    return Workspace(tmp_path)


def test_every_sensor_has_a_table_of_all_its_devices(work):
    assert work.run() == ["s", "t%2Fu"]
    rows = work.rows("t/u")
    assert [(d, row["n_windows"], row["n_alarms"]) for d, row in rows.items()] == [
        ("a", 864, 0),
        ("b", 864, 288),
    ]


def test_the_range_ends_with_the_newest_window(work):
    work.run(range="1d")
    row = work.rows()["b"]
    assert (row["n_windows"], row["flag_rate"], row["coverage"]) == (288, 0.5, 1.0)
    assert f"{row['range_start']:%d %H:%M} {row['range_end']:%d %H:%M}" == "07 00:00 08 00:00"


def test_the_range_ends_at_the_scheduled_time_if_that_is_earlier(work):
    work.run(at="2026-01-06T12:00Z", range="1d")
    row = work.rows()["b"]
    assert (row["n_windows"], row["n_alarms"]) == (288, 72)
    assert f"{row['range_end']:%d %H:%M}" == "06 12:00"
    assert work.run(at="2027-01-01", range="1d") == ["s", "t%2Fu"]
    assert f"{work.rows()['b']['range_end']:%d %H:%M}" == "08 00:00"


def test_before_all_windows_there_is_nothing_to_watch(work):
    assert work.run(at="2020-01-01") == work.run(at="2026-01-05T00:00Z") == []


def test_an_unchanged_sensor_is_not_read(work, monkeypatch):
    work.run()
    monkeypatch.setattr(recent, "read_pieces", lambda *_: pytest.fail("predictions were read"))
    assert work.run() == []


def test_a_changed_sensor_is_watched_again(work):
    work.run()
    work.draw({"a": 2 * DAY + "1" + DAY[1:], "b": 3 * DAY})
    assert work.run() == ["s"]
    assert work.run() == []


def test_other_models_and_other_settings_make_other_tables(work):
    work.run()
    work.published["s"] = Published(in_file(make_model(["a", "b", "c"], "s")), "2")
    assert work.run() == ["s"]
    assert [row["n_judged"] for row in work.rows().values()] == [0, 0, 0]
    assert work.run(min_windows=9) == ["s", "t%2Fu"]


def test_days_before_the_range_may_change(work):
    work.run(range="1d")
    work.draw({"a": "1" * 288, "b": DAY})
    assert work.run(range="1d") == []


def test_the_same_inputs_give_the_same_bytes(work):
    work.run()
    before = (work.folder / "drift/s.parquet").read_bytes()
    (work.folder / "drift/s.parquet").unlink()
    work.run(sensor="s")
    assert (work.folder / "drift/s.parquet").read_bytes() == before


def test_a_sensor_without_models_is_watched_too(work):
    work.published = {}
    work.run()
    assert work.rows()["a"]["status"] == "too_few_windows"


def test_a_fleet_is_read_a_few_devices_at_a_time(work, monkeypatch):
    devices = {f"d{i:03}": DAY for i in range(60)}
    work.predictions.save(draw_days(devices, "many"))
    monkeypatch.setattr(recent, "BATCH_ROWS", 1)
    tables = []
    real = recent.drift_table
    monkeypatch.setattr(recent, "drift_table", lambda *a: tables.append(a[0].num_rows) or real(*a))
    work.run(sensor="many")
    assert len(work.rows("many")) == 60
    assert max(tables) < 60 * 288 / 4


def test_a_sensor_that_does_not_exist_is_an_error(work):
    with pytest.raises(InputError, match="sensor 'v'"):
        work.run(sensor="v")


def test_a_range_of_nothing_is_an_error(work):
    with pytest.raises(InputError, match=r"monitor\.range: 0 s"):
        work.run(range="0s")


def test_the_footer_counts_the_devices(work):
    work.run()
    text = pq.ParquetFile(work.folder / "drift/s.parquet").metadata.metadata[b"statuses"].decode()
    assert text == '{"ok": 2, "too_few_windows": 0, "sparse": 0, "drifted": 0, "over_budget": 0}'


def test_watching_imports_nothing_heavy():
    code = (
        "import sys, batch_scoring.pipelines.monitor.nodes;"
        "print([n for n in ('sklearn', 'mlflow', 'pandas', 'scipy', 'duckdb') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
