"""A workspace of format 1 becomes one of today: no row is lost, whatever ends the conversion in between.

``format_1.zip`` is a workspace of two devices that the code of then made, without MLflow's database.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.storage import open_folder
from batch_scoring.storage.row_table import RowTable
from batch_scoring.storage.upgrade import upgrade_workspace
from batch_scoring.tables.schemas import PREDICTIONS, windows_schema
from tests.end_to_end.workspaces import Workspace

pytestmark = pytest.mark.slow

SETTINGS = "aggregate.window=15m,aggregate.features=[mean,std,change],at=2026-01-06T18:00Z"
# The tables that are converted: their folders then and now, their time, and what names a row.
TABLES = {
    "02_intermediate/readings": ("02_intermediate/readings", "timestamp", ("sensor", "device", "timestamp")),
    "03_primary/windows": ("03_primary/windows", "window_start", ("sensor", "device", "window_start")),
    "07_model_output/predictions": (
        "07_model_output/predictions",
        "window_start",
        ("sensor", "device", "window_start"),
    ),
    "02_intermediate/quarantine": ("02_intermediate/quarantine", None, ("source", "row")),
    "02_intermediate/ingested_sources": ("02_intermediate/sources", None, ("source",)),
    "07_model_output/status/train": ("07_model_output/status/train", None, ("sensor", "device")),
    "07_model_output/notifications.parquet": ("07_model_output/notifications", None, ("event_id", "sink")),
}


@pytest.fixture
def former(tmp_path: Path) -> Path:
    """The workspace of the archive."""
    shutil.unpack_archive(Path(__file__).with_name("format_1.zip"), tmp_path)
    return tmp_path / "workspace"


def former_rows(workspace: Path) -> dict[str, pa.Table]:
    """The rows of each table, as they were, by its folder of today."""
    found = {}
    for name, (table, _, key) in TABLES.items():
        place = workspace / name
        files = sorted(place.rglob("*.parquet")) if place.is_dir() else [place]
        rows = pa.concat_tables([pq.ParquetFile(file).read() for file in files])
        found[table] = as_text(rows, key)
    return found


def stored_rows(place: str) -> dict[str, pa.Table]:
    """The rows of each table as they are."""
    folder = open_folder(place)
    found = {}
    for name, time, key in TABLES.values():
        table = RowTable(folder.below(name), time)
        found[name] = as_text(table.read(), key)
        for file in table.files() if time else ():
            rows = pa.concat_tables(table.batches(file))
            assert rows == rows.sort_by([(column, "ascending") for column in key])
    return found


def require_rows(place: str, former: dict[str, list[dict[str, str]]]) -> None:
    """The rows are there bit for bit; columns that the tables have gained since are null."""
    stored = stored_rows(place)
    assert stored.keys() == former.keys()
    for name, rows in stored.items():
        later = rows[0].keys() - former[name][0].keys()
        assert {row.pop(column) for row in rows for column in later} <= {"None"}
        assert rows == former[name]


def as_text(rows: pa.Table, key: tuple[str, ...]) -> list[dict[str, str]]:
    """Rows that can be compared bit for bit, in order; without columns that were not there then."""
    wanted = [name for name in rows.column_names if name != "version"]
    if "window_fingerprint" in wanted:
        place = rows.schema.get_field_index("window_fingerprint")
        bits = rows["window_fingerprint"].combine_chunks().view(pa.int64())
        rows = rows.set_column(place, "window_fingerprint", bits)
    rows = rows.sort_by([(name, "ascending") for name in key])
    return [{name: repr(value) for name, value in row.items()} for row in rows.select(wanted).to_pylist()]


def files_of(workspace: Path) -> dict[str, str]:
    return {
        str(path.relative_to(workspace)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(workspace.rglob("*"))
        if path.is_file()
    }


def upgrade(workspace: Path | str) -> list[str]:
    said: list[str] = []
    upgrade_workspace(open_folder(str(workspace)), said.append)
    return said


def require_converted(workspace: Path, rows: dict[str, pa.Table]) -> None:
    """The rows are there, and no former file is."""
    require_rows(str(workspace), rows)
    tables = ("02_intermediate", "03_primary", "07_model_output")
    left = [name for name in files_of(workspace) if name.startswith(tables) and "_delta_log/" not in name]
    assert all(Path(name).name.startswith("rows-") for name in left), left
    assert json.loads((workspace / "workspace.json").read_text()) == {"format": 2}


def test_every_row_is_there_afterwards_bit_for_bit(former: Path) -> None:
    rows = former_rows(former)
    assert {name: len(some) for name, some in rows.items()} == {
        "02_intermediate/readings": 2300,
        "03_primary/windows": 768,
        "07_model_output/predictions": 672,
        "02_intermediate/quarantine": 1,
        "02_intermediate/sources": 2,
        "07_model_output/status/train": 4,
        "07_model_output/notifications": 21,
    }
    said = upgrade(former)
    assert f"{former}/02_intermediate/readings: 2,300 rows" in said
    require_converted(former, rows)
    before = files_of(former)
    assert upgrade(former) == [f"{former}: this workspace has format 2 already"]
    assert files_of(former) == before


def test_the_next_run_goes_on_as_if_nothing_had_been_and_sends_each_alert_once(former: Path) -> None:
    files = sorted((former / "07_model_output/incidents").rglob("*.parquet"))
    incidents = pa.concat_tables([pq.ParquetFile(file).read() for file in files])
    lines = former / "lines.jsonl"
    params = f"{SETTINGS},alerts.warming_up=true,alerts.sinks=[{{type: file, path: {lines}}}]"
    workspace = Workspace(former, params)
    refused = workspace.run("ingest", expect=1)
    assert refused.splitlines()[-1].endswith(f"`kedro workspace upgrade --data {former}`")
    rows = former_rows(former)
    workspace.kedro("workspace", "upgrade", "--data", str(former))
    require_rows(str(former), rows)
    output = workspace.run("ingest,aggregate,score,incidents,monitor")
    assert "nothing new in 2 source files" in output
    assert "aggregate: 0 windows" in output
    assert "score: 0 windows scored" in output
    sent = lines.read_text()
    events = [json.loads(line)["event_id"] for line in sent.splitlines()]
    assert len(events) == len(set(events))
    found = RowTable(open_folder(str(former)).below("07_model_output/incidents"), "start").read()
    shown = ["incident_id", "start", "end", "peak_severity", "state"]
    assert sorted(found.select(shown).to_pylist(), key=repr) == sorted(
        incidents.select(shown).to_pylist(), key=repr
    )
    assert "score: 0 windows scored" in workspace.run("ingest,aggregate,score,incidents")
    assert lines.read_text() == sent


# Ends a conversion like `kill -9`, before or after one of its writes.
KILLED = """
import os, sys
from batch_scoring.storage import open_folder
from batch_scoring.storage.local import LocalFolder
from batch_scoring.storage.row_table import RowTable
from batch_scoring.storage.upgrade import upgrade_workspace

