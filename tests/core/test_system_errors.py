"""Whatever library an error of the system comes through, one sentence names the place and a way out."""

import errno
import os
import sqlite3
from collections import namedtuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scoring.core import system_errors
from batch_scoring.core.errors import ConflictError, InputError, MachineError
from batch_scoring.core.failures import sentence_of
from batch_scoring.core.system_errors import naming, system_error

Status = namedtuple("Status", ["f_files", "f_ffree"])  # as os.statvfs gives it
NUMBERS = [
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ESTALE,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.ENOMEM,
    errno.EAGAIN,
]
PLACE = "/data/06 models/a.parquet"


def of_library(module, text):
    """An error of a library that puts the system's into its own words."""
    return type("TheirError", (Exception,), {"__module__": module})(text)


@pytest.mark.parametrize("number", NUMBERS)
def test_each_error_of_the_system_names_its_file_and_what_to_do(number):
    found = system_error(OSError(number, os.strerror(number), PLACE))
    assert isinstance(found, MachineError)
    place, _, rest = str(found).partition(": ")
    assert place == PLACE
    assert "; " in rest
    assert os.strerror(number) not in str(found)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(
    "wrapped",
    [
        lambda number: pa.ArrowException(f"IOError: [errno {number}] cannot write file '{PLACE}'"),
        lambda number: of_library("_internal", f'Generic error: "{PLACE}" (os error {number})'),
        lambda number: of_library("duckdb", f'IO Error: Cannot write "{PLACE}": {os.strerror(number)}'),
    ],
)
def test_the_words_of_a_library_lead_to_the_same_sentence(number, wrapped):
    expected = str(system_error(OSError(number, os.strerror(number), PLACE)))
    assert str(system_error(wrapped(number))) == expected


def test_a_number_in_any_other_error_is_no_error_of_the_system():
    assert system_error(ValueError("errno 28")) is None
    assert system_error(OSError("no number")) is None
    assert system_error(None) is None


def test_a_disk_without_inodes_is_not_a_full_one(tmp_path, monkeypatch):
    full = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "a"))
    monkeypatch.setattr(os, "statvfs", lambda _: Status(1000, 0))
    assert "inodes are used up" in str(system_error(full))
    monkeypatch.setattr(os, "statvfs", lambda _: Status(0, 0))  # a file system that has none to count
    assert "inodes are used up" not in str(system_error(full))


def test_where_the_temporary_folder_is_full_another_one_may_be_named(tmp_path, monkeypatch):
    monkeypatch.setattr(system_errors.tempfile, "tempdir", str(tmp_path))
    full = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "duckdb/1.tmp"))
    assert "TMPDIR" in str(system_error(full))
    assert "TMPDIR" not in str(system_error(OSError(errno.ENOSPC, "No space left on device", PLACE)))


def test_what_an_error_was_raised_from_is_looked_at():
    try:
        try:
            raise PermissionError(errno.EACCES, "Permission denied", PLACE)
        except PermissionError as cause:
            raise RuntimeError("Failed while saving data") from cause
    except RuntimeError as error:
        found = sentence_of(error)
    assert isinstance(found, MachineError)
    assert str(found).startswith(f"{PLACE}: ")


def test_used_up_memory_is_told(tmp_path):
    assert "memory" in str(system_error(MemoryError()))
    assert str(tmp_path) in str(system_error(MemoryError("Unable to allocate 8 EiB"), tmp_path))
    assert "memory" in str(system_error(pa.ArrowMemoryError("malloc of size 64 failed")))


def test_a_database_that_is_held_is_a_conflict_and_one_that_is_none_is_told(tmp_path):
    path = tmp_path / "mlflow.db"
    with sqlite3.connect(path) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with sqlite3.connect(path, timeout=0) as other, pytest.raises(sqlite3.OperationalError) as held:
            other.execute("CREATE TABLE t (a)")
    assert isinstance(system_error(held.value, path), ConflictError)
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"no database at all" * 100)
    with sqlite3.connect(garbage) as database, pytest.raises(sqlite3.DatabaseError) as broken:
        database.execute("SELECT * FROM t")
    found = system_error(broken.value, garbage)
    assert isinstance(found, InputError)
    assert str(garbage) in str(found)


def test_a_write_that_knows_no_name_is_given_one():
    with pytest.raises(OSError, match="No space") as full, naming(PLACE):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert full.value.filename == PLACE


def test_a_file_in_a_folder_that_may_not_be_written_to_is_told(tmp_path):
    folder = tmp_path / "file"
    folder.write_text("no folder")
    with pytest.raises(OSError) as refused:  # what matters is its sentence
        pq.write_table(pa.table({"a": [1]}), str(folder / "a.parquet"))
    assert str(folder) in str(system_error(refused.value))
