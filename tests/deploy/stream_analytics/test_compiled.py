"""The shipped query as Microsoft's own compiler takes it, where that can be had.

The npm package azure-streamanalytics-cicd downloads the compiler from Microsoft when it is installed, and
runs it with .NET 8 or newer: `npm install -g azure-streamanalytics-cicd`.
"""

from __future__ import annotations

import json
import subprocess

import pytest

from batch_scoring.deploy.stream_analytics.query import WindowsQuery
from batch_scoring.deploy.template.build import job_template
from tests.deploy.stream_analytics.test_query import ALL_FEATURES

COMPILER = "azure-streamanalytics-cicd"
compiled = pytest.mark.wants(COMPILER, "dotnet")


def project(folder, text):
    """A project in the form that the compiler reads, with the job's own settings."""
    template = job_template(WindowsQuery())
    job, given = template["resources"][0]["properties"], template["parameters"]
    config = {
        "ScriptType": "JobConfig",
        "DataLocale": job["dataLocale"],
        "OutputErrorPolicy": job["outputErrorPolicy"],
        "EventsLateArrivalMaxDelayInSeconds": given["lateArrivalSeconds"]["defaultValue"],
        "EventsOutOfOrderMaxDelayInSeconds": given["outOfOrderSeconds"]["defaultValue"],
        "EventsOutOfOrderPolicy": job["eventsOutOfOrderPolicy"],
        "Sku": {"Name": job["sku"]["name"], "StreamingUnits": str(given["streamingUnits"]["defaultValue"])},
        "CompatibilityLevel": job["compatibilityLevel"],
        "ContentStoragePolicy": job["contentStoragePolicy"],
    }
    readings = {
        "Name": "readings",
        "Type": "Data Stream",
        "DataSourceType": "Local Input",
        "Serialization": {"Type": "Json", "Encoding": "UTF8"},
        "FilePath": "readings.json",
        "ScriptType": "InputMock",
    }
    event = {"timestamp": "2026-01-06T00:00:30Z", "device": "d", "sensor": "s", "value": 1.5}
    parts = [("JobConfig.json", "JobConfig"), ("Inputs/Local_readings.json", "InputMock")]
    files = {
        "asaproj.json": {
            "name": "windows",
            "startFile": "windows.asaql",
            "configurations": [{"filePath": path, "subType": kind} for path, kind in parts],
        },
        "JobConfig.json": config,
        "Inputs/Local_readings.json": readings,
        "Inputs/readings.json": [event],
    }
    (folder / "Inputs").mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2), "utf-8")
    (folder / "windows.asaql").write_text(text, "utf-8")
    return folder


def compile_in(folder):
    """Exit code and output of the compiler."""
    command = [COMPILER, "build", "--v2", "--project", "asaproj.json", "--outputPath", "built"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_project_names_every_file_that_it_has(tmp_path):
    folder = project(tmp_path / "project", str(WindowsQuery()))
    listed = json.loads((folder / "asaproj.json").read_text("utf-8"))
    names = {listed["startFile"], *(one["filePath"] for one in listed["configurations"])}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there - names == {"asaproj.json", "Inputs/readings.json"} and names <= there
    assert json.loads((folder / "JobConfig.json").read_text("utf-8"))["EventsOutOfOrderPolicy"] == "Drop"


@compiled
@pytest.mark.slow
@pytest.mark.parametrize("query", [WindowsQuery(), WindowsQuery(features=ALL_FEATURES, min_readings=2)])
def test_the_query_compiles(query, tmp_path):
    code, output = compile_in(project(tmp_path / "project", str(query)))
    assert code == 0, output
    assert (tmp_path / "project/built/windows.JobTemplate.json").exists(), output


@compiled
@pytest.mark.slow
def test_a_query_that_is_wrong_does_not(tmp_path):
    wrong = str(WindowsQuery()).replace("TumblingWindow", "TumblingWindw")
    assert wrong != str(WindowsQuery())
    code, output = compile_in(project(tmp_path / "project", wrong))
    assert code != 0, output
