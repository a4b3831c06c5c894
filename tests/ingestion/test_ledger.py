"""Names of sources as partitions, and which of them a run has to read."""

from __future__ import annotations

from pathlib import Path

import pytest
from batch_scoring.ingestion.ledger import choose_sources, content_digest, require_unchanged, source_key
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import MAX_SEGMENT_BYTES, Selection
from batch_scoring.ingestion.source_files import SourceFile, list_source_files


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_every_source_has_a_partition_of_its_own_that_fits_a_file_name(left: str, right: str):
    try:
        keys = source_key(left), source_key(right)
    except UnicodeEncodeError:  # lone surrogates are in no file name that os.fsdecode gives as text
        return
    assert (left == right) == (keys[0] == keys[1])
    assert all(len(key) <= MAX_SEGMENT_BYTES and "/" not in key for key in keys)


def test_long_names_with_one_beginning_are_told_apart():
    assert source_key("x" * 300) != source_key("x" * 301)


def test_a_file_that_is_gone_is_named(tmp_path: Path):
    gone = SourceFile("a.csv", str(tmp_path / "a.csv"), 3, 0)
    with pytest.raises(InputError, match=r"a\.csv: cannot be read \(No such file"):
        content_digest(gone.path)
    with pytest.raises(InputError, match=r"a\.csv: changed while it was being read"):
        require_unchanged(gone)


def test_a_new_source_is_read_for_the_selection_asked_for(tmp_path: Path):
    (tmp_path / "a.csv").write_text("x")
    (source,) = choose_sources(list_source_files(str(tmp_path)), {}, "settings", Selection.read("it's", None))
    assert source.where == "(device IN ('it''s'))"
    assert source.content == content_digest(str(tmp_path / "a.csv"))
