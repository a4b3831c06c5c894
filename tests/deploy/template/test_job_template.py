"""The job's template fits its query, keeps to the service's bounds, and has no place for a key."""

from __future__ import annotations

import json
import re

import pytest

from batch_scoring.deploy.stream_analytics.query import WindowsQuery
from batch_scoring.deploy.template.build import job_template


@pytest.fixture(params=["Parquet", "Json"])
def template(request):
    return job_template(WindowsQuery(min_readings=2), request.param)


def job(template):
    (resource,) = template["resources"]
    return resource["properties"]


def test_the_query_reads_and_writes_what_the_template_names(template):
    text = job(template)["transformation"]["properties"]["query"]
    assert "HAVING COUNT(*) >= 2" in text
    assert re.findall(r"INTO (\w+)", text) == [output["name"] for output in job(template)["outputs"]]
    steps = set(re.findall(r"(\w+) AS \(\n", text))
    assert set(re.findall(r"FROM (\w+)", text)) - steps == {one["name"] for one in job(template)["inputs"]}


def test_the_output_is_partitioned_by_a_column_that_the_query_makes(template):
    (output,) = job(template)["outputs"]
    (column,) = re.findall(r"\{(\w+)\}", output["properties"]["datasource"]["properties"]["pathPattern"])
    assert f") AS {column}\n" in job(template)["transformation"]["properties"]["query"]


def test_late_and_disordered_events_are_dropped_within_the_bounds_of_the_service(template):
    assert job(template)["eventsOutOfOrderPolicy"] == "Drop"
    assert job(template)["outputErrorPolicy"] == "Stop"
    assert job(template)["compatibilityLevel"] == "1.2"
    parameters = template["parameters"]
    assert job(template)["eventsLateArrivalMaxDelayInSeconds"] == "[parameters('lateArrivalSeconds')]"
    assert job(template)["eventsOutOfOrderMaxDelayInSeconds"] == "[parameters('outOfOrderSeconds')]"
    assert parameters["lateArrivalSeconds"]["maxValue"] == 20 * 86400 + 86399
    assert parameters["outOfOrderSeconds"]["maxValue"] == 9 * 60 + 59


def test_every_parameter_is_used_and_described_and_none_is_secret(template):
    text = json.dumps(template)
    for name, parameter in template["parameters"].items():
        assert f"parameters('{name}')" in text
        assert parameter["metadata"]["description"].endswith(".")
    assert not re.search(r"(?i)accountkey|sharedaccess|connectionstring|password|secure", text)
    assert text.count('"authenticationMode": "Msi"') == 2
