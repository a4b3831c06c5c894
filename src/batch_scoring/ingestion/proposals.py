"""Errors on the columns of a file: all that is missing at once, and the settings to copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.settings import ROLES, IngestSettings
from batch_scoring.ingestion.text_bytes import without_compression

_LIKE_A_SENSOR = ("sensor", "tag", "metric", "quantity", "channel", "signal", "measure", "variable", "param")
_LIKE_A_DEVICE = (
    "device",
    "unit",
    "machine",
    "asset",
    "host",
    "entity",
    "station",
    "node",
    "equipment",
    "mote",
)


def missing_columns(
    names: Sequence[str], found: Mapping[str, int], settings: IngestSettings, file: str, kinds: Sequence[str]
) -> InputError:
    """Return the error that names every role without a column, and proposes settings.

    Parameters
    ----------
    names : sequence of str
    found : dict of str to int
        The position of each role that there is.
    settings : IngestSettings
    file : str
    kinds : sequence of str
        What each column holds.
    """
    missing = [role for role in ROLES if role not in found]
    looked = "; ".join(" or ".join(map(repr, settings.column_names(role))) for role in missing)
    proposed = _delimiter(names) or propose(names, kinds, found, file)
    return InputError(
        f"{file}: no column for the {joined(missing)} (looked for {looked}); the file has {listed(names)}; "
        f"name what it is, such as --params {as_params(proposed)}"
    )


def no_sensors(names: Sequence[str], settings: IngestSettings, file: str) -> InputError:
    """Return the error that no column of a wide file is a sensor."""
    return InputError(
        f"{file}: no column is a sensor (ingest.wide.sensors is {settings.wide.sensors}, and only columns of "
        f"numbers count for '*'); the file has {listed(names)}; name the sensors in ingest.wide.sensors, or "
        "the columns in ingest.columns"
    )


def propose(
    names: Sequence[str], kinds: Sequence[str], found: Mapping[str, int], file: str
) -> dict[str, str]:
    """Guess the settings that name the missing roles, by what the columns hold.

    Examples
    --------
    >>> propose(["at", "entity", "quantity", "state"], ["time", "text", "text", "number"], {}, "a.csv")
    ... # doctest: +NORMALIZE_WHITESPACE
    {'ingest.columns.timestamp': 'at', 'ingest.columns.device': 'entity',
     'ingest.columns.sensor': 'quantity', 'ingest.columns.value': 'state'}
    >>> propose(["time", "value"], ["time", "number"], {"timestamp": 0, "value": 1}, "unit-a/temp.csv")
    {'ingest.path': '{device}/{sensor}'}
    """
    free = [at for at in range(len(names)) if at not in found.values() and names[at].strip()]
    chosen: dict[str, int] = {}

    def take(role: str, candidates: Sequence[int]) -> None:
        left = [at for at in candidates if at not in chosen.values()]
        if role not in found and left:
            chosen[role] = left[0]

    texts = [at for at in free if kinds[at] == "text"]
    take("timestamp", [at for at in free if kinds[at] == "time"])
    take("value", [at for at in reversed(free) if kinds[at] == "number"])
    take("device", _like(names, free, _LIKE_A_DEVICE))
    take("sensor", _like(names, texts, _LIKE_A_SENSOR))
    take("device", texts)
    take("sensor", texts)
    settings = {f"ingest.columns.{role}": names[chosen[role]] for role in ROLES if role in chosen}
    unknown = [role for role in ROLES if role not in found and role not in chosen]
    for role in [role for role in unknown if role in ("timestamp", "value")]:
        settings[f"ingest.columns.{role}"] = "NAME"
    return settings | _by_path([role for role in unknown if role in ("device", "sensor")], file)


def as_params(settings: Mapping[str, str]) -> str:
    r"""Write settings as the command line takes them.

    Examples
    --------
    >>> as_params({"ingest.path": "{device}.csv", "ingest.header": "none"})
    '"ingest.path=\'{device}.csv\',ingest.header=none"'
    """
    return '"' + ",".join(f"{name}={_quoted(value)}" for name, value in settings.items()) + '"'


def joined(roles: Sequence[str]) -> str:
    """List roles in a sentence."""
    return " and the ".join([", the ".join(roles[:-1]), roles[-1]] if len(roles) > 1 else roles)


def listed(names: Sequence[str]) -> str:
    """List the columns of a file, the first twenty by name."""
    shown = (
        ", ".join(repr(name if len(name) <= 80 else f"{name[:77]}…") for name in names[:20]) or "no columns"
    )
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _delimiter(names: Sequence[str]) -> dict[str, str]:
    """Propose the delimiter of a file that has one column only."""
    marks = (
        [letter for letter in names[0] if not (letter.isalnum() or letter in "_-. ")]
        if len(names) == 1
        else []
    )
    return {"ingest.delimiter": max(marks, key=marks.count)} if len(marks) > 1 else {}


def _by_path(unknown: Sequence[str], file: str) -> dict[str, str]:
    """Propose the path for device and sensor, where it has as many parts; else a name."""
    stem = PurePath(without_compression(PurePath(file).name)).stem
    if list(unknown) == ["device", "sensor"]:
        return {"ingest.path": "{device}/{sensor}"}
    if list(unknown) == ["device"]:
        return {"ingest.device": stem}
    return {"ingest.sensor": stem} if unknown else {}


def _like(names: Sequence[str], among: Sequence[int], words: Sequence[str]) -> list[int]:
    return [at for at in among if any(word in names[at].casefold() for word in words)]


def _quoted(value: str) -> str:
    is_plain = value.replace("_", "").replace("-", "").replace(".", "").isalnum() and not value[0].isdigit()
    return value if is_plain else "'" + value.replace("'", "''") + "'"
