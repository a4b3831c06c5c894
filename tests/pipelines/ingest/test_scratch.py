"""Temporary files go away: when a run ends, and what a killed run left at the next one."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.core.scratch import PREFIX, scratch_folder
from batch_scoring.ingestion.settings import read_settings
from batch_scoring.ingestion.staging import open_database, staging_area


def test_the_folder_is_gone_after_the_block(tmp_path: Path):
    with scratch_folder(str(tmp_path / "new")) as folder:
        (folder / "big").write_text("x")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_folder_that_a_killed_run_left_is_cleared_away(tmp_path: Path):
    left = tmp_path / f"{PREFIX}left"
    (left / "rows").mkdir(parents=True)
    (tmp_path / f"{left.name}.lock").touch()
    with scratch_folder(str(tmp_path)) as folder:
        assert {entry.name for entry in tmp_path.iterdir()} == {folder.name, f"{folder.name}.lock"}


def test_the_folder_of_a_live_run_and_other_files_are_left_alone(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / f"{PREFIX}without_lock").mkdir()
    with scratch_folder(str(tmp_path)) as first, scratch_folder(str(tmp_path)) as second:
        assert first.is_dir()
        assert second.is_dir()
    assert {entry.name for entry in tmp_path.iterdir()} == {"mine", f"{PREFIX}without_lock"}


@pytest.mark.slow
def test_many_runs_at_once_do_not_clear_each_others_folders_away(tmp_path: Path):
    def run(_: int) -> bool:
        with scratch_folder(str(tmp_path)) as folder:
            (folder / "rows").write_text("x")
            time.sleep(0.001)
            return (folder / "rows").exists()

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(run, range(800)))
    assert list(tmp_path.iterdir()) == []


def test_a_memory_limit_that_is_none_is_named(tmp_path: Path):
    settings = read_settings({"memory_limit": "plenty", "temp_directory": str(tmp_path)})
    with (
        pytest.raises(InputError, match=r"ingest\.memory_limit: 'plenty' is refused"),
        staging_area(settings),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_areas_of_one_database_share_no_rows_and_leave_nothing(tmp_path: Path):
    settings = read_settings({"temp_directory": str(tmp_path / "areas")})
    held = "SELECT sum(memory_usage_bytes + temporary_storage_bytes) FROM duckdb_memory()"
    with open_database(settings, tmp_path / "database") as database:
        (before,) = database.execute(held).fetchone()
        with staging_area(settings, database) as one, staging_area(settings, database) as other:
            one.connection.execute(
                "INSERT INTO staged (row, device) SELECT row, 'd' || row FROM range(50_000) t(row)"
            )
            assert one.rows_by_source() == {None: 50_000}
            assert other.rows_by_source() == {}
            assert database.execute(held).fetchone() > (before,)
        assert database.execute(held).fetchone() == (before,)
        assert list((tmp_path / "areas").iterdir()) == []
