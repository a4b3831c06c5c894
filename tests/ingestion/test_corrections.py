"""Corrected files, files that are refused, and readings that are taken back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from batch_scoring.cli.readings_correct import _OF_DEVICES
from batch_scoring.core.errors import InputError
from batch_scoring.datasets.row_tables import RowTableDataset
from batch_scoring.ingestion.corrections import Corrected
from batch_scoring.ingestion.erasure import note_erased
from batch_scoring.ingestion.replacement import read_replacement
from batch_scoring.ingestion.settings import read_settings
from batch_scoring.ingestion.sources import forget_sources, to_retry
from batch_scoring.operations.annotations import Annotations
from batch_scoring.operations.tables import append
from batch_scoring.pipelines.aggregate.nodes import aggregate_windows
from batch_scoring.pipelines.ingest.nodes import ingest_readings
from batch_scoring.tables.schemas import INCIDENT_ACTIONS
from tests.factories import START
from tests.pipelines.ingest import ingestion
from tests.pipelines.ingest.ingestion import Store, row, write_csv, write_parquet
from tests.row_tables import add, dataset_at, table_at
from tests.row_tables import readings as readings_of
from tests.scoring.work import PER_DAY, WINDOW, Work, assert_totals_are_a_count, constant

pytestmark = pytest.mark.slow

HOUR_US = 3_600_000_000
DAY = 1_767_571_200_000_000  # 2026-01-05T00:00Z
LATEST = datetime(2026, 2, 1, tzinfo=UTC)
AGGREGATE = {"window": "1h", "features": ["mean", "count"], "min_readings": 1}


def values(store: Store) -> list[float]:
    return [one[3] for one in sorted(store.readings())]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


# --- The newest file holds ---


def test_the_newest_file_holds_where_the_settings_say_so(store: Store, raw: Path):
    write_csv(raw / "a.csv", *(row(n, value=0) for n in range(4)))
    store.ingest(raw, on_conflict="newest")
    write_csv(raw / "b.csv", *(row(n, value=10 + n) for n in range(1, 3)))
    counts = store.ingest(raw, on_conflict="newest")
    assert values(store) == [0, 11, 12, 0]
    assert (counts["stored"], counts["replaced"], counts["refused"]) == (2, 2, {})
    assert len(store.readings()) == 4, "no reading is there twice"


def test_a_conflict_is_settled_afterwards_when_the_setting_changes(store: Store, raw: Path):
    write_csv(raw / "b.csv", row(0, value=1), row(1, value=1))
    store.ingest(raw)
    write_csv(raw / "a.csv", row(0, value=2))
    assert store.ingest(raw)["refused"] == {"conflict": 1}
    counts = store.ingest(raw, on_conflict="newest")
    assert values(store) == [2, 1]
    assert (counts["superseded"], counts["replaced"], counts["already_stored"]) == (1, 1, 1)
    assert store.quarantine() == []
    assert store.ingest(raw, on_conflict="newest")["sources"] == 0


def test_of_new_files_the_one_that_changed_last_holds_whatever_its_name(store: Store, raw: Path):
    write_csv(raw / "b.csv", row(0, value=1))
    write_csv(raw / "a.csv", row(0, value=2))
    counts = store.ingest(raw, on_conflict="newest")
    assert values(store) == [2]
    assert (counts["stored"], counts["superseded"]) == (1, 1)


def test_equal_readings_of_a_newer_file_change_nothing(store: Store, raw: Path):
    write_csv(raw / "a.csv", row(0), row(1))
    store.ingest(raw, on_conflict="newest")
    version = store.readings_set.load().version
    write_csv(raw / "b.csv", row(0), row(1))
    assert store.ingest(raw, on_conflict="newest")["already_stored"] == 2
    assert store.readings_set.load().version == version


# --- Files and their states ---


def test_a_bad_file_ends_the_run_at_once_where_the_settings_say_so(store: Store, raw: Path):
    write_csv(raw / "a.csv", row(0))
    write_csv(raw / "b.csv", "1,2", header="alarm,since")
    with pytest.raises(InputError, match=r"b\.csv: no column for the timestamp"):
        store.ingest(raw, on_bad_file="stop")
    assert store.files() == {}


def test_a_refused_file_is_named_until_it_is_mended_and_not_read_meanwhile(store: Store, raw: Path):
    write_csv(raw / "a.csv", row(0))
    write_csv(raw / "b.csv", "1,2", header="alarm,since")
    (first,) = store.ingest(raw)["shortfalls"]
    write_csv(raw / "c.csv", row(1))
    counts = store.ingest(raw)
    assert (counts["sources"], counts["stored"], counts["shortfalls"]) == (1, 1, [first])
    assert store.ingest(raw)["shortfalls"] == [first]
    (refused,) = [one for one in store.sources() if one["state"] == "refused"]
    assert (refused["source"], refused["first_text"]) == ("b.csv", "alarm,since")
    assert first.startswith(refused["reason"])
    write_csv(raw / "b.csv", row(2))
    counts = store.ingest(raw)
    assert (counts["stored"], counts["shortfalls"]) == (1, [])
    assert {one["state"] for one in store.sources()} == {"read"}


def test_refused_files_are_read_again_on_demand(store: Store, raw: Path):
    write_csv(raw / "sub" / "a.csv", row(0))
    write_csv(raw / "b.csv", "1,2", header="alarm,since")
    store.ingest(raw)
    assert store.ingest(raw)["sources"] == 0
    assert to_retry(store.sources_set.load(), []) == ["b.csv"]
    assert to_retry(store.sources_set.load(), ["a.csv", f"{raw}/b.csv"]) == ["b.csv", "sub/a.csv"]
    with pytest.raises(InputError, match=r"x\.csv: is not a source file"):
        to_retry(store.sources_set.load(), ["x.csv"])
    store.sources_set.save(forget_sources(["b.csv"]))
    assert store.ingest(raw)["sources"] == 1


@pytest.mark.parametrize(
    ("bad", "good", "is_short"), [(1, 1, False), (2, 1, True), (1, 0, True), (0, 3, False), (0, 0, False)]
)
def test_a_file_of_which_most_is_refused_is_no_success(
    store: Store, raw: Path, bad: int, good: int, is_short: bool
):
    write_csv(raw / "0.csv", row(100))
    write_csv(raw / "1.csv", *(row(n, value="x") for n in range(bad)), *(row(9 + n) for n in range(good)))
    shortfalls = store.ingest(raw)["shortfalls"]
    assert bool(shortfalls) == is_short
    if is_short:
        assert (
            f"{bad} of {bad + good} rows are refused, most as not_a_number, the first with 'x'"
            in shortfalls[0]
        )


def test_the_share_that_may_be_refused_is_a_setting(store: Store, raw: Path):
    write_csv(raw / "a.csv", row(0), row(1), row(2), row(3, value="x"))
    assert store.ingest(raw, max_refused_share=0.25)["shortfalls"] == []
    assert len(Store(store.root / "other").ingest(raw, max_refused_share=0.2)["shortfalls"]) == 1
    assert Store(store.root / "third").ingest(raw, max_refused_share=1)["shortfalls"] == []


def test_readings_sent_twice_and_missing_values_are_no_refusal(store: Store, raw: Path):
    write_csv(raw / "a.csv", row(0), *[row(0)] * 5, *(row(n, value="") for n in range(1, 9)))
    assert store.ingest(raw)["shortfalls"] == []


def test_a_first_run_of_which_nothing_could_be_stored_says_why(store: Store, raw: Path):
    write_csv(raw / "a.csv", row(0, value="low"))
    chunks = store.ingest_stepwise(raw)
    assert [counts["shortfalls"] for counts in chunks if counts][-1]
    assert store.readings() == []
    assert len(store.quarantine()) == len(store.sources()) == 1


# --- Readings that are taken back ---


@dataclass
class Workspace:
    """Readings of two devices, two sensors and six hours, and their windows of an hour."""

    store: Store

    def aggregate(self) -> None:
        update = aggregate_windows(self.store.readings_set.load(), AGGREGATE, None, None)
        dataset_at(self.store.root / "windows", "window_start").save(update)

    def windows(self) -> dict[tuple[str, str, int], float]:
        rows = table_at(self.store.root / "windows", "window_start").read().to_pylist()
        start = datetime(2026, 1, 5, tzinfo=UTC)
        hours = [(one, (one["window_start"] - start).total_seconds() / 3600) for one in rows]
        return {(one["device"], one["sensor"], int(hour)): one["mean"] for one, hour in hours}

    def correct(self, corrected: Corrected) -> None:
        """Remove what is unfounded, and aggregate, as the command and the next run do."""
        readings = self.store.readings_set.load()
        dataset_at(self.store.root / "windows", "window_start").save(
            corrected.unfounded("windows", readings, "aggregate")
        )
        if readings.num_rows:
            self.aggregate()


@pytest.fixture
def work(store: Store, raw: Path) -> Workspace:
    rows = [
        row(60 * hour + minute, device, sensor, hour)
        for device in ("d1", "d2")
        for sensor in ("s", "t")
        for hour in range(6)
        for minute in (0, 30)
    ]
    store.ingest(write_csv(raw / "a.csv", *rows))
    work = Workspace(store)
    work.aggregate()
    return work


def erase(work: Workspace, device: str, sensor: str | None = None, *hours: float) -> Corrected:
    start, end = (DAY + round(hour * HOUR_US) for hour in hours) if hours else (None, None)
    corrected = Corrected(device, sensor, start, end)
    work.store.readings_set.save(corrected.erased("readings"))
    work.correct(corrected)
    return corrected


def test_a_range_is_deleted_with_its_windows(work: Workspace):
    before = work.windows()
    assert len(before) == 24
    corrected = erase(work, "d1", "s", 1, 3.5)
    # Of the hour from 3 one reading stays, and the window with it.
    assert corrected.removed == {"readings": 5, "windows": 2}
    assert len(work.store.readings()) == 48 - 5
    gone = {("d1", "s", 1), ("d1", "s", 2)}
    assert work.windows() == {key: value for key, value in before.items() if key not in gone}
    assert erase(work, "d1", "s", 1, 3.5).removed == {"readings": 0, "windows": 0}


def test_a_device_is_deleted_from_every_table(work: Workspace, raw: Path):
    bad = [row(999, device, value="x") for device in ("d1", "d2")]
    work.store.ingest(write_csv(raw / "b.csv", *bad))
    corrected = erase(work, "d1")
    work.store.quarantine_set.save(corrected.erased_device("quarantine"))
    work.store.sources_set.save(corrected.erased_device("sources"))
    assert corrected.removed == {"readings": 24, "windows": 12, "quarantine": 1}
    assert {one[1] for one in work.store.readings()} == {"d2"}
    assert {device for device, *_ in work.windows()} == {"d2"}
    assert [one["device"] for one in work.store.quarantine()] == ["d2"]


def replace(work: Workspace, file: Path, *hours: float, **settings: Any) -> tuple[Corrected, int]:
    start, end = (DAY + round(hour * HOUR_US) for hour in hours)
    corrected = Corrected("d1", "s", start, end)
    with read_replacement(file, corrected, read_settings(settings), LATEST) as new:
        work.store.readings_set.save(corrected.replaced("readings", new))
        stored = new.stored
    work.correct(corrected)
    return corrected, stored


def test_a_range_is_replaced_by_a_file(work: Workspace, tmp_path: Path):
    before = work.windows()
    # One reading as before, one with another value, one more; of another hour, sensor or device: left out.
    rows = [row(60, value=1), row(90, value=7), row(95, value=4), row(300, value=99)]
    rows += [row(61, sensor="t", value=99), row(61, "d2", value=99)]
    file = write_csv(tmp_path / "corrected.csv", *rows)
    corrected, stored = replace(work, file, 1, 3)
    assert stored == 2
    assert corrected.removed == {"readings": 3, "windows": 1}
    mine = [one for one in sorted(work.store.readings()) if one[1:3] == ("d1", "s")]
    assert [one[3] for one in mine] == [0, 0, 1, 7, 4, 3, 3, 4, 4, 5, 5]
    expected = before | {("d1", "s", 1): 4.0}
    del expected["d1", "s", 2]
    assert work.windows() == expected
    again, stored = replace(work, file, 1, 3)
    assert (again.removed["readings"], stored) == (0, 0)
    assert work.windows() == expected


def test_a_replacement_without_a_reading_of_the_range_changes_nothing(work: Workspace, tmp_path: Path):
    before = work.store.rows()
    file = write_csv(tmp_path / "corrected.csv", row(300, value=99))
    with pytest.raises(InputError, match="has no reading of device 'd1' in the range"):
        replace(work, file, 1, 3)
    with pytest.raises(InputError, match="is not a file of readings"):
        replace(work, tmp_path / "nothing.csv", 1, 3)
    assert work.store.rows() == before


def test_predictions_without_a_reading_go_and_changed_windows_are_scored_again(tmp_path: Path):
    work = Work(tmp_path / "work")
    work.put(constant(0.0))
    work.train()
    work.score()
    before = work.rows()
    # Of device a, only the readings of the window 2 stay, and the window has another value now.
    readings = dataset_at(tmp_path / "readings")
    minutes = 2 * WINDOW.total_seconds() / 60 + 1
    add(tmp_path / "readings", readings_of((minutes, "a", 3.0), (0, "b", 1.0)))
    corrected = Corrected("a", "s", None, None)
    for name, table, guard in (
        ("windows", work.windows, "aggregate"),
        ("predictions", work.predictions, "scores"),
    ):
        table.save(corrected.unfounded(name, readings.load(), guard))
    work.put({("s", "a", 2): 3.0})
    work.score()
    after = work.rows()
    assert {key for key in after if key[1] == "a"} == {("s", "a", 2)}
    assert {key: row for key, row in after.items() if key[1] == "b"} == {
        key: row for key, row in before.items() if key[1] == "b"
    }
    assert after["s", "a", 2]["is_anomaly"]
    assert_totals_are_a_count(work, {})


@pytest.mark.parametrize(
    ("day", "sensor", "is_missing"), [(5, None, False), (5, "s", True), (-1, None, True)]
)
def test_a_deleted_device_is_missed_only_where_a_model_of_later_readings_expects_it(
    tmp_path: Path, day: int, sensor: str | None, is_missing: bool
):
    work = Work(tmp_path / "work")
    work.put(constant(0.0))
    work.train()  # on readings until START
    work.score()
    for table in (work.windows, work.predictions, work.totals):
        table.save(Corrected("a").erased_device(""))
    work.erased.save(note_erased(Corrected("a", sensor), START + timedelta(days=day)))
    work.put({("s", "b", step): 1.0 for step in range(3 * PER_DAY)})
    work.score()
    found = {key[2] for key, statuses in work.statuses().items() if key[1] == "a" and statuses == {"no_data"}}
    assert found == ({0, 1, 2} if is_missing else set())
    assert {status for status in work.statuses() if status[1] == "a"} == {("s", "a", day) for day in found}


# --- Deleted readings stay deleted ---


@pytest.fixture
def erasing(store: Store, monkeypatch: pytest.MonkeyPatch) -> RowTableDataset:
    """What was deleted; ingest runs of the store know it."""
    erased = dataset_at(store.root / "erased", None)
    monkeypatch.setattr(
        ingestion,
        "ingest_readings",
        lambda *given: ingest_readings(*given, annotations=Annotations({"erased": erased.load()})),
    )
    return erased


def delete(store: Store, erased: RowTableDataset, corrected: Corrected, now: datetime = LATEST) -> None:
    erased.save(note_erased(corrected, now))
    store.readings_set.save(corrected.erased("readings"))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_that_are_read_again_do_not_bring_deleted_readings_back(
    store: Store, raw: Path, erasing: RowTableDataset, suffix: str
):
    minutes, devices = [0, 60, 120] * 2, ["d1"] * 3 + ["d2"] * 3
    if suffix == "csv":
        write_csv(
            raw / "a.csv", *(row(*one) for one in zip(minutes, devices, strict=True)), row(0, "d1", "s", "x")
        )
    else:
        times = pa.array([DAY + minute * 60_000_000 for minute in minutes], pa.timestamp("us", "UTC"))
        write_parquet(raw / "a.parquet", time=times, device=devices, sensor=["s"] * 6, value=[1.0] * 6)
    store.ingest(raw)
    delete(store, erasing, Corrected("d1", "s", DAY + HOUR_US, DAY + 2 * HOUR_US))
    for max_future in ("2h", "3h"):  # read again with other settings
        store.ingest(raw, max_future=max_future)
        assert [one[:2] for one in sorted(store.readings()) if one[1] == "d1"] == [
            ("2026-01-05T00:00:00.000000", "d1"),
            ("2026-01-05T02:00:00.000000", "d1"),
        ]
    delete(store, erasing, Corrected("d1"))
    store.quarantine_set.save(Corrected("d1").erased_device("quarantine"))
    store.ingest(raw, max_future="4h")
    assert {one[1] for one in store.readings()} == {"d2"}
    assert store.quarantine() == []
    assert erasing.load().num_rows == 1, "of one deletion that covers another, only it is remembered"


def test_what_a_deleted_device_sends_later_is_read(store: Store, raw: Path, erasing: RowTableDataset):
    write_csv(raw / "a.csv", row(0), row(60))
    store.ingest(raw)
    delete(store, erasing, Corrected("d1"), datetime(2026, 1, 5, 1, tzinfo=UTC))
    write_csv(raw / "a.csv", row(0), row(60), row(120))
    store.ingest(raw)
    assert [one[0][11:16] for one in sorted(store.readings())] == ["01:00", "02:00"]


@pytest.mark.parametrize("on_conflict", ["newest", "refuse"])
def test_old_files_do_not_bring_replaced_readings_back_and_newer_ones_do(
    store: Store, raw: Path, tmp_path: Path, erasing: RowTableDataset, on_conflict: str
):
    write_csv(raw / "a.csv", row(0, value=1), row(60, value=2), row(90, value=3), row(120, value=4))
    store.ingest(raw)
    corrected = Corrected("d1", "s", DAY + HOUR_US, DAY + 2 * HOUR_US)
    file = write_csv(tmp_path / "corrected.csv", row(60, value=7))
    erasing.save(note_erased(corrected, datetime.now(UTC), is_replaced=True))
    with read_replacement(file, corrected, read_settings({}), LATEST) as new:
        store.readings_set.save(corrected.replaced("readings", new))
    store.ingest(raw, on_conflict=on_conflict, max_future="3h")
    assert [one[3] for one in sorted(store.readings())] == [1, 7, 4]
    write_csv(raw / "b.csv", row(90, value=9))
    store.ingest(raw, on_conflict=on_conflict, max_future="3h")
    assert [one[3] for one in sorted(store.readings())] == [1, 7, 9, 4]


def test_what_people_did_about_a_device_goes_with_it(tmp_path: Path):
    actions = dataset_at(tmp_path / "incident_actions", time=None)
    named = [["d1"], ["d2"], ["d2", "d1"], []]
    rows = [{"action_id": str(n), "devices": names} for n, names in enumerate(named)]
    actions.save(append(pa.Table.from_pylist(rows, INCIDENT_ACTIONS)))
    corrected = Corrected("d1")
    actions.save(corrected.erased_device("incident_actions"))
    assert actions.load().read()["action_id"].to_pylist() == ["1", "3"]
    assert corrected.removed == {"incident_actions": 2}


def test_every_table_that_may_name_a_device_is_cleared_of_it():
    catalog = yaml.safe_load(Path("conf/base/catalog.yml").read_text(encoding="utf-8"))
    of_rows = "batch_scoring.datasets.row_tables.RowTableDataset"
    tables = {one["path"] for one in catalog.values() if isinstance(one, dict) and one.get("type") == of_rows}
    cleared = {catalog[name]["path"] for name in ("readings", "windows", "predictions", *_OF_DEVICES)}
    of_files = {catalog[name]["path"] for name in ("sources", "imported_windows", "erased")}
    assert tables - of_files == cleared
