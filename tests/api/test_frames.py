import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from batch_scoring.api.frames import as_native, as_table
from batch_scoring.core.errors import InputError

TIMES = pd.date_range("2026-01-01", periods=2, freq="h", tz="UTC")


@pytest.mark.parametrize(
    ("frame", "names"),
    [
        (pd.DataFrame({"a": [1, 2]}), ["a"]),
        (pd.DataFrame({"a": [1, 2]}, index=[7, 9]), ["a"]),
        (pd.DataFrame({"a": [1, 2]}, index=TIMES), ["a", "timestamp"]),
        (pd.DataFrame({"a": [1, 2]}, index=TIMES.rename("when")), ["a", "when"]),
        (pl.DataFrame({"a": [1, 2]}), ["a"]),
        (pa.table({"a": [1, 2]}), ["a"]),
    ],
)
def test_frames_become_tables(frame, names):
    table = as_table(frame)
    assert table.column_names == names
    assert table["a"].to_pylist() == [1, 2]
    assert type(as_native(table, frame)) is type(frame)


def test_other_objects_are_refused():
    with pytest.raises(InputError, match="dict; expected a frame"):
        as_table({"a": [1]})
