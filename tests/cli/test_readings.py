"""`kedro readings …` as a person types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kedro.framework.startup import bootstrap_project

from batch_scoring.cli import cli
from tests.pipelines.ingest.ingestion import Store, row, write_csv

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with readings of two devices, and one file that was refused."""
    bootstrap_project(PROJECT)
    monkeypatch.chdir(PROJECT)
    rows = [row(60 * hour, device, value=hour) for device in ("d1", "d2") for hour in range(4)]
    write_csv(tmp_path / "raw" / "a.csv", *rows)
    write_csv(tmp_path / "raw" / "b.csv", "1,2", header="alarm,since")
    Store(tmp_path / "data" / "02_intermediate").ingest(tmp_path / "raw")
    return tmp_path / "data"


def store(data: Path) -> Store:
    return Store(data / "02_intermediate")


def run(data: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(cli, ["readings", *arguments, "--data", str(data)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_delete_says_what_is_gone(data: Path):
    result = run(data, "delete", "--device", "d1", "--from", "2026-01-05T01:00Z", "--to", "2026-01-05T03:00Z")
    assert (result.exit_code, result.output.splitlines()[0]) == (
        0,
        "d1: 2 of readings removed. The next `kedro run` makes windows and predictions again.",
    )
    assert [one[3] for one in store(data).readings() if one[1] == "d1"] == [0, 3]
    assert run(data, "delete", "--device", "d1").exit_code == 0
    assert {one[1] for one in store(data).readings()} == {"d2"}


def test_replace_stores_the_readings_of_a_file(data: Path, tmp_path: Path):
    file = write_csv(tmp_path / "c.csv", "2026-01-05T01:00Z|d1|s|7,5", header="timestamp|device|sensor|value")
    range_ = ("--device", "d1", "--sensor", "s", "--from", "2026-01-05T01:00Z", "--to", "2026-01-05T03:00Z")
    result = run(data, "replace", *range_, str(file), "--params", "ingest.decimal=','")
    assert result.exit_code == 0, result.output
    assert "1 reading stored, 0 as before, 0 refused; 2 of readings removed" in result.output
    assert [one[3] for one in sorted(store(data).readings()) if one[1] == "d1"] == [0, 7.5, 3]


# What is typed, and what is said.
REFUSED = {
    "delete --device d": "device 'd'",
    "delete --device d1 --from noon": "--from: 'noon' is not a valid time",
    "delete --device d1 --from 2026-01-06 --to 2026-01-05": "--to: '2026-01-05'",
    "replace --device d1 nothing.csv": "nothing.csv: is not a file of readings",
    "retry nothing.csv": "nothing.csv: is not a source file that was read",
}


def test_what_cannot_be_done_is_one_line_and_changes_nothing(data: Path):
    before = store(data).versions()
    for typed, message in REFUSED.items():
        result = run(data, *typed.split())
        assert result.exit_code == 1
        assert message in result.output
        assert "Traceback" not in result.output
        assert store(data).versions() == before, typed


def test_retry_reads_refused_files_with_the_settings_as_they_are_now(data: Path, tmp_path: Path):
    raw = tmp_path / "raw"
    columns = "ingest.columns.timestamp=[timestamp,since],ingest.columns.device=[device,alarm]"
    result = run(data, "retry", "--params", f"readings={raw}")
    assert result.exit_code == 1
    assert "no column for the timestamp" in str(result.output)
    write_csv(raw / "b.csv", row(600, "d3"))
    result = run(data, "retry", "--params", f"readings={raw},{columns}")
    assert result.exit_code == 0, result.output
    assert {one[1] for one in store(data).readings()} == {"d1", "d2", "d3"}
    assert run(data, "retry", "--params", f"readings={raw}").output == "No source file is refused.\n"
