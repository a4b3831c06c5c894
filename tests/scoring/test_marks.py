"""How far each sensor has been scored is read as it was recorded, by whoever came farthest."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import batch_scoring.scoring.marks as marks_of
from batch_scoring.scoring.marks import Mark, mark_progress, unfinished_sensors, windows_scored
from batch_scoring.storage.row_table import Change
from tests.tables_on_disk import TableOnDisk

SCHEMA = pa.schema([("x", pa.int64())])
EARLIER, LATER = Mark(3, 100, 7), Mark(4, 200, 7)


class Windows:
    """Windows of any version, as far as marks ask for them."""

    def own_version(self, position: int) -> int:
        return position - 1000 if position >= 0 else position

    def position_of(self, version: int) -> int:
        return version + 1000 if version >= 0 else version


@pytest.fixture
def table(tmp_path):
    return TableOnDisk(tmp_path)


def read_mark(predictions, sensor=None, part=""):
    """Read a mark, of windows that have all versions."""
    return marks_of.read_mark(predictions, Windows(), sensor, part)


def record(table, mark, sensor=None, part="", overall=None):
    """Record a mark; what was recorded for it."""
    found = mark_progress(table.load(), Windows(), mark, sensor, part, overall)
    table.save(lambda _: Change(SCHEMA, (), found))
    return found


def test_before_anything_is_recorded_nothing_was_scored(table):
    assert (
        read_mark(table.load())
        == read_mark(table.load(), "s")
        == read_mark(table.load(), "s", "of 2=1")
        == Mark()
    )
    assert unfinished_sensors(table.load()) == []


def test_what_all_sensors_reached_each_has_reached_and_each_part(table):
    record(table, EARLIER, "s")
    record(table, replace(LATER, until=150), "s", "of 2=2")
    record(table, LATER)
    for sensor, part in (("s", ""), ("s", "of 2=1"), ("s", "of 2=2"), ("t", "device=a")):
        assert read_mark(table.load(), sensor, part) == LATER
    ahead = Mark(5, 300, 7)
    record(table, ahead, "s", "of 2=1")
    assert read_mark(table.load(), "s", "of 2=1") == ahead
    assert read_mark(table.load(), "s", "of 2=2") == read_mark(table.load(), "s") == LATER
    record(table, replace(ahead, failed=1), "s", "of 2=1")
    assert unfinished_sensors(table.load()) == []


def test_a_sensor_that_failed_has_not_reached_what_the_others_have(table):
    record(table, EARLIER)
    assert record(table, replace(EARLIER, failed=1), "s", overall=LATER)
    record(table, LATER)
    assert read_mark(table.load(), "s") == replace(EARLIER, failed=1)
    assert read_mark(table.load(), "t") == LATER
    assert unfinished_sensors(table.load()) == ["s"]
    record(table, LATER, "s")
    assert read_mark(table.load(), "s") == LATER
    assert unfinished_sensors(table.load()) == []


def test_of_a_sensor_that_lacks_models_only_that_is_recorded(table):
    lacking = replace(LATER, lacking=99, since=5)
    found = record(table, lacking, "a/b", overall=LATER)
    assert found == {"lacking/sensor=a%2Fb": 99, "since/sensor=a%2Fb": 5}
    record(table, LATER)
    assert read_mark(table.load(), "a/b") == lacking
    assert unfinished_sensors(table.load()) == ["a/b"]
    assert record(table, lacking, "a/b") == {}


def test_windows_are_of_the_newest_version_that_was_scored_and_no_newer(table, tmp_path):
    windows = TableOnDisk(tmp_path / "windows")
    versions = []
    for _ in range(5):
        windows.add(pa.table({"x": [1]}, SCHEMA))
        versions.append(windows.load())
        assert versions[-1].exists  # a table is of the version at which it is first looked at
    stale = versions[0]
    assert windows_scored(table.load(), stale) is stale
    for sensor, scored in (("s", versions[3]), ("t", versions[1])):
        recorded = mark_progress(table.load(), scored, Mark(scored.version, 100, 7), sensor)
        table.save(lambda _, recorded=recorded: Change(SCHEMA, (), recorded))
    assert windows_scored(table.load(), stale).version == versions[3].version
    assert windows_scored(table.load(), versions[4]) is versions[4]


marks = st.builds(
    lambda version, until, lacking, failed: Mark(
        version, until, 7, lacking, 50 if lacking else 2**62, failed
    ),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 1),
    st.integers(0, 1),
)


@pytest.mark.slow
@given(st.lists(st.tuples(marks, st.sampled_from(["s", "t"]), st.sampled_from(["", "of 2=1", "device=a"]))))
def test_what_is_recorded_last_of_a_sensor_that_went_on_is_read(tmp_path_factory, taken):
    table = TableOnDisk(tmp_path_factory.mktemp("marks"))
    for mark, sensor, part in taken:
        before = read_mark(table.load(), sensor, part)
        wanted = replace(mark, version=max(mark.version, before.version), until=max(mark.until, before.until))
        record(table, wanted, sensor, part)
        found = read_mark(table.load(), sensor, part)
        assert (found.version, found.until) == (wanted.version, wanted.until)
        if not part or found != read_mark(table.load(), sensor):
            assert found == wanted
