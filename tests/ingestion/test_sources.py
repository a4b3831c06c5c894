"""Which source files a run has to read, and what it remembers of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.ids import Selection
from batch_scoring.ingestion import source_files
from batch_scoring.ingestion.source_files import SourceFile, SourceFiles, format_suffix, list_source_files
from batch_scoring.ingestion.sources import (
    COMPARED,
    ChosenSources,
    PendingSource,
    choose_sources,
    known_rows,
    record_sources,
    refused_before,
    refused_row,
    source_row,
)
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.schemas import SOURCES
from tests.row_tables import add, dataset_at, readings, table_at

ALL = Selection()
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.csv").write_text(f"content of {name}")
    return folder


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were opened."""
    names: list[str] = []
    real = SourceFile.opened

    @contextmanager
    def noted(self: SourceFile) -> Iterator[str]:
        names.append(self.name)
        with real(self) as path:
            yield path

    monkeypatch.setattr(SourceFile, "opened", noted)
    return names


def rows_of(chosen: ChosenSources, digest: str = "x", **more: Any) -> list[dict[str, Any]]:
    return [source_row(pending, digest, 5, 2, **more) for pending in chosen.pending]


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SOURCES)


def known_after(raw: Path, digest: str = "x", selection: Selection = ALL, **more: Any) -> pa.Table:
    """The rows of all files of a folder, when they have been read."""
    chosen = choose_sources(list_source_files(str(raw)), table_of([]), digest, selection)
    return table_of(rows_of(chosen, digest, **more))


def pending(raw: Path, known: pa.Table, selection: Selection = ALL, **more: Any) -> list[str]:
    chosen = choose_sources(list_source_files(str(raw)), known, "x", selection, **more)
    assert chosen.unreadable == {}
    return [one.file.name for one in chosen.pending]


def test_new_files_are_read_and_known_ones_are_not_opened(raw: Path, opened: list[str]):
    known = known_after(raw)
    assert opened == ["a.csv", "b.csv"]
    (raw / "c.csv").write_text("content of c")
    assert pending(raw, known) == ["c.csv"]
    assert opened == ["a.csv", "b.csv", "c.csv"]


def test_of_known_files_only_those_that_changed_are_made(raw: Path, monkeypatch: pytest.MonkeyPatch):
    for number in range(30):
        (raw / f"{number}.csv").write_text(f"{number}")
    known = known_after(raw)
    (raw / "7.csv").write_text("more content")
    made: list[int] = []
    make = SourceFiles.__getitem__
    monkeypatch.setattr(SourceFiles, "__getitem__", lambda self, at: made.append(at) or make(self, at))
    files = list_source_files(str(raw))
    chosen = choose_sources(files, known, "x", ALL)
    assert [one.file.name for one in chosen.pending] == ["7.csv"]
    assert refused_before(files, known, chosen) == []
    assert len(made) == 1


def test_the_whole_row_of_a_file_is_read_where_it_has_changed(raw: Path, tmp_path: Path):
    dataset = dataset_at(tmp_path / "t", None)
    rows = known_after(raw).to_pylist()
    dataset.save(record_sources(rows))
    known, read = known_rows(dataset.load(), {}, columns=COMPARED), list[int]()

    def whole() -> pa.Table:
        read.append(1)
        return known_rows(dataset.load(), {})

    assert pending(raw, known, whole=whole) == []
    (raw / "c.csv").write_text("content of c")
    assert pending(raw, known, whole=whole) == ["c.csv"]
    assert read == []
    for name in ("a.csv", "b.csv"):
        (raw / name).touch()
    chosen = choose_sources(list_source_files(str(raw)), known, "x", ALL, whole=whole)
    assert [row["content"] for row in chosen.touched] == [row["content"] for row in rows]
    assert read == [1]


def test_known_files_may_be_in_any_order(raw: Path):
    known = known_after(raw)
    (raw / "b.csv").write_text("more content")
    assert pending(raw, known.take([1, 0])) == ["b.csv"]


