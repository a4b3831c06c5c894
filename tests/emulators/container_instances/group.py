"""A container group: made, running, ended, with what its container prints."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.emulators.node_faults import Fault, Faults
from tests.emulators.work import ERR, OUT, Runner, Work, kill


class Group:
    """One of them, with one container, which is started once.

    Parameters
    ----------
    id : str
    body : mapping
        As it was asked for.
    folder : Path
        For what it prints.
    runner : Runner
    faults : Faults
        ``IMAGE`` leaves it waiting for its image, ``NODE_LOST`` kills it.
    """

    def __init__(
        self, id: str, body: Mapping[str, Any], folder: Path, runner: Runner, faults: Faults
    ) -> None:
        self.id, self.body, self.folder = id, body, folder
        self.state, self.exit_code = "Pending", None
        self.began, self.ended = None, None
        self._faults, self._runner = faults, runner
        self._process: subprocess.Popen | None = None
        self._lock, self._is_deleted = threading.Lock(), False
        folder.mkdir(parents=True)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def container(self) -> Mapping[str, Any]:
        """As it was asked for."""
        (only,) = self.body["properties"]["containers"]
        return only

    def log(self, tail: int | None) -> str:
        """What the container has printed, or the last lines of it."""
        texts = [(self.folder / name) for name in (OUT, ERR)]
        lines = "".join(one.read_text("utf-8", "replace") for one in texts if one.is_file()).splitlines()
        return "\n".join(lines if tail is None else lines[-tail:]) + "\n" * bool(lines)

    def describe(self) -> dict[str, Any]:
        """As the service tells it; secure values are not told."""
        container = self.container["properties"]
        variables = [
            {key: value for key, value in one.items() if key != "secureValue"}
            for one in container.get("environmentVariables", [])
        ]
        told = {**container, "environmentVariables": variables, "instanceView": self._container_view()}
        return {
            "id": self.id,
            "name": self.id.rsplit("/", 1)[-1],
            "type": "Microsoft.ContainerInstance/containerGroups",
            **{key: self.body[key] for key in ("location", "tags", "identity") if self.body.get(key)},
            "properties": {
                **{key: value for key, value in self.body["properties"].items() if key != "containers"},
                "containers": [{"name": self.container["name"], "properties": told}],
                "provisioningState": "Pending" if self.state == "Pending" else "Succeeded",
                "instanceView": {"events": [], "state": self.state},
            },
        }

    def delete(self) -> None:
        """End it, and wait until nothing of it runs."""
        with self._lock:
            self._is_deleted = True
            if self._process is not None:
                kill(self._process)
        self._thread.join(30)

    def _container_view(self) -> dict[str, Any]:
        if self.began is None:
            return {"restartCount": 0, "currentState": {"state": "Waiting", "detailStatus": ""}, "events": []}
        state: dict[str, Any] = {"state": "Running", "startTime": self.began.isoformat(), "detailStatus": ""}
        if self.ended is not None:
            detail = "Completed" if self.exit_code == 0 else "Error"
            state |= {"state": "Terminated", "finishTime": self.ended.isoformat(), "detailStatus": detail}
            state["exitCode"] = self.exit_code
        return {"restartCount": 0, "currentState": state, "events": []}

    def _run(self) -> None:
        if self._faults.take(Fault.IMAGE, self.id) is not None:
            return
        container = self.container["properties"]
        variables = {
            one["name"]: one.get("value", one.get("secureValue", ""))
            for one in container.get("environmentVariables", [])
        }
        work = Work(self.id, container.get("command", []), variables, image=container["image"])
        with self._lock:
            if self._is_deleted:
                return
            self.began, self.state = datetime.now(UTC), "Running"
            self._process = self._runner(work, self.folder)
        lost = self._faults.take(Fault.NODE_LOST, self.id)
        if lost is not None:
            threading.Timer(lost, kill, (self._process,)).start()
        code = self._process.wait()
        self.exit_code, self.ended = code if code >= 0 else 128 - code, datetime.now(UTC)
        self.state = "Succeeded" if code == 0 else "Failed"
