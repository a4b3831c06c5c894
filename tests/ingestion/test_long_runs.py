"""Ids are numbered as they come, and ranked by their names; rows in runs are in tests/pipelines/ingest."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.ingestion.long_runs import Ids, Ranks
from batch_scoring.ingestion.plain_columns import as_dictionary
from batch_scoring.tables.arrow_arrays import strings, to_arrow, to_numpy

NAMES = st.lists(st.sampled_from(["a", "B", "ü", "aa", "b"]), min_size=1, max_size=6)


@given(runs=st.lists(NAMES, min_size=1, max_size=4))
def test_an_id_has_one_number_in_all_runs_and_its_rank_is_that_of_its_name(runs):
    ids, numbers = Ids(), []
    for names in runs:
        column = as_dictionary(pa.chunked_array([strings(names)]))
        local = ids.ranks(column.chunk(0).dictionary)
        assert local is not None
        rank_of_row = local[to_numpy(column.chunk(0).indices)].tolist()
        assert [sorted(set(names), key=str.encode)[rank] for rank in rank_of_row] == names
        numbers.append(ids.numbers(column).tolist())
    ranks = Ranks(ids)
    assert ranks.names.to_pylist() == sorted({name for names in runs for name in names}, key=str.encode)
    for names, of_run in zip(runs, numbers, strict=True):
        assert ranks.names.take(to_arrow(ranks.of_number[of_run])).to_pylist() == names
