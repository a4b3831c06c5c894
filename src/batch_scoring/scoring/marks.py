"""Record how far each sensor has been scored, in the same commits as its predictions."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields, replace

from batch_scoring.core.ids import Shard
from batch_scoring.storage.row_table import RowTable

# Before all time.
NEVER = -(2**62)


@dataclass(frozen=True)
class Mark:
    """How far the sensors of a run, a sensor or a shard of it have been scored.

    Attributes
    ----------
    version : int
        Version of the windows that was read; -1 before the first.
    until : int
        Closed windows that ended by then were considered, microseconds since the epoch.
    lacking : int
        Number of the models that left a window without a prediction; 0 where none was left.
    settings : int
        Number of the settings that the windows were aggregated with; 0 before the first.
    """

    version: int = -1
    until: int = NEVER
    lacking: int = 0
    settings: int = 0


def read_mark(table: RowTable, sensor: str | None = None, shard: Shard | None = None) -> Mark:
    """Read the mark of a sensor; without one, of the runs for all sensors.

    What is recorded of all sensors counts for each, and what is recorded of a sensor for its shards; but what
    ``lacking`` says of all sensors is only whether one of them has it.
    """
    own = max((_read(table, name) for name in {_name(sensor, None), _name(sensor, shard)}), key=_order)
    overall = _read(table, _name(None, None))
    return max(own, replace(overall, lacking=own.lacking) if sensor is not None else overall, key=_order)


def mark_progress(
    before: Mark, after: Mark, sensor: str | None = None, shard: Shard | None = None
) -> dict[str, int]:
    """Return a mark as the progress of a commit: the version always, other fields where they have changed."""
    name = _name(sensor, shard)
    changed = zip(fields(Mark), astuple(before), astuple(after), strict=True)
    return {
        f"{field.name}{name}": value
        for field, old, value in changed
        if value != old or field.name == "version"
    }


def _order(mark: Mark) -> tuple[int, int]:
    return mark.version, mark.until


def _read(table: RowTable, name: str) -> Mark:
    found = {field.name: table.progress(f"{field.name}{name}") for field in fields(Mark)}
    return Mark(**{field: value for field, value in found.items() if value is not None})


def _name(sensor: str | None, shard: Shard | None) -> str:
    if sensor is None:
        return ""
    return f"/{sensor}" if shard is None else f"/{sensor}/{shard.part}of{shard.of}"
