"""Runs may be repeated, killed, and find their files in any parts: the end is the same."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.source_files import SourceFile
from tests.examples import few_examples
from tests.pipelines.ingest.ingestion import (
    Store,
    row,
    write_csv,
    write_json_lines,
    write_parquet,
)

pytestmark = pytest.mark.slow


def test_a_second_run_reads_nothing_and_changes_nothing(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "raw" / "a.csv", row(0), row(1, value="x"))
    store.ingest(source)
    before = store.files()
    assert store.ingest(source)["sources"] == 0
    assert store.files() == before
    source.touch()
    rows = store.rows()
    assert store.ingest(source)["sources"] == 0
    assert store.rows() == rows
    assert store.versions() == [1, 1, 2], "the file's time is noted"


def test_known_files_are_not_even_opened(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    raw = tmp_path / "raw"
    write_csv(raw / "a.csv", row(0))
    store.ingest(raw)
    touched = write_csv(raw / "b.csv", row(0))
    store.ingest(raw)
    touched.touch()
    store.ingest(raw)

    def opened(self: SourceFile) -> Any:
        raise AssertionError(self.path)

    monkeypatch.setattr(SourceFile, "opened", opened)
    assert store.ingest(raw)["sources"] == 0


def test_a_replayed_file_is_harmless_and_a_contradicting_one_is_quarantined(store: Store, tmp_path: Path):
    store.ingest(write_csv(tmp_path / "1.csv", row(0), row(1)))
    before = store.versions()
    replay = store.ingest(write_csv(tmp_path / "2.csv", row(1), row(0)))
    assert (replay["stored"], replay["already_stored"], replay["refused"]) == (0, 2, {})
    assert store.versions() == [*before[:2], before[2] + 1], "readings and quarantine were not committed"
    store.ingest(write_csv(tmp_path / "3.csv", row(0, value=9), row(2)))
    assert [r[3] for r in store.readings()] == [1.0, 1.0, 1.0]
    assert store.reasons() == [(2, "conflict")]


def test_a_changed_file_is_read_again_and_its_quarantine_replaced(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "a.csv", row(0), row(1, value="x"))
    store.ingest(source)
    write_csv(source, row(0), row(1, value="3"))
    counts = store.ingest(source)
    assert (counts["stored"], counts["already_stored"]) == (1, 1)
    assert store.quarantine() == []
    assert [r[3] for r in store.readings()] == [1.0, 3.0]


def test_changed_settings_read_the_files_again(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "a.csv", row(0, value=500))
    store.ingest(source, ranges={"s": [0, 100]})
    assert store.readings() == []
    assert store.ingest(source)["stored"] == 1
    assert store.quarantine() == []


def test_only_new_rows_are_written(store: Store, tmp_path: Path):
    store.ingest(write_csv(tmp_path / "1.csv", row(0), row(1440)))
    old = {path: path.stat().st_ino for path in (store.root / "readings").rglob("date=*/*.parquet")}
    store.ingest(write_csv(tmp_path / "2.csv", row(0), row(1441)))
    new = {path: path.stat().st_ino for path in (store.root / "readings").rglob("date=*/*.parquet")}
    assert new.items() > old.items()
    (added,) = new.keys() - old.keys()
    assert added.parent.name == "date=2026-01-06"
    assert pq.read_metadata(added).num_rows == 1


@pytest.mark.parametrize("table", ["readings", "quarantine", "sources"])
def test_a_table_that_was_deleted_is_made_again(store: Store, tmp_path: Path, table: str):
    raw = tmp_path / "raw"
    for n in range(3):
        write_csv(raw / f"{n}.csv", row(n), row(n, value="x"))
        store.ingest(raw)
    rows = store.rows()
    shutil.rmtree(store.root / table)
    store.ingest(raw)
    assert store.rows() == rows
    assert store.ingest(raw)["sources"] == 0


def test_a_table_that_comes_later_is_no_other_one(store: Store, tmp_path: Path):
    raw = tmp_path / "raw"
    write_csv(raw / "1.csv", row(0, value="x"))
    store.ingest(raw)
    write_csv(raw / "2.csv", row(1))
    assert store.ingest(raw)["sources"] == 1
    assert store.ingest(raw)["sources"] == 0


def test_history_of_few_rows_a_day_is_in_a_file_a_month(store: Store, tmp_path: Path):
    lines = [f"2025-{1 + n // 28:02}-{1 + n % 28:02}T00:00Z,d,s,{n}" for n in range(200)]
    store.ingest(write_csv(tmp_path / "1.csv", *lines[::2]))
    store.ingest(write_csv(tmp_path / "2.csv", *lines))
    table = store.readings_set.load()
    assert len(table.files()) == 2 * 8
    assert sorted(table.read()["value"].to_pylist()) == list(range(200))


def test_a_file_that_is_written_to_after_it_was_read_is_read_again(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "a.csv", row(0))
    steps = store.ingest_stepwise(source)
    next(steps)
    write_csv(source, row(0), row(1))
    list(steps)
    assert store.ingest(source)["stored"] == 1
    assert len(store.readings()) == 2


def test_a_file_that_grows_while_it_is_read_is_left_for_the_next_run(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    growing = write_csv(tmp_path / "raw" / "b.csv", row(1))
    opened = SourceFile.opened

    @contextmanager
    def grown(self: SourceFile) -> Iterator[str]:
        with opened(self) as path:
            yield path
        if self.name == "b.csv":
            growing.write_text(growing.read_text() + row(2) + "\n")

    monkeypatch.setattr(SourceFile, "opened", grown)
    with pytest.raises(InputError, match=r"b\.csv: changed while it was being read; run again"):
        store.ingest(growing)
    assert store.files() == {}
    write_csv(tmp_path / "raw" / "a.csv", row(0), row(1, value=7))
    (shortfall,) = store.ingest(tmp_path / "raw")["shortfalls"]
    assert "b.csv: changed while it was being read" in shortfall
    assert [value for *_, value in store.readings()] == [1, 7], "nothing of it counts, not even a conflict"
    assert [source["source"] for source in store.sources()] == ["a.csv"]
    monkeypatch.undo()
    assert store.ingest(tmp_path / "raw")["refused"]["conflict"] == 1
    assert len(store.readings()) == 3


def test_a_file_that_is_copied_anew_while_it_is_read_is_read_when_it_is_whole(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_csv(tmp_path / "raw/b.csv", row(0))
    times = pa.array([0], pa.timestamp("us", "UTC"))
    source = write_parquet(
        tmp_path / "raw/a.parquet", timestamp=times, device=["d"], sensor=["s"], value=[1.0]
    )
    whole, opened, looks = source.read_bytes(), SourceFile.opened, itertools.count()

    @contextmanager
    def cut(self: SourceFile) -> Iterator[str]:
        # At the first look its bytes are taken down.
        if self.name == "a.parquet" and next(looks):
            source.write_bytes(whole[:-9])
        with opened(self) as path:
            yield path

    monkeypatch.setattr(SourceFile, "opened", cut)
    (shortfall,) = store.ingest(tmp_path / "raw", min_time="1970-01-01T00:00Z")["shortfalls"]
    assert "a.parquet: changed while it was being read; run again" in shortfall
    monkeypatch.undo()
    source.write_bytes(whole)
    assert store.ingest(tmp_path / "raw", min_time="1970-01-01T00:00Z")["stored"] == 1


def test_a_run_killed_after_any_save_and_repeated_ends_in_the_same_rows(tmp_path: Path):
    raw = tmp_path / "raw"
    write_csv(raw / "1.csv", row(0), row(0), row(1, value=2), row(2, value="x"))
    write_csv(raw / "2.csv", row(0), row(1, value=3), row(1440), row(1440), "broken")
    write_csv(raw / "3.csv", row(5, sensor="t"), row(1, value=2), row(1, value=2))
    undisturbed = Store(tmp_path / "undisturbed")
    n_saves = len(list(undisturbed.ingest_stepwise(raw)))
    assert n_saves == 3
    for killed_after in range(n_saves):
        killed = Store(tmp_path / f"killed{killed_after}")
        steps = killed.ingest_stepwise(raw)
        for _ in itertools.islice(steps, killed_after):
            pass
        del steps
        killed.ingest(raw)
        assert killed.rows() == undisturbed.rows()


def test_two_runs_at_once_store_every_reading_once(tmp_path: Path):
    raw, store = tmp_path / "raw", Store(tmp_path / "store")
    write_csv(raw / "1.csv", row(0), row(1), row(2, value="x"))
    for other_is_first_after in range(3):
        mine = store.ingest_stepwise(raw)
        for _ in itertools.islice(mine, other_is_first_after):
            pass
        store.ingest(raw)
        list(mine)
        assert len(store.readings()) == 2
        assert store.reasons() == [(4, "not_a_number")]
        assert len(store.sources()) == 1
        shutil.rmtree(store.root)


READING = st.tuples(st.integers(0, 3000), st.sampled_from(["d1", "d2"]), st.sampled_from(["s", "t"]))


VALUE = st.sampled_from(["1", "2.5", "x", "", "inf"])


@st.composite
def files_and_runs(draw: st.DrawFn) -> tuple[list[list[str]], list[int]]:
    """Rows in the order of arrival, cut into files, and how many files each run finds."""
    readings = draw(st.lists(st.tuples(READING, VALUE), max_size=12))
    rows = [row(*reading, value) for reading, value in readings]
    rows += [rows[i] for i in draw(st.lists(st.integers(0, len(rows) - 1), max_size=4))] if rows else []
    cuts = sorted(draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    files = [rows[a:b] for a, b in itertools.pairwise([0, *cuts, len(rows)])]
    runs = sorted({*draw(st.lists(st.integers(1, len(files)), max_size=2)), len(files)})
    return files, runs


@settings(few_examples, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=files_and_runs())
def test_files_and_runs_may_be_cut_anyhow(case: tuple[list[list[str]], list[int]], tmp_path: Path):
    files, runs = case
    for place in ("one", "many"):
        shutil.rmtree(tmp_path / place, ignore_errors=True)
    one, many = Store(tmp_path / "one" / "store"), Store(tmp_path / "many" / "store")
    whole = write_csv(tmp_path / "one" / "raw" / "0.csv", *itertools.chain(*files))
    assert_all_rows_accounted_for(one.ingest(whole), sum(map(len, files)))
    raw = tmp_path / "many" / "raw"
    there = 0
    for n_files in runs:
        new = files[there:n_files]
        for number, rows in enumerate(new, start=there):
            write_csv(raw / f"{number}.csv", *rows)
        there = n_files
        assert_all_rows_accounted_for(many.ingest(raw), sum(map(len, new)))
    assert many.readings() == one.readings()
    assert sum(
        source["accepted"] + source["refused"] + source["missing"] for source in many.sources()
    ) == sum(map(len, files))
    at_once = Store(tmp_path / "many" / "at_once")
    at_once.ingest(raw)
    assert at_once.rows() == many.rows()


def assert_all_rows_accounted_for(counts: dict[str, Any], n_rows: int) -> None:
    assert counts["rows"] == n_rows
    kept = counts["stored"] + counts["already_stored"] + counts["missing"]
    assert kept + sum(counts["refused"].values()) == n_rows


def test_a_run_without_the_zone_of_an_earlier_one_stores_no_other_times(store, tmp_path, caplog):
    file = write_csv(tmp_path / "raw" / "a.csv", "2026-01-05 10:00,d1,s,1.0")
    store.ingest(tmp_path / "raw", timezone="Europe/Berlin")
    before = store.rows()
    with pytest.raises(InputError, match=r"by 'Europe/Berlin'.* add --params ingest\.timezone=Europe/Berlin"):
        store.ingest(tmp_path / "raw")
    assert store.rows() == before
    store.ingest(tmp_path / "raw", timezone="Europe/Berlin")
    file.rename(tmp_path / "raw" / "b.csv")
    store.ingest(tmp_path / "raw")
    assert "ingest.timezone was Europe/Berlin, and is UTC" in caplog.text


def test_files_whose_times_have_offsets_are_read_again_by_any_zone(store, tmp_path):
    write_csv(tmp_path / "raw" / "a.csv", "2026-01-05T10:00:00+01:00,d1,s,1.0")
    write_json_lines(tmp_path / "raw" / "b.jsonl", {"t": 1767607200, "d": "d2", "s": "s", "v": 1.0})
    columns = {"timestamp": ["timestamp", "t"], "device": ["device", "d"], "sensor": ["sensor", "s"]}
    settings = {"columns": {**columns, "value": ["value", "v"]}}
    store.ingest(tmp_path / "raw", timezone="Europe/Berlin", **settings)
    before = store.readings()
    assert len(before) == 2
    assert store.ingest(tmp_path / "raw", **settings)["already_stored"] == 2
    assert store.readings() == before


def test_one_file_without_offsets_among_others_names_the_zone(store, tmp_path):
    write_csv(tmp_path / "raw" / "a.csv", "2026-01-05T10:00:00Z,d1,s,1.0")
    write_csv(tmp_path / "raw" / "b.csv", "2026-01-05T10:00:00,d2,s,1.0")
    store.ingest(tmp_path / "raw", timezone="Europe/Berlin")
    with pytest.raises(InputError, match=r"stored b\.csv by 'Europe/Berlin'"):
        store.ingest(tmp_path / "raw")
