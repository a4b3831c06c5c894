"""What an error proposes is followed to the letter, and nothing is lost."""

import re
import shutil

import pyarrow.parquet as pq
import pytest

from tests.end_to_end.workspaces import Workspace

pytestmark = pytest.mark.slow


def test_the_advice_on_damaged_readings_brings_all_of_them_back(tmp_path, small_fleet):
    workspace = small_fleet("windows").workspace.copy_to(tmp_path / "data")
    assert isinstance(workspace, Workspace)
    tables = ("02_intermediate/readings", "02_intermediate/quarantine", "03_primary/windows")
    before = workspace.rows(*tables)
    file = next((tmp_path / "data/02_intermediate/readings").rglob("rows-*.parquet"))
    (sensor,) = set(pq.read_table(file, columns=["sensor"])["sensor"].slice(0, 1).to_pylist())
    day = file.parent.name.removeprefix("date=")
    file.write_bytes(file.read_bytes()[:1000])
    late = tmp_path / "data/01_raw/readings/late.csv"
    late.write_text(f"timestamp,device,sensor,value\n{day}T12:00:30Z,pump-1,{sensor},20\n")

    output = workspace.run("ingest", expect=1)
    assert str(file) in output
    folders = re.search(r"delete the folders (\w+), (\w+) and\s+(\w+)", output)
    assert folders is not None, output
    for name in folders.groups():
        shutil.rmtree(tmp_path / "data/02_intermediate" / name)
    late.unlink()
    workspace.run("ingest,aggregate")

    assert workspace.rows(*tables) == before


def test_the_advice_on_damaged_predictions_brings_all_of_them_back(tmp_path, trained):
    workspace = trained.copy_to(tmp_path / "data")
    workspace.run("score,incidents")
    tables = ("07_model_output/predictions", "07_model_output/daily_totals", "07_model_output/incidents")
    before = workspace.rows(*tables)
    file = next((tmp_path / "data/07_model_output/predictions").rglob("rows-*.parquet"))
    file.unlink()

    output = workspace.run("score", "score.rescore=true", expect=1)
    assert str(file) in output
    folders = re.search(r"delete the folders (\w+) and (\w+)", output)
    assert folders is not None, output
    for name in folders.groups():
        shutil.rmtree(tmp_path / "data/07_model_output" / name)
    workspace.run("score,incidents")

    assert workspace.rows(*tables) == before
