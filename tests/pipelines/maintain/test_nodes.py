"""Maintenance changes nothing for the steps after it, and removes only what is old and done with."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from deltalake import DeltaTable
from kedro.framework.project import pipelines
from kedro.framework.startup import bootstrap_project

from batch_scoring.core.errors import InputError
from batch_scoring.pipelines.aggregate.nodes import aggregate_windows
from batch_scoring.pipelines.incidents.nodes import find_incidents, notify, rank_devices
from batch_scoring.pipelines.maintain.nodes import maintain, maintain_tables
from batch_scoring.pipelines.maintain.pipeline import create_pipeline
from batch_scoring.storage.row_table import RowTable
from tests.alerts.events import Recorder
from tests.doc_pages import PROJECT
from tests.factories import START
from tests.made_once import made_once
from tests.row_tables import add, readings
from tests.scoring.work import PER_DAY, Work, at, constant
from tests.tables_on_disk import TableOnDisk

pytestmark = pytest.mark.slow

CATALOG = yaml.safe_load((PROJECT / "conf/base/catalog.yml").read_text(encoding="utf-8"))
TABLES = CATALOG["tables"]["entries"]

TIMES = {"readings": "timestamp", "windows": "window_start", "predictions": "window_start"}
TIMES |= {"daily_totals": "day", "incidents": "start"}
ODD = 50.0  # the value of an anomaly
JOIN = {"compact_from": 2}


class Fleet(Work):
    """Windows that are scored hour by hour, and the other tables of a workspace."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.tables = {name: TableOnDisk(folder / name, TIMES.get(name)) for name in TABLES}
        self.tables |= {"daily_totals": self.totals, "windows": self.windows, "predictions": self.predictions}
        self.train()

    def hour(self, step: int, value: float = 0.1, device: str = "a", sensor: str = "s") -> None:
        """A window comes in and is scored."""
        self.put({(sensor, device, step): value})
        self.score(at(step + 1))

    def find(self) -> bool:
        """Find incidents; whether anything was committed."""
        return self.tables["incidents"].save(find_incidents(self.predictions.load(), {}, None, None))

    def tell(self, step: int, max_age: str) -> list[str]:
        """Notify of incidents; the changes that were told."""
        sink, settings = Recorder(), {"max_age": max_age, "outliers": True, "warming_up": True}
        incidents, gaps = self.tables["incidents"].load(), self.tables["gaps"].load()
        ranked = self.tables["device_incidents"]
        ranked.save(rank_devices(incidents, {"gaps": gaps}, {"ranked_days": 90}))
        for update in notify(ranked.load(), settings, at(step))(lambda _: [sink]):
            self.tables["notifications"].save(update)
        return [message["change"] for message in sink.got]

    def maintain(self, keep: dict[str, str] | None = None, **parameters: Any) -> dict[str, int]:
        """Run the node."""
        tables = {name: table.load() for name, table in self.tables.items()}
        return maintain({"keep": keep or {}, **parameters})(**tables)

    def days(self, name: str) -> list[int]:
        """On which days since START a table has files, one entry a file."""
        return [(file.day - START.date()).days for file in self.tables[name].load().files()]

    def contents(self) -> dict[str, pa.Table]:
        """All rows of the scored tables, sorted."""
        order = [("sensor", "ascending"), ("device", "ascending")]
        names = ("windows", "predictions", "daily_totals", "incidents")
        tables = {name: self.tables[name].load() for name in names}
        return {
            name: table.read().sort_by([*order, (TIMES[name], "ascending")])
            for name, table in tables.items()
            if table.exists
        }


def run(fleet: Fleet, days: int = 3) -> None:
    """Days of windows of two series, scored hour by hour: the last ones of each day are anomalies."""
    for step in range(PER_DAY * days):
        value = ODD if step % PER_DAY > 3 else 0.1
        fleet.put({("s", "a", step): value, ("t", "b", step): 0.1})
        fleet.score(at(step + 1))
        fleet.find()


