"""A cron as the rehearsal sees it, like a workflow of :mod:`tests.emulators.logic_app`."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from tests.emulators.container_apps import ContainerApps
from tests.emulators.container_apps.execution import Execution

# It fires so long after the hour that it is for.
AFTER = timedelta(minutes=5)


class CronRun:
    """An execution of a job with a cron."""

    def __init__(self, execution: Execution) -> None:
        self._execution, self.name = execution, execution.name

    @property
    def status(self) -> str:
        return self._execution.status

    @property
    def error(self) -> Any:
        return self._execution.describe("")["properties"], self._execution.output

    @property
    def trace(self) -> str:
        """All that is told of it; its secrets are told by their names."""
        return repr(self._execution.describe(""))

    def wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._execution.ended is None and time.monotonic() < until:
            time.sleep(0.05)


class Cron:
    """The cron of a job of Container Apps; fired twice for one time, its replicas run at once."""

    called = "the cron"

    def __init__(self, apps: ContainerApps, name: str) -> None:
        self._apps, self._name = apps, name
        self.runs: list[CronRun] = []

    def fire(self, at: datetime) -> CronRun:
        (execution,) = self._apps.fire(self._name, at + AFTER)
        self.runs.append(CronRun(execution))
        return self.runs[-1]
