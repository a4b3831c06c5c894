"""Every recipe runs the whole hour, in the order of the pipelines."""

from __future__ import annotations

import ast
import json
import re

import pytest

from batch_scoring.pipeline_registry import ORDER
from tests.schedulers.conftest import RECIPES

# Models are trained by day or week, and so is what people read of them in MLflow.
HOUR = [name for name in ORDER if name not in ("simulate", "train", "track")]


@pytest.mark.parametrize(
    "file", ["cron/fleet-hour", "systemd/fleet-hour.service", "kubernetes/hour.yaml", "compose/compose.yaml"]
)
def test_of_a_command_line(file):
    (steps,) = re.findall(r"--pipelines=([\w,]+)", (RECIPES / file).read_text())
    assert steps.split(",") == HOUR


@pytest.mark.parametrize("file", ["airflow/fleet_hour.py", "prefect/fleet_hour.py"])
def test_of_a_graph_of_tasks(file):
    # Neither can be imported here: each is parsed for the names of steps.
    (hour,) = (
        node
        for node in ast.parse((RECIPES / file).read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == "fleet_hour"
    )
    texts = [node for node in ast.walk(hour) if isinstance(node, ast.Constant) and node.value in HOUR]
    texts.sort(key=lambda node: (node.lineno, node.col_offset))
    named = dict.fromkeys(node.value for node in texts)
    assert sorted(named) == sorted(HOUR)
    without_score = [name for name in named if name != "score"]
    assert without_score == [name for name in HOUR if name != "score"]


def part(file: str, name: str) -> ast.stmt:
    """A function, or the assignment of a name, of a file that cannot be imported here."""
    for node in ast.parse((RECIPES / file).read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else [node]
        if name in {getattr(one, "name", getattr(one, "id", None)) for one in targets}:
            return node
    raise LookupError(name)


@pytest.mark.slow
def test_airflow_gets_each_sensor_as_an_environment(scored):
    function = part("airflow/fleet_hour.py", "sensors")
    function.decorator_list = []  # Airflow's, which has it run in the project's environment
    names: dict = {}
    exec(compile(ast.Module([function], []), "fleet_hour", "exec"), names)
    assert names["sensors"](str(scored.folder)) == [
        {"SENSOR": '["temperature"]'},
        {"SENSOR": '["vibration"]'},
    ]


@pytest.mark.slow
def test_prefect_gets_each_sensor_by_a_line_of_python(scored, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["-c", str(scored.folder)])
    exec(ast.literal_eval(part("prefect/fleet_hour.py", "_SENSORS").value), {})
    assert json.loads(capsys.readouterr().out) == ["temperature", "vibration"]
