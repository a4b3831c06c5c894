"""What is needed of Azure Resource Manager, over https: a pool as a resource, and the account's quotas."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.emulators.azure_batch.account import Account
from tests.emulators.azure_batch.errors import BatchError
from tests.emulators.oav import Recorder
from tests.emulators.servers import Handler, TlsServer

TOKEN = "a-token-of-the-tests"
ACCOUNT_ID = "/subscriptions/s/resourceGroups/fleet/providers/Microsoft.Batch/batchAccounts/batchscoring"
_POOL = re.compile(re.escape(ACCOUNT_ID) + r"/pools/([^/?]+)")


class Management:
    """A server for the pools of an account.

    Parameters
    ----------
    account : Account
        The one whose data plane shows the pools, too.
    certificate, key : Path
    """

    def __init__(self, account: Account, certificate: Path, key: Path) -> None:
        self.account, self.recorder = account, Recorder()
        self._files = certificate, key

    def __enter__(self) -> Management:
        self._server = TlsServer(_Handler, self._files)
        self._server.management = self
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    @property
    def endpoint(self) -> str:
        return self._server.url


def as_data_plane(name: str, resource: dict[str, Any]) -> dict[str, Any]:
    """A resource as the data plane names its parts."""
    properties = resource["properties"]
    scale = properties["scaleSettings"]["autoScale"]
    machine = dict(properties["deploymentConfiguration"]["virtualMachineConfiguration"])
    machine["nodeAgentSKUId"] = machine.pop("nodeAgentSkuId")
    return {
        "id": name,
        "vmSize": properties["vmSize"],
        "virtualMachineConfiguration": machine,
        "enableAutoScale": True,
        "autoScaleFormula": scale["formula"],
        "autoScaleEvaluationInterval": scale["evaluationInterval"],
        "taskSlotsPerNode": properties["taskSlotsPerNode"],
        "identity": {
            "type": "UserAssigned",
            "userAssignedIdentities": [
                {"resourceId": one} for one in resource["identity"]["userAssignedIdentities"]
            ],
        },
    }


class _Handler(Handler):
    def serve(self) -> None:
        management = self.server.management
        sent = self.received()
        if self.command == "GET":
            status, body = self._read(management.account)
        else:
            status, body = self._create(management.account, json.loads(sent))
        content = json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(content))}
        management.recorder.add(self.command, self.path, dict(self.headers), sent, status, headers, content)
        self.reply(status, content, headers)

    def _read(self, account: Account) -> tuple[int, dict[str, Any]]:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, _error("AuthenticationFailed", "Authentication failed.")
        if urlsplit(self.path).path != ACCOUNT_ID:
            return 404, _error("ResourceNotFound", "The Resource was not found.")
        told = {
            "accountEndpoint": "batchscoring.westeurope.batch.azure.com",
            "provisioningState": "Succeeded",
            "poolAllocationMode": "BatchService",
            "poolQuota": 100,
            "activeJobAndJobScheduleQuota": account.active_jobs,
            "dedicatedCoreQuotaPerVMFamilyEnforced": "dedicatedCoreQuotaPerVMFamily" in account.quotas,
        }
        kind = "Microsoft.Batch/batchAccounts"
        found = {
            "id": ACCOUNT_ID,
            "name": ACCOUNT_ID.rpartition("/")[2],
            "type": kind,
            "location": "westeurope",
        }
        return 200, found | {"properties": told | account.quotas}

    def _create(self, account: Account, resource: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, _error("AuthenticationFailed", "Authentication failed.")
        found = _POOL.match(self.path)
        if found is None:
            return 404, _error("ResourceNotFound", "The Resource was not found.")
        name = found[1]
        try:
            account.create_pool(as_data_plane(name, resource))
        except BatchError as error:
            # With If-None-Match: * a pool that is there is none to be created.
            if error.code == "PoolExists" and self.headers.get("If-None-Match") == "*":
                return 412, _error("PreconditionFailed", "The specified precondition failed.")
            return error.status, _error(error.code, error.message)
        known = {"provisioningState": "Succeeded", "allocationState": "Steady"}
        found = resource | {
            "id": f"{ACCOUNT_ID}/pools/{name}",
            "name": name,
            "type": "Microsoft.Batch/batchAccounts/pools",
        }
        return 200, found | {"properties": resource["properties"] | known}


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}