def test_a_file_of_another_size_time_or_content_is_read_again(raw: Path):
    known = known_after(raw)
    (raw / "a.csv").write_text("content of A")
    assert pending(raw, known) == ["a.csv"]
    (raw / "b.csv").write_text("more content")
    assert pending(raw, known) == ["a.csv", "b.csv"]


def test_a_file_with_the_bytes_that_it_had_is_only_noted(raw: Path):
    known = known_after(raw)
    (raw / "a.csv").touch()
    chosen = choose_sources(list_source_files(str(raw)), known, "x", ALL)
    assert chosen.pending == []
    (row,) = chosen.touched
    assert row == known.to_pylist()[0] | {"version": list_source_files(str(raw / "a.csv"))[0].version}


def test_a_file_whose_time_says_nothing_is_compared_by_its_bytes(raw: Path, opened: list[str]):
    """A file system of whole seconds may change a file twice in one."""
    files = [replace(file, changed_ns=7_000_000_000) for file in list_source_files(str(raw))]
    moments = {"then": 8_000_000_000, "later": 99_000_000_000}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source_files.time, "time_ns", lambda: moments["then"])
        first = choose_sources(files, table_of([]), "x", ALL)
        known = table_of(rows_of(first))
        assert known["version"].to_pylist() == ["", ""]
        opened.clear()
        assert choose_sources(files, known, "x", ALL) == ChosenSources([], [], {})
        assert opened == ["a.csv", "b.csv"]
        patch.setattr(source_files.time, "time_ns", lambda: moments["later"])
        assert [row["version"] for row in choose_sources(files, known, "x", ALL).touched] == [
            "7000000000"
        ] * 2


def test_other_settings_read_all_files_again(raw: Path):
    assert pending(raw, known_after(raw, digest="y")) == ["a.csv", "b.csv"]


@pytest.mark.parametrize(
    ("now", "expected"),
    [(NOON.replace(hour=11), []), (NOON, ["a.csv", "b.csv"]), (NOON.replace(hour=13), ["a.csv", "b.csv"])],
)
def test_a_file_is_read_again_once_its_first_future_reading_is_due(
    raw: Path, now: datetime, expected: list[str]
):
    known = known_after(raw, first_future=NOON)
    assert pending(raw, known, latest=now) == expected
    assert pending(raw, known_after(raw), latest=now) == []


IDS = st.none() | st.frozensets(st.sampled_from(["a", "it's", "ü"]), min_size=1)
SELECTIONS = st.builds(Selection, IDS, IDS)


@given(earlier=st.lists(SELECTIONS, min_size=1, max_size=4), now=SELECTIONS)
def test_every_device_and_sensor_asked_for_is_read_once(
    earlier: list[Selection], now: Selection, tmp_path_factory: pytest.TempPathFactory
):
    raw = tmp_path_factory.mktemp("raw")
    (raw / "a.csv").write_text("x")
    known, taken = table_of([]), set()
    for selection in [*earlier, now]:
        wanted = {
            (device, sensor)
            for device in selection.devices or ["a", "it's", "ü", "other"]
            for sensor in selection.sensors or ["a", "it's", "ü", "other"]
        }
        chosen = choose_sources(list_source_files(str(raw)), known, "x", selection)
        assert wanted <= taken or chosen.pending, "what was not taken yet is read"
        for one in chosen.pending:
            # All that was ever taken, too: the file may have changed.
            read = {
                (device, sensor)
                for part in one.selections
                for device in part.devices or ["a", "it's", "ü", "other"]
                for sensor in part.sensors or ["a", "it's", "ü", "other"]
            }
            assert taken | wanted == read
            taken = read
            known = table_of(rows_of(chosen))


def test_a_selection_is_a_condition_on_the_rows(raw: Path):
    chosen = choose_sources(
        list_source_files(str(raw)), table_of([]), "x", Selection.read("it's", ["s", "t"])
    )
    assert chosen.pending[0].where == "(device IN ('it''s') AND sensor IN ('s', 't'))"
    assert choose_sources(list_source_files(str(raw)), table_of([]), "x", ALL).pending[0].where == "(true)"


