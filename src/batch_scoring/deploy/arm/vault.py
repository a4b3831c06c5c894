"""Recover or purge deleted Key Vaults, which Azure keeps for a while."""

from __future__ import annotations

import time
from collections.abc import Callable

from batch_scoring.core.errors import InputError
from batch_scoring.deploy.arm.client import Client

# Older versions of the control plane retire on 27 February 2027.
API_VERSION = "2026-02-01"
_PATIENCE_SECONDS = 300.0


def recover(client: Client, name: str, say: Callable[[str], None]) -> None:
    """Recover a deleted vault, as its name stays taken; do nothing where there is none."""
    if _is_deleted(client, name):
        path = f"{client.place.group_id}/providers/Microsoft.KeyVault/vaults/{name}"
        tenant = client.ask("GET", f"/subscriptions/{client.place.subscription}", "2022-12-01")["tenantId"]
        body = {
            "location": client.place.location,
            "properties": {
                "createMode": "recover",
                "tenantId": tenant,
                "sku": {"family": "A", "name": "standard"},
            },
        }
        client.ask("PUT", path, API_VERSION, body)
        say(f"recovered: Key Vault {name}, which had been deleted")


def purge(client: Client, name: str) -> bool:
    """Purge a deleted vault; return False where it is protected, and expires by itself after its days."""
    if not _is_deleted(client, name):
        return True
    try:
        client.ask("POST", f"{_deleted(client, name)}/purge", API_VERSION)
    except InputError:
        return False
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while _is_deleted(client, name):
        if time.monotonic() > give_up:
            return False
        time.sleep(client.place.poll_seconds)
    return True


def _is_deleted(client: Client, name: str) -> bool:
    return client.found(_deleted(client, name), API_VERSION) is not None


def _deleted(client: Client, name: str) -> str:
    place = client.place
    return (
        f"/subscriptions/{place.subscription}/providers/Microsoft.KeyVault/locations/{place.location}"
        f"/deletedVaults/{name}"
    )
