"""Ids are numbered as they come, and ranked by their names; rows in runs are in tests/pipelines/ingest."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.ingestion import numbered_ids
from batch_scoring.ingestion.numbered_ids import Ids, Ranks
from batch_scoring.ingestion.plain_columns import as_dictionary
from batch_scoring.tables.arrow_arrays import strings, to_arrow

NAMES = st.lists(st.sampled_from(["a", "B", "ü", "aa", "b"]), min_size=1, max_size=12)


def column_of(names, is_encoded):
    column = pa.chunked_array([strings(names)])
    return as_dictionary(column) if is_encoded else column


@pytest.fixture(autouse=True, scope="module")
def _short_blocks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbered_ids, "_BLOCK", 3)
        patch.setattr(numbered_ids, "_NEAR", 2)
        yield


@given(runs=st.lists(st.tuples(NAMES, st.booleans()), min_size=1, max_size=5))
def test_an_id_has_one_number_in_all_runs_and_its_rank_is_that_of_its_name(runs):
    ids, numbers = Ids(), []
    for names, is_encoded in runs:
        found = ids.look_up(column_of(names, is_encoded))
        assert found is not None
        numbers.append(found[0])
        pairs = sorted(set(zip(found[1].tolist(), names, strict=True)))
        assert [name for _, name in pairs] == sorted(set(names), key=str.encode)
    ranks = Ranks(ids)
    assert ranks.names.to_pylist() == sorted({name for names, _ in runs for name in names}, key=str.encode)
    for (names, _), of_run in zip(runs, numbers, strict=True):
        assert ranks.names.take(to_arrow(ranks.of_number[of_run])).to_pylist() == names


@pytest.mark.parametrize(
    "names", [["c", "d", "a", "b", "c"], ["a", "c", "d", "a"], ["a", "b", "a", "b", "c", "d"], ["d", "d"]]
)
def test_ids_that_come_in_turn_are_not_looked_up_though_some_are_missing(names, monkeypatch):
    ids = Ids()
    ids.look_up(column_of(["a", "b", "c", "d"], False))
    monkeypatch.setattr(pc, "index_in", None)
    found = ids.look_up(column_of(names, False))
    assert found is not None
    assert found[0].tolist() == ["abcd".index(name) for name in names]


@pytest.mark.parametrize("is_encoded", [False, True])
@pytest.mark.parametrize("names", [[" "], ["a", ""], ["x" * 600]])
def test_an_id_that_may_be_refused_is_not_looked_up(names, is_encoded):
    ids = Ids()
    ids.look_up(column_of(["a"], is_encoded))
    assert ids.look_up(column_of(names, is_encoded)) is None


def test_rows_without_an_id_are_not_looked_up():
    assert Ids().look_up(pa.chunked_array([pa.array(["a", None])])) is None
