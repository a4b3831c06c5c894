"""A table that is written to every hour stays in few files, with the rows of a dict."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.small_files import FEW_ROWS, MANY_FILES, SmallFiles
from batch_scoring.storage.upsert import Upsert
from tests.examples import few_examples
from tests.row_tables import dataset_at, readings, table_at

pytestmark = pytest.mark.slow

DAY = 1440


def save(folder: Path, rows: pa.Table) -> RowTable:
    """Upsert readings, as an hour does."""

    def update(table: RowTable) -> Change:
        upsert = Upsert(table, table.files(), ["sensor", "device", "timestamp"])
        small = SmallFiles(table, upsert.rewritten, ["sensor", "device", "timestamp"])
        parts = [upsert.fresh([rows]), small.rows()]
        return Change(rows.schema, parts, guard="all", rewritten=small.rewritten, by_month=True)

    dataset_at(folder).save(update)
    return table_at(folder)


READING = st.tuples(st.integers(0, 20), st.sampled_from("ab"), st.sampled_from([1.0, 2.0]), st.booleans())


@few_examples
@given(hours=st.lists(st.lists(READING, max_size=4), max_size=30))
def test_hours_leave_few_files_with_the_rows_of_a_dict(hours, tmp_path_factory):
    folder, expected = tmp_path_factory.mktemp("table"), {}
    for hour in hours:
        rows = {(minute + DAY * is_next_day, device): value for minute, device, value, is_next_day in hour}
        expected |= rows
        table = save(folder, readings(*((*key, value) for key, value in sorted(rows.items()))))
        assert len(table.files()) <= MANY_FILES + 2
    found = table_at(folder).read().to_pylist() if hours else []
    wanted = readings(*((*key, value) for key, value in expected.items())).to_pylist()
    order = ("device", "timestamp")
    assert sorted(found, key=lambda row: [row[name] for name in order]) == sorted(
        wanted, key=lambda row: [row[name] for name in order]
    )


def test_large_files_stay_as_they_are_and_each_file_is_in_order(tmp_path):
    large = readings(*((minute, "a", 1.0) for minute in range(FEW_ROWS)))
    (kept,) = save(tmp_path, large).files()
    for hour in range(2 * MANY_FILES):
        table = save(tmp_path, readings((10_000 - hour, "a", 2.0), (10_000 - hour, "b", 2.0)))
    files = table.files()
    assert kept in files
    for file in files:
        rows = pa.concat_tables(table.batches(file))
        assert rows.equals(rows.sort_by([(name, "ascending") for name in ("sensor", "device", "timestamp")]))
