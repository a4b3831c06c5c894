"""The log tells what was recorded and what changed, and which changes of two runs may both be made."""

from __future__ import annotations

from pathlib import Path

import deltalake
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.errors import ConflictError
from batch_scoring.storage.row_table import Change
from batch_scoring.storage.table_log import are_apart
from batch_scoring.tables.schemas import READINGS
from tests.factories import START
from tests.row_tables import add, devices, readings, table_at


@pytest.mark.parametrize(
    ("mine", "other", "apart"),
    [
        ("x", "x", False),
        ("x", "y", True),
        ("x.more", "x", True),
        ("x", "x/sensor=a", False),
        ("x/sensor=a", "x/sensor=b", True),
        ("x/sensor=a/of 3=1", "x/sensor=a/of 3=2", True),
        ("x/sensor=a/of 3=1", "x/sensor=a/of 2=2", False),
        ("x/sensor=a/of 3=1", "x/sensor=a/device=d", False),
        ("x/sensor=a/of 3=1", "x/sensor=b/of 2=1", True),
        ("x/sensor=a", "x/a", False),
    ],
)
def test_two_names_are_apart_where_they_give_one_key_two_values(mine: str, other: str, apart: bool):
    assert are_apart(mine, other) == are_apart(other, mine) == apart


@pytest.mark.parametrize(
    ("mine", "other", "is_refused"),
    [("x", "x/sensor=a", True), ("x/sensor=a", "x", True), ("x/sensor=a", ["y", "x/sensor=b"], False)],
)
def test_of_two_concurrent_commits_one_is_refused_unless_their_names_are_apart(
    tmp_path: Path, mine: str, other: str, is_refused: bool
):
    stale = add(tmp_path, readings((0, "z", 0)))
    add(tmp_path, readings((1, "a", 1)), guard=other)
    add(tmp_path, readings((2, "b", 1)), progress={"something else": 1})
    change = Change(READINGS, [[readings((3, "c", 2))]], {mine: 7})
    if is_refused:
        with pytest.raises(ConflictError):
            stale.commit(change)
        assert table_at(tmp_path).version == stale.version + 2
        return
    done = stale.commit(change)
    assert sorted(devices(done.read())) == ["a", "b", "c", "z"]
    assert done.progress(mine) == 7
    assert done.version_of(change, since=stale.version) == done.version
    commits = done.commits_since(stale.version)
    assert [commit.claims for commit in commits] == [("x/sensor=b", "y"), ("something else",), (mine,)]
    assert all(commit.days == {START.date()} for commit in commits)


def test_a_commit_that_would_replace_all_rows_waits_for_those_it_does_not_know(tmp_path: Path):
    stale = add(tmp_path, readings((0, "z", 0)))
    add(tmp_path, readings((1, "a", 1)), guard="a")
    with pytest.raises(ConflictError):
        stale.commit(Change(READINGS, [[readings((2, "b", 1))]], guard="b", replaces_all=True))
    assert sorted(devices(table_at(tmp_path).read())) == ["a", "z"]


def test_a_compaction_in_between_refuses_only_what_replaces_its_files(tmp_path: Path):
    add(tmp_path, readings((0, "z", 0)))
    stale = add(tmp_path, readings((1, "y", 0)))
    deltalake.DeltaTable(tmp_path).optimize.compact()
    stale.commit(Change(READINGS, [[readings((2, "b", 1))]]))
    with pytest.raises(ConflictError):
        stale.commit(Change(READINGS, rewritten=lambda: [(stale.files()[0], [])]))
    assert sorted(devices(table_at(tmp_path).read())) == ["b", "y", "z"]


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from("abcdé/"), st.integers(-5, 2**60), st.booleans()), max_size=6))
def test_progress_is_what_the_library_says(tmp_path_factory: pytest.TempPathFactory, notes):
    folder = tmp_path_factory.mktemp("table")
    add(folder, readings((0, "z", 0)))
    for name, value, has_checkpoint in notes:
        add(folder, readings((0, "z", 0)), progress={name: value, "all": value})
        if has_checkpoint:
            deltalake.DeltaTable(folder).create_checkpoint()
    table, theirs = table_at(folder), deltalake.DeltaTable(folder)
    names = {"all", "none", *(name for name, _, _ in notes)}
    assert {name: table.progress(name) for name in names} == {
        name: theirs.transaction_version(name) for name in names
    }
    assert len(table.all_progress) == len({name for name, _, _ in notes}) + bool(notes)


def test_progress_of_an_earlier_version_is_not_that_of_a_later_checkpoint(tmp_path: Path):
    early = add(tmp_path, readings((0, "z", 0)), progress={"step": 1})
    add(tmp_path, readings((0, "z", 0)), progress={"step": 2})
    deltalake.DeltaTable(tmp_path).create_checkpoint()
    assert early.progress("step") == 1
    assert table_at(tmp_path).progress("step") == 2
