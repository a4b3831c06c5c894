"""Which source files a run has to read, by the table of those that were read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from batch_scoring.core.digests import file_sha256
from batch_scoring.core.ids import Selection
from batch_scoring.ingestion.source_files import SourceFile, list_source_files
from batch_scoring.ingestion.sources import choose_sources, record_sources, source_row
from batch_scoring.tables.schemas import SOURCES
from tests.tables_on_disk import TableOnDisk

ALL = Selection()
MOMENT = datetime(2026, 1, 5, tzinfo=UTC)


def known_after(files, selection=ALL, first_future=None):
    """The table after these files have been read."""
    pending = choose_sources(files, SOURCES.empty_table(), "settings", selection).pending
    rows = [source_row(one, "settings", 9, 2, first_future) for one in pending]
    return pa.Table.from_pylist(rows, schema=SOURCES)


def old(files):
    """The same files, long after they were written."""
    return [replace(file, changed_ns=123_456_789) for file in files]


def test_a_new_source_is_read_for_the_selection_asked_for(tmp_path: Path):
    (tmp_path / "a.csv").write_text("x")
    files = list_source_files(str(tmp_path))
    (source,) = choose_sources(files, SOURCES.empty_table(), "settings", Selection.read("it's", None)).pending
    assert source.where == "(device IN ('it''s'))"
    assert source.content == file_sha256(tmp_path / "a.csv")


def test_a_file_that_is_gone_is_named_and_the_others_are_read(tmp_path: Path):
    (tmp_path / "b.csv").write_text("x")
    gone = SourceFile("a.csv", str(tmp_path / "a.csv"), 3, 0)
    chosen = choose_sources([gone, *list_source_files(str(tmp_path))], SOURCES.empty_table(), "", ALL)
    assert [one.file.name for one in chosen.pending] == ["b.csv"]
    assert "a.csv: cannot be read (No such file" in chosen.unreadable[gone.path]


def test_a_known_file_is_not_opened_and_a_touched_one_only_compared(tmp_path: Path):
    (tmp_path / "a.csv").write_text("x")
    files = old(list_source_files(str(tmp_path)))
    known = known_after(files)
    (tmp_path / "a.csv").unlink()
    assert choose_sources(files, known, "settings", ALL).pending == []
    (tmp_path / "a.csv").write_text("x")
    touched = [replace(file, changed_ns=987_654_321) for file in files]
    chosen = choose_sources(touched, known, "settings", ALL)
    assert (chosen.pending, [row["version"] for row in chosen.touched]) == ([], ["987654321"])


def test_other_settings_and_devices_and_readings_that_are_due_are_reasons_to_read_again(tmp_path: Path):
    (tmp_path / "a.csv").write_text("x")
    files = old(list_source_files(str(tmp_path)))
    some = known_after(files, Selection.read(["a", "b"], None), MOMENT)

    def is_read(settings="settings", selection="a", latest=None):
        return bool(choose_sources(files, some, settings, Selection.read(selection, None), latest).pending)

    assert not is_read()
    assert is_read("others")
    assert is_read(selection="c")
    assert is_read(latest=MOMENT)
    assert not is_read(latest=MOMENT - timedelta(seconds=1))


def test_a_file_has_one_row_the_last(tmp_path: Path):
    table = TableOnDisk(tmp_path / "sources")
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(name)
    files = list_source_files(str(tmp_path))
    assert table.save(record_sources(known_after(files).to_pylist()))
    later = known_after(files[1:], first_future=MOMENT).to_pylist()
    assert table.save(record_sources(later))
    found = [(row["source"], row["first_future"]) for row in table.rows("source")]
    assert found == [("a.csv", None), ("b.csv", MOMENT)]
    assert not table.save(record_sources(later))
