"""Every recipe runs the whole hour, in the order of the pipelines."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
from typing import Any

import pytest

from batch_scoring.pipeline_registry import ORDER
from tests.schedulers.conftest import RECIPES
from tests.schedulers.environments import PROJECT

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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "functions", "task"),
    [
        ("airflow/fleet_hour.py", ["sensors"], lambda sensor: {"SENSOR": f'["{sensor}"]'}),
        ("prefect/fleet_hour.py", ["kedro", "sensors"], str),
    ],
)
def test_each_sensor_with_windows_is_a_task(scored, file, functions, task):
    parts = [
        one for one in ast.parse((RECIPES / file).read_text()).body if getattr(one, "name", "") in functions
    ]
    for function in parts:
        function.decorator_list = []  # Airflow's and Prefect's
    names = {"Any": Any, "json": json, "os": os, "subprocess": subprocess}
    names |= {"PROJECT": str(PROJECT), "FLEET": str(scored.folder)}
    exec(compile(ast.Module(parts, []), "fleet_hour", "exec"), names)
    assert names["sensors"]() == [task("temperature"), task("vibration")]
