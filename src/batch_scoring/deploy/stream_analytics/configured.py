"""The query of a project's own settings, so that the stream's windows are those of ``aggregate``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batch_scoring.deploy.stream_analytics.query import WindowsQuery


def configured_query(parameters: Mapping[str, Any]) -> WindowsQuery:
    """The query of ``params:aggregate``, with the first name of each of ``ingest.columns`` and its ranges.

    Raises
    ------
    InputError
        When a setting makes no sense, or the service cannot compute it.
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