@pytest.fixture
def fleet(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """Three days."""

    def make(folder: Path) -> None:
        made = Fleet(folder)
        made.train(sensor="t")
        run(made)

    return copy_of(Fleet(made_once(tmp_path_factory, "three_days", make)), tmp_path / "fleet")


def copy_of(fleet: Fleet, folder: Path) -> Fleet:
    shutil.copytree(fleet.folder, folder)
    return Fleet(folder)


def test_rows_stay_and_the_steps_after_it_find_nothing_to_do(fleet: Fleet) -> None:
    before, files = fleet.contents(), fleet.days("predictions")
    assert fleet.maintain(**JOIN).keys() >= {"windows", "predictions", "daily_totals", "incidents"}
    assert len(fleet.days("predictions")) < len(files)
    assert fleet.days("predictions")[:2] == [0, 1]
    assert fleet.contents() == before
    assert fleet.score() == (False, False)
    assert not fleet.find()
    assert fleet.maintain(**JOIN) == {}


def late(fleet: Fleet) -> None:
    """News of all kinds: windows that come late or have changed, and new ones."""
    fleet.put({("s", "a", 1): ODD, ("t", "b", 7): ODD, ("t", "a", 3): 0.1, ("s", "a", 3 * PER_DAY): 0.1})
    fleet.score()
    fleet.find()


def optimize(fleet: Fleet) -> None:
    """Join the files as other programs do: in any order, the newest day as well."""
    joined = 0
    for name in ("windows", "predictions", "daily_totals", "incidents"):
        place = str(fleet.tables[name].load().folder.path())
        joined += DeltaTable(place).optimize.compact()["numFilesRemoved"]
    assert joined > 2


@pytest.mark.parametrize(
    "join", [lambda one: one.maintain(**JOIN), optimize], ids=["maintain", "another program"]
)
def test_what_comes_later_has_the_same_results_with_and_without_it(
    fleet: Fleet, tmp_path: Path, join: Any
) -> None:
    other = copy_of(fleet, tmp_path / "other")
    late(other)
    join(fleet)
    assert fleet.score() == (False, False)
    late(fleet)
    assert fleet.contents() == other.contents()
    join(fleet)
    assert fleet.contents() == other.contents()
    assert not fleet.find()


def test_what_comes_between_scoring_and_it_is_scored_afterwards(fleet: Fleet, tmp_path: Path) -> None:
    other = copy_of(fleet, tmp_path / "other")
    late(other)
    fleet.put({("s", "a", 1): ODD, ("t", "b", 7): ODD, ("t", "a", 3): 0.1, ("s", "a", 3 * PER_DAY): 0.1})
    fleet.maintain(**JOIN)
    fleet.score()
    fleet.maintain(**JOIN)
    fleet.find()
    assert fleet.contents() == other.contents()


def test_old_days_go_and_what_was_made_of_them_stays(fleet: Fleet) -> None:
    before = fleet.contents()
    fleet.maintain({"windows": "1d"}, compact_from=0)
    assert set(fleet.days("windows")) == {1, 2}
    after = fleet.contents()
    assert {name: after[name] for name in ("predictions", "daily_totals", "incidents")} == {
        name: before[name] for name in ("predictions", "daily_totals", "incidents")
    }
    assert fleet.score() == (False, False)
    assert not fleet.find()
    fleet.maintain({"predictions": "1d", "daily_totals": "1d"}, compact_from=0)
    assert set(fleet.days("predictions")) == {1, 2}
    assert not fleet.find()
    assert fleet.contents()["incidents"] == before["incidents"]


def test_windows_that_are_not_scored_yet_stay_until_they_are(fleet: Fleet) -> None:
    fleet.put(constant(0.1, "a", range(4), "s"))
    fleet.put({("s", "b", 0): 0.1})
    fleet.maintain({"windows": "1d"}, compact_from=0)
    rows = fleet.windows.load().read(devices=["b"], sensors=["s"])
    assert rows.num_rows == 1
    fleet.score()
    assert ("s", "b", 0) in fleet.rows()
    fleet.maintain({"windows": "1d"}, compact_from=0)
    assert set(fleet.days("windows")) == {1, 2}


def test_windows_of_a_sensor_that_was_never_scored_stay(fleet: Fleet) -> None:
    fleet.put({("u", "a", 0): 0.1})
    fleet.score(sensor="s")
    fleet.maintain({"windows": "1d"}, compact_from=0)
    assert fleet.windows.load().read(sensors=["u"]).num_rows == 1


def test_predictions_whose_incidents_are_not_found_yet_stay(fleet: Fleet) -> None:
    fleet.put({("s", "b", 0): ODD})
    fleet.score()
    before = fleet.contents()["predictions"]
    fleet.maintain({"predictions": "1d"}, compact_from=0)
    assert fleet.contents()["predictions"] == before
    fleet.find()
    assert [row["device"] for row in fleet.tables["incidents"].rows("device")].count("b") == 1
    fleet.maintain({"predictions": "1d"}, compact_from=0)
    assert set(fleet.days("predictions")) == {1, 2}


def test_readings_that_are_not_aggregated_yet_stay_until_they_are(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    place = fleet.tables["readings"].load().folder.path()
    add(place, readings((1, "a", 1.0)))
    add(place, readings((5 * 1440, "a", 2.0)))
    fleet.maintain({"readings": "1d"})
    assert fleet.days("readings") == [0, 5]
    fleet.windows.save(aggregate_windows(fleet.tables["readings"].load(), {}, None, None))
    fleet.maintain({"readings": "1d"})
    assert fleet.days("readings") == [5]
    assert fleet.windows.load().num_rows == 2


def test_incidents_that_go_on_or_are_told_of_stay(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.train(sensor="t")
    # One is over for long, one still open since nothing came after it, and a last one is of today.
    fleet.put({("s", "a", 4): ODD, ("s", "a", 9): 0.1, ("t", "b", 5): ODD, ("s", "a", 40 * PER_DAY): ODD})
    fleet.score()
    fleet.find()
    rows = fleet.tables["incidents"].rows("start", "device")
    assert [(row["device"], row["state"]) for row in rows] == [("a", "closed"), ("b", "open"), ("a", "open")]
    assert fleet.tell(PER_DAY * 41, max_age="60d") == ["opened", "closed", "opened", "opened"]
    fleet.maintain({"incidents": "1d"}, compact_from=0)
    assert fleet.tables["incidents"].rows("start", "device") == rows
    # With news the ledger forgets what is over, and so may the table.
    fleet.put({("s", "b", 41 * PER_DAY): ODD})
    fleet.score()
    fleet.find()
    assert fleet.tell(PER_DAY * 42, max_age="1d") == ["opened"]
    fleet.maintain({"incidents": "1d"}, compact_from=0)
    left = fleet.tables["incidents"].rows("start", "device")
    assert [(row["device"], row["state"]) for row in left] == [("b", "open"), ("a", "open"), ("b", "open")]
    assert fleet.tell(PER_DAY * 42, max_age="1d") == []


def test_the_first_part_of_an_incident_that_flaps_stays_and_so_does_its_id(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.train(sensor="t")
    for step in (6, 11, 16, 21):
        fleet.put({("s", "a", step): ODD, ("s", "a", step + 3): 0.1})
        fleet.score()
        fleet.find()
    parts = fleet.tables["incidents"].rows("start")
    assert len(parts) == 4
    assert fleet.tell(26, max_age="1d") == ["opened", "closed"]
    fleet.maintain({"incidents": "1d"}, compact_from=0)
    assert fleet.tables["incidents"].rows("start") == parts
    assert fleet.tell(26, max_age="1d") == []
    # They may go when the last one is history, and there was news.
    fleet.put({("s", "b", 10 * PER_DAY): ODD})
    fleet.score()
    fleet.find()
    assert fleet.tell(10 * PER_DAY + 1, max_age="1d") == ["opened"]
    fleet.maintain({"incidents": "1d"}, compact_from=0)
    assert [row["device"] for row in fleet.tables["incidents"].rows("start")] == ["b"]


def test_a_table_that_another_run_writes_is_left_and_the_others_are_done(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    tables = {name: table.load() for name, table in fleet.tables.items()}
    assert tables["windows"].num_rows  # it is read now, and is written to after it
    fleet.put({("s", "a", 1): ODD})
    before = fleet.contents()["windows"]
    done = maintain_tables({"compact_from": 2}, **tables)
    assert "predictions" in done
    assert "windows" not in done
    assert "maintain: windows: left for the next run" in caplog.text
    assert fleet.contents()["windows"] == before
    assert "windows" in fleet.maintain(**JOIN)
    assert fleet.contents()["windows"] == before


def test_of_a_large_fleet_a_run_joins_yesterday_of_one_table(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch_scoring.storage.compaction._MANY_ROWS", PER_DAY)
    before, names = fleet.contents(), ("windows", "predictions")

    def joined(day: int) -> list[str]:
        days = {name: [file.day for file in fleet.tables[name].load().files()] for name in names}
        return [name for name in names if days[name].count((START + timedelta(days=day)).date()) == 1]

    # The first hour of a day is that of a recalibration.
    monkeypatch.setattr("batch_scoring.pipelines.maintain.nodes.has_new_day", lambda table: True)
    fleet.maintain(**JOIN)
    assert (joined(0), joined(1)) == (list(names), [])
    monkeypatch.setattr("batch_scoring.pipelines.maintain.nodes.has_new_day", lambda table: False)
    for n_joined in (1, 2):
        fleet.maintain(**JOIN)
        assert joined(0) == list(names)
        assert len(joined(1)) == n_joined
        assert fleet.contents() == before
    assert fleet.maintain(**JOIN) == {}


def test_files_out_of_use_are_deleted_where_a_table_has_changed_or_joining_is_off(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[timedelta] = []
    vacuum = RowTable.vacuum

    def at_once(table: RowTable, after: timedelta) -> int:
        asked.append(after)
        return vacuum(table, timedelta(0))

    monkeypatch.setattr(RowTable, "vacuum", at_once)
    assert fleet.maintain(compact_from=99) == {}
    assert asked == []
    before = fleet.contents()
    assert sum(fleet.maintain(**JOIN, vacuum_after="2d").values()) > 10
    assert set(asked) == {timedelta(days=2)}
    assert fleet.contents() == before
    assert fleet.score() == (False, False)
    assert set(fleet.maintain(compact_from=0).values()) == {0}


def test_a_workspace_without_tables_is_left_alone(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "new")
    assert fleet.maintain({"readings": "30d"}) == {}
    assert fleet.maintain({"readings": "30d"}, compact_from=0) == {}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["models"]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (
            {"keep": {"windows": "12h"}},
            "maintain.keep.windows: '12h' is not valid; expected 'forever', or a day",
        ),
        ({"keep": {"windows": "long"}}, "maintain.keep.windows: 'long' is not a valid duration"),
        ({"keep": {"quarantine": "30d"}}, "quarantine"),
        ({"compact_from": 1}, "maintain.compact_from: 1 is not valid; expected 2 or more, or 0 for never"),
        ({"compact_from": -1}, "maintain.compact_from: -1 is not valid"),
        ({"vacuum_after": "1h"}, "maintain.vacuum_after: .* is not valid; expected a day or more"),
    ],
)
def test_settings_that_are_not_valid_are_refused(
    tmp_path: Path, parameters: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        maintain_tables(parameters)
    assert not list(tmp_path.iterdir())


def test_the_pipeline_maintains_every_table_of_the_catalog() -> None:
    places = {
        name: entry["path"]
        for name, entry in CATALOG.items()
        if isinstance(entry, dict) and entry.get("type", "").endswith("RowTableDataset")
    }
    assert {places[name] for name in TABLES} == set(places.values())
    assert create_pipeline().outputs() == {"tables"}


def test_maintenance_is_the_last_step_of_all() -> None:
    bootstrap_project(PROJECT)
    pipeline = pipelines["__default__"]
    before = {node.name for node in pipeline.to_nodes("maintain_tables").nodes}
    assert {node.name for node in pipeline.nodes} - before == {"track_service"}
