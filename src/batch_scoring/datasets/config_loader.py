"""The project's configuration: ``--params`` may name a global, and an entry of the catalog other entries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader

from batch_scoring.core.errors import InputError
from batch_scoring.storage.opening import read_place


class ProjectConfigLoader(OmegaConfigLoader):
    """Kedro's loader, with three things filled in.

    - A global that ``--params`` names has that value: files say ``${globals:data}``. To look into
      ``--params`` for each path of the catalog took as long as all else about paths.
    - ``entries: [names]`` of an entry of the catalog are these entries. An interpolation such as
      ``${calendar}`` would not see an entry that another environment overrides.
    - ``timezone: params:ingest.timezone`` of an entry is that parameter; without one, it is left out.
    """

    def __init__(self, conf_source: str | Path, *args: Any, **options: Any) -> None:
        super().__init__(conf_source, *args, **options)
        folder = Path(conf_source, self.env or self.default_run_env)
        if folder.is_dir() and not any(folder.rglob("parameters*")):
            # Kedro merges nothing key by key, which takes as long as to read it.
            self.merge_strategy: dict[str, str] = {}

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Return the configuration of a kind.

        Raises
        ------
        InputError
            When ``data`` is not a place, or ``entries`` names what is no entry of the catalog.
        """
        config: dict[str, Any] = super().__getitem__(key)
        if key == "globals":
            given = {name: value for name, value in (self.runtime_params or {}).items() if name in config}
            place = {"data": read_place(given.get("data", config["data"]))} if "data" in config else {}
            return {**_with_given(config, given), **place}
        if key == "catalog":
            config = {name: self._with_parameter(entry) for name, entry in config.items()}
            return {name: _with_entries(name, entry, config) for name, entry in config.items()}
        return config

    def _with_parameter(self, entry: Any) -> Any:
        text = entry.get("timezone") if isinstance(entry, dict) else None
        if not (isinstance(text, str) and text.startswith("params:")):
            return entry
        if "parameters" not in self.data:  # read once: the context asks for them next
            self["parameters"] = super().__getitem__("parameters")
        found: Any = self["parameters"]
        for name in text.removeprefix("params:").split("."):
            found = found.get(name) if isinstance(found, dict) else None
        others = {key: one for key, one in entry.items() if key != "timezone"}
        return others if found is None else {**others, "timezone": found}


def _with_given(config: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Replace single values; a group of globals may be named as one of parameters by chance."""
    groups = {
        name: _with_given(config[name], value)
        for name, value in given.items()
        if isinstance(value, dict) and isinstance(config.get(name), dict)
    }
    return {**config, **given, **groups}


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
