"""What people did is read whole or not at all: from an older version, or not from a newer one."""

import pyarrow as pa
import pytest

from batch_scoring.alerts.ledger import Ledger
from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.erasure import read_erased
from batch_scoring.operations.tables import read
from batch_scoring.storage.row_table import Change
from batch_scoring.tables.schemas import ERASED, NOTIFICATIONS, SILENCES
from tests.row_tables import table_at


def stored(folder, schema):
    """A table with one row that says nothing."""
    return table_at(folder, None).commit(Change(schema, [[pa.Table.from_pylist([{}], schema)]]))


@pytest.mark.parametrize(
    ("schema", "reading"),
    [(SILENCES, lambda table: read(table, SILENCES)), (ERASED, read_erased), (NOTIFICATIONS, Ledger.read)],
)
def test_rows_of_a_newer_version_are_refused_in_a_sentence(tmp_path, schema, reading):
    newer = stored(tmp_path, schema.append(pa.field("mood", pa.string())))
    with pytest.raises(InputError, match=r"does not know \(mood\); install the version"):
        reading(newer)


def test_columns_that_an_older_version_did_not_write_are_null(tmp_path):
    rows = read(stored(tmp_path, SILENCES.remove(0)), SILENCES)
    assert (rows.schema, rows.num_rows, rows.column(0).null_count) == (SILENCES, 1, 1)
    assert read(table_at(tmp_path / "nowhere", None), SILENCES).equals(SILENCES.empty_table())
