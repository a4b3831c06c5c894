"""Say on a terminal which node of how many a run is at; nothing in a file, a pipe or a job's log."""

from __future__ import annotations

import os
from itertools import count
from typing import Any

import click
from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from batch_scoring.core.streams import is_terminal


class NodeProgress:
    """Writes a line to standard error when a node begins.

    Log lines and the bars of long steps come between these lines, so none is written over another.
    """

    def __init__(self) -> None:
        self._of, self._process = "", -1
        self._started = count(1)

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline) -> None:
        """Count the nodes; with ``--only-missing-outputs`` some of them are left out later."""
        at_most = "at most " if run_params.get("only_missing_outputs") else ""
        self._of = f"{at_most}{len(pipeline.nodes)}"
        self._process, self._started = os.getpid(), count(1)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Write the line; processes of ParallelRunner know of their own nodes only, and write none."""
        if os.getpid() == self._process:
            click.secho(f"node {next(self._started)} of {self._of}: {node.name}", dim=True, err=True)


def hooks() -> tuple[Any, ...]:
    """Return the hook where a person looks on."""
    return (NodeProgress(),) if is_terminal() else ()