folder, left, is_before = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "before"

def counted(owner, name):
    original = getattr(owner, name)
    def write(*args, **kwargs):
        global left
        left -= 1
        is_last = left == 0  # a commit creates the table within it, which counts, too
        if is_last and is_before:
            os._exit(9)
        result = original(*args, **kwargs)
        if is_last:
            os._exit(9)
        return result
    setattr(owner, name, write)

counted(LocalFolder, "delete")
counted(LocalFolder, "replace")
counted(RowTable, "_commit")
counted(RowTable, "_create")
upgrade_workspace(open_folder(folder), print)
print("left", left)
"""


def converts_until(workspace: Path, write: int, when: str = "before") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", KILLED, str(workspace), str(write), when]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_conversion_killed_at_any_write_and_repeated_loses_no_row(
    former: Path, tmp_path: Path, trial: int, trials: int
) -> None:
    rows = former_rows(former)
    many = 1_000_000
    done = converts_until(shutil.copytree(former, tmp_path / "counted"), many)
    writes = many - int(done.stdout.split()[-1])
    assert writes > 50
    # Spread over all writes, with luck within each part.
    write = 1 + int(writes * (trial + random.random()) / trials)
    when = random.choice(["before", "after"])
    killed = converts_until(former, write, when)
    assert killed.returncode == 9, f"{when} write {write}: {killed.stderr}"
    upgrade(former)
    require_converted(former, rows)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    """Change bytes of the first column's data."""
    data = bytearray(path.read_bytes())
    data[4:40] = bytes(byte ^ 0xFF for byte in data[4:40])
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [cut, flip], ids=lambda one: one.__name__)
@pytest.mark.parametrize(
    "name",
    [
        "02_intermediate/readings/vibration/2026-01-06.parquet",
        "03_primary/windows/temperature/2026-01-05.parquet",
        "07_model_output/predictions/vibration/2026-01-05.parquet",
        "02_intermediate/quarantine/2026-01-05.parquet.parquet",
        "02_intermediate/ingested_sources/2026-01-06.parquet.parquet",
        "07_model_output/status/train/temperature.parquet",
        "07_model_output/notifications.parquet",
    ],
)
def test_a_damaged_file_is_named_nothing_is_deleted_and_the_advice_works(
    former: Path, name: str, damage: Callable[[Path], None]
) -> None:
    rows, whole = former_rows(former), (former / name).read_bytes()
    damage(former / name)
    before = files_of(former)
    with pytest.raises(InputError) as error:
        upgrade(former)
    assert str(error.value).startswith(f"{former / name}: ")
    assert str(error.value).endswith(
        "restore it from a backup, or move it elsewhere to go without its rows, and upgrade again"
    )
    assert before.items() <= files_of(former).items()
    (former / name).write_bytes(whole)
    upgrade(former)
    require_converted(former, rows)


