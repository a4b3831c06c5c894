"""Build the definition of the workflow that runs a scheduler container, for each scheduled pipeline."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

# The template's parameters for a workflow's recurrence and its wait limit. The template itself inserts them:
# Logic Apps takes both only as literals.
_PARAMETERS = {
    "score": ("scoreRecurrence", "scoreWaitLimit"),
    "train": ("retrainRecurrence", "retrainWaitLimit"),
}


def workflow_definition(pipeline: str) -> dict[str, Any]:
    """Fill in ``run_scheduler.json`` for a pipeline, as a part of the ARM template.

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
