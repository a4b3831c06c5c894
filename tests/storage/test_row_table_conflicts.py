"""Changes of a row table made at once, interrupted, or of a table made anew: nothing is lost or left."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import deltalake
import pytest

from batch_scoring.core.errors import ConflictError
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.tables.schemas import READINGS
from tests.row_tables import add, dataset_at, devices, parquet_files, readings, replaced, table_at


@pytest.mark.parametrize("first", [False, True], ids=["later", "at the first commit"])
def test_of_two_changes_with_a_name_in_common_one_is_refused_and_leaves_nothing(tmp_path: Path, first: bool):
    if not first:
        add(tmp_path, readings((0, "z", 0)))
    stale = table_at(tmp_path)
    assert stale.exists != first
    for how in ({"progress": {"step": 1}}, {"guard": "step"}):
        before = table_at(tmp_path).num_rows
        add(tmp_path, readings((0, "a", 1)), **how)
        files = parquet_files(tmp_path)
        with pytest.raises(ConflictError, match="another run has changed this table meanwhile; run again"):
            stale.commit(Change(READINGS, [[readings((0, "b", 2))]], **how))
        assert parquet_files(tmp_path) == files
        assert table_at(tmp_path).num_rows == before + 1


def test_changes_with_nothing_in_common_are_both_made(tmp_path: Path):
    add(tmp_path, readings((0, "z", 0)))
    stale = table_at(tmp_path)
    add(tmp_path, readings((0, "a", 1)), progress={"one": 1})
    stale.commit(Change(READINGS, [[readings((0, "b", 2))]], {"other": 1}))
    assert sorted(devices(table_at(tmp_path).read())) == ["a", "b", "z"]


def test_of_two_that_replace_one_file_one_is_refused(tmp_path: Path):
    add(tmp_path, readings((0, "z", 0)))
    stale = table_at(tmp_path)
    stale.commit(replaced(stale, readings((0, "z", 1))))
    with pytest.raises(ConflictError):
        stale.commit(replaced(stale, readings((0, "z", 2))))
    assert table_at(tmp_path).read()["value"].to_pylist() == [1]
    assert len(parquet_files(tmp_path)) == 2


def test_an_error_while_rows_are_made_leaves_no_file(tmp_path: Path):
    def failing() -> Any:
        yield [readings((0, "a", 1))]
        raise RuntimeError

    def rewritten() -> Any:
        yield table.files()[0], [readings((0, "a", 1))]
        raise KeyboardInterrupt

    with pytest.raises(RuntimeError):
        table_at(tmp_path / "t").commit(Change(READINGS, failing()))
    assert parquet_files(tmp_path / "t") == []
    table = add(tmp_path / "t", readings((0, "z", 0)))
    with pytest.raises(KeyboardInterrupt):
        table.commit(Change(READINGS, rewritten=rewritten))
    assert len(parquet_files(tmp_path / "t")) == 1


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_commit_that_has_arrived_keeps_its_files_whatever_its_writer_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
):
    commit = deltalake.DeltaTable.create_write_transaction

    def unheard(self: Any, *arguments: Any, **more: Any) -> None:
        commit(self, *arguments, **more)
        raise error

    monkeypatch.setattr(deltalake.DeltaTable, "create_write_transaction", unheard)
    with pytest.raises(error):
        add(tmp_path, readings((0, "a", 1)))
    assert table_at(tmp_path).read()["value"].to_pylist() == [1]


def racer(folder: str, number: int, gate: Any, failures: Any) -> None:
    """Add a device once, in a process that starts together with others."""

    dataset = dataset_at(folder)

    def update(table: RowTable) -> Change | None:
        if table.progress("race") == 1:
            return None
        return Change(READINGS, [[readings((0, "winner", number))]], {"race": 1})

    def own(table: RowTable) -> Change:
        return Change(READINGS, [[readings((number, f"own{number}", number))]], guard="own")

    gate.wait(60)
    try:
        for change in (update, own, own):
            dataset.save(change)
    except BaseException as error:
        failures.put(repr(error))
        raise


@pytest.mark.slow
def test_four_processes_at_once_lose_nothing_and_double_nothing(tmp_path: Path, trial: int):
    # deltalake may not be used in a process that was forked.
    context = multiprocessing.get_context("spawn")
    gate, failures = context.Barrier(4), context.Queue()
    processes = [
        context.Process(target=racer, args=(str(tmp_path), number, gate, failures)) for number in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert failures.empty(), failures.get()
    table = table_at(tmp_path)
    assert sorted(devices(table.read())) == sorted(["winner", *(f"own{n}" for n in range(4) for _ in "12")])
    assert len(parquet_files(tmp_path)) == len(table.files())


def test_what_was_made_of_a_table_is_not_committed_to_one_made_anew(tmp_path: Path):
    stale = add(tmp_path / "table", readings((0, "a", 1.0)))
    shutil.rmtree(tmp_path / "table")
    for minute in range(3):
        add(tmp_path / "table", readings((minute, "b", 1.0)))
    with pytest.raises(ConflictError):
        stale.commit(Change(READINGS, [[readings((1, "a", 1.0))]], {"step": stale.version}))
    assert table_at(tmp_path / "table").num_rows == 3


def test_a_table_made_anew_is_new_to_who_read_the_former_one(tmp_path: Path):
    before = add(tmp_path / "t", readings((0, "a", 1)))
    assert before.added_since(before.position) == []
    shutil.rmtree(tmp_path / "t")
    add(tmp_path / "t", readings((0, "b", 1)))
    after = add(tmp_path / "t", readings((1, "c", 1)))
    assert after.version > before.version
    assert len(after.added_since(before.position)) == 2
    assert after.removed_since(before.position) is None
    assert len(after.added_since(after.position - 1)) == 1
    assert 0 < after.position < 1 << 63
    assert after.origin != before.origin
    assert table_at(tmp_path / "none").position == -1


def test_what_killed_runs_have_left_is_deleted_once_it_is_old(tmp_path: Path):
    add(tmp_path, readings((0, "a", 1)))
    table = add(tmp_path, readings((1, "a", 1)))
    deltalake.DeltaTable(tmp_path).create_checkpoint()
    day = "date=2026-01-05"
    left = [
        f"{day}/rows-orphan.parquet",
        f"{day}/.rows-x.parquet.partial",
        ".rows-y.parquet.partial",
        "_delta_log/00000000000000000009.json#1",
    ]
    for name in left:
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (1, 1))
    (tmp_path / day / ".rows-young.parquet.partial").touch()
    before = table.read()

    assert table.latest().vacuum(timedelta(hours=1)) == len(left)

    assert [name for name in left if (tmp_path / name).exists()] == []
    assert (tmp_path / day / ".rows-young.parquet.partial").exists()
    assert table.latest().read().equals(before)
