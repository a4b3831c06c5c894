"""What `kedro package` makes runs where there is no project: in `make test-long`, since it takes minutes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.workspaces import PROJECT, Workspace

# A copy of the files has no history to take it from.
VERSION = "7.8.9"
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("package")]


def run(*command: str | Path, cwd: Path, expect: int = 0) -> str:
    """Run a program outside of the project, as a person without it does; what it printed."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "KEDRO"))
    }
    environment["SETUPTOOLS_SCM_PRETEND_VERSION_FOR_BATCH_SCORING"] = VERSION
    done = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1_500,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == expect, output
    return output


@pytest.mark.long
def test_the_wheel_and_the_archive_of_kedro_package_run_in_a_fresh_environment(
    whole: Workspace, tmp_path: Path
):
    project = tmp_path / "project"
    ignored = shutil.ignore_patterns(".*", "data", "build", "dist", "site", "tests", "*.so", "__pycache__")
    shutil.copytree(PROJECT, project, ignore=ignored)
    for name in ("README.md", "LICENSE"):
        assert (project / name).exists()
    (project / "conf/local").mkdir(exist_ok=True)
    (project / "conf/local/credentials.yml").write_text("secret: x\n")
    run(sys.executable, "-m", "kedro", "package", cwd=project)
    (wheel,) = (project / "dist").glob("*.whl")
    archive = project / "dist/conf-batch_scoring.tar.gz"
    assert "credentials" not in run("tar", "-tf", archive, cwd=tmp_path)

    fresh, elsewhere = tmp_path / "fresh", tmp_path / "elsewhere"
    elsewhere.mkdir()
    run(sys.executable, "-m", "venv", fresh, cwd=elsewhere)
    run(fresh / "bin/pip", "install", "--quiet", wheel, cwd=elsewhere)
    assert run(fresh / "bin/batch-scoring", "--version", cwd=elsewhere).split()[-1] == VERSION
    workspace = whole.copy_to(tmp_path / "data")
    command = ("--conf-source", archive, "--params", f"data={workspace.folder},{workspace.params}")
    (workspace.folder / "08_reporting/report.html").unlink()
    hour = ("-m", "batch_scoring", "--pipelines=score,incidents,monitor,report", *command)
    said = run(fresh / "bin/python", *hour, cwd=elsewhere)
    assert "score: 0 windows scored" in said
    assert "Loading data from" not in said  # which Kedro logs, and logging.yml of the archive does not
    assert (workspace.folder / "08_reporting/report.html").stat().st_size > 10_000
    assert workspace.data() == whole.data()
    said = run(fresh / "bin/batch-scoring", "--pipelines=scor", *command, cwd=elsewhere, expect=1)
    assert said.splitlines()[-1].startswith("Error: --pipelines: 'scor' is not valid")
    assert [path.name for path in elsewhere.iterdir()] == []
