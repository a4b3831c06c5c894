"""What a scoring job must not load, it does not load."""

import json
import subprocess
import sys
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from batch_scoring.tables.schemas import READINGS
from tests.end_to_end.workspaces import PREDICTIONS, PROJECT

HEAVY = ["sklearn", "mlflow", "pandas", "duckdb", "scipy", "plotly", "matplotlib", "azure", "obstore"]
# The last two track trainings, and stage files in which something is to be decided, which these are not.
HEAVY += ["botocore", "pandera", "polars"]
HEAVY += ["batch_scoring.registry.tracking", "batch_scoring.ingestion.staging"]

SCORE = """
import gc, inspect, json, sys
searches, look = [], inspect.stack
inspect.stack = lambda *_: searches.append(1) or look()
hour = "ingest,aggregate,score,incidents,monitor,report"
sys.argv = ["kedro", "run", "--pipelines", hour, "--params", {params!r}]
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

# As if they were not installed: neither their modules nor their distributions, which name plugins, are found.
WITHOUT_DRAWING = """
import sys
from importlib import metadata

missing = ("plotly", "matplotlib", "kedro_viz")

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
every = metadata.distributions
metadata.distributions = lambda **how: (d for d in every(**how) if d.name.replace("-", "_") not in missing)
from kedro.framework.cli.cli import main
main()
"""


@pytest.mark.slow
def test_the_report_is_made_and_copied_without_plotly_matplotlib_and_kedro_viz(whole, tmp_path):
    workspace, page = whole.copy_to(tmp_path / "data"), tmp_path / "page.html"
    made = workspace.folder / "08_reporting/report.html"
    expected = made.read_text().replace(str(whole.folder), str(workspace.folder))
    made.unlink()
    report = workspace.command("report")[3:]
    for command in (report, ["report", "--data", str(workspace.folder), "--to", str(page)]):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_DRAWING, *command],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert page.read_text() == made.read_text() == expected


@pytest.mark.slow
def test_an_hour_loads_neither_scikit_learn_nor_mlflow_nor_pandas_and_does_not_search(trained, tmp_path):
    workspace = trained.copy_to(tmp_path / "data")
    (workspace.folder / "01_raw/fault_labels.parquet").unlink()  # a fleet in service has no labels
    stored = workspace.table("02_intermediate/readings")
    last = pc.max(stored["timestamp"]).as_py() - timedelta(days=1)
    one, other = pc.unique(stored["device"]).to_pylist()[:2]
    # The hours after the last readings are as those of a day before. One series is wild for an hour, and
    # another one for ten minutes, of which the hours around it show whether it is a step.
    hours = (pc.field("timestamp") > last) & (pc.field("timestamp") <= last + timedelta(hours=4))
    rows = stored.filter(hours & pc.field("device").isin([one, other])).sort_by("timestamp").to_pylist()
    for row in rows:
        minutes = (row["timestamp"] - last) / timedelta(minutes=1) - 60
        row["timestamp"] += timedelta(days=1)
        if 0 <= minutes < (60 if row["device"] == one else 10):
            row["value"] = 1000.0 + minutes
    wild = pa.Table.from_pylist(rows, READINGS)
    pq.write_table(wild, workspace.folder / "01_raw/readings/wild.parquet")
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
    assert workspace.table(PREDICTIONS).num_rows > 0
    found = workspace.table("07_model_output/incidents").filter(pc.field("state") == "closed")
    assert min(pc.subtract(found["end"], found["start"]).to_pylist()) < timedelta(hours=1)
    assert workspace.table("07_model_output/device_incidents").num_rows > 0


@pytest.mark.slow
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
