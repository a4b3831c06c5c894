"""Mounts what a cluster or a job asks for: links below a mount root to folders of the storage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.emulators.batch_ai.storage import AzuriteStorage, FolderStorage


class CannotMountError(Exception):
    """Something that cannot be mounted, as the service reports it."""


class Mounter:
    """Knows the storage, and the vault with the keys to it."""

    def __init__(self, storage: FolderStorage | AzuriteStorage, vault: dict[str, str]) -> None:
        self.storage, self.vault = storage, vault

    def secret(self, reference: dict[str, Any]) -> str:
        """A secret of the vault."""
        try:
            return self.vault[reference["secretUrl"]]
        except KeyError:
            raise CannotMountError(f"secret {reference['secretUrl']} was not found") from None

    def mount(self, volumes: dict[str, Any] | None, root: Path) -> None:
        """Make the links of these volumes below a root."""
        root.mkdir(parents=True, exist_ok=True)
        volumes = volumes or {}
        for one in volumes.get("azureBlobFileSystems", []):
            self._check_key(one)
            self._link(root, one, one["accountName"], one["containerName"])
        for one in volumes.get("azureFileShares", []):
            self._check_key(one)
            self._link(root, one, one["accountName"], one["azureFileUrl"].rpartition("/")[2])
        for one in volumes.get("fileServers", []):
            server = one["fileServer"]["id"].rpartition("/")[2]
            self._link(root, one, "file-servers", f"{server}:{one.get('sourceDirectory', '')}")
        for one in volumes.get("unmanagedFileSystems", []):
            self._link(root, one, "unmanaged", one["mountCommand"].split()[-1])

    def _check_key(self, one: dict[str, Any]) -> None:
        credentials = one["credentials"]
        reference = credentials.get("accountKeySecretReference")
        key = credentials.get("accountKey") if reference is None else self.secret(reference)
        if key != self.storage.key:
            raise CannotMountError(f"the key of account {one['accountName']} is refused")

    def _link(self, root: Path, one: dict[str, Any], *names: str) -> None:
        link = root / one["relativeMountPath"]
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(self.storage.mount(*names), target_is_directory=True)
