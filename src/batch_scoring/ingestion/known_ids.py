"""Check that selected devices and sensors exist, searching the cheapest place first."""

from __future__ import annotations

from collections.abc import Callable

from batch_scoring.core.ids import Selection, require_known
from batch_scoring.storage.row_table import RowTable

IdSearch = Callable[[str], set[str]]


def require_known_ids(selection: Selection, *searches: IdSearch) -> None:
    """Raise for an id that is in none of these places.

    Parameters
    ----------
    selection : Selection
    searches : functions from ``"device"`` or ``"sensor"`` to the ids found
        The cheapest first; the others are not searched once all ids are found.

    Raises
    ------
    InputError
        Naming the first unknown id, with suggestions.
    """
    for kind, wanted in (("device", selection.devices), ("sensor", selection.sensors)):
        known: set[str] = set()
        for search in searches if wanted is not None else ():
            if not wanted <= known:  # type: ignore[operator]
                known |= search(kind)
        require_known(kind, wanted, known)


def stored_ids(table: RowTable, selection: Selection) -> IdSearch:
    """Return a search of a table's ids, likely and new files first, that ends once the selected are found."""

    def search(kind: str) -> set[str]:
        wanted = selection.devices if kind == "device" else selection.sensors
        known: set[str] = set()
        newest_first = list(reversed(table.files()))
        for file in sorted(newest_first, key=lambda file: not file.may_have(kind, wanted)):
            if wanted is not None and wanted <= known:
                break
            known.update(name for name in table.distinct(kind, [file]) if name)
        return known

    return search
