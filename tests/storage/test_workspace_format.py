"""A workspace says how its tables are stored; another format is refused in a sentence that helps."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.datasets.workspace import WorkspaceDataset
from batch_scoring.storage import open_folder
from batch_scoring.storage.workspace_format import FORMAT, MARKER, read_format, require_format, write_format


def make_former(folder: Path, table: str = "02_intermediate/readings") -> None:
    """Write a table as the first version did."""
    path = folder / table / "air%2Fflow/2026-01-05.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"device": ["d1"]}), path)


def test_a_new_workspace_is_marked_and_known_again(tmp_path: Path) -> None:
    folder = WorkspaceDataset(str(tmp_path / "data")).load()
    assert json.loads((tmp_path / "data" / MARKER).read_text()) == {"format": FORMAT}
    changed = (tmp_path / "data" / MARKER).stat().st_mtime_ns
    require_format(folder)
    assert (tmp_path / "data" / MARKER).stat().st_mtime_ns == changed


def test_a_format_is_replaced(tmp_path: Path) -> None:
    folder = open_folder(str(tmp_path))
    for number in (1, 2):
        write_format(folder, number)
        assert read_format(folder) == number


@pytest.mark.parametrize(
    "table", ["02_intermediate/readings", "03_primary/windows", "07_model_output/predictions"]
)
def test_a_former_workspace_is_recognised_by_any_table_and_refused_with_the_command(
    tmp_path: Path, table: str
) -> None:
    make_former(tmp_path / "my data", table)
    with pytest.raises(InputError, match="format 1, written by an earlier version; expected 2") as error:
        require_format(open_folder(str(tmp_path / "my data")))
    command = shlex.split(re.findall("`(.*)`", str(error.value))[0])
    assert command == ["kedro", "workspace", "upgrade", "--data", str(tmp_path / "my data")]
    assert not (tmp_path / "my data" / MARKER).exists()


def test_tables_of_today_are_no_former_ones(tmp_path: Path) -> None:
    path = tmp_path / "02_intermediate/readings/date=2026-01-05/rows-1.parquet"
    path.parent.mkdir(parents=True)
    path.touch()
    assert read_format(open_folder(str(tmp_path))) is None


def test_a_workspace_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text('{"format": 3}')
    with pytest.raises(InputError, match="format 3, written by a newer version; expected 2: install that"):
        require_format(open_folder(str(tmp_path)))
    assert (tmp_path / MARKER).read_text() == '{"format": 3}'


@pytest.mark.parametrize("text", ["", "{", "[]", "2", "{}", '{"format": null}', '{"format": "two"}', "\0"])
def test_a_damaged_marker_is_refused_and_its_advice_works(tmp_path: Path, text: str) -> None:
    folder = open_folder(str(tmp_path))
    (tmp_path / MARKER).write_text(text)
    with pytest.raises(InputError, match=r"workspace\.json: not readable .*; delete it and run again"):
        require_format(folder)
    (tmp_path / MARKER).unlink()
    require_format(folder)
    assert read_format(folder) == FORMAT
