"""Runs a job of the service on a cluster, and keeps its state: queued, running, terminating, ended."""

from __future__ import annotations

import os
import re
import shutil
import sys
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.emulators.batch_ai.clusters import Cluster
from tests.emulators.batch_ai.mounting import CannotMountError, Mounter
from tests.emulators.clock import Clock
from tests.emulators.work import ERR, OUT, End, Outcome, Work

# How a start of a job that came to no exit code is reported. The service's codes are in no published list;
# FailedStartingContainer is what its users have quoted.
ERRORS = {
    End.IMAGE: ("FailedStartingContainer", "unable to start docker container"),
    End.NODE_LOST: ("NodeLost", "The node that ran the job was preempted or lost."),
    End.TOO_LONG: ("JobWallClockTimeExceeded", "The job ran for longer than its maxWallClockTime."),
    End.CANCELLED: ("JobTerminated", "The job was terminated by the user."),
}


class Run:
    """One job. ``state``, ``info`` and ``changed`` are what the service tells of it."""

    def __init__(
        self,
        id: str,
        properties: dict[str, Any],
        cluster: Cluster,
        mounter: Mounter,
        clock: Clock,
        requeues: bool,
    ) -> None:
        self.id, self._asked, self._cluster, self._mounter = id, properties, cluster, mounter
        self._clock, self._requeues = clock, requeues
        names = id.strip("/").split("/")
        # /subscriptions/S/resourceGroups/G/providers/P/workspaces/W/experiments/E/jobs/J
        self.segment = "/".join([names[1], names[3], *names[6:], str(uuid.uuid4())])
        self._job_root = cluster.mount_root.parent / "jobs" / uuid.uuid4().hex
        self.state, self.changed, self.info = "queued", clock.now(), {}
        self.starts = 0

    def begin(self) -> None:
        """Put it into the cluster's queue."""
        try:
            self._mounter.mount(self._asked.get("mountVolumes"), self._job_root)
            environment = self._environment()
        except CannotMountError as error:
            self._end(None, [{"code": "FailedMounting", "message": str(error)}])
            return
        limit = _seconds(self._asked["constraints"]["maxWallClockTime"])
        command = self._asked["customToolkitSettings"]["commandLine"]
        if (before := self._asked.get("jobPreparation")) is not None:
            command = f"{{ {before['commandLine']}\n}} && {{ {command}\n}}"
        source = self._asked["containerSettings"]["imageSourceRegistry"]
        image = "/".join(filter(None, (source.get("serverUrl"), source["image"])))
        work = Work(
            *(self.id.lower(), ["bash", "-c", command], environment, self._started, self._ended),
            limit_seconds=limit,
            image=image,
        )
        self._cluster.add(work)

    def terminate(self) -> None:
        """End it, wherever it is."""
        if self.state in ("queued", "running"):
            self._turn("terminating")
        self._cluster.cancel(self.id.lower())

    def describe(self) -> dict[str, Any]:
        """The properties that tell how it goes."""
        info = {
            key: value.isoformat() if isinstance(value, datetime) else value
            for key, value in self.info.items()
        }
        return {
            "executionState": self.state,
            "executionStateTransitionTime": self.changed.isoformat(),
            "jobOutputDirectoryPathSegment": self.segment,
            "toolType": "custom",
            **({"executionInfo": info} if info else {}),
        }

    def output(self, directory: str) -> Path:
        """The folder of an output directory, such as stdouterr."""
        prefixes = {"stdouterr": self._asked["stdOutErrPathPrefix"]}
        prefixes |= {one["id"]: one["pathPrefix"] for one in self._asked.get("outputDirectories", [])}
        return Path(self._expand(prefixes[directory])).resolve() / self.segment / directory

    def _started(self, node: str, folder: Path) -> None:
        self.starts += 1
        self.info = {"startTime": self._clock.now()}
        if self.state == "queued":
            self._turn("running")

    def _ended(self, outcome: Outcome) -> None:
        if outcome.end is End.NODE_LOST and self._requeues and self.state != "terminating":
            self.info = {}
            self._turn("queued")
            self.begin()
            return
        if outcome.folder is not None:
            self._keep_output(outcome.folder)
        code, message = ERRORS.get(outcome.end, ("", ""))
        self._end(outcome.exit_code, [{"code": code, "message": message}] if code else [])

    def _end(self, code: int | None, errors: list[dict[str, Any]]) -> None:
        now = self._clock.now()
        self.info = {"startTime": now} | self.info | {"endTime": now}
        self.info |= {"exitCode": code} if code is not None else {}
        self.info |= {"errors": errors} if errors else {}
        self._turn("succeeded" if code == 0 and not errors else "failed")
        self._cluster.ended(self.id.lower())

    def _turn(self, state: str) -> None:
        self.state, self.changed = state, self._clock.now()

    def _environment(self) -> dict[str, str]:
        outputs = {one["id"]: self.output(one["id"]) for one in self._asked.get("outputDirectories", [])}
        for folder in outputs.values():
            folder.mkdir(parents=True, exist_ok=True)
        return {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "AZ_BATCHAI_MOUNT_ROOT": str(self._cluster.mount_root),
            "AZ_BATCHAI_JOB_MOUNT_ROOT": str(self._job_root),
            "AZ_BATCHAI_JOB_NAME": self.id.rpartition("/")[2],
            **{
                f"AZ_BATCHAI_INPUT_{one['id']}": self._expand(one["path"])
                for one in self._asked.get("inputDirectories", [])
            },
            **{f"AZ_BATCHAI_OUTPUT_{name}": str(folder) for name, folder in outputs.items()},
            **{one["name"]: one["value"] for one in self._asked.get("environmentVariables", [])},
            **{
                one["name"]: one.get("value") or self._mounter.secret(one["valueSecretReference"])
                for one in self._asked.get("secrets", [])
            },
        }

    def _keep_output(self, start: Path) -> None:
        place = self.output("stdouterr")
        place.mkdir(parents=True, exist_ok=True)
        for name in (OUT, ERR):
            if (start / name).exists():
                shutil.copyfile(start / name, place / name)
                self._mounter.storage.keep(place / name)
        log = place / "execution.log"
        log.write_text(f"{self._clock.now():%Y-%m-%dT%H:%M:%SZ} start {self.starts} ended\n")
        self._mounter.storage.keep(log)

    def _expand(self, path: str) -> str:
        return path.replace("$AZ_BATCHAI_JOB_MOUNT_ROOT", str(self._job_root)).replace(
            "$AZ_BATCHAI_MOUNT_ROOT", str(self._cluster.mount_root)
        )


def _seconds(duration: str) -> float:
    """Of ISO 8601: ``P1DT2H3M4.5S``."""
    found = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?", duration)
    if found is None:
        raise ValueError(f"{duration!r} is no duration of ISO 8601")
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
