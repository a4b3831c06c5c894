"""What the service lists besides its resources: files, quotas, operations."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.emulators.batch_ai.storage import AzuriteStorage, FolderStorage


def files_in(folder: Path, storage: FolderStorage | AzuriteStorage) -> list[dict[str, Any]]:
    """Files and folders of an output directory; files with an address to read them at."""
    return [_file(file, storage) for file in sorted(folder.iterdir())]


def _file(file: Path, storage: FolderStorage | AzuriteStorage) -> dict[str, Any]:
    if file.is_dir():
        return {"name": file.name, "fileType": "directory"}
    about = file.stat()
    modified = datetime.fromtimestamp(about.st_mtime, UTC).isoformat()
    return {
        "name": file.name,
        "fileType": "file",
        "downloadUrl": storage.signed(file),
        "properties": {"contentLength": about.st_size, "lastModified": modified},
    }


def usages(clusters: int) -> list[dict[str, Any]]:
    """Quotas and how much of them is used."""
    used = {"Clusters": (clusters, 20), "Total Cluster Dedicated Regional vCPUs": (0, 600)}
    return [
        {
            "currentValue": value,
            "limit": limit,
            "name": {"value": name, "localizedValue": name},
            "unit": "Count",
        }
        for name, (value, limit) in used.items()
    ]


def operations() -> list[dict[str, Any]]:
    """What may be done, for role definitions."""
    display = {
        "provider": "Microsoft.BatchAI",
        "operation": "Read",
        "resource": "Jobs",
        "description": "Read",
    }
    return [{"name": "Microsoft.BatchAI/workspaces/experiments/jobs/read", "display": display}]
