"""What a scoring job must not load, it does not load."""

import json
import subprocess
import sys

import pytest

from tests.end_to_end.workspaces import PROJECT, Workspace

HEAVY = ["sklearn", "mlflow", "pandas", "duckdb", "scipy", "plotly", "matplotlib", "azure"]

SCORE = """
import json, sys
sys.argv = ["kedro", "run", "--pipelines", "score", "--params", {params!r}]
from kedro.framework.cli.cli import main
try:
    main()
except SystemExit as end:
    code = end.code
json.dump({{"code": code, "loaded": [name for name in {heavy} if name in sys.modules]}}, open({out!r}, "w"))
"""


@pytest.mark.slow
def test_scoring_loads_neither_scikit_learn_nor_mlflow_nor_pandas(tmp_path):
    workspace = Workspace(tmp_path / "data")
    workspace.run("simulate,ingest,aggregate,train")
    out = tmp_path / "modules.json"
    program = SCORE.format(params=f"data={workspace.folder},{workspace.params}", heavy=HEAVY, out=str(out))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    result = json.loads(out.read_text())
    assert not result["code"], done.stdout + done.stderr
    assert result["loaded"] == []
    assert workspace.table("07_model_output/predictions").num_rows > 0


def test_the_command_line_itself_loads_nothing_heavy():
    program = (
        "import sys, json, click.testing, batch_scoring.cli as c;"
        "click.testing.CliRunner().invoke(c.cli, ['--help']);"
        f"print(json.dumps([n for n in {HEAVY} + ['numpy', 'pyarrow'] if n in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []
