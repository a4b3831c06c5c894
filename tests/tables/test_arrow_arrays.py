"""To Arrow and back without losing a bit."""

from datetime import UTC

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from batch_scoring.tables.arrow_arrays import (
    Lookup,
    are,
    are_among,
    constant,
    empty_table,
    from_rows,
    positions,
    span_between,
    strings,
    to_arrow,
    to_numpy,
)

KINDS = st.sampled_from([np.float64, np.int32, np.int64, np.uint64, np.bool_])


@given(KINDS.flatmap(lambda kind: arrays(kind, st.integers(0, 40))), st.integers(0, 9), st.integers(0, 9))
def test_numbers_come_back_from_arrow_whole_or_in_part(values, start, length):
    array = to_arrow(values)
    assert array.type == pa.array(values).type
    np.testing.assert_array_equal(pa.array(values).to_numpy(zero_copy_only=False), to_numpy(array))
    np.testing.assert_array_equal(to_numpy(array), values)
    np.testing.assert_array_equal(to_numpy(array.slice(start, length)), values[start:][:length])
    np.testing.assert_array_equal(
        to_numpy(pa.chunked_array([array, array])), np.concatenate([values, values])
    )


@given(st.lists(st.text(max_size=5)))
def test_strings_are_arrows_strings(texts):
    assert strings(texts).equals(pa.array(texts, pa.string()))


@given(st.lists(st.one_of(st.none(), st.integers(0, 99))), st.integers(0, 9))
def test_nulls_become_what_was_asked_for(values, start):
    array = pa.array(values, pa.int32()).slice(start)
    assert to_numpy(array, null=-1).tolist() == [-1 if v is None else v for v in values[start:]]


def test_times_are_their_integers():
    array = pa.array([0, 5], pa.timestamp("us", tz="UTC"))
    assert to_numpy(array).tolist() == [0, 5]


def test_arrays_and_tables_without_rows():
    assert to_numpy(pa.chunked_array([], pa.float64())).size == 0
    assert to_numpy(pa.chunked_array([], pa.bool_())).size == 0
    schema = pa.schema([("a", pa.string())])
    assert empty_table(schema).equals(schema.empty_table())
    assert constant("x", 0).equals(pa.array([], pa.string()))
    assert constant("x", 2).to_pylist() == ["x", "x"]


def test_strings_are_compared_and_found_where_there_are_none():
    nothing = pa.chunked_array([], pa.string())
    assert are(nothing, "a").tolist() == []
    assert positions(nothing, strings(["a"])).tolist() == []
    texts = pa.chunked_array([["a", "b"], ["a"]])
    assert positions(texts.dictionary_encode(), strings(["b", "c"])).tolist() == [-1, 0, -1]
    assert are(texts, "a").tolist() == [True, False, True]
    assert are(texts, "").tolist() == [False] * 3


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "text": st.none() | st.text(max_size=3),
                "number": st.none() | st.integers(-(2**63), 2**63 - 1),
                "time": st.none() | st.datetimes(timezones=st.just(UTC)),
                "texts": st.none() | st.lists(st.text(max_size=3), max_size=3),
                "share": st.none() | st.floats(allow_nan=False),
                "is_one": st.none() | st.booleans(),
            },
        )
    )
)
def test_rows_become_what_arrow_makes_of_them(rows):
    kinds = {"text": pa.string(), "number": pa.int64(), "time": pa.timestamp("us", tz="UTC")}
    kinds |= {"share": pa.float64(), "is_one": pa.bool_()}
    schema = pa.schema([*kinds.items(), ("texts", pa.list_(pa.string()))])
    assert from_rows(rows, schema).equals(pa.Table.from_pylist(rows, schema=schema))


def test_other_types_are_refused():
    with pytest.raises(TypeError, match="string"):
        to_numpy(pa.array(["a"]))


@given(st.lists(st.sampled_from(["a", "b", "c", ""])), st.sets(st.sampled_from(["a", "b", "d", ""])))
def test_texts_are_among_others_however_they_are_stored(texts, among):
    plain = pa.chunked_array([strings(texts)])
    expected = [text in among for text in texts]
    wanted = strings(sorted(among))
    assert are_among(plain, wanted).tolist() == expected
    assert are_among(plain.dictionary_encode(), wanted).tolist() == expected


@given(
    st.lists(st.lists(st.sampled_from("abcde")), max_size=5), st.lists(st.sampled_from("abcd"), unique=True)
)
def test_a_lookup_finds_what_is_looked_up_column_by_column(columns, among):
    lookup = Lookup(pa.array(among, pa.string()))
    for texts in columns:
        plain = pa.array(texts, pa.string())
        expected = [among.index(text) if text in among else -1 for text in texts]
        # Twice: the same dictionary is not searched again.
        for column in (plain, plain.dictionary_encode(), pa.chunked_array([plain.dictionary_encode()])):
            assert lookup.positions(column).tolist() == expected
            assert lookup.has(column).tolist() == [text in among for text in texts]


@given(st.lists(st.sampled_from("abcd"), unique=True), st.lists(st.integers(1, 3), min_size=4, max_size=4))
def test_texts_that_are_all_there_in_turn_have_their_positions(among, counts):
    texts = [text for text, n in zip(among, counts, strict=False) for _ in range(n)]
    assert positions(strings(texts), strings(among)).tolist() == [among.index(text) for text in texts]


@given(st.lists(st.text(max_size=2), min_size=1), st.data())
def test_a_span_of_sorted_texts_holds_those_from_the_first_to_the_last(texts, data):
    texts = sorted(texts)
    first, last = sorted(data.draw(st.tuples(st.sampled_from(texts), st.sampled_from(texts))))
    found = texts[span_between(strings(texts), first, last)]
    assert found == [text for text in texts if first <= text <= last]
