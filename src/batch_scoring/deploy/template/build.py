"""Fill the template with what comes from elsewhere: query, workflow definitions, container; pure."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

from batch_scoring.deploy.stream_analytics.job import Format, fill_in
from batch_scoring.deploy.stream_analytics.query import WindowsQuery
from batch_scoring.deploy.template.source import read_container_group, read_template

# The workflows of the template, by the pipeline that they run.
PIPELINES = ("score", "train")


def build_template(
    query: WindowsQuery,
    definition: Callable[[str], Mapping[str, Any]],
    output_format: Format = "Parquet",
) -> dict[str, Any]:
    """Build the template, ready to be deployed.

    Parameters
    ----------
    query : WindowsQuery
        Of the Stream Analytics job.
    definition : callable
        Returns the definition of the workflow that runs a pipeline, ``score`` or ``train``.
    output_format : "Parquet" or "Json"
        Of the windows that the job writes.
    """
    template = read_template()
    fill_in(resource_of_type(template, "Microsoft.StreamAnalytics/streamingjobs"), query, output_format)
    for workflow in template["resources"]:
        if workflow["type"] != "Microsoft.Logic/workflows":
            continue
        given = workflow["properties"]["parameters"]
        pipeline = given["pipeline"]["value"]
        workflow["properties"]["definition"] = copy.deepcopy(dict(definition(pipeline)))
        given["containerGroup"]["value"] = container_group(pipeline)
    return template


def container_group(pipeline: str) -> dict[str, Any]:
    """Build the body of the container group whose scheduler submits the jobs of a pipeline.

    Training has an image of its own, and uses the existing windows.
    """
    group = read_container_group()
    if pipeline == "train":
        group = json.loads(json.dumps(group).replace("parameters('image')", "parameters('trainImage')"))
        variables = group["properties"]["containers"][0]["properties"]["environmentVariables"]
        group["properties"]["containers"][0]["properties"]["environmentVariables"] = [
            one for one in variables if one["name"] != "SCHEDULE_FIRST"
        ]
    return group


def resource_of_type(template: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Find the only resource of a type.

    Raises
    ------
    KeyError
        When there is none, or more than one.
    """
    found = [one for one in template["resources"] if one["type"] == kind]
    if len(found) != 1:
        raise KeyError(f"{len(found)} resources of type {kind}")
    only: dict[str, Any] = found[0]
    return only
