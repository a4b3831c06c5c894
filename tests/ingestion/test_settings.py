"""Settings are checked before any file is opened, and told apart by what they decide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.settings import IngestSettings, read_settings


def test_the_defaults_of_the_project_are_those_of_the_code():
    written = yaml.safe_load(Path("conf/base/parameters_ingest.yml").read_text())["ingest"]
    # The ranges are those of the simulated fleet's sensors.
    assert set(written["ranges"]) == {"temperature", "vibration"}
    assert read_settings(written | {"ranges": {}}) == IngestSettings()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"timezones": "UTC"}, "did you mean 'timezone'"),
        ({"timezone": "Mars/Olympus"}, "'Mars/Olympus' is not a time zone"),
        ({"timezone": "../etc"}, "is not a time zone"),
        ({"ranges": {"t": [5, 1]}}, r"ingest\.ranges\.t: expected \[lowest, highest\]"),
        ({"ranges": {"t": 5}}, r"got 5"),
        ({"ranges": {"t": [1, float("nan")]}}, "expected"),
        ({"columns": {"tag": "Tag"}}, r"ingest\.columns\.tag: there is no such column"),
        ({"columns": {"value": []}}, "is not a column name"),
        ({"columns": {"value": [1]}}, "is not a column name"),
        ({"quality": {"column": 7}}, r"ingest\.quality\.column: 7 is not valid; expected a column's name"),
        ({"quality": {"good": []}}, r"ingest\.quality\.good: \[\] is not valid; expected words and numbers"),
        ({"quality": {"good": [None]}}, r"expected words and numbers, such as \[good, 192\]"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(values: dict[str, Any], message: str):
    with pytest.raises(InputError, match=message):
        read_settings(values)


def test_a_plain_column_name_stands_for_a_list_of_one():
    assert read_settings({"columns": {"device": "Device"}}).column_names("device") == ["Device"]
    assert read_settings({"columns": {"device": "Device"}}).column_names("sensor")[0] == "sensor"


def test_ranges_of_sensors_named_by_numbers_are_found_by_text():
    assert read_settings({"ranges": {7: [0, 1]}}).ranges == {"7": (0.0, 1.0)}


def test_the_digest_tells_deciding_settings_apart_and_no_others():
    same = [{}, {"memory_limit": "2GB"}, {"temp_directory": "/tmp"}, {"timezone": "UTC"}]
    same += [{"quality": {"good": ["ok"]}}]
    other = [{"timezone": "Europe/Berlin"}, {"ranges": {"t": [0, 1]}}, {"columns": {"value": "v"}}]
    other += [{"quality": {"column": "q"}}, {"quality": {"column": "q", "good": ["ok"]}}]
    assert len({read_settings(values).digest for values in same}) == 1
    assert len({read_settings(values).digest for values in [{}, *other]}) == 6


def test_columns_that_later_versions_leave_out_make_no_source_be_read_again():
    usual = IngestSettings().wide.not_sensors
    before = usual[: usual.index("fport") + 1]
    assert {"qos", "retain", "topic"} & set(usual) - set(before)
    digests = {read_settings({"wide": {"not_sensors": names}}).digest for names in (usual, before)}
    assert digests == {IngestSettings().digest}
    assert read_settings({"wide": {"not_sensors": usual[:3]}}).digest not in digests


def test_the_names_of_an_earlier_version_are_the_usual_ones():
    before = IngestSettings().column_names("timestamp")[:-1]
    settings = read_settings({"columns": {"timestamp": before}})
    assert settings.digest == IngestSettings().digest
    assert not settings.is_named("timestamp")
    assert read_settings({"columns": {"timestamp": before[:1]}}).is_named("timestamp")
