"""The tour is run from its first cell to its last, on a workspace that a real run has made."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.end_to_end.workspaces import PROJECT, Workspace
from tests.factories import make_readings

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("notebook")]

TOUR = PROJECT / "notebooks/tour.ipynb"
FROM_FRAMES = PROJECT / "notebooks/from_dataframes.ipynb"
# Run after the last cell: what the notebook has found, as values.
FINDINGS = """
import json

print(json.dumps({
    "device": DEVICE, "sensor": SENSOR, "before": before.version, "after": after.version, "scored": champion,
    "changed": changed, "nu": list(compared.loc["nu"]), "difference": difference, "served": len(both),
    "not_ok": not_ok.device.tolist(),
}))
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, new_workspace: Callable[..., Workspace]) -> Workspace:
    made = new_workspace(tmp_path_factory.mktemp("tour"))
    made.run("simulate")
    # A device that is too short to be scored, so that there is something to tell.
    short = make_readings([1.0, 6.0, 11.0], [20.0, 21.0, 22.0], "short", "temperature")
    pq.write_table(short, made.folder / "01_raw/readings/short.parquet")
    made.run("ingest,aggregate,train,score")
    return made


def run_tour_twice(workspace: Workspace) -> tuple[list[Any], list[dict[str, Any]]]:
    """The cells of the first tour with their outputs, and what each tour has found; one kernel runs both."""
    import nbformat
    from nbclient import NotebookClient

    tour = nbformat.read(TOUR, as_version=4)
    first = [*tour.cells, nbformat.v4.new_code_cell(FINDINGS)]
    second = [nbformat.v4.new_code_cell(cell.source) for cell in first if cell.cell_type == "code"]
    tour.cells = [*first, *second]
    environment = os.environ | {"BATCH_SCORING_DATA": str(workspace.folder), "DO_NOT_TRACK": "1"}
    where = {"metadata": {"path": str(TOUR.parent)}}
    NotebookClient(tour, timeout=300, kernel_name="python3", resources=where).execute(env=environment)
    return first, [json.loads(one[-1].outputs[-1].text) for one in (first, second)]


def figures(cells: list[Any]) -> list[str]:
    """The tags of the cells that show a figure."""
    return [
        cell.metadata.tags[0]
        for cell in cells
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
    ]


def test_the_tour_runs_and_leaves_what_is_scored_as_it_was(workspace):
    cells, (found, again) = run_tour_twice(workspace)
    assert figures(cells) == ["figure-device", "figure-feature-space", "figure-versions"]
    assert (found["before"], found["after"], found["scored"]) == ("1", "2", "1")
    assert found["changed"] == [found["device"]]
    assert found["nu"] == [0.1, 0.05]
    assert "short" in found["not_ok"]
    assert found["served"] > 0
    assert found["difference"] < 1e-9

    # A second tour makes no third version.
    assert (again["before"], again["after"], again["scored"]) == ("1", "2", "1")


def test_a_fleet_from_a_data_frame_finds_the_hot_pump():
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(FROM_FRAMES, as_version=4)
    assert len([cell for cell in notebook.cells if cell.cell_type == "code"]) == 5
    found = "print(json.dumps(incidents.loc[incidents['kind'] == 'anomaly', 'device'].tolist()[:1]))"
    notebook.cells.append(nbformat.v4.new_code_cell(f"import json\n\n{found}"))
    where = {"metadata": {"path": str(FROM_FRAMES.parent)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
    assert json.loads(notebook.cells[-1].outputs[-1].text) == ["pump-3"]


@pytest.mark.parametrize("notebook", [TOUR, FROM_FRAMES])
def test_notebooks_are_stored_without_outputs(notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    stored = [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]
    assert stored == []
