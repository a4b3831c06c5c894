"""Record how far each sensor has been scored, in the same commits as its predictions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from batch_scoring.core.ids import from_path_segment
from batch_scoring.scoring.scope import path_of
from batch_scoring.storage.row_table import RowTable

# Before and after all time.
NEVER, FOREVER = -(2**62), 2**62
# In place of the number of settings: of windows that are gone.
_OTHER = -1
# The part of a run that cannot record how far it came: for several devices, or a range.
_SOME = "some"


@dataclass(frozen=True)
class Mark:
    """How far the sensors of a run, a sensor or a part of its devices have been scored.

    Attributes
    ----------
    version : int
        Version of the windows that was read; -1 before the first, or where they were made anew since. Stored
        as a position.
    until : int
        Closed windows that ended by then were considered, microseconds since the epoch.
    settings : int
        Number of the settings that the windows were aggregated with; 0 before the first, another one where
        they were made anew since.
    lacking : int
        Number of the models that left windows without a prediction, for want of one; 0 where none was left.
    since : int
        When the earliest of these windows starts, microseconds since the epoch.
    failed : int
        1 where the last run could not score the sensor, 0 elsewhere.
    """

    version: int = -1
    until: int = NEVER
    settings: int = 0
    lacking: int = 0
    since: int = FOREVER
    failed: int = 0


def windows_scored(predictions: RowTable, windows: RowTable) -> RowTable:
    """Return the windows, or the newer version of them that another run has scored meanwhile.

    With older ones, newer predictions would be replaced by those of earlier windows.
    """
    positions = [value for name, value in predictions.all_progress.items() if name.split("/")[0] == "version"]
    newer = [position for position in positions if not windows.had(position)]
    if not newer:
        return windows
    latest = windows.latest()
    versions = [version for version in map(latest.own_version, newer) if version is not None]
    return latest.at(max(versions)) if versions else latest


def read_mark(predictions: RowTable, windows: RowTable, sensor: str | None = None, part: str = "") -> Mark:
    """Read how far a sensor, or a part of its devices, has been scored; without a sensor, all sensors.

    What is recorded of all sensors counts for each that has not failed, and what is recorded of a sensor
    counts for its parts.

    Parameters
    ----------
    predictions : RowTable
    windows : RowTable
        Not older than those scored; see :func:`windows_scored`.
    sensor, part : str
    """
    overall = _own(predictions, windows)
    if sensor is None:
        return overall
    mark = _of_sensor(_own(predictions, windows, sensor), overall)
    return max(_own(predictions, windows, sensor, part), mark, key=_order) if part else mark


def mark_progress(
    predictions: RowTable,
    windows: RowTable,
    mark: Mark,
    sensor: str | None = None,
    part: str = "",
    overall: Mark | None = None,
) -> dict[str, int]:
    """Return what a commit records so that :func:`read_mark` returns this mark.

    Parameters
    ----------
    predictions, windows : RowTable
    mark : Mark
    sensor, part : str
        See :func:`read_mark`.
    overall : Mark, optional
        What the same commit records of all sensors.
    """
    own = _own(predictions, windows, sensor, part)

    def known(own: Mark) -> Mark:
        if sensor is None:
            return own
        if part:
            return max(own, read_mark(predictions, windows, sensor), key=_order)
        return _of_sensor(own, overall or _own(predictions, windows))

    # Of a sensor that came as far as all, only what is its own.
    its_own = replace(own, lacking=mark.lacking, since=mark.since, failed=mark.failed)
    wanted = next(one for one in (own, its_own, mark) if one is mark or known(one) == mark)
    changed = {
        field.name: getattr(wanted, field.name)
        for field in fields(Mark)
        if getattr(wanted, field.name) != getattr(own, field.name)
    }
    if "version" in changed:
        changed["version"] = windows.position_of(wanted.version)
    return {path_of(name, sensor, part): value for name, value in changed.items()}


def unfinished_sensors(predictions: RowTable) -> list[str]:
    """List the sensors that failed, or have windows for which there was no model."""
    found = set()
    for name, value in predictions.all_progress.items():
        kind, _, rest = name.partition("/sensor=")
        if value and rest and "/" not in rest and kind in ("lacking", "failed"):
            found.add(from_path_segment(rest))
    return sorted(found, key=str.encode)


def some_progress(predictions: RowTable, sensors: Iterable[str], settings: int) -> dict[str, int]:
    """Return what a run for some windows records of sensors that were never scored as a whole.

    So that the run that does so knows whether windows have gone since; see :func:`settings_of_parts`.
    """
    names = [path_of("settings", sensor, _SOME) for sensor in sensors]
    return {name: settings if predictions.progress(name) in (None, settings) else _OTHER for name in names}


def settings_of_parts(predictions: RowTable) -> dict[str, set[int]]:
    """Return the settings of the windows of each sensor that runs for some of them have read."""
    found: dict[str, set[int]] = {}
    for name, value in predictions.all_progress.items():
        kind, _, rest = name.partition("/sensor=")
        sensor, _, part = rest.partition("/")
        if kind == "settings" and part:
            found.setdefault(from_path_segment(sensor), set()).add(value)
    return found


def _of_sensor(own: Mark, overall: Mark) -> Mark:
    if own.failed or _order(own) >= _order(overall):
        return own
    return Mark(overall.version, overall.until, overall.settings, own.lacking, own.since)


def _order(mark: Mark) -> tuple[int, int, bool]:
    # That windows are gone is known of one that scored them, and not of one that never did.
    return mark.version, mark.until, mark.settings == _OTHER


def _own(predictions: RowTable, windows: RowTable, sensor: str | None = None, part: str = "") -> Mark:
    names = {field.name: path_of(field.name, sensor, part) for field in fields(Mark)}
    found = {field: predictions.progress(name) for field, name in names.items()}
    mark = Mark(**{field: value for field, value in found.items() if value is not None})
    version = windows.own_version(mark.version)
    if version is None:
        return replace(mark, version=-1, until=NEVER, settings=_OTHER)
    return replace(mark, version=version)
