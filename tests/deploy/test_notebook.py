"""The notebook that creates everything, run from its first cell to its last as a dry run."""

import json
import os
import shutil

import pytest
import yaml

from tests.emulators.arm import Arm, ArmServer
from tests.emulators.arm.service import SUBSCRIPTION
from tests.emulators.identity import IdentityServer
from tests.end_to_end.workspaces import PROJECT

NOTEBOOK = PROJECT / "notebooks/create_resources.ipynb"


@pytest.mark.slow
@pytest.mark.xdist_group("notebook")
def test_as_it_stands_it_shows_everything_and_changes_nothing(tmp_path, trained):
    import nbformat
    from nbclient import NotebookClient

    project = tmp_path / "project"
    for name in ("conf", "src"):
        shutil.copytree(PROJECT / name, project / name)
    shutil.copy(PROJECT / "pyproject.toml", project)
    trained.copy_to(project / "data")
    with ArmServer(Arm(), tmp_path / "arm") as server, IdentityServer() as machine:
        settings = {
            "name": "plant7",
            "subscription": SUBSCRIPTION,
            "arm_endpoint": server.url,
            "image": {"tag": "1"},
        }
        (project / "conf/azure/parameters_deploy.yml").write_text(yaml.safe_dump({"deploy": settings}))
        environment = os.environ | {
            **machine.environment,
            "REQUESTS_CA_BUNDLE": str(server.certificate),
            "BATCH_SCORING_PROJECT": str(project),
            "DO_NOT_TRACK": "1",
        }
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        NotebookClient(notebook, timeout=300, kernel_name="python3").execute(env=environment)
        writes = server.writes
    said = ["".join(output.get("text", "") for output in cell.get("outputs", [])) for cell in notebook.cells]
    assert writes == []
    assert any("resources, no fault" in one for one in said)
    assert any("would create the resource group 'rg-plant7'" in one for one in said)
    assert any("--file=docker/Dockerfile" in one for one in said)
    assert any("would copy: 06_models/published/temperature" in one for one in said)
    assert not (project / "build").exists()
    assert any("nothing of the deployment is in resource group rg-plant7" in one for one in said)


def test_it_is_stored_without_outputs():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []
