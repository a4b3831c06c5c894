"""The configuration of the catalog, in which an entry may name others."""

from __future__ import annotations

from typing import Any

from kedro.config import OmegaConfigLoader

from batch_scoring.core.errors import InputError


class CatalogConfigLoader(OmegaConfigLoader):
    """Kedro's loader, with ``entries: [names]`` of an entry of the catalog filled in.

    An interpolation such as ``${calendar}`` would not see an entry that another environment overrides.
    """

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Return the configuration of a kind; each name in ``entries`` with the entry of that name.

        Raises
        ------
        InputError
            When ``entries`` names what is no entry of the catalog.
        """
        config: dict[str, Any] = super().__getitem__(key)
        if key != "catalog":
            return config
        return {name: _with_entries(name, entry, config) for name, entry in config.items()}


def _with_entries(name: str, entry: Any, config: dict[str, Any]) -> Any:
    names = entry.get("entries") if isinstance(entry, dict) else None
    if names is None or isinstance(names, dict):
        return entry
    listed = names if isinstance(names, list) else [names]
    for one in listed:
        named = config.get(one) if isinstance(one, str) else None
        if not isinstance(named, dict) or "entries" in named:
            raise InputError(
                f"catalog, entries of {name}: {one!r} is not valid; expected other entries of the catalog "
                "that hold no entries themselves, such as [calendar, devices]"
            )
    return {**entry, "entries": {one: config[one] for one in listed}}
