"""The page on adding a pipeline step works as written."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.doc_pages import PROJECT, code_blocks, read_page
from tests.row_tables import table_at

PAGE = read_page("how-to/add-a-pipeline-step.md")
# With its byte code, as it need not be compiled anew.
SKIPPED = shutil.ignore_patterns("local")


@pytest.mark.slow
def test_a_step_added_as_the_page_says_runs_and_passes_its_test(tmp_path, whole):
    project = tmp_path / "project"
    for name in ("src", "conf", "tests"):
        shutil.copytree(PROJECT / name, project / name, ignore=SKIPPED)
    (project / "conf/local").mkdir()
    shutil.copy(PROJECT / "pyproject.toml", project)
    # With a large budget of alarms, so that devices are anomalous at once.
    whole.copy_to(project / "data").run(
        "train,score", "train.fit.false_alarm_rate=0.1,train.promote=always,score.rescore=true"
    )
    for item in re.split(r"^\d+\. ", PAGE, flags=re.MULTILINE)[1:]:
        for code in code_blocks(item, "(?:python|yaml)"):
            write(project / re.findall(r"`([\w/]+\.(?:py|yml))`", item.split("```")[0])[0], code)
    (project / "tests/pipelines/outages/__init__.py").touch()
    (command,) = code_blocks(PAGE, "console")
    run(project, shlex.split(command))
    found = read_shares(project / "data/07_model_output/outages")
    predictions = read_shares(project / "data/07_model_output/predictions")
    assert found == {window: share for window, share in predictions.items() if share > 0.2}
    assert found
    run(project, ["pytest", "-q", "-p", "no:cacheprovider", "tests/pipelines/outages"])


def write(path, code):
    """Write a new file; add to the catalog or to GROUPS, which are there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    elif path.suffix == ".yml":
        path.write_text(f"{path.read_text()}\n{code}")
    else:
        path.write_text(path.read_text().replace("GROUPS = {\n", f"GROUPS = {{\n{code}", 1))


def run(project, command):
    environment = os.environ | {"PYTHONPATH": str(project / "src")}
    command = [sys.executable, "-m", *command]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def read_shares(folder):
    """Return the share of anomalous devices by sensor and window, from either of the two tables."""
    shares = {}
    for row in table_at(folder, "window_start").read().to_pylist():
        key = row["sensor"], row["window_start"]
        shares.setdefault(key, []).append(row["share"] if "share" in row else row["is_anomaly"])
    return {key: sum(values) / len(values) for key, values in shares.items()}
