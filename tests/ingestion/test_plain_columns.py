import pyarrow as pa
import pytest

from batch_scoring.core.ids import MAX_SEGMENT_BYTES
from batch_scoring.ingestion.plain_columns import as_dictionary, ranks


def ranks_of(*texts):
    found = ranks(as_dictionary(pa.chunked_array([pa.array(texts, pa.string())])))
    return None if found is None else found.tolist()


@pytest.mark.parametrize("texts", [("b", "a", "c", "a"), ("b", " a", "ü", " a"), ("é", "e", "ê", "e")])
def test_a_rank_is_the_place_among_the_sorted_ids(texts):
    order = sorted(set(texts), key=str.encode)
    assert ranks_of(*texts) == [order.index(text) for text in texts]


@pytest.mark.parametrize(
    "text", ["", " ", "\t", "\u2003", "\x1c", None, "x" * (MAX_SEGMENT_BYTES + 1), "é" * 60]
)
def test_where_an_id_may_be_refused_there_are_no_ranks(text):
    assert ranks_of("a", text, "b") is None


@pytest.mark.parametrize("text", ["x" * MAX_SEGMENT_BYTES, "é" * 30, "-", "~", "."])
def test_long_and_odd_ids_have_a_rank(text):
    assert ranks_of("zz", text)[0] in (0, 1)


def test_an_id_that_is_null_in_the_dictionary_is_for_the_other_way():
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), pa.array(["a", None]))
    assert ranks(pa.chunked_array([column])) is None
