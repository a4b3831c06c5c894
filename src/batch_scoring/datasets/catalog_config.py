"""The configuration of the catalog, in which an entry may name others."""

from __future__ import annotations

from typing import Any

from kedro.config import OmegaConfigLoader


class CatalogConfigLoader(OmegaConfigLoader):
    """Kedro's loader, with ``entries: [names]`` of an entry of the catalog filled in.

    An interpolation such as ``${calendar}`` would not see an entry that another environment overrides.
    """

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Return the configuration of a kind; each name in ``entries`` with the entry of that name."""
        config: dict[str, Any] = super().__getitem__(key)
        if key != "catalog":
            return config
        return {name: _with_entries(entry, config) for name, entry in config.items()}


def _with_entries(entry: Any, config: dict[str, Any]) -> Any:
    names = entry.get("entries") if isinstance(entry, dict) else None
    return {**entry, "entries": {name: config[name] for name in names}} if isinstance(names, list) else entry
