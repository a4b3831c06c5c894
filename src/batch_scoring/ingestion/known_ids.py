"""Check that selected devices and sensors exist, searching the cheapest place first."""

from __future__ import annotations

from collections.abc import Callable

from batch_scoring.core.ids import Selection, require_known
from batch_scoring.tables.partitions import Partitions, split_partition_key
from batch_scoring.tables.row_groups import ROW_GROUP_ROWS

IdSearch = Callable[[str], set[str]]


def require_known_ids(
    selection: Selection, readings: Partitions, quarantine: Partitions, *searches: IdSearch
) -> None:
    """Raise for an id that is neither in the sources read now nor in what earlier runs have stored.

    Parameters
    ----------
    selection : Selection
    readings, quarantine : mapping of partition to function that opens it
        What earlier runs have stored.
    searches : functions from ``"device"`` or ``"sensor"`` to the ids found
        In the sources read now, the cheapest first.

    Raises
    ------
    InputError
        Naming the first unknown id, with suggestions.
    """
    for kind, wanted in (("device", selection.devices), ("sensor", selection.sensors)):
        if wanted is None:
            continue
        known: set[str] = set()
        stored = _stored_search(readings, quarantine, wanted)
        for search in (*searches[:1], stored, *searches[1:]):
            if not wanted <= known:
                known |= search(kind)
        require_known(kind, wanted, known)


def _stored_search(readings: Partitions, quarantine: Partitions, wanted: frozenset[str]) -> IdSearch:
    def search(kind: str) -> set[str]:
        # Newest partitions first: a device that still reports is found at once.
        tables = list(quarantine.values())
        known: set[str] = set()
        if kind == "sensor":
            known = {split_partition_key(key)[0] for key in readings}
        else:
            tables = list(readings.values())[::-1] + tables
        for opened in tables:
            if wanted <= known:
                break
            for batch in opened().iter_batches(ROW_GROUP_ROWS, columns=[kind]):
                known.update(one for one in batch.column(0).unique().to_pylist() if one)
        return known

    return search