def test_a_damaged_file_that_is_moved_elsewhere_takes_its_own_rows_with_it(
    former: Path, tmp_path: Path
) -> None:
    name = "02_intermediate/readings/vibration/2026-01-06.parquet"
    cut(former / name)
    with pytest.raises(InputError):
        upgrade(former)
    (former / name).rename(tmp_path / "elsewhere")
    rows = former_rows(former)
    upgrade(former)
    require_converted(former, rows)
    assert 0 < len(rows["02_intermediate/readings"]) < 2300


def test_a_newer_workspace_is_refused_and_a_new_one_left_alone(former: Path, tmp_path: Path) -> None:
    (former / "workspace.json").write_text('{"format": 3}')
    before = files_of(former)
    with pytest.raises(InputError, match="format 3, written by a newer version; expected at most 2: install"):
        upgrade(former)
    assert files_of(former) == before
    assert upgrade(tmp_path / "new") == [f"{tmp_path / 'new'}: this workspace has format 2 already"]
    assert not (tmp_path / "new").exists()


def test_names_that_look_like_those_of_a_table_are_converted_too(former: Path) -> None:
    quarantine, status = former / "02_intermediate/quarantine", former / "07_model_output/status/train"
    (quarantine / "date=2026-01-05").mkdir()
    shutil.copy(quarantine / "2026-01-05.parquet.parquet", quarantine / "date=2026-01-05/rows-1.csv.parquet")
    (status / "vibration.parquet").rename(status / "rows-1.parquet")
    upgrade(former)
    rows = stored_rows(str(former))
    assert len(rows["02_intermediate/quarantine"]) == 2
    assert len(rows["07_model_output/status/train"]) == 4


def test_days_of_other_features_keep_their_windows_and_are_made_anew(former: Path) -> None:
    path = former / "03_primary/windows/temperature/2026-01-05.parquet"
    windows = pq.ParquetFile(path).read()
    pq.write_table(windows.drop_columns(["std"]), path)
    seen: list[int] = []
    upgrade_workspace(
        open_folder(str(former)), lambda _: None, lambda rows: {"made_with": seen.append(rows.num_rows) or 7}
    )
    table = RowTable(open_folder(str(former)).below("03_primary/windows"), "window_start")
    assert table.schema == windows_schema(["mean", "std", "change"])
    assert (table.num_rows, table.read(["std"])["std"].null_count) == (768, windows.num_rows)
    assert (seen, table.progress("made_with")) == ([0], 7)


def test_columns_that_a_former_version_did_not_have_are_null(former: Path) -> None:
    for path in (former / "07_model_output/predictions").rglob("*.parquet"):
        pq.write_table(pq.ParquetFile(path).read().drop_columns(["contributions", "severity"]), path)
    upgrade(former)
    table = RowTable(open_folder(str(former)).below("07_model_output/predictions"), "window_start")
    rows = table.read()
    assert rows.schema.names == PREDICTIONS.names
    assert rows["severity"].null_count == rows["contributions"].null_count == rows.num_rows == 672
    assert np.isfinite(rows["score"].to_numpy()).all()


@pytest.mark.azurite
def test_a_workspace_in_blob_storage_is_converted_alike(former: Path, container: str) -> None:
    rows = former_rows(former)
    place = f"abfs://{container}/live"
    folder = open_folder(place)
    for name in files_of(former):
        folder.put(name, former / name)
    assert upgrade(place)[-1].startswith(f"{place}: converted to format 2")
    require_rows(place, rows)
    assert folder.below("02_intermediate/ingested_sources").entries() == []
    assert upgrade(place) == [f"{place}: this workspace has format 2 already"]
