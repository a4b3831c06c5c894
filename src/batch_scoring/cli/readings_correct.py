"""`kedro readings replace` and `kedro readings delete`: take stored readings back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batch_scoring.cli.command import DATA, ENV, PARAMS, command
from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import microseconds
from batch_scoring.core.parameters import read_time
from batch_scoring.core.text import number
from batch_scoring.jobs.context import open_context

if TYPE_CHECKING:
    from batch_scoring.ingestion.corrections import Corrected

DEVICE = click.option("--device", metavar="DEVICE", required=True, help="The device.")
SENSOR = click.option("--sensor", metavar="SENSOR", help="Only this sensor.")
FROM = click.option("--from", "start", metavar="TIME", help="Readings from this time on (ISO 8601, UTC).")
TO = click.option("--to", "end", metavar="TIME", help="Readings before this time.")

# What may hold a row of a device besides readings, windows and predictions.
_OF_DEVICES = (
    "quarantine",
    "calibrations",
    "daily_totals",
    "train_status",
    "incidents",
    "gaps",
    "stays",
    "device_incidents",
    "notifications",
    "drift",
    "incident_actions",
    "silences",
)
_AGAIN = "The next `kedro run` makes windows and predictions again."


@command("delete", DEVICE, SENSOR, FROM, TO, DATA, ENV)
def delete(
    device: str, sensor: str | None, start: str | None, end: str | None, data: str | None, env: str | None
) -> None:
    """Delete the readings of a device, or of a range, with their windows and predictions.

    Without sensor and times, nothing of the device stays in any table.
    """
    from batch_scoring.core.parameters import scheduled_time
    from batch_scoring.ingestion.erasure import note_erased

    catalog = open_context(data, env).catalog
    corrected = _corrected(device, sensor, start, end)
    _require_device(catalog, device)
    # First: a run at the same time must not bring back what is deleted next.
    catalog["erased"].save(note_erased(corrected, scheduled_time(None)))
    catalog["readings"].save(corrected.erased("readings"))
    _remove_unfounded(catalog, corrected)
    if corrected.is_whole:
        for name in _OF_DEVICES:
            catalog[name].save(corrected.erased_device(name))
    click.echo(f"{device}: {_listed(corrected)} removed. {_AGAIN}")
    click.echo(
        "Source files that hold them are left alone, and do not bring them back. Earlier versions of the "
        "tables keep them until `kedro run --pipelines=maintain` has deleted the old files, models until the "
        "next training."
    )


@command("replace", DEVICE, SENSOR, FROM, TO, PARAMS, DATA, ENV)
@click.argument("file", type=click.Path(path_type=Path))
def replace(
    device: str,
    sensor: str | None,
    start: str | None,
    end: str | None,
    file: Path,
    params: str,
    data: str | None,
    env: str | None,
) -> None:
    """Store the readings of FILE in place of those of a device in a range.

    Readings of FILE that are not of the range are left out.
    """
    from batch_scoring.core.parameters import scheduled_time
    from batch_scoring.ingestion.erasure import note_erased
    from batch_scoring.ingestion.replacement import read_replacement
    from batch_scoring.ingestion.settings import read_settings

    context = open_context(data, env, params)
    catalog, settings = context.catalog, read_settings(context.params["ingest"])
    corrected = _corrected(device, sensor, start, end)
    now = scheduled_time(None)
    latest = now + settings.max_future
    with read_replacement(file, corrected, settings, latest) as new:
        # First: a run at the same time must not bring back what is replaced next.
        catalog["erased"].save(note_erased(corrected, now, is_replaced=True))
        catalog["readings"].save(corrected.replaced("readings", new))
        kept, refused = new.already_stored, new.rows.refused_by_source().get(0, {})
        stored = new.stored
    _remove_unfounded(catalog, corrected)
    click.echo(
        f"{device}: {number(stored, 'reading')} stored, {kept:,} as before, "
        f"{sum(refused.values()):,} refused; {_listed(corrected)} removed. {_AGAIN}"
    )


def _remove_unfounded(catalog: Any, corrected: Corrected) -> None:
    from batch_scoring.pipelines.aggregate.nodes import STEP
    from batch_scoring.scoring.run import SCORES

    readings = catalog["readings"].load()
    for name, guard in (("windows", STEP), ("predictions", SCORES)):
        catalog[name].save(corrected.unfounded(name, readings, guard))


def _corrected(device: str, sensor: str | None, start: str | None, end: str | None) -> Corrected:
    from batch_scoring.ingestion.corrections import Corrected

    first = None if start is None else microseconds(read_time(start, "--from"))
    last = None if end is None else microseconds(read_time(end, "--to"))
    if first is not None and last is not None and first >= last:
        raise InputError(f"--to: {end!r} is not valid; expected a time after --from ({start!r})")
    return Corrected(device, sensor, first, last)


def _require_device(catalog: Any, device: str) -> None:
    from batch_scoring.core.ids import require_known

    tables = (catalog[name].load() for name in ("readings", "windows", "quarantine", "daily_totals"))
    known = {name for table in tables for name in table.distinct("device")}
    require_known("device", [device], sorted(known))


def _listed(corrected: Corrected) -> str:
    counts = {name: n for name, n in corrected.removed.items() if n or name == "readings"}
    return ", ".join(f"{n:,} of {name}" for name, n in counts.items())
