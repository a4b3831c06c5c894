"""Measure how long the steps of a run take: the pipelines that its nodes are of."""

from __future__ import annotations

import time

from kedro.pipeline.node import Node


class StepClock:
    """Seconds by step, from the start of its nodes.

    Attributes
    ----------
    step : str
        The one that goes on; empty before the first one.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self.step = ""
        self._began = 0.0

    def start(self, node: Node) -> None:
        """End the step before, and start that of a node."""
        self._end()
        self.step, self._began = step_of(node), time.perf_counter()

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each step up to now."""
        self._end()
        self._began = time.perf_counter()
        return {name: round(value, 3) for name, value in self._seconds.items()}

    def _end(self) -> None:
        if self.step:
            since = time.perf_counter() - self._began
            self._seconds[self.step] = self._seconds.get(self.step, 0.0) + since


def step_of(node: Node) -> str:
    """Return the pipeline that a node is of: the folder of its function."""
    module: str = getattr(node.func, "__module__", "")
    parts = module.split(".")
    return parts[2] if parts[:2] == ["batch_scoring", "pipelines"] else node.name
