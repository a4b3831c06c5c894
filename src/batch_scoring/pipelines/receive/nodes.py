"""Nodes of ``receive``: store the events of a hub in files named after their content."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from batch_scoring.core.parameters import read_parameters
from batch_scoring.event_hub.settings import ReceiveParameters
from batch_scoring.ingestion.landed_events import hub_folder, landed_name, landed_positions

log = logging.getLogger(__name__)


def receive_events(
    event_hub: Any, previous_events: list[str], parameters: Mapping[str, Any] | None
) -> Iterator[dict[str, pa.Table]]:
    """Store the events that have arrived since the last run.

    Parameters
    ----------
    event_hub : batch_scoring.datasets.event_hub.HubReader
    previous_events : list of str
        The names of the files stored already.
    parameters : mapping
        The group ``receive``; see :class:`~batch_scoring.event_hub.settings.ReceiveParameters`.

    Yields
    ------
    dict of str to pyarrow.Table
        One file each, by its name: events of one partition. The checkpoint moves when all of them
        are saved; a run that was killed before that is continued behind what it saved.

    Raises
    ------
    InputError
        When the hub cannot be read; events read until then are yielded first.
    """
    settings = read_parameters(ReceiveParameters, parameters, "receive")
    folder = hub_folder(event_hub.address.namespace, event_hub.address.hub)
    landed = landed_positions(previous_events, folder)
    files = 0
    for events in event_hub.events(landed, settings.max_events, settings.max_time):
        yield {landed_name(folder, events): events}
        files += 1
    if not files:
        log.info("nothing new in %s", event_hub.address)
        yield {}
