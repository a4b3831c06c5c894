"""An execution of a job: it waits for cores, runs its replica, again where that fails, and ends."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.emulators.node_faults import Fault, Faults
from tests.emulators.work import Runner, Work, kill, run_process


class Cores:
    """What an environment lets run at once."""

    def __init__(self, limit: float = 100.0) -> None:
        self.limit, self.used = limit, 0.0
        self._changed = threading.Condition()

    def allow(self, limit: float) -> None:
        with self._changed:
            self.limit = limit
            self._changed.notify_all()

    def take(self, cores: float, gives_up: Callable[[], bool]) -> bool:
        """Wait for so many; False: nobody wants them any more."""
        with self._changed:
            while self.used + cores > self.limit:
                if gives_up():
                    return False
                self._changed.wait(0.02)
            self.used += cores
            return True

    def give_back(self, cores: float) -> None:
        with self._changed:
            self.used -= cores
            self._changed.notify_all()


class Execution:
    """One of them.

    Parameters
    ----------
    name : str
    job : mapping
        The job's properties: limits, secrets, its own container.
    container : mapping
        What to run; of the job, or of the start.
    folder : Path
        For the output of each replica.
    key : hashable
        What faults go by: the execution's name, the shard if there is one, and the number of the try.
    """

    def __init__(
        self,
        name: str,
        job: Mapping[str, Any],
        container: Mapping[str, Any],
        folder: Path,
        runner: Runner,
        faults: Faults,
        cores: Cores,
        says: Callable[[], str],
    ) -> None:
        self.name, self.container = name, container
        self.status, self.started, self.ended = "Running", datetime.now(UTC), None
        self.tries, self.code, self.more = 0, None, ""
        self._configuration, self._folder, self._runner = job["configuration"], folder, runner
        self._faults, self._cores, self._says = faults, cores, says
        self._process: subprocess.Popen | None = None
        self._lock, self._is_stopped = threading.RLock(), False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def shard(self) -> str:
        arguments = self.container.get("args") or []
        return arguments[arguments.index("--job") + 1] if "--job" in arguments else ""

    @property
    def output(self) -> str:
        """What its replicas have printed, one after the other."""
        files = sorted(self._folder.rglob("std*.txt"))
        return "".join(one.read_text("utf-8", "replace") for one in files)

    def stop(self, seconds: float = 30.0) -> bool:
        """End it; False: it has ended already."""
        with self._lock:
            if self.ended is not None:
                return False
            self._is_stopped = True
            if self._process is not None:
                kill(self._process)
        self._thread.join(seconds)
        return True

    def lose_machine(self) -> bool:
        """Kill the replica that runs; another one starts in its place. False: none runs."""
        with self._lock:
            if self._process is None or self.ended is not None:
                return False
            kill(self._process)
            return True

    def describe(self, above: str) -> dict[str, Any]:
        told: dict[str, Any] = {
            "status": self.status,
            "startTime": self.started.isoformat(),
            "template": {"containers": [dict(self.container)]},
        }
        if self.ended is not None:
            told["endTime"] = self.ended.isoformat()
        if self.tries:
            state = {
                "name": self.container["name"],
                "status": self.status,
                "additionalInformation": self.more,
            }
            state |= {"code": self.code} if self.code is not None else {}
            told["detailedStatus"] = {
                "replicas": [{"name": f"{self.name}-{self.tries:05d}", "containers": [state]}]
            }
        elif says := self._says():
            told |= {"reason": "AssigningReplicaFailed", "message": says}
        return {
            "id": f"{above}/executions/{self.name}",
            "name": self.name,
            "type": "Microsoft.App/jobs/executions",
            "properties": told,
        }

    def _run(self) -> None:
        cores = float(self.container["resources"]["cpu"])
        slow = self._faults.take(Fault.SLOW_START, (self.name, self.shard, 0))
        if slow is not None:
            threading.Event().wait(slow)
        status = "Stopped"
        if self._cores.take(cores, lambda: self._is_stopped):
            try:
                status = self._run_replicas()
            finally:
                self._cores.give_back(cores)
        with self._lock:
            self._process = None
            self.status, self.ended = "Stopped" if self._is_stopped else status, datetime.now(UTC)

    def _run_replicas(self) -> str:
        for _ in range(self._configuration.get("replicaRetryLimit", 0) + 1):
            with self._lock:
                if self._is_stopped:
                    return "Stopped"
                self.tries += 1
            if self._run_replica():
                return "Succeeded"
            if self._is_stopped:
                break
        return "Failed"

    def _run_replica(self) -> bool:
        key = (self.name, self.shard, self.tries)
        if self._faults.take(Fault.IMAGE, key) is not None:
            self.code, self.more = None, "ImagePullBackOff: the image could not be pulled"
            return False
        folder = self._folder / f"{self.tries:02d}"
        folder.mkdir(parents=True)
        work, runner = self._work(key), self._runner
        if self._faults.take(Fault.STUCK, key) is not None:
            work, runner = Work(key, ["python", "-S", "-c", "import time; time.sleep(1e6)"]), run_process
        with self._lock:
            if self._is_stopped:
                return False
            self._process = process = runner(work, folder)
        lost = self._faults.take(Fault.NODE_LOST, key)
        if lost is not None:
            threading.Timer(lost, kill, (process,)).start()
        try:
            code = process.wait(self._configuration["replicaTimeout"])
        except subprocess.TimeoutExpired:
            kill(process)
            code = process.wait()
            self.more = "DeadlineExceeded"
        finally:
            kill(process)
        self.code = code if code >= 0 else 128 - code
        return code == 0

    def _work(self, key: Any) -> Work:
        secrets = {one["name"]: one.get("value", "") for one in self._configuration.get("secrets") or []}
        variables = {
            one["name"]: secrets[one["secretRef"]] if "secretRef" in one else one.get("value", "")
            for one in self.container.get("env") or []
        }
        variables |= {"CONTAINER_APP_JOB_EXECUTION_NAME": self.name}
        command = [*(self.container.get("command") or []), *(self.container.get("args") or [])]
        return Work(key, command, variables, image=self.container["image"])
