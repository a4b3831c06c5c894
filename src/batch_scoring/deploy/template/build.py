"""Fill the stored template with the query, the workflows' definitions and the container."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Literal

from batch_scoring.deploy.stream_analytics.query import WindowsQuery
from batch_scoring.deploy.template.choose import only_wanted
from batch_scoring.deploy.template.network import closed, of_container_group

Format = Literal["Parquet", "Json"]

# The template's parameters for the recurrence and the wait limit of a workflow, by the pipeline that it runs.
# The template itself inserts them: Logic Apps takes both only as literals.
PIPELINES = {
    "score": ("scoreRecurrence", "scoreWaitLimit"),
    "train": ("retrainRecurrence", "retrainWaitLimit"),
}
_STREAM_JOB = "Microsoft.StreamAnalytics/streamingjobs"
_JOB = "Microsoft.App/jobs"
_SERIALIZATIONS: dict[Format, dict[str, Any]] = {
    "Parquet": {"type": "Parquet", "properties": {}},
    "Json": {"type": "Json", "properties": {"encoding": "UTF8", "format": "LineSeparated"}},
}


def build_template(
    query: WindowsQuery, parameters: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Build the template and its parameters, ready to be deployed.

    Parameters
    ----------
    query : WindowsQuery
        Of the Stream Analytics job.
    parameters : mapping
        Of :func:`.build_parameters`.

    Returns
    -------
    template, parameters : dict
        Without what is not wanted; see :func:`.only_wanted`.
    """
    is_private = bool(parameters["parameters"]["network"]["value"])
    template = read_template()
    _fill_in(resource_of_type(template, _STREAM_JOB), query, "Parquet")
    for workflow in template["resources"]:
        if workflow["type"] == "Microsoft.Logic/workflows":
            given = workflow["properties"]["parameters"]
            pipeline = given["pipeline"]["value"]
            workflow["properties"]["definition"] = workflow_definition(pipeline)
            group = container_group(pipeline)
            if is_private:
                group["properties"] |= of_container_group()
            given["containerGroup"]["value"] = group
    for job in template["resources"]:
        if job["type"] == _JOB and not job["properties"]["template"]["containers"]:
            pipeline = "score" if "scoreJob" in job["name"] else "train"
            job["properties"]["template"]["containers"] = [scheduler_container(pipeline)]
    template["outputs"]["jobs"]["value"] = _variable(container_group("score"), "BATCH_SCORING_JOBS")
    return only_wanted(closed(template) if is_private else template, parameters)


def job_template(query: WindowsQuery, output_format: Format = "Parquet") -> dict[str, Any]:
    """Build the template of a Stream Analytics job alone, for an existing event hub and container.

    The job reaches both by its own identity; it needs no key.

    Parameters
    ----------
    query : WindowsQuery
    output_format : "Parquet" or "Json"
        Of the files of windows; JSON is one object a line.

    Returns
    -------
    dict
        The job of the deployment's template and its parameters, with the query and the format filled in.

    Examples
    --------
    >>> template = job_template(WindowsQuery())
    >>> template["resources"][0]["properties"]["eventsOutOfOrderPolicy"]
    'Drop'
    """
    whole = read_template()
    # Alone it has no dependencies and no condition.
    job = {
        key: value
        for key, value in resource_of_type(whole, _STREAM_JOB).items()
        if key not in ("condition", "dependsOn")
    }
    _fill_in(job, query, output_format)
    text = json.dumps(job)
    principal = (
        f"[reference(resourceId('{_STREAM_JOB}', parameters('streamJob')), '{job['apiVersion']}', 'full')"
        ".identity.principalId]"
    )
    return {
        **{key: whole[key] for key in ("$schema", "contentVersion")},
        "parameters": {
            name: one for name, one in whole["parameters"].items() if f"parameters('{name}')" in text
        },
        "resources": [job],
        "outputs": {"principalId": {"type": "string", "value": principal}},
    }


def workflow_definition(pipeline: str) -> dict[str, Any]:
    """Build the definition of the workflow that runs the scheduler container of a pipeline."""
    recurrence, wait_limit = PIPELINES[pipeline]
    filled = _text("run_scheduler.json").replace("RECURRENCE", recurrence).replace("WAIT_LIMIT", wait_limit)
    definition: dict[str, Any] = json.loads(filled)
    return definition


def container_group(pipeline: str) -> dict[str, Any]:
    """Build the body of the container group whose scheduler submits the jobs of a pipeline.

    Training has an image of its own, and uses the existing windows.
    """
    group = _read("container_group.json")
    if pipeline == "train":
        group = json.loads(json.dumps(group).replace("parameters('image')", "parameters('trainImage')"))
        container = group["properties"]["containers"][0]["properties"]
        container["environmentVariables"] = [
            one for one in container["environmentVariables"] if one["name"] != "SCHEDULE_FIRST"
        ]
    return group


def scheduler_container(pipeline: str) -> dict[str, Any]:
    """Build the same container as one of a job of Container Apps; its only secret is named ``insights``.

    The scheduled time is not among its arguments: it is in the name of the execution, see
    :mod:`batch_scoring.jobs.run_scheduler`.
    """
    (container,) = container_group(pipeline)["properties"]["containers"]
    own = container["properties"]
    return {
        "name": f"{pipeline}-scheduler",
        "image": own["image"],
        "command": ["/app/bin/schedule"],
        "args": ["--pipeline", pipeline, "--floor", "--wait"],
        "env": [
            {"name": one["name"], "secretRef": "insights"} if "secureValue" in one else one
            for one in own["environmentVariables"]
        ],
        "resources": {
            "cpu": own["resources"]["requests"]["cpu"],
            "memory": "[concat(parameters('schedulerMemoryGb'), 'Gi')]",
        },
    }


def _variable(group: Mapping[str, Any], name: str) -> str:
    """Return the value that a variable has in a container group's only container."""
    (container,) = group["properties"]["containers"]
    values = {one["name"]: one.get("value") for one in container["properties"]["environmentVariables"]}
    return str(values[name])


def resource_of_type(template: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Find the only resource of a type.

    Raises
    ------
    ValueError
        When there is none, or more than one.
    """
    (found,) = (one for one in template["resources"] if one["type"] == kind)
    only: dict[str, Any] = found
    return only


def read_template() -> dict[str, Any]:
    """Read the template as stored: without the query, the workflows' definitions and the container."""
    return _read("azuredeploy.json")


def _read(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(_text(name))
    return read


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _fill_in(job: dict[str, Any], query: WindowsQuery, output_format: Format) -> None:
    """Put the query and the format into the job of a template."""
    properties = job["properties"]
    properties["transformation"]["properties"]["query"] = str(query)
    properties["outputs"][0]["properties"]["serialization"] = _SERIALIZATIONS[output_format]
