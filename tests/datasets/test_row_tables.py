"""The catalog's row tables: an update is made again when another run was first."""

from __future__ import annotations

from pathlib import Path

import pytest
from kedro.io import DataCatalog, DatasetError

from batch_scoring.core.errors import ConflictError
from batch_scoring.datasets import row_tables
from batch_scoring.datasets.row_tables import TRIES, RowTableDataset
from batch_scoring.storage.row_table import Change, RowTable, no_change
from batch_scoring.tables.schemas import READINGS
from tests.row_tables import add, dataset_at, devices, parquet_files, readings, table_at


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_tables.time, "sleep", lambda seconds: None)


def test_what_is_saved_is_loaded(tmp_path: Path):
    dataset = dataset_at(tmp_path / "t")
    assert not dataset.exists()
    dataset.save(lambda table: Change(READINGS, [[readings((0, "a", 1))]]))
    assert dataset.exists()
    assert dataset.load().to_pandas(devices=["a"])["value"].tolist() == [1]
    assert str(tmp_path / "t") in str(dataset)


def test_rows_that_are_no_update_are_refused_by_what_is_expected(tmp_path: Path):
    catalog = DataCatalog({"readings": dataset_at(tmp_path / "t")})
    for rows in (readings((0, "a", 1)), readings((0, "a", 1)).to_pandas()):
        with pytest.raises(DatasetError, match=rf"{type(rows).__name__} is not valid; expected an update"):
            catalog.save("readings", rows)
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize("update", [no_change, lambda table: None, lambda table: Change(READINGS)])
def test_an_update_without_news_writes_nothing(tmp_path: Path, update):
    dataset_at(tmp_path / "t").save(update)
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize("times", [1, TRIES - 1])
def test_an_update_that_was_overtaken_is_called_again_with_the_newer_table(tmp_path: Path, times: int):
    seen: list[int] = []

    def update(table: RowTable) -> Change:
        seen.append(table.num_rows)
        if len(seen) <= times:  # another run commits under the same name meanwhile
            add(tmp_path, readings((len(seen), "theirs", 1)), progress={"step": len(seen)})
        return Change(READINGS, [[readings((0, "mine", 1))]], {"step": 100 + table.version})

    dataset_at(tmp_path).save(update)
    assert seen == list(range(times + 1))
    assert sorted(devices(table_at(tmp_path).read())) == ["mine", *["theirs"] * times]
    assert len(parquet_files(tmp_path)) == times + 1, "the rows of the refused tries are gone"


def test_two_runs_of_one_step_do_its_work_once(tmp_path: Path):
    def update(table: RowTable) -> Change | None:
        if table.progress("step") == 7:
            return None
        if table.num_rows == 0:  # another run of the step is first
            add(tmp_path, readings((0, "a", 1)), progress={"step": 7})
        return Change(READINGS, [[readings((0, "a", 1))]], {"step": 7})

    dataset_at(tmp_path).save(update)
    assert devices(table_at(tmp_path).read()) == ["a"]


def test_who_is_always_overtaken_gives_up_with_a_conflict(tmp_path: Path):
    def update(table: RowTable) -> Change:
        assert table.version >= -1  # a table is opened when it is first looked at
        add(tmp_path, readings((0, "theirs", 1)), guard="step")
        return Change(READINGS, [[readings((0, "mine", 1))]], guard="step")

    with pytest.raises(DatasetError, match="another run has changed this table meanwhile") as error:
        dataset_at(tmp_path).save(update)
    assert isinstance(error.value.__cause__, ConflictError)
    assert devices(table_at(tmp_path).read()) == ["theirs"] * TRIES


def test_an_error_of_the_update_is_not_tried_again(tmp_path: Path):
    calls = []

    def update(table: RowTable) -> Change:
        calls.append(table)
        raise ValueError

    with pytest.raises(DatasetError):
        dataset_at(tmp_path).save(update)
    assert len(calls) == 1


def test_the_catalog_entry_of_a_table_without_days(tmp_path: Path):
    dataset = RowTableDataset(path=str(tmp_path / "t"), metadata={"any": 1})
    assert dataset.load().time is None
    assert dataset.load().read().num_rows == 0
