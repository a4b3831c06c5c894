"""The drift of every device over the newest days, written when something has changed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.detection.model_file import FleetFile
from batch_scoring.monitoring import recent
from batch_scoring.pipelines.monitor.nodes import watch_drift
from batch_scoring.scoring.totals import scored_totals
from batch_scoring.storage.row_table import RowTable
from tests.factories import make_model
from tests.fleet_models import in_file
from tests.predictions import draw_predictions
from tests.tables_on_disk import TableOnDisk

pytestmark = pytest.mark.slow

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
        self.totals = TableOnDisk(folder / "daily_totals", "day")
        self.drift = TableOnDisk(folder / "drift")
        self.published, self.drawn = {}, {}
        for sensor in ("s", "t/u"):
            self.draw({"a": 3 * DAY, "b": DAY + 2 * ("1." * 144)}, sensor)
            self.published[sensor] = Published(in_file(make_model(["a", "b"], sensor)))

    def draw(self, series, sensor="s"):
        self.drawn[sensor] = scored_totals(draw_predictions(series, sensor), lambda *_: True)
        self.totals.replace(*self.drawn.values())

    def run(self, sensor=None, at=None, **settings):
        """Whether anything was committed."""
        models = {name: (lambda one=one: one) for name, one in self.published.items()}
        return self.drift.save(watch_drift(self.totals.load(), models, settings, at, sensor))

    def rows(self, sensor="s"):
        return {row["device"]: row for row in self.drift.rows("sensor", "device") if row["sensor"] == sensor}


@pytest.fixture
def work(tmp_path):
    return Workspace(tmp_path)


def test_every_sensor_has_rows_of_all_its_devices(work):
    assert work.run()
    rows = work.rows("t/u")
    assert [(d, row["n_windows"], row["n_alarms"]) for d, row in rows.items()] == [
        ("a", 864, 0),
        ("b", 864, 288),
    ]
    assert [(row["sensor"], row["device"]) for row in work.drift.load().read().to_pylist()] == [
        ("s", "a"), ("s", "b"), ("t/u", "a"), ("t/u", "b"),
    ]  # fmt: skip


def test_a_run_that_another_with_newer_totals_has_overtaken_leaves_its_rows(work):
    stale = work.totals.load()
    assert stale.exists  # a table is of the version at which it is first looked at
    work.draw({"a": 3 * DAY, "c": 3 * DAY})
    assert work.run()
    models = {name: (lambda one=one: one) for name, one in work.published.items()}
    assert not work.drift.save(watch_drift(stale, models, {}, None, None))
    assert set(work.rows()) == {"a", "b", "c"}


def test_the_range_ends_with_the_newest_window(work):
    work.run(range="1d")
    row = work.rows()["b"]
    assert (row["n_windows"], row["flag_rate"], row["coverage"]) == (288, 0.5, 1.0)
    assert f"{row['range_start']:%d %H:%M} {row['range_end']:%d %H:%M}" == "07 00:00 08 00:00"


def test_a_day_that_is_not_over_is_covered_so_far(work):
    work.draw({"a": 3 * DAY + DAY[:12], "b": 3 * DAY})
    work.run(range="1d")
    rows = work.rows()
    assert (rows["a"]["n_windows"], rows["a"]["coverage"], rows["b"]["coverage"]) == (12, 1.0, 0.0)
    assert f"{rows['a']['range_end']:%d %H:%M}" == "08 01:00"


def test_the_range_ends_on_the_day_of_the_scheduled_time(work):
    work.run(at="2026-01-06T12:00Z", range="1d")
    row = work.rows()["b"]
    assert (row["n_windows"], row["n_alarms"]) == (288, 144)
    assert f"{row['range_start']:%d %H:%M} {row['range_end']:%d %H:%M}" == "06 00:00 07 00:00"
    assert work.run(at="2027-01-01", range="1d")
    assert f"{work.rows()['b']['range_end']:%d %H:%M}" == "08 00:00"


def test_before_all_windows_there_is_nothing_to_watch(work):
    assert not work.run(at="2020-01-01")
    assert not work.run(at="2026-01-05T00:00Z")


def test_what_has_not_changed_is_not_read(work, monkeypatch):
    work.run()
    monkeypatch.setattr(RowTable, "batches", lambda *_: pytest.fail("totals were read"))
    assert not work.run()


def test_changed_totals_are_watched_again(work):
    work.run()
    work.draw({"a": 2 * DAY + "1" + DAY[1:], "b": 3 * DAY})
    assert work.run()
    assert [row["n_alarms"] for row in work.rows().values()] == [1, 0]
    assert not work.run()


def test_other_models_and_other_settings_make_other_rows(work):
    work.run()
    work.published["s"] = Published(in_file(make_model(["a", "b", "c"], "s")), "2")
    assert work.run()
    assert [row["n_judged"] for row in work.rows().values()] == [0, 0, 0]
    assert work.run(min_windows=9)
    assert not work.run(min_windows=9)


def test_totals_that_were_deleted_and_counted_again_are_watched_again(work, tmp_path):
    work.run()
    version = work.totals.load().version
    shutil.rmtree(tmp_path / "daily_totals")
    while work.totals.load().version < version:
        work.draw({"a": 3 * DAY, "b": 3 * DAY})
    assert work.run()
    assert work.rows()["b"]["n_alarms"] == 0


def test_a_sensor_without_models_is_watched_too(work):
    work.published = {}
    work.run()
    assert work.rows()["a"]["status"] == "too_few_windows"


def test_a_fleet_is_read_a_few_devices_at_a_time(work, monkeypatch):
    work.draw({f"d{i:03}": DAY for i in range(60)}, "many")
    monkeypatch.setattr("batch_scoring.storage.table_rows.BATCH_ROWS", 1)
    monkeypatch.setattr(recent, "BATCH_ROWS", 1)
    tables = []
    real = recent.drift_table

    def noted(watched, *how):
        tables.append(sum(one.totals.num_rows for one in watched))
        return real(watched, *how)

    monkeypatch.setattr(recent, "drift_table", noted)
    work.run(sensor="many")
    assert len(work.rows("many")) == 60
    assert (sum(tables), len(tables) > 2) == (12 + 60, True)


def test_a_sensor_that_does_not_exist_is_an_error(work):
    with pytest.raises(InputError, match="sensor 'v'"):
        work.run(sensor="v")


def test_a_range_of_nothing_is_an_error(work):
    with pytest.raises(InputError, match=r"monitor\.range: 0 s"):
        work.run(range="0s")


def test_the_log_counts_the_series_by_status(work, caplog):
    work.draw({"a": 3 * DAY, "b": DAY})
    with caplog.at_level("INFO"):
        work.run()
    assert "monitor: 4 series: 75.0% ok, 25.0% sparse" in caplog.text


def test_watching_imports_nothing_heavy():
    code = (
        "import sys, batch_scoring.pipelines.monitor.nodes;"
        "print([n for n in ('sklearn', 'mlflow', 'pandas', 'scipy', 'duckdb') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
