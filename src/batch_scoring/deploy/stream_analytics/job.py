"""Fill in the Stream Analytics job of the deployment's template, and build a template of the job alone.

The job reaches the event hub and the container by its own identity; it needs no key.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from batch_scoring.deploy.stream_analytics.query import WindowsQuery

Format = Literal["Parquet", "Json"]

_TYPE = "Microsoft.StreamAnalytics/streamingjobs"
_SERIALIZATIONS: dict[Format, dict[str, Any]] = {
    "Parquet": {"type": "Parquet", "properties": {}},
    "Json": {"type": "Json", "properties": {"encoding": "UTF8", "format": "LineSeparated"}},
}


def job_template(query: WindowsQuery, output_format: Format = "Parquet") -> dict[str, Any]:
    """Build the template of a job that runs a query, for an existing event hub and container.

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
    from batch_scoring.deploy.template.source import read_template

    whole = read_template()
    job = next(one for one in whole["resources"] if one["type"] == _TYPE)
    # Alone it has no dependencies and no condition.
    job = {key: value for key, value in job.items() if key not in ("condition", "dependsOn")}
    fill_in(job, query, output_format)
    text = json.dumps(job)
    used = {name: one for name, one in whole["parameters"].items() if f"parameters('{name}')" in text}
    principal = (
        f"[reference(resourceId('{_TYPE}', parameters('streamJob')), '{job['apiVersion']}', 'full')"
        ".identity.principalId]"
    )
    return {
        "$schema": whole["$schema"],
        "contentVersion": whole["contentVersion"],
        "parameters": used,
        "resources": [job],
        "outputs": {"principalId": {"type": "string", "value": principal}},
    }


def fill_in(job: dict[str, Any], query: WindowsQuery, output_format: Format = "Parquet") -> None:
    """Put the query and the format into the job of a template."""
    properties = job["properties"]
    properties["transformation"]["properties"]["query"] = str(query)
    properties["outputs"][0]["properties"]["serialization"] = _SERIALIZATIONS[output_format]
