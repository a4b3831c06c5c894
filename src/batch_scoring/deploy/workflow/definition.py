"""The definition of the workflow that runs a scheduler container, for each of the pipelines that have one."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

# Of the template's parameters how often the workflow of a pipeline runs, and how long it waits for its end.
# They are put in by the template itself: Logic Apps wants both literally.
_PARAMETERS = {
    "score": ("scoreRecurrence", "scoreWaitLimit"),
    "train": ("retrainRecurrence", "retrainWaitLimit"),
}


def workflow_definition(pipeline: str) -> dict[str, Any]:
    """``run_scheduler.json`` for a pipeline, as a part of the ARM template.

    Parameters
    ----------
    pipeline : str
        ``score`` or ``train``.
    """
    recurrence, wait_limit = _PARAMETERS[pipeline]
    text = files(__package__).joinpath("run_scheduler.json").read_text("utf-8")
    filled = text.replace("RECURRENCE", recurrence).replace("WAIT_LIMIT", wait_limit)
    definition: dict[str, Any] = json.loads(filled)
    return definition
