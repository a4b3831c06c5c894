"""What an error proposes is followed to the letter, and nothing is lost."""

import re
import shutil

import pytest

from tests.end_to_end.workspaces import Workspace

pytestmark = pytest.mark.slow


def test_the_advice_on_damaged_readings_brings_all_of_them_back(tmp_path, small_fleet):
    workspace = small_fleet("windows").workspace.copy_to(tmp_path / "data")
    assert isinstance(workspace, Workspace)
    tables = ("02_intermediate/readings", "02_intermediate/quarantine", "03_primary/windows")
    before = workspace.files(*tables)
    partition = next((tmp_path / "data/02_intermediate/readings").rglob("*.parquet"))
    partition.write_bytes(partition.read_bytes()[:1000])
    (tmp_path / "data/01_raw/readings/late.csv").write_text(
        f"timestamp,device,sensor,value\n{partition.stem}T12:00:30Z,pump-1,{partition.parent.name},20\n"
    )

    output = workspace.run("ingest", expect=1)
    assert str(partition) in output
    folders = re.search(r"delete the folders (\w+), (\w+) and\s+(\w+)", output)
    assert folders is not None, output
    for name in folders.groups():
        shutil.rmtree(tmp_path / "data/02_intermediate" / name)
    (tmp_path / "data/01_raw/readings/late.csv").unlink()
    workspace.run("ingest,aggregate")

    assert workspace.files(*tables) == before
