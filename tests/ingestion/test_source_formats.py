"""Every format has a relation, and one that has none is one clear error."""

import duckdb
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.file_formats import CONVERSIONS, FORMATS
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.source_formats import RELATIONS, raw_relation


def test_every_suffix_is_of_a_format_that_can_be_opened():
    assert set(FORMATS.values()) == {*RELATIONS, *CONVERSIONS, "archive"}
    assert {made for _, made in CONVERSIONS.values()} <= set(RELATIONS)


@pytest.mark.parametrize("file_format", ["csv", "json"])
def test_an_empty_file_has_no_relation(tmp_path, file_format):
    (tmp_path / "empty").touch()
    with duckdb.connect() as connection:
        found = raw_relation(connection, str(tmp_path / "empty"), file_format, IngestSettings(), {})
    assert found is None


def test_a_format_without_a_relation_is_an_error_that_names_those_there_are():
    with duckdb.connect() as connection, pytest.raises(InputError) as caught:
        raw_relation(connection, "a.xlsx", "excel", IngestSettings(), {})
    assert str(caught.value) == "a.xlsx: format 'excel' is not known; expected csv, parquet, json, events"
