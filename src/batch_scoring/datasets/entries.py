"""Several entries of the catalog as one: a node reads or writes one, a person loads each by its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kedro.io import AbstractDataset

from batch_scoring.datasets.own import OwnDataset, require_kind

Config = Mapping[str, Mapping[str, Any]]


def open_entries(entries: Config) -> dict[str, AbstractDataset[Any, Any]]:
    """Make the datasets of entries, given as they stand in the catalog; validators are the catalog's."""
    return {
        name: AbstractDataset.from_config(
            name, {key: value for key, value in entry.items() if key != "validator"}
        )
        for name, entry in entries.items()
    }


class Loads(Mapping[str, Any]):
    """What entries hold, each loaded when it is asked for."""

    def __init__(self, entries: Mapping[str, AbstractDataset[Any, Any]]) -> None:
        self._entries = entries

    def __getitem__(self, name: str) -> Any:
        return self._entries[name].load()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class Entries(OwnDataset[Mapping[str, Any], Any]):
    """Entries of the catalog, by their names.

    ``load`` gives a mapping that loads an entry when it is asked for; ``save`` takes a mapping.

    Parameters
    ----------
    entries : mapping of str to mapping
        In ``catalog.yml`` a list of names.
    **more
        Of :class:`.OwnDataset`.
    """

    def __init__(self, entries: Config, **more: Any) -> None:
        super().__init__(**more)
        self._entries = open_entries(entries)

    def load(self) -> Any:
        """Return the mapping; nothing is read yet."""
        return Loads(self._entries)

    def save(self, data: Mapping[str, Any]) -> None:
        """Save each item to the entry of its name, in order; raises InputError on anything but a mapping."""
        require_kind(data, Mapping, f"a mapping of {', '.join(self._entries)} to what these take")
        for name, value in data.items():
            self._entries[name].save(value)

    def _exists(self) -> bool:
        return all(entry.exists() for entry in self._entries.values())

    def _describe(self) -> dict[str, Any]:
        return {"entries": [*self._entries]}
