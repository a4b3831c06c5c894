"""Which files are readings, under which names, and writing simulated ones."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io import DatasetError

from batch_scoring.core.errors import InputError
from batch_scoring.datasets.raw_readings import RawReadings, SimulatedDays
from batch_scoring.ingestion.source_files import list_source_files, listed
from batch_scoring.tables.streams import Stream


def make_files(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def names_at(path: Path | str) -> list[str]:
    return [file.name for file in list_source_files(str(path))]


def test_a_folder_is_searched_to_its_depth_and_sorted(tmp_path: Path):
    make_files(tmp_path, "b.csv", "a/z.parquet", "B.CSV.GZ", "c.jsonl", "d.json.gz", "e.tsv", "ü.txt")
    expected = ["B.CSV.GZ", "a/z.parquet", "b.csv", "c.jsonl", "d.json.gz", "e.tsv", "ü.txt"]
    assert names_at(tmp_path) == expected


def test_a_folder_and_a_glob_of_all_in_it_give_the_same_files(tmp_path: Path):
    make_files(tmp_path, "b.csv", "a/z.parquet", "a/a.CSV", "ü.txt", "𝄞.csv", "\uf8ff.csv", "no.md")
    (tmp_path / os.fsdecode(b"\xff.csv")).write_text("a name that is not UTF-8")
    (tmp_path / "link.csv").symlink_to(tmp_path / "b.csv")
    (tmp_path / "to nothing.csv").symlink_to(tmp_path / "none.csv")
    below, by_glob = list_source_files(str(tmp_path)), list_source_files(f"{tmp_path}/**")
    assert list(below) == by_glob
    assert len(below) == 8
    assert [os.fsencode(file.name) for file in below] == sorted(os.fsencode(file.name) for file in below)
    assert [Path(file.path).stat().st_size for file in below] == [file.size for file in below]
    assert listed(below).equals(listed(by_glob))
    assert [*below[2:5], below[-1]] == [*by_glob[2:5], by_glob[-1]]


def test_folders_behind_links_are_left_out(tmp_path: Path):
    make_files(tmp_path / "other", "a.csv")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/link").symlink_to(tmp_path / "other")
    assert names_at(tmp_path / "raw") == []


@pytest.mark.skipif(os.scandir not in os.supports_fd, reason="folders have no handles here")
def test_files_of_a_folder_are_looked_at_by_its_handle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_files(tmp_path, *(f"{number}.csv" for number in range(50)))
    paths, stat = [], os.stat
    monkeypatch.setattr(os, "stat", lambda path, **how: paths.append(str(path)) or stat(path, **how))
    assert len(list_source_files(str(tmp_path))) == 50
    assert {*paths} <= {str(tmp_path)}


def test_hidden_unfinished_and_other_files_are_left_out(tmp_path: Path):
    make_files(
        tmp_path, ".a.csv", ".b/c.csv", ".x.parquet.partial", "README.md", "y.csv.part", "noend", "1.csv"
    )
    assert names_at(tmp_path) == ["1.csv"]


def test_a_single_file_is_named_by_its_last_part_even_when_hidden(tmp_path: Path):
    make_files(tmp_path, "deep/.a.csv")
    assert names_at(tmp_path / "deep" / ".a.csv") == [".a.csv"]


def test_a_glob_names_files_by_what_follows_its_fixed_part(tmp_path: Path):
    make_files(tmp_path, "2026/01/a.csv", "2026/02/b.csv", "2026/02/c.parquet", "2025/01/d.csv")
    assert names_at(tmp_path / "2026" / "*" / "*.csv") == ["01/a.csv", "02/b.csv"]
    assert names_at(f"{tmp_path}/**/b.csv") == ["2026/02/b.csv"]


def test_a_relative_path_gives_the_same_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_files(tmp_path, "raw/a.csv", "raw/b/c.csv")
    monkeypatch.chdir(tmp_path)
    assert names_at("raw") == names_at(tmp_path / "raw") == ["a.csv", "b/c.csv"]
    assert names_at("raw/*.csv") == names_at("raw/a.csv") == ["a.csv"]
    assert names_at("*/a.csv") == ["raw/a.csv"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.csv.gz", "csv"), ("a.TXT", "csv"), ("a.pq", "parquet"), ("a.ndjson", "json"), ("a.json", "json")],
)
def test_the_format_is_told_by_the_name(tmp_path: Path, name: str, expected: str):
    make_files(tmp_path, name)
    assert list_source_files(str(tmp_path))[0].format == expected


def test_nothing_found_is_an_error_that_names_the_path(tmp_path: Path):
    with pytest.raises(DatasetError) as raised:
        RawReadings(str(tmp_path / "nowhere")).load()
    assert isinstance(raised.value.__cause__, InputError) or isinstance(raised.value, InputError)
    assert f"'{tmp_path}/nowhere' does not exist" in str(raised.value)
    with pytest.raises(DatasetError, match="has no files of readings"):
        RawReadings(str(tmp_path)).load()
    assert not RawReadings(str(tmp_path)).exists()


def test_tables_and_streams_are_saved_by_name_and_listed(tmp_path: Path):
    table = pa.table({"device": ["d"], "value": [1.5]})
    dataset = RawReadings(str(tmp_path))
    dataset.save({"2026-01-06": Stream(table.schema, iter([table])), "2026-01-05": table, "x.csv": table})
    dataset.save({"y.csv": Stream(table.schema, iter([table]))})
    assert [file.name for file in dataset.load()] == [
        "2026-01-05.parquet",
        "2026-01-06.parquet",
        "x.csv",
        "y.csv",
    ]
    assert pq.read_table(tmp_path / "2026-01-06.parquet").equals(table)
    assert (
        (tmp_path / "x.csv").read_text() == (tmp_path / "y.csv").read_text() == '"device","value"\n"d",1.5\n'
    )
    assert dataset.exists()
    assert str(tmp_path) in str(dataset)


def test_simulated_days_are_told_by_the_digest_in_their_footers(tmp_path: Path):
    plain = pa.table({"value": [1.0]})
    marked = plain.replace_schema_metadata({"simulation": "abc"})
    RawReadings(str(tmp_path)).save({"2026-01-05": marked, "2026-01-06": plain, "2026-01-07": marked})
    broken = tmp_path / "2026-01-07.parquet"
    broken.write_bytes(broken.read_bytes()[:-9])
    assert SimulatedDays(str(tmp_path)).load() == {"2026-01-05": "abc"}


def test_there_are_no_simulated_days_in_a_file_or_nowhere(tmp_path: Path):
    assert SimulatedDays(str(tmp_path / "nowhere")).load() == {}
    make_files(tmp_path, "a.csv")
    assert SimulatedDays(str(tmp_path / "a.csv")).load() == {}


def test_simulated_days_are_read_only(tmp_path: Path):
    dataset = SimulatedDays(str(tmp_path))
    assert dataset.exists()
    assert str(tmp_path) in str(dataset)
    with pytest.raises(DatasetError, match="read only"):
        dataset.save({})  # type: ignore[arg-type]


def test_a_function_of_the_simulated_days_yields_files_and_their_labels(tmp_path: Path):
    kind = "batch_scoring.datasets"
    dataset = RawReadings(
        str(tmp_path / "readings"),
        entries={
            "previous_simulation": {
                "type": f"{kind}.raw_readings.SimulatedDays",
                "path": str(tmp_path / "readings"),
            },
            "fault_labels": {
                "type": f"{kind}.parquet.ArrowParquetDataset",
                "filepath": str(tmp_path / "labels.parquet"),
            },
        },
    )
    labels = pa.table({"device": ["a"]})
    day = pa.table({"value": [1.0]}).replace_schema_metadata({"simulation": "abc"})
    there = []

    def files(days):
        there.append(dict(days))
        yield {"fault_labels": labels}
        yield {"2026-01-05": day}

    for _ in range(2):
        dataset.save(files)
    assert there == [{}, {"2026-01-05": "abc"}]
    assert [file.name for file in dataset.load()] == ["2026-01-05.parquet"]
    assert pq.read_table(tmp_path / "labels.parquet").equals(labels)