def test_a_file_that_is_gone_is_named_and_the_others_are_chosen(raw: Path):
    files = list_source_files(str(raw))
    (raw / "a.csv").unlink()
    chosen = choose_sources(files, table_of([]), "x", ALL)
    assert [one.file.name for one in chosen.pending] == ["b.csv"]
    ((path, sentence),) = chosen.unreadable.items()
    assert path == str(raw / "a.csv")
    assert sentence.startswith(f"{path}: cannot be read (No such file or directory)")
    assert files[0].has_changed()
    gone = PendingSource(files[0], "", [ALL])
    assert refused_row({}, gone.file, "it is no CSV")["first_text"] == ""


@pytest.mark.parametrize("is_root", [True, False])
def test_a_folder_that_cannot_be_read_is_named_and_the_others_are_chosen(
    raw: Path, is_root: bool, monkeypatch: pytest.MonkeyPatch
):
    closed = raw if is_root else raw / "closed"
    closed.mkdir(exist_ok=True)
    scandir, status = os.scandir, closed.stat()

    def scan(place: int | str) -> Any:
        if os.path.samestat(os.fstat(place) if isinstance(place, int) else Path(place).stat(), status):
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", scan)
    chosen = choose_sources(list_source_files(str(raw)), table_of([]), "x", ALL)
    assert [one.file.name for one in chosen.pending] == ([] if is_root else ["a.csv", "b.csv"])
    ((path, sentence),) = chosen.unreadable.items()
    assert (Path(path), sentence.startswith(f"{path}: cannot be read (")) == (closed, True)


@pytest.mark.parametrize("pattern", ["*/*.csv", "**/*.csv", "closed/*.csv"])
def test_a_folder_in_a_glob_that_cannot_be_read_is_named_and_the_others_are_chosen(
    raw: Path, pattern: str, monkeypatch: pytest.MonkeyPatch
):
    for name in ("closed", "open"):
        (raw / name).mkdir()
        (raw / name / "x.csv").write_text(name)
    scandir, status = os.scandir, (raw / "closed").stat()

    def scan(place: int | str) -> Any:
        if os.path.samestat(os.fstat(place) if isinstance(place, int) else Path(place).stat(), status):
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", scan)
    chosen = choose_sources(list_source_files(f"{raw}/{pattern}"), table_of([]), "x", ALL)
    expected = {"*/*.csv": ["open/x.csv"], "**/*.csv": ["a.csv", "b.csv", "open/x.csv"], "closed/*.csv": []}
    assert [one.file.name for one in chosen.pending] == expected[pattern]
    ((path, sentence),) = chosen.unreadable.items()
    assert (Path(path), sentence.startswith(f"{path}: cannot be read (")) == (raw / "closed", True)


def test_a_file_whose_name_is_no_text_is_named(raw: Path):
    try:
        (Path(os.fsdecode(os.fsencode(raw) + b"/\xff.csv"))).write_text("x")
    except OSError:
        pytest.skip("this file system takes no such name")
    chosen = choose_sources(list_source_files(str(raw)), table_of([]), "x", ALL)
    assert [one.file.name for one in chosen.pending] == ["a.csv", "b.csv"]
    (sentence,) = chosen.unreadable.values()
    assert r"\xff.csv: the name of this file is not valid UTF-8; rename it" in sentence
    sentence.encode()


def test_the_reason_of_a_refused_file_holds_no_signature(raw: Path):
    first, _ = choose_sources(list_source_files(str(raw)), table_of([]), "x", ALL).pending
    row = refused_row({}, first.file, "https://account/raw/a.csv?sv=1&sig=abc%3D: no column of times")
    assert row["reason"] == "https://account/raw/a.csv?sv=…&sig=…: no column of times"
    assert (row["state"], row["first_text"]) == ("refused", "content of a")


