"""Several files in an archive, and sheets of a workbook, are read as those of a folder would be."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion import archives
from batch_scoring.ingestion.archives import members, unpack
from batch_scoring.ingestion.file_formats import readable_form
from batch_scoring.ingestion.inner_files import inner_files
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.source_files import list_source_files
from tests.ingestion.shapes.packed import long_table, workbook, written, zipped
from tests.pipelines.ingest.ingestion import HEADER, Store, row


def csv(*rows: str) -> str:
    return "\n".join([HEADER, *rows]) + "\n"


def tarred(path: Path, mode: str, **files: str) -> Path:
    with tarfile.open(path, mode) as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("link.csv")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


FILES = {"x/a.csv": csv(row(0), row(1)), "b.csv": csv(row(0, "d2"), row(1, "d2", value="x"))}


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz", "a.tar.xz", "a.txz"])
def test_the_files_of_an_archive_are_listed_and_unpacked_under_names_of_ours(tmp_path: Path, name: str):
    place = tmp_path / name
    if name == "a.zip":
        place.write_bytes(zipped(**FILES))
    else:
        packing = {"a.tar": "w", "a.tar.xz": "w:xz", "a.txz": "w:xz"}
        tarred(place, packing.get(name, "w:gz"), **FILES)
    assert members(str(place)) == ["x/a.csv", "b.csv"]
    (file,) = list_source_files(str(place))
    found = inner_files(file, IngestSettings(), tmp_path)
    assert [one.name for one in found] == [f"{name}/b.csv", f"{name}/x/a.csv"]
    for one in found:
        with one.opened() as path:
            assert Path(path).read_text() == FILES[one.path.removeprefix(f"{place}/")]
    assert not any(one.has_changed() for one in found)
    place.touch()
    assert all(one.has_changed() for one in inner_files(file, IngestSettings(), tmp_path))
    assert not any(one.has_changed() for one in found)  # their bytes are those that were listed


@pytest.mark.parametrize("name", ["../b.csv", "x/../../b.csv", "/b.csv", "C:\\b.csv", "..\\b.csv"])
def test_an_archive_that_names_a_file_outside_of_it_is_refused(tmp_path: Path, name: str):
    (tmp_path / "a.zip").write_bytes(zipped(**{"a.csv": "", name: ""}))
    with pytest.raises(InputError, match="names a file outside of it"):
        members(str(tmp_path / "a.zip"))


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archives, "_MOST_BYTES", 1 << 20)
    (tmp_path / "a.zip").write_bytes(zipped(**{"a.csv": "0" * (1 << 20), "b.csv": "0"}))
    with pytest.raises(InputError, match="unpacks to more than 1 MB, 200 times its size"):
        members(str(tmp_path / "a.zip"))
    (tmp_path / "b.zip").write_bytes(zipped(**{"a.csv": "0" * (1 << 20)}))
    assert members(str(tmp_path / "b.zip")) == ["a.csv"]


def test_an_encrypted_archive_is_refused(tmp_path: Path):
    content = bytearray(zipped(**{"a.csv": "1"}))
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag in the list at its end
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"is encrypted; unpack it with its password"):
        members(str(tmp_path / "a.zip"))


def test_of_equal_names_in_an_archive_the_last_counts(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("a.csv", "1")
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("a.csv", "2")
    assert members(str(tmp_path / "a.zip")) == ["a.csv"]
    copies, broken = unpack(str(tmp_path / "a.zip"), ["a.csv"], tmp_path)
    assert Path(copies["a.csv"]).read_text() == "2"
    assert broken == {}


def with_bad_bytes(content: bytes, of: str) -> bytes:
    """An archive in which the bytes of a text are not those that were packed."""
    place = content.index(of.encode())
    return content[:place] + b"#" + content[place + 1 :]


def test_of_a_file_with_a_wrong_checksum_the_others_are_read(store: Store, tmp_path: Path):
    place, good, bad = tmp_path / "a.zip", csv(row(0)), csv(row(0, "d2"))
    with zipfile.ZipFile(place, "w") as file:  # stored as it is, not deflated
        for name, text in {"a.csv": bad, "b.csv": good}.items():
            file.writestr(name, text)
    whole = place.read_bytes()
    place.write_bytes(with_bad_bytes(whole, bad))
    counts = store.ingest(place)
    assert [one[1] for one in store.readings()] == ["d1"]
    (sentence,) = counts["shortfalls"]
    assert sentence.startswith(f"{place}/a.csv: cannot be unpacked (Bad CRC-32 for file 'a.csv')")
    assert [one["state"] for one in store.sources()] == ["refused"]
    place.write_bytes(whole)
    assert store.ingest(place)["shortfalls"] == []
    assert [one[1] for one in store.readings()] == ["d1", "d2"]
    assert [one["state"] for one in store.sources()] == ["read"]


def test_a_name_as_large_as_memory_is_not_read(tmp_path: Path):
    place = tmp_path / "a.tar.gz"
    for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(place, "w:gz", format=format) as archive:
            archive.addfile(tarfile.TarInfo("a" * (2 << 20) + ".csv"))
        with pytest.raises(InputError, match=r"a\.tar\.gz: cannot be unpacked .* a very long name"):
            members(str(place))
        with tarfile.open(place, "w:gz", format=format) as archive:
            archive.addfile(tarfile.TarInfo("a" * 5000 + ".csv"))
        with pytest.raises(InputError, match=r"a\.tar\.gz: holds a very long name; unpack it yourself"):
            members(str(place))


def test_an_archive_of_very_many_files_is_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archives, "_MOST_FILES", 1)
    (tmp_path / "a.zip").write_bytes(zipped(**FILES))
    with pytest.raises(InputError, match="holds more than 1 files; unpack it yourself"):
        members(str(tmp_path / "a.zip"))


@pytest.mark.slow
def test_an_archive_is_one_source_and_its_files_are_named(store: Store, tmp_path: Path):
    place = tmp_path / "a.zip"
    place.write_bytes(
        zipped(**FILES, **{"c.parquet": written(long_table(), pq.write_table), "notes.pdf": "x"})
    )
    counts = store.ingest(place, at="2026-06-01T00:00Z")
    assert (counts["sources"], counts["stored"]) == (3, 3 + long_table().num_rows)
    assert [(one["source"], one["row"], one["reason"]) for one in store.quarantine()] == [
        ("a.zip/b.csv", 3, "not_a_number")
    ]
    (source,) = store.sources()
    assert (source["source"], source["state"], source["rows"], source["refused"]) == (
        "a.zip",
        "read",
        4 + long_table().num_rows,
        1,
    )
    assert store.ingest(place, at="2026-06-01T00:00Z")["sources"] == 0
    place.write_bytes(zipped(**{"x/a.csv": FILES["x/a.csv"], "c.csv": csv(row(9, "d3"))}))
    assert store.ingest(place, at="2026-06-01T00:00Z")["stored"] == 1
    assert store.quarantine() == []  # the refused row was of a file that is gone


@pytest.mark.slow
def test_a_file_that_cannot_be_read_is_named_and_the_others_are_read(store: Store, tmp_path: Path):
    place = tmp_path / "a.zip"
    place.write_bytes(zipped(**FILES, **{"z.csv": "when,x\n1,2\n"}))
    counts = store.ingest(place)
    assert counts["stored"] == 3
    (sentence,) = counts["shortfalls"]
    assert sentence.startswith(f"{place}/z.csv: no column for")
    (source,) = store.sources()
    assert (source["state"], source["rows"]) == ("refused", 4)
    assert store.ingest(place)["shortfalls"][0].startswith(f"{place}/z.csv: no column for")


@pytest.mark.slow
def test_files_of_an_archive_name_their_devices(store: Store, tmp_path: Path):
    (tmp_path / "a.zip").write_bytes(zipped(**{f"{one}.csv": "time,temp\n2026-01-05,1\n" for one in "pq"}))
    store.ingest(tmp_path / "a.zip", group={"path": "{device}.csv"})
    assert [one[1:] for one in store.readings()] == [("p", "temp", 1.0), ("q", "temp", 1.0)]


@pytest.mark.slow
def test_sheets_with_the_same_columns_are_read_and_others_are_not(store: Store, tmp_path: Path):
    rows = [("time", "temp"), ("2026-01-05", 1.0)]
    sheets = {"Notes": [("by", "night")], "Pump 1.5": [("Pump 1.5", ""), *rows], "Pump 1.6": rows}
    (tmp_path / "a.xlsx").write_bytes(workbook(sheets))
    store.ingest(tmp_path / "a.xlsx", group={"sheet": "*", "path": "{device}.csv"})
    assert [one[1:] for one in store.readings()] == [("Pump 1.5", "temp", 1.0), ("Pump 1.6", "temp", 1.0)]
    assert [one["source"] for one in store.sources()] == ["a.xlsx"]


@pytest.mark.slow
def test_an_archive_in_an_archive_is_refused(store: Store, tmp_path: Path):
    (tmp_path / "a.zip").write_bytes(zipped(**{"b.zip": zipped(**FILES)}))
    with pytest.raises(InputError, match="holds another archive; unpack it"):
        store.ingest(tmp_path / "a.zip")


def test_parquet_in_an_archive_is_parquet(tmp_path: Path):
    (tmp_path / "a.zip").write_bytes(
        zipped(**{f"{n}.parquet": written(long_table(), pq.write_table) for n in "ab"})
    )
    (file,) = list_source_files(str(tmp_path / "a.zip"))
    found = inner_files(file, IngestSettings(), tmp_path)
    assert [one.format for one in found] == ["parquet", "parquet"]
    with found[0].opened() as path:
        assert pq.read_table(path).equals(pa.table(long_table()))


def test_a_tar_that_ends_with_a_workbook_or_a_zip_is_no_zip(tmp_path: Path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, content in {"a.csv": b"1", "b.zip": zipped(**{"c.csv": "2"})}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    assert members(str(tmp_path / "a.tar")) == ["a.csv", "b.zip"]


def test_files_in_a_zip_below_a_dot_or_with_backslashes_have_plain_names(tmp_path: Path):
    (tmp_path / "a.zip").write_bytes(zipped(**{"./a.csv": "1", "p\\b.csv": "2", "./.c.csv": "3"}))
    assert members(str(tmp_path / "a.zip")) == ["a.csv", "p/b.csv"]
    assert list(unpack(str(tmp_path / "a.zip"), ["p/b.csv"], tmp_path)[0]) == ["p/b.csv"]


def test_a_link_in_a_zip_is_left_out(tmp_path: Path):
    link = zipfile.ZipInfo("link.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", "1")
        archive.writestr(link, "/etc/passwd")
    assert members(str(tmp_path / "a.zip")) == ["a.csv"]


def test_names_that_are_not_utf_8_stay_apart(tmp_path: Path):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        for name in ("p\xe4.csv", "p\xfc.csv"):
            archive.addfile(tarfile.TarInfo(name))
    assert members(str(tmp_path / "a.tar")) == ["p\xe4.csv", "p\xfc.csv"]


def test_a_broken_file_in_an_archive_is_why_it_is_refused(tmp_path: Path):
    content = bytearray(zipped(**{"b.csv": FILES["b.csv"]}))
    content[content.index(b"b.csv") + 10] ^= 0xFF
    (tmp_path / "a.zip").write_bytes(content)
    (file,) = list_source_files(str(tmp_path / "a.zip"))
    with pytest.raises(InputError, match=r"a\.zip/b\.csv: cannot be unpacked"):
        readable_form(file.path, file.format, IngestSettings(), tmp_path)


@pytest.mark.slow
def test_refused_rows_go_when_an_archive_has_one_file_now_or_had_one(store: Store, tmp_path: Path):
    place = tmp_path / "a.zip"
    for files, refused in (
        (FILES, ["a.zip/b.csv"]),
        ({"b.csv": FILES["b.csv"]}, ["a.zip"]),
        (FILES, ["a.zip/b.csv"]),
        ({"x/a.csv": FILES["x/a.csv"]}, []),
    ):
        place.write_bytes(zipped(**files))
        store.ingest(place)
        assert [one["source"] for one in store.quarantine()] == refused


@pytest.mark.slow
def test_many_archives_keep_no_file_open_each(store: Store, tmp_path: Path):
    resource = pytest.importorskip("resource")
    n_archives = 100
    for number in range(n_archives):
        files = {f"{one}.csv": csv(row(0, f"{one}{number}")) for one in "ab"}
        (tmp_path / f"{number}.zip").write_bytes(zipped(**files))
    there, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/dev/fd").iterdir())) + 60, most))
    try:
        assert store.ingest(tmp_path)["stored"] == 2 * n_archives
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (there, most))
