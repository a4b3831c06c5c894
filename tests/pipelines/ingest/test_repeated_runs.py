"""Runs may be repeated, killed, and find their files in any parts: the end is the same."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_scoring.core.errors import InputError
from tests.pipelines.ingest.ingestion import (
    Store,
    row,
    write_csv,
)


def test_a_second_run_reads_nothing_and_changes_nothing(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "raw" / "a.csv", row(0), row(1, value="x"))
    store.ingest(source)
    before = store.files()
    assert store.ingest(source)["sources"] == 0
    source.touch()
    assert store.ingest(source)["sources"] == 0
    assert store.files() == before


def test_an_untouched_file_is_not_even_opened(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "a.csv", row(0))
    store.ingest(source)
    page = next((store.root / "ledger").iterdir())
    later = page.stat().st_mtime_ns + 10_000_000_000
    source.write_bytes(source.read_bytes().replace(b"1.0", b"9.9"))
    os.utime(page, ns=(later, later))
    assert store.ingest(source)["sources"] == 0


def test_a_replayed_file_is_harmless_and_a_contradicting_one_is_quarantined(store: Store, tmp_path: Path):
    store.ingest(write_csv(tmp_path / "1.csv", row(0), row(1)))
    before = store.files()
    replay = store.ingest(write_csv(tmp_path / "2.csv", row(1), row(0)))
    assert (replay["stored"], replay["already_stored"], replay["refused"]) == (0, 2, {})
    store.ingest(write_csv(tmp_path / "3.csv", row(0, value=9), row(2)))
    assert [r[3] for r in store.readings()] == [1.0, 1.0, 1.0]
    assert store.reasons() == [(2, "conflict")]
    assert {key: store.files()[key] for key in before if not key.startswith("readings")} == {
        key: content for key, content in before.items() if not key.startswith("readings")
    }


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


def test_only_partitions_that_gain_rows_are_written(store: Store, tmp_path: Path):
    store.ingest(write_csv(tmp_path / "1.csv", row(0), row(1440)))
    old = {file: file.stat().st_ino for file in (store.root / "readings").rglob("*.parquet")}
    store.ingest(write_csv(tmp_path / "2.csv", row(0), row(1441)))
    assert [file.stem for file in old if file.stat().st_ino != old[file]] == ["2026-01-06"]


def test_the_digest_in_the_footer_tells_rows_apart_and_nothing_else(tmp_path: Path):
    whole, split, other, moved = (Store(tmp_path / name) for name in ("whole", "split", "other", "moved"))
    rows = [row(0, "ab"), row(0, "c"), row(1, "ab")]
    whole.ingest(write_csv(tmp_path / "w.csv", *rows))
    for number, line in enumerate(rows):
        split.ingest(write_csv(tmp_path / f"s{number}.csv", line))
    other.ingest(write_csv(tmp_path / "o.csv", *rows[:2], row(1, "ab", value=1.5)))
    moved.ingest(write_csv(tmp_path / "m.csv", row(0, "a"), row(0, "bc"), row(1, "a")))
    digests = [
        store.readings_set.load()["s/2026-01-05"]().metadata.metadata[b"digest"]
        for store in (whole, split, other, moved)
    ]
    assert len(digests[0]) == 64
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    assert whole.files()["readings/s/2026-01-05.parquet"] == split.files()["readings/s/2026-01-05.parquet"]


def test_a_file_that_is_written_to_meanwhile_is_not_recorded(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "a.csv", row(0))
    steps = store.ingest_stepwise(source)
    next(steps)
    write_csv(source, row(0), row(1))
    with pytest.raises(InputError, match="changed while it was being read"):
        list(steps)
    assert store.ledger() == []
    assert store.ingest(source)["stored"] == 1


@pytest.mark.slow
def test_a_run_killed_after_any_save_and_repeated_ends_in_the_same_files(tmp_path: Path):
    raw = tmp_path / "raw"
    write_csv(raw / "1.csv", row(0), row(0), row(1, value=2), row(2, value="x"))
    write_csv(raw / "2.csv", row(0), row(1, value=3), row(1440), row(1440), "broken")
    write_csv(raw / "3.csv", row(5, sensor="t"), row(1, value=2), row(1, value=2))
    undisturbed = Store(tmp_path / "undisturbed")
    n_saves = len(list(undisturbed.ingest_stepwise(raw)))
    assert n_saves == 3 * (3 + 3 + 1)
    for killed_after in range(n_saves):
        killed = Store(tmp_path / f"killed{killed_after}")
        steps = killed.ingest_stepwise(raw)
        for _ in itertools.islice(steps, killed_after):
            pass
        del steps
        killed.ingest(raw)
        assert killed.files() == undisturbed.files()
        shutil.rmtree(killed.root, ignore_errors=True)


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


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    stored = {key: content for key, content in many.files().items() if key.startswith("readings")}
    assert stored == {key: content for key, content in one.files().items() if key.startswith("readings")}
    pages = many.ledger()
    assert sum(page["accepted"] + page["refused"] for page in pages) == sum(map(len, files))
    at_once = Store(tmp_path / "many" / "at_once")
    at_once.ingest(raw)
    assert at_once.files() == many.files()


def assert_all_rows_accounted_for(counts: dict[str, Any], n_rows: int) -> None:
    assert counts["rows"] == n_rows
    assert counts["stored"] + counts["already_stored"] + sum(counts["refused"].values()) == n_rows