def test_what_was_read_is_recorded_once_for_each_file(raw: Path, tmp_path: Path):
    dataset = dataset_at(tmp_path / "t", None)
    chosen = choose_sources(list_source_files(str(raw)), table_of([]), "x", ALL)
    dataset.save(record_sources(rows_of(chosen)))
    assert dataset.load().read().to_pylist() == rows_of(chosen)
    assert rows_of(chosen)[0] | {"version": "", "content": ""} == {
        "source": "a.csv",
        "size": 12,
        "version": "",
        "content": "",
        "settings": "x",
        "selections": "[[null, null]]",
        "rows": 5,
        "accepted": 3,
        "refused": 2,
        "first_future": None,
        "missing": 0,
        "state": "read",
        "reason": None,
        "first_text": None,
    }
    version = dataset.load().version
    dataset.save(record_sources(rows_of(chosen)))
    assert dataset.load().version == version, "equal rows are not written again"
    (again,) = rows_of(chosen, "y", first_future=NOON)[:1]
    dataset.save(record_sources([again]))
    rows = sorted(dataset.load().read().to_pylist(), key=lambda row: row["source"])
    assert rows == [again, rows_of(chosen)[1]]


def test_files_are_known_while_the_tables_that_they_were_read_into_are_there(tmp_path: Path):
    readings_at = tmp_path / "readings"
    row = dict.fromkeys(SOURCES.names, "x") | {
        "size": 1,
        "rows": 1,
        "accepted": 1,
        "refused": 0,
        "missing": 0,
    }

    def known() -> int:
        return known_rows(table_at(tmp_path / "sources", None), targets()).num_rows

    def targets() -> dict[str, RowTable]:
        return {"readings": table_at(readings_at)}

    assert known() == 0
    dataset = dataset_at(tmp_path / "sources", None)
    dataset.save(record_sources([row | {"first_future": None}], targets=targets()))
    assert known() == 1
    add(readings_at, readings((0, "a", 1)))
    assert known() == 1, "a table that comes later is no other one"
    dataset.save(record_sources([row | {"first_future": NOON}], targets=targets()))
    assert known() == 1
    readings_at.rename(tmp_path / "moved")
    assert known() == 0
    add(readings_at, readings((0, "a", 1)))
    assert known() == 0, "made anew"


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.csv", ".csv"),
        ("x/y.d/A.CSV.GZ", ".csv"),
        ("a.b/c", ""),
        (".csv", ""),
        ("x/.csv", ""),
        ("a.", "."),
        ("a", ""),
        ("a.events.parquet", ".parquet"),
    ],
)
def test_the_format_of_a_file_is_that_of_its_last_suffix(name: str, suffix: str):
    assert format_suffix(name) == suffix


def test_files_are_listed_by_the_bytes_of_their_names(tmp_path: Path):
    names = ["b.csv", "a/z.csv", "a.csv", "ü.csv", "😀.csv", "﷐.csv", "Z.csv", "a/.hidden.csv", "notes.md"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    found = [file.name for file in list_source_files(str(tmp_path))]
    assert found == sorted(names[:-2], key=os.fsencode)


def test_an_unreadable_source_says_what_to_do(raw: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(path: str) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("batch_scoring.ingestion.sources.file_sha256", refused)
    chosen = choose_sources(list_source_files(str(raw)), table_of([]), "x", ALL)
    assert chosen.pending == []
    assert all("cannot be read (Permission denied); fix that" in one for one in chosen.unreadable.values())


def test_a_table_of_sources_of_an_earlier_version_gains_the_columns(raw: Path, tmp_path: Path):
    former = pa.schema([SOURCES.field(name) for name in SOURCES.names[:10]])
    dataset = dataset_at(tmp_path / "t", None)
    first, second = rows_of(choose_sources(list_source_files(str(raw)), table_of([]), "x", ALL))
    dataset.save(record_sources([first], former))
    assert pending(raw, known_rows(dataset.load(), {})) == ["b.csv"]
    dataset.save(record_sources([second]))
    rows = sorted(dataset.load().read().to_pylist(), key=lambda row: row["source"])
    assert rows == [first | {"missing": None, "state": None}, second]
    assert pending(raw, known_rows(dataset.load(), {})) == []
