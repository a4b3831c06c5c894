"""Compare two versions as a training compares its own with the champion."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import require_known
from batch_scoring.core.parameters import read_parameters
from batch_scoring.detection.comparison import Comparison, Figures, decide
from batch_scoring.storage.row_table import RowTable
from batch_scoring.training.promotion import compare
from batch_scoring.training.settings import TrainParameters
from batch_scoring.training.windows import Plant, find_windows

if TYPE_CHECKING:
    from batch_scoring.registry.tracking import Store, Version

Row = dict[str, Any]


def choose_versions(
    store: Store, sensor: str, challenger: str | None, champion: str | None
) -> tuple[Version, Version]:
    """Choose the versions to compare; default: the newest, and the champion or else the one before it.

    Raises
    ------
    InputError
        When there is no such version, or only one.
    """
    from batch_scoring.registry import tracking

    ours = tracking.resolve_version(store, sensor, challenger)
    if challenger is None:
        ours = tracking.list_versions(store, sensor)[0]
    theirs = tracking.resolve_version(store, sensor, champion)
    if champion is None and theirs.version == ours.version:
        others = [one for one in tracking.list_versions(store, sensor) if one.version != ours.version]
        former = (one for one in others if tracking.PREVIOUS in one.aliases)
        found = next(former, others[0] if others else None)
        if found is None:
            raise InputError(
                f"sensor {sensor!r} has one version only; train again before comparing, or see it with "
                "`kedro models show`"
            )
        theirs = found
    return ours, theirs


def compare_versions(
    store: Store,
    windows: RowTable,
    feedback: pa.Table,
    parameters: Mapping[str, Any],
    versions: tuple[Version, Version],
    now: datetime,
    plant: Plant | None = None,
) -> tuple[Comparison, str]:
    """Compare on the windows after both trainings, and return what a training would decide.

    Raises
    ------
    InputError
        When the sensor has no windows.
    """
    from batch_scoring.registry import tracking

    sensor = versions[0].sensor
    require_known("sensor", [sensor], windows.distinct("sensor"))
    settings = read_parameters(TrainParameters, parameters.get("train"), "train")
    found = find_windows(sensor, windows, settings, now, feedback, plant)
    if found is None:
        raise InputError(f"sensor {sensor!r}: no window has ended yet; run `kedro run --pipelines=aggregate`")
    # Keep both until compared: a fetched copy of the models is deleted with its version.
    ours, theirs = (tracking.TrackedVersion(store, one) for one in versions)
    result = compare(found, ours.models, theirs.models, settings.for_windows(found.window_us))
    is_promoted, reason = decide(result, settings.promotion)
    return result, f"{'promote' if is_promoted else 'refuse'}: {reason}"


def comparison_rows(found: Comparison, versions: tuple[Version, Version]) -> list[Row]:
    """Tabulate the metrics of both, one row per version."""
    return [
        {"version": version.version, "alias": ", ".join(version.aliases), **_figures(figures)}
        for version, figures in zip(versions, (found.challenger, found.champion), strict=True)
    ]


def _figures(one: Figures) -> Row:
    return {
        "models": one.models,
        "windows": one.windows,
        "flagged": one.flagged,
        "alarms": one.alarms,
        "flag_rate": one.flag_rate,
        "target_rate": one.target,
        "over_target": one.over_target,
    }
