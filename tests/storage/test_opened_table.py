import pickle
import shutil

import deltalake
import pyarrow as pa
import pytest

from batch_scoring.core.errors import ConflictError
from batch_scoring.storage import opened_table, row_table
from batch_scoring.storage.local import LocalFolder
from batch_scoring.storage.opened_table import OpenedTable
from batch_scoring.storage.row_table import Change, RowTable

SCHEMA = pa.schema([("device", pa.string())])


def add(place, *devices):
    table = RowTable(LocalFolder(place))
    return table.commit(Change(SCHEMA, [[pa.table({"device": list(devices)}, schema=SCHEMA)]]))


@pytest.fixture
def opened(monkeypatch):
    """The versions, None for the newest, that were opened by reading the log from its beginning."""
    real, found = deltalake.DeltaTable.__init__, []

    def noted(self, table_uri, version=None, **named):
        found.append(version)
        real(self, table_uri, version, **named)

    monkeypatch.setattr(deltalake.DeltaTable, "__init__", noted)
    return found


def test_a_table_is_opened_once_and_then_follows_the_commits_of_others(tmp_path, opened):
    add(tmp_path, "a")
    table = OpenedTable(LocalFolder(tmp_path))
    first = table.newest()
    opened.clear()
    assert table.newest() is first
    assert opened == []
    add(tmp_path, "b", "c")
    opened.clear()
    second = table.newest()
    assert (first.version, first.files.num_rows) == (1, 1)
    assert (second.version, second.files.num_rows, second.id) == (2, 2, first.id)
    assert opened == []


def test_steps_that_look_at_one_version_read_its_files_once(tmp_path, monkeypatch):
    add(tmp_path, "a")
    real, read = opened_table.read_data_files, []

    def noted(actions, column):
        read.append(column)
        return real(actions, column)

    monkeypatch.setattr(opened_table, "read_data_files", noted)
    known = OpenedTable(LocalFolder(tmp_path))
    assert [RowTable(LocalFolder(tmp_path), opened=known).num_rows for _ in range(3)] == [1, 1, 1]
    add(tmp_path, "b")
    read.clear()
    assert [RowTable(LocalFolder(tmp_path), opened=known).num_rows for _ in range(3)] == [2, 2, 2]
    assert read == [None]


def test_earlier_versions_stay_as_they_were(tmp_path):
    known = OpenedTable(LocalFolder(tmp_path))
    before = RowTable(LocalFolder(tmp_path), opened=known)
    assert not before.exists
    add(tmp_path, "a")
    first = before.latest()
    assert first.read()["device"].to_pylist() == ["a"]
    add(tmp_path, "b")
    assert sorted(first.latest().read()["device"].to_pylist()) == ["a", "b"]
    assert first.read()["device"].to_pylist() == ["a"]
    assert first.at(1).num_rows == 1
    assert (before.version, first.version) == (-1, 1)


def test_a_change_of_an_earlier_version_is_made_to_the_newest(tmp_path):
    known = OpenedTable(LocalFolder(tmp_path))
    add(tmp_path, "a")
    first = RowTable(LocalFolder(tmp_path), opened=known)
    assert first.version == 1
    add(tmp_path, "b")
    assert first.latest().version == 2
    rows = pa.table({"device": ["c"]}, schema=SCHEMA)
    later = first.commit(Change(SCHEMA, [[rows]]))
    assert sorted(later.read()["device"].to_pylist()) == ["a", "b", "c"]


@pytest.mark.parametrize("n_commits", [1, 2, 3])
def test_a_table_made_anew_is_another_one(tmp_path, n_commits):
    place, known = tmp_path / "t", OpenedTable(LocalFolder(tmp_path / "t"))
    add(place, "a")
    add(place, "b")
    former = known.newest()
    shutil.rmtree(place)
    for number in range(n_commits):
        add(place, f"new-{number}")
    newest = known.newest()
    assert newest.id != former.id
    assert (newest.version, newest.files.num_rows) == (n_commits, n_commits)
    assert RowTable(LocalFolder(place), opened=known).read()["device"].to_pylist()[0].startswith("new-")
    shutil.rmtree(place)
    assert known.newest() is None


def test_the_log_is_read_from_the_last_of_frequent_checkpoints(tmp_path):
    for number in range(12):
        add(tmp_path, str(number))
    assert [one.name for one in (tmp_path / "_delta_log").glob("*.checkpoint.parquet")]
    shutil.move(tmp_path / "_delta_log" / f"{3:020d}.json", tmp_path / "gone")
    assert OpenedTable(LocalFolder(tmp_path)).newest().files.num_rows == 12
    assert RowTable(LocalFolder(tmp_path)).num_rows == 12


def test_another_process_opens_it_itself(tmp_path):
    add(tmp_path, "a")
    known = OpenedTable(LocalFolder(tmp_path))
    assert known.newest().version == 1
    sent = pickle.loads(pickle.dumps(known))
    assert sent.newest().version == 1


def test_a_table_that_others_look_at_is_committed_to_from_the_version_that_was_read(tmp_path):
    """One thread's look at a newer version does not make another's change one of that version."""
    known = OpenedTable(LocalFolder(tmp_path))
    add(tmp_path, "a")
    table = RowTable(LocalFolder(tmp_path), opened=known)
    rows = pa.table({"device": ["b"]}, schema=SCHEMA)

    def overtaken():
        other = RowTable(LocalFolder(tmp_path))
        other.commit(Change(SCHEMA, [[rows]], {"step": 1}))
        assert known.newest().version == 2
        yield rows

    assert table.version == 1
    with pytest.raises(ConflictError):
        table.commit(Change(SCHEMA, [overtaken()], {"step": 1}))
    assert sorted(RowTable(LocalFolder(tmp_path)).read()["device"].to_pylist()) == ["a", "b"]


def test_a_checkpoint_is_flushed_to_the_disk_with_its_commit(tmp_path, monkeypatch):
    synced = []
    real = row_table._sync
    monkeypatch.setattr(row_table, "_sync", lambda place: (synced.append(place.name), real(place)))
    for number in range(12):
        add(tmp_path, str(number))
    (checkpoint,) = (tmp_path / "_delta_log").glob("*.checkpoint.parquet")
    assert synced.count(checkpoint.name) == 1
    assert synced.count("_last_checkpoint") == 1
    assert synced.index(checkpoint.name) < synced.index("_last_checkpoint") < len(synced) - 2
