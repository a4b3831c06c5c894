from datetime import timedelta

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scoring.api.frames import as_native, as_table, library_of
from batch_scoring.core.errors import InputError

TIMES = pd.date_range("2026-01-01", periods=2, freq="h", tz="UTC")
LONG = pd.DataFrame({"device": ["a", "b"], "sensor": ["s", "t"], "value": [1.0, 2.0]}, index=TIMES)


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
    assert type(as_native(table, library_of(frame))) is type(frame)


def test_categories_of_polars_can_be_written():
    texts = pl.DataFrame({"a": ["x", "y"]})
    table = as_table(
        texts.with_columns(b=pl.col("a").cast(pl.Categorical), c=pl.col("a").cast(pl.Enum(["x", "y"])))
    )
    pq.write_table(table, pa.BufferOutputStream())
    assert table.to_pydict() == {name: ["x", "y"] for name in "abc"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": [1]}, "dict; expected a frame"),
        (pl.LazyFrame({"a": [1]}), r"LazyFrame; expected a frame in memory, such as its collect\(\)"),
        (pd.Series([1.0]), "Series; expected a frame"),
        (pl.Series([1.0]), "Series; expected a frame"),
        (pd.DataFrame({"a": [1.0], "b": TIMES[1:] - TIMES[:1]}), r"'b' holds durations.*total_seconds"),
        (pl.DataFrame({"b": [timedelta(1)]}), "'b' holds durations"),
        (LONG.pivot(columns=["device", "sensor"], values="value"), r"2 levels.*frame\.stack\(\[0, 1\]\)"),
        (LONG.set_index(["device", "sensor"]).rename_axis([None, None]), "levels of the index have no names"),
        (pd.DataFrame({"value": [1.0, "bad"]}), "'bad'.*value.*expected columns of one type"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "['a', 'a'].*of different names"),
        (pd.DataFrame({"value": [1j]}), "value.*expected columns of one type"),
    ],
)
def test_what_is_no_table_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        as_table(given)


def test_the_advice_for_columns_of_several_levels_makes_a_frame_that_is_read():
    wide = LONG.rename_axis("timestamp").pivot(columns=["device", "sensor"], values="value")
    with pytest.raises(InputError) as raised:
        as_table(wide)
    advice = str(raised.value).partition("such as ")[2].partition(" makes of")[0]
    table = as_table(eval(advice, {"frame": wide}).dropna())
    assert table.select(["device", "sensor", "value"]).to_pydict() == LONG.to_dict("list")
    assert table["timestamp"].to_pylist() == list(TIMES)
