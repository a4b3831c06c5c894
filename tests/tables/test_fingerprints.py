"""Fingerprints tell rows apart, whatever table they are in."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.tables.fingerprints import row_fingerprints

ROWS = st.lists(st.tuples(st.text(max_size=5), st.floats(allow_nan=False), st.integers(0, 3)), max_size=30)


def table(rows) -> pa.Table:
    text, number, integer = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {
            "t": pa.array(text, pa.string()),
            "x": pa.array(number, pa.float64()),
            "i": pa.array(integer, pa.int64()),
        }
    )


@given(ROWS)
def test_rows_have_one_fingerprint_exactly_when_they_are_equal(rows):
    prints = row_fingerprints(table(rows), ["t", "x", "i"])
    assert len(set(prints.tolist())) == len({(t, x + 0.0, i) for t, x, i in rows})


@given(ROWS, st.integers(0, 10))
def test_a_row_has_the_same_fingerprint_in_any_part_of_the_table(rows, start):
    whole = row_fingerprints(table(rows), ["t", "x"])
    part = row_fingerprints(table(rows).slice(start), ["t", "x"])
    np.testing.assert_array_equal(part, whole[start:])


@given(st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "", "ü"])), max_size=9), st.integers(0, 4))
def test_texts_as_dictionaries_have_the_fingerprints_of_the_texts(texts, start):
    plain = pa.table({"t": pa.array(texts, pa.string())}).slice(start)
    encoded = pa.table({"t": pa.array(texts, pa.string()).dictionary_encode()}).slice(start)
    np.testing.assert_array_equal(row_fingerprints(encoded, ["t"]), row_fingerprints(plain, ["t"]))


def test_the_columns_asked_for_are_the_ones_that_count():
    one, two = table([("a", 1.0, 1)]), table([("a", 2.0, 1)])
    assert row_fingerprints(one, ["t", "i"]) == row_fingerprints(two, ["t", "i"])
    assert row_fingerprints(one, ["t", "x"]) != row_fingerprints(two, ["t", "x"])


def test_a_table_without_rows_has_no_fingerprints_and_imports_no_pandas():
    program = (
        "import sys; from batch_scoring.tables.arrow_arrays import empty_table;"
        "from batch_scoring.tables.fingerprints import row_fingerprints;"
        "from batch_scoring.tables.schemas import PREDICTIONS;"
        "prints = row_fingerprints(empty_table(PREDICTIONS), ['device', 'window_start']);"
        "print(prints.size, 'pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "False"]
