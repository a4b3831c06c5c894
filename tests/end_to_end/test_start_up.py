"""What a scoring job must not load, it does not load."""

import json
import subprocess
import sys

import pytest

from tests.end_to_end.workspaces import PROJECT

HEAVY = ["sklearn", "mlflow", "pandas", "duckdb", "scipy", "plotly", "matplotlib", "azure"]

SCORE = """
import gc, inspect, json, sys
searches, look = [], inspect.stack
inspect.stack = lambda *_: searches.append(1) or look()
sys.argv = ["kedro", "run", "--pipelines", "score,incidents,monitor", "--params", {params!r}]
from kedro.framework.cli.cli import main
try:
    main()
except SystemExit as end:
    code = end.code
loaded = [name for name in {heavy} if name in sys.modules]
awake, frozen = gc.isenabled(), gc.get_freeze_count()
found = dict(code=code, loaded=loaded, searches=len(searches), awake=awake, frozen=frozen)
json.dump(found, open({out!r}, "w"))
"""


@pytest.mark.slow
def test_scoring_loads_neither_scikit_learn_nor_mlflow_nor_pandas_and_does_not_search(trained, tmp_path):
    workspace = trained.copy_to(tmp_path / "data")
    out = tmp_path / "modules.json"
    program = SCORE.format(params=f"data={workspace.folder},{workspace.params}", heavy=HEAVY, out=str(out))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    result = json.loads(out.read_text())
    assert not result["code"], done.stdout + done.stderr
    assert result["loaded"] == []
    assert result["searches"] == 0, "Dynaconf did not find one of the modules it asks for"
    assert result["awake"]
    assert result["frozen"] > 50_000
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
