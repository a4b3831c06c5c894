from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.storage import series_copies
from batch_scoring.storage.data_file import COPIES
from batch_scoring.storage.row_table import Change
from batch_scoring.storage.series_copies import SeriesCopies
from batch_scoring.tables.arrow_arrays import strings, to_arrow
from batch_scoring.tables.schemas import TIMESTAMP
from tests.row_tables import table_at

SCHEMA = pa.schema(
    [
        ("timestamp", TIMESTAMP),
        ("device", pa.string()),
        ("sensor", pa.string()),
        ("value", pa.float64()),
        ("contributions", pa.map_(pa.string(), pa.float64())),
    ]
)
COLUMNS = ["device", "sensor", "timestamp", "value", "contributions"]
FEW = {"sensors": ["s0", "s2", "none"], "devices": ["d03", "d17", "d18"]}


def rows(hour, n_devices=20, n_windows=6):
    keys = [(f"s{s}", f"d{d:02d}", w) for s in range(3) for d in range(n_devices) for w in range(n_windows)]
    times = np.array([hour * 3_600_000_000 + w * 300_000_000 for *_, w in keys])
    values = [None if n % 7 == 0 else n + hour / 10 for n in range(len(keys))]
    maps = [[("mean", float(n))] if n % 5 == 0 else None for n in range(len(keys))]
    columns = [
        to_arrow(times).view(TIMESTAMP),
        strings([key[1] for key in keys]),
        strings([key[0] for key in keys]),
        pa.array(values, pa.float64()),
        pa.array(maps, SCHEMA.field("contributions").type),
    ]
    return pa.table(columns, schema=SCHEMA)


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.setattr(series_copies, "MIN_ROWS", 100)
    table_at(tmp_path).commit(Change(SCHEMA, [[rows(0)], [rows(1)]]))
    return table_at(tmp_path)


def of(batches):
    schema = pa.schema([SCHEMA.field(name) for name in COLUMNS])
    return pa.concat_tables([one.cast(schema) for one in batches]).combine_chunks()


def copies_of(table):
    return sorted(path.name for path in (table.folder.root / COPIES).glob("*"))


def test_places_in_a_copy_are_those_of_its_rows_and_nothing_is_taken_out_of_it(table):
    (file, _), copies = table.files(), SeriesCopies(table)
    expected = of(table.batches(file, COLUMNS, **FEW))
    (found,) = list(copies.places(file, COLUMNS, **FEW))
    assert of([found[0].take(to_arrow(found[1]))]).equals(expected)
    copies.make(file, COLUMNS)
    before = pa.total_allocated_bytes()
    ((rows, places),) = list(copies.places(file, ["value"], **FEW))
    assert rows.num_rows == file.rows
    assert pa.total_allocated_bytes() - before < rows["value"].nbytes
    assert rows["value"].take(to_arrow(places)).equals(expected["value"])
    ((_, none),) = list(copies.places(file, ["value"], ["s1"], ["none"]))
    assert none.size == 0


def test_a_copy_has_the_rows_that_its_file_has(table):
    copies = SeriesCopies(table)
    for file in table.files():
        expected = of(table.batches(file, COLUMNS, **FEW))
        assert expected.num_rows == 2 * 3 * 6
        assert of(copies.batches(file, COLUMNS, **FEW)).equals(expected)
        copies.make(file, COLUMNS)
        assert of(copies.batches(file, COLUMNS, **FEW)).equals(expected)
        assert list(copies.batches(file, COLUMNS, ["s1"], ["none"])) == []
    assert len(copies_of(table)) == 2


def test_the_batches_of_a_copy_are_large(table):
    file, copies = table.files()[0], SeriesCopies(table)
    pieces = table.batches(file, COLUMNS, rows=50)
    joined = list(series_copies.in_large_batches(pieces, 120))
    assert [rows.num_rows for rows in joined] == [150, 150, 60]
    assert of(joined).equals(of(table.batches(file, COLUMNS)))
    assert all(column.num_chunks == 1 for rows in joined for column in rows.columns)
    copies.make(file, COLUMNS)
    assert len(list(copies.batches(file, COLUMNS, ["s0", "s2"], ["d01"]))) == 1


def test_a_copy_is_read_instead_of_its_file(table):
    (file, _), copies = table.files(), SeriesCopies(table)
    copies.make(file, COLUMNS)
    expected = of(table.batches(file, COLUMNS, **FEW))
    (table.folder.root / file.name).write_bytes(b"garbage")
    assert of(copies.batches(file, COLUMNS, **FEW)).equals(expected)


@pytest.mark.parametrize(
    "damage", [lambda old: b"", lambda old: old[: len(old) // 2], lambda old: b"x" * 999]
)
def test_a_copy_that_is_damaged_or_lacks_a_column_is_not_read(table, damage):
    (file, other), copies = table.files(), SeriesCopies(table)
    copies.make(file, COLUMNS)
    copies.make(other, COLUMNS[:3])
    place = table.folder.root / file.copy
    place.write_bytes(damage(place.read_bytes()))
    for one in (file, other):
        expected = of(table.batches(one, COLUMNS, **FEW))
        assert of(copies.batches(one, COLUMNS, **FEW)).equals(expected)


def test_a_copy_that_lacks_a_column_is_made_anew(table):
    (file, _), copies = table.files(), SeriesCopies(table)
    copies.make(file, COLUMNS[:3])
    copies.make(file, COLUMNS)
    expected = of(table.batches(file, COLUMNS, **FEW))
    (table.folder.root / file.name).write_bytes(b"garbage")
    assert of(copies.batches(file, COLUMNS, **FEW)).equals(expected)


def test_small_files_are_not_copied(table, monkeypatch):
    monkeypatch.setattr(series_copies, "MIN_ROWS", 10_000)
    SeriesCopies(table).make(table.files()[0], COLUMNS)
    assert copies_of(table) == []


def test_where_no_copy_can_be_written_the_file_is_read(table):
    (table.folder.root / COPIES).write_text("in the way")
    file, copies = table.files()[0], SeriesCopies(table)
    copies.make(file, COLUMNS)
    assert of(copies.batches(file, COLUMNS, **FEW)).num_rows == 2 * 3 * 6


def test_copies_go_with_their_files(table):
    copies, (first, second) = SeriesCopies(table), table.files()
    for file in (first, second):
        copies.make(file, COLUMNS)
    after = table.commit(Change(SCHEMA, rewritten=lambda: [(first, ())]))
    assert after.vacuum(timedelta(days=1)) == 1
    assert copies_of(table) == [second.copy.rpartition("/")[2]]
    copies.forget_others([])
    assert copies_of(table) == []
