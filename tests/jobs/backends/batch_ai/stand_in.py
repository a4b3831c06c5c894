"""A backend at work with the stand-in for Batch AI, and jobs that do next to nothing.

The jobs' command line is the true one; only its ``python`` is a script of a few lines, found first on the
PATH. It does what :mod:`batch_scoring.jobs.run_job` promises: a job that has succeeded is not run again.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from batch_scoring.jobs.backends.batch_ai.backend import BatchAIBackend
from batch_scoring.jobs.backends.batch_ai.settings import (
    BatchAISettings,
    ClusterSettings,
    ContainerSettings,
)
from batch_scoring.jobs.planning import run_name
from batch_scoring.jobs.settings import JobsParameters
from batch_scoring.jobs.specs import JobSpec
from tests.emulators.batch_ai import BatchAIServer, FolderStorage, Service
from tests.emulators.batch_ai.server import Credential
from tests.waiting import wait_for

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
RUN = run_name("score", AT)
VAULT = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/Keys"
SECRETS = "https://keys.vault.azure.net/secrets"
LOGS = {"kind": "blob", "path": "logs", "account": "acct", "container": "logs", "key_secret": "storage-key"}

_PYTHON = """#!/bin/bash
while [ $# -gt 0 ]; do
  case "$1" in --data) data=$2;; --job) job=$2;; esac
  shift
done
[ -e "$data/scored/$job" ] && exit 0
echo "$job" >> "$data/begun"
echo "scoring $job"
case "$HOW" in
  fail) echo "Error: sensor has no published model" >&2; exit 1;;
  "fail once") [ "$(grep -cx "$job" "$data/begun")" = 1 ] && exit 1;;
  slow) sleep 1.5;;
  secret) [ "$TOKEN" = hush ] || exit 3;;
esac
set -o noclobber
echo > "$data/scored/$job"
echo "$job" >> "$data/scorings"
"""


class StandIn:
    """The service, a backend on it, and the folder that the jobs write to."""

    def __init__(self, folder: Path, storage=None, **service):
        self.folder, self.data = folder, folder / "data"
        (self.data / "scored").mkdir(parents=True)
        programs = folder / "bin"
        programs.mkdir()
        (programs / "python").write_text(_PYTHON)
        (programs / "python").chmod(0o755)
        self.path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        self.storage = storage or FolderStorage(folder / "storage")
        secrets = {"storage-key": self.storage.key, "token": "hush", "registry": "hush", "insights": "hush"}
        vault = {f"{SECRETS}/{name}": value for name, value in secrets.items()}
        self.service = Service(folder / "service", self.storage, vault=vault, **service)
        self.server = BatchAIServer(self.service, folder / "certificate")

    def settings(self, how="succeed", cluster=None, jobs=None, **more) -> JobsParameters:
        batch_ai = BatchAISettings(
            endpoint=self.server.url,
            subscription="00000000-0000-0000-0000-000000000000",
            resource_group="rg",
            location="eastus",
            key_vault=VAULT,
            data=str(self.data),
            logs="$AZ_BATCHAI_MOUNT_ROOT/logs",
            poll_seconds=0,
            cluster=ClusterSettings(ssh_public_key="ssh-ed25519 AAAA", **(cluster or {})),
            container=ContainerSettings(image="batch-scoring:1", registry="acct.azurecr.io"),
            mounts=[LOGS],
            environment={"PATH": self.path, "HOW": how},
        )
        base = JobsParameters(backend="batch_ai", retries=0, max_wall_time=timedelta(minutes=5))
        return replace(base, **(jobs or {}), batch_ai=replace(batch_ai, **more))

    def backend(self, how="succeed", **more) -> BatchAIBackend:
        return BatchAIBackend(
            *(str(self.data), None, self.settings(how, **more)),
            credential=Credential(),
            connection_verify=str(self.server.certificate),
        )

    def lines(self, name: str) -> list[str]:
        """The jobs in one of the files that jobs write: begun or scorings."""
        file = self.data / name
        return file.read_text().split() if file.exists() else []

    def close(self) -> None:
        self.server.close()
        self.storage.close()


def specs(count=3, run=RUN):
    return [JobSpec(run, f"s{i:02d}-0123abcd", "score", AT, (f"s{i:02d}",)) for i in range(count)]


def wait(backend, run=RUN):
    """The statuses of a run's jobs when all have ended."""

    def ended():
        found = {one.name: one for one in backend.statuses(run)}
        return found if all(one.state.is_final for one in found.values()) else {}

    return wait_for(ended, lambda: f"not all have ended: {backend.statuses(run)}")
