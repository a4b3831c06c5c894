"""Check all settings of a run before its first node, so that a typo costs a second, not an hour."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.core.parameters import read_parameters, scheduled_time

# The dataclass of each group ``params:<group>``; imported when a pipeline of the run reads the group: all of
# them together would make every start a tenth of a second longer.
GROUPS = {
    "simulate": "batch_scoring.simulation.settings:Simulation",
    "ingest": "batch_scoring.ingestion.settings:IngestSettings",
    "aggregate": "batch_scoring.windows.settings:AggregateParameters",
    "domain": "batch_scoring.plant.settings:DomainParameters",
    "train": "batch_scoring.training.settings:TrainParameters",
    "score": "batch_scoring.scoring.settings:ScoreParameters",
    "incidents": "batch_scoring.incidents.settings:IncidentParameters",
    "alerts": "batch_scoring.alerts.settings:AlertParameters",
    "monitor": "batch_scoring.monitoring.settings:MonitorParameters",
    "maintain": "batch_scoring.storage.settings:MaintainParameters",
    "report": "batch_scoring.reporting.settings:ReportParameters",
    "metrics": "batch_scoring.reporting.settings:MetricsParameters",
    "evaluate": "batch_scoring.evaluation.settings:EvaluateParameters",
    "receive": "batch_scoring.event_hub.settings:ReceiveParameters",
    "publish": "batch_scoring.event_hub.settings:PublishParameters",
}
# What else --params may name; `jobs` is read by `kedro jobs` alone.
OTHERS = [
    *("device", "sensor", "shard", "models", "staged", "judged", "at", "tracking_uri"),
    *("readings", "labels", "feedback", "calendar", "devices"),
]
OTHERS += ["data", "jobs", "validate"]


def check_settings(
    pipeline_inputs: Iterable[str], load: Callable[[str], Any], runtime_params: Mapping[str, Any]
) -> None:
    """Check every setting that a run will read.

    Parameters
    ----------
    pipeline_inputs : iterable of str
        The free inputs of the run's pipeline, ``params:…`` among them.
    load : callable
        Loads one of them.
    runtime_params : mapping
        What ``--params`` gave.

    Raises
    ------
    InputError
        Naming the first setting that does not exist or is not valid.
    """
    known = (*GROUPS, *OTHERS)
    for name in runtime_params:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
            raise InputError(f"--params {name}: there is no such setting; {hint}")
    inputs = set(pipeline_inputs)
    for group, place in GROUPS.items():
        if f"params:{group}" in inputs:
            module, _, name = place.partition(":")
            read_parameters(getattr(import_module(module), name), load(f"params:{group}"), group)
    if {"params:device", "params:sensor"} <= inputs:
        Selection.read(load("params:device"), load("params:sensor"))
    if "params:shard" in inputs:
        Selection.read(None, None, load("params:shard"))
    if "params:at" in inputs:
        scheduled_time(load("params:at"))
