"""Build the query from a project's own settings, so that the stream's windows are those of ``aggregate``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batch_scoring.deploy.stream_analytics.query import WindowsQuery


def configured_query(parameters: Mapping[str, Any]) -> WindowsQuery:
    """Build the query of ``params:aggregate``, with the ranges and first column names of ``ingest``.

    Raises
    ------
    InputError
        When a setting is not valid, or the service cannot compute it.
    """
    from batch_scoring.core.parameters import read_parameters
    from batch_scoring.ingestion.settings import ROLES, read_settings
    from batch_scoring.windows.settings import AggregateParameters

    aggregate = read_parameters(AggregateParameters, parameters.get("aggregate"), "aggregate")
    ingest = read_settings(parameters.get("ingest"))
    return WindowsQuery(
        window=aggregate.window,
        features=aggregate.features,
        min_readings=aggregate.min_readings,
        columns={role: ingest.column_names(role)[0] for role in ROLES},
        ranges=ingest.ranges,
    )
