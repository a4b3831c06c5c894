"""Find the published files of a sensor that nothing needs any more."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from datetime import datetime

from batch_scoring.core.moments import microseconds
from batch_scoring.registry.interrupted import PROMOTION
from batch_scoring.registry.published import MANIFEST
from batch_scoring.storage import Folder
from batch_scoring.storage.folder import Entry


def stale_files(folder: Folder, versions: Collection[str], before: datetime) -> Iterator[tuple[Entry, str]]:
    """Yield published manifests of other versions, then the tables that no other manifest names, and why.

    Parameters
    ----------
    folder : Folder
        Of one sensor.
    versions : collection of str
        The numbers of the versions that stay. The champion of scoring stays anyway.
    before : datetime
        UTC; what was written later stays: a job that began with it may still run.
    """
    entries = {one.name: one for one in folder.entries()}
    until = microseconds(before) * 1_000
    manifests = {
        name: _manifest(folder, name) for name in entries if name.endswith(".json") and name != PROMOTION
    }
    champion = manifests.get(MANIFEST, {}).get("version")
    stale = [
        name
        for name, values in manifests.items()
        if name != MANIFEST
        and values.get("version", champion) not in {champion, *versions}
        and entries[name].changed_ns < until
    ]
    named = {values.get("file") for name, values in manifests.items() if name not in stale}
    for name in stale:
        yield entries[name], f"version {manifests[name]['version']} is gone"
    # A manifest that cannot be read may name any of them.
    if all(manifests.values()):
        for name, entry in entries.items():
            if name.endswith(".arrow") and name not in named and entry.changed_ns < until:
                yield entry, "no manifest names it"


def _manifest(folder: Folder, name: str) -> dict[str, str]:
    try:
        values = json.loads(folder.read(name)[0])
    except (ValueError, FileNotFoundError):
        return {}
    return values if isinstance(values, dict) else {}
