"""The Stream Analytics job as an ARM template: input, output, query, and what becomes of late events.

It reaches the event hub and the container by its own identity; no key is in it or asked for.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any, Literal

from batch_scoring.deploy.stream_analytics.query import WindowsQuery

Format = Literal["Parquet", "Json"]

_SERIALIZATIONS: dict[Format, dict[str, Any]] = {
    "Parquet": {"type": "Parquet", "properties": {}},
    "Json": {"type": "Json", "properties": {"encoding": "UTF8", "format": "LineSeparated"}},
}


def job_template(query: WindowsQuery, output_format: Format = "Parquet") -> dict[str, Any]:
    """The template of a job that runs a query.

    Parameters
    ----------
    query : WindowsQuery
    output_format : "Parquet" or "Json"
        Of the files of windows; JSON is one object a line.

    Returns
    -------
    dict
        ``job.json`` of this package with the query and the format in their places.

    Examples
    --------
    >>> template = job_template(WindowsQuery())
    >>> template["resources"][0]["properties"]["eventsOutOfOrderPolicy"]
    'Drop'
    """
    template: dict[str, Any] = json.loads(files(__package__).joinpath("job.json").read_text("utf-8"))
    properties = template["resources"][0]["properties"]
    properties["transformation"]["properties"]["query"] = str(query)
    properties["outputs"][0]["properties"]["serialization"] = _SERIALIZATIONS[output_format]
    return template
