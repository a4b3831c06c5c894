"""`kedro models …`: see the versions of the models, choose which one is scored, import others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from batch_scoring.cli.command import DATA, ENV, JSON, command, print_json
from batch_scoring.core.text import number, text_table
from batch_scoring.jobs.context import open_context

if TYPE_CHECKING:
    from batch_scoring.datasets.fleet_models import TrackedFleetModels
    from batch_scoring.registry.tracking import Removal, Version

Row = dict[str, Any]


@click.group(name="models")
def models() -> None:
    """List, promote, roll back, import models."""


@command("list", DATA, ENV, JSON)
@click.option("--sensor", metavar="SENSOR", help="Only this sensor.")
def list_models(sensor: str | None, data: str | None, env: str | None, as_json: bool) -> None:
    """List the versions of every sensor, newest first."""
    from batch_scoring.core.ids import require_known
    from batch_scoring.registry import tracking
    from batch_scoring.registry.interrupted import warn_of_interrupted_promotions

    fleet_models = _fleet_models(data, env)
    warn_of_interrupted_promotions(fleet_models.published)
    if tracking.is_new_store(fleet_models.tracking_uri):
        sensors: list[str] = []
    else:
        sensors = tracking.list_sensors(fleet_models.store)
    if sensor is not None:
        require_known("sensor", [sensor], sensors)
        sensors = [sensor]
    rows = [_summary(one) for name in sensors for one in tracking.list_versions(fleet_models.store, name)]
    _print_rows(rows, as_json, "There are no models yet; run `kedro run --pipelines=train`.")


@command("show", DATA, ENV, JSON)
@click.argument("sensor", metavar="SENSOR[@VERSION]")
@click.option("--device", metavar="DEVICE", help="Show the numbers of one device's model.")
def show_model(sensor: str, device: str | None, data: str | None, env: str | None, as_json: bool) -> None:
    """Show the models of a version; of the champion, when no version or alias is named."""
    from batch_scoring.registry import tracking
    from batch_scoring.registry.tracking.device_table import device_tables, model_numbers

    fleet_models = _fleet_models(data, env)
    version = _version(fleet_models, sensor)
    tracked = tracking.TrackedVersion(fleet_models.store, version)
    if device is not None:
        _print_fields({**_summary(version), **model_numbers(tracked.models, device)}, as_json)
        return
    rows = [row for table in device_tables(tracked.models, None) for row in table.to_pylist()]
    if as_json:
        _print_rows([{**_summary(version), "devices": rows}], as_json, "")
        return
    _print_fields(_summary(version), as_json)
    click.echo()
    _print_rows(rows, as_json, "It has no models.")


@command("promote", DATA, ENV, JSON)
@click.argument("sensor")
@click.argument("version")
def promote_model(sensor: str, version: str, data: str | None, env: str | None, as_json: bool) -> None:
    """Make VERSION (a number or an alias) of SENSOR the one that is scored."""
    from batch_scoring.registry import tracking

    fleet_models = _fleet_models(data, env)
    chosen = tracking.resolve_version(fleet_models.store, sensor, version)
    tracking.promote(fleet_models.store, fleet_models.published, chosen)
    _say_champion(fleet_models, sensor, as_json)


@command("compare", DATA, ENV, JSON)
@click.argument("sensor")
@click.argument("challenger", required=False)
@click.argument("champion", required=False)
def compare_models(
    sensor: str,
    challenger: str | None,
    champion: str | None,
    data: str | None,
    env: str | None,
    as_json: bool,
) -> None:
    """Compare two versions of SENSOR on windows that neither was trained on.

    CHALLENGER and CHAMPION are numbers or aliases; default: the newest version and the champion, or the
    champion before it.
    """
    from batch_scoring.core.parameters import scheduled_time
    from batch_scoring.registry import compare as comparing
    from batch_scoring.training.windows import Plant

    context = open_context(data, env)
    catalog, parameters = context.catalog, context.params
    annotations = catalog.load("annotations")
    store = catalog["fleet_models"].store
    versions = comparing.choose_versions(store, sensor, challenger, champion)
    found, verdict = comparing.compare_versions(
        store,
        catalog.load("windows"),
        annotations.feedback,
        parameters,
        versions,
        scheduled_time(parameters.get("at")),
        Plant.of(annotations, parameters.get("domain")),
    )
    rows = comparing.comparison_rows(found, versions)
    both = {name: getattr(found, name) for name in ("lost_models", "flag_agreement", "rank_stability")}
    if as_json:
        _print_fields({"versions": rows, **both, "verdict": verdict}, as_json)
        return
    _print_rows(rows, as_json, "")
    click.echo()
    _print_fields({**both, "verdict": verdict}, as_json)


@command("rollback", DATA, ENV, JSON)
@click.argument("sensor")
def rollback_model(sensor: str, data: str | None, env: str | None, as_json: bool) -> None:
    """Score SENSOR with the champion before this one again; a second time undoes it."""
    from batch_scoring.registry import tracking

    fleet_models = _fleet_models(data, env)
    tracking.rollback(fleet_models.store, fleet_models.published, sensor)
    _say_champion(fleet_models, sensor, as_json)


@command("prune", DATA, ENV, JSON)
@click.option("--sensor", metavar="SENSOR", help="Only the versions of this sensor.")
@click.option(
    "--keep", type=click.IntRange(1), default=5, show_default=True, help="How many of the newest stay."
)
@click.option(
    "--younger-than",
    metavar="TIME",
    default="30d",
    show_default=True,
    help="Versions made, or the champion, within this time stay.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def prune_models(
    sensor: str | None,
    keep: int,
    younger_than: str,
    dry_run: bool,
    data: str | None,
    env: str | None,
    as_json: bool,
) -> None:
    """Remove old versions, and what belongs to no version any more.

    The champion and every other version with an alias stay.
    """
    from datetime import UTC, datetime

    from batch_scoring.core.ids import require_known
    from batch_scoring.core.parameters import read_duration
    from batch_scoring.registry import tracking

    retention = tracking.Retention(keep, read_duration(younger_than, "--younger-than"))
    fleet_models = _fleet_models(data, env)
    if tracking.is_new_store(fleet_models.tracking_uri):
        found = tracking.Pruning([], [])
    else:
        if sensor is not None:
            require_known("sensor", [sensor], tracking.list_sensors(fleet_models.store))
        now = datetime.now(UTC)
        found = tracking.prune(fleet_models.store, fleet_models.published, retention, now, sensor, dry_run)
    removed = [
        {"what": one.kind, "name": one.name, "why": one.reason, "bytes": one.n_bytes}
        for one in found.removals
    ]
    kept = [{"version": f"{one.sensor}@{one.version}", "why": reason} for one, reason in found.kept]
    if as_json:
        _print_fields({"dry_run": dry_run, "removed": removed, "kept": kept}, as_json)
        return
    if removed:
        shown = zip(removed, found.removals, strict=True)
        _print_rows([{**row, "bytes": _bytes(one.n_bytes)} for row, one in shown], as_json, "")
        click.echo()
    freed = sum(one.n_bytes or 0 for one in found.removals)
    what = f"{_counted(found.removals)}, {_bytes(freed)}" if removed else "nothing"
    done = "Would remove" if dry_run else "Removed"
    click.echo(f"{done} {what}; versions that stay: {len(kept):,}.")


@command("import", DATA, ENV, JSON)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--sensor", metavar="SENSOR", help="Sensor of the model or models to import.")
@click.option("--device", metavar="DEVICE", help="Device of the model or models to import.")
@click.option("--features", metavar="NAME,…", help="Names of the model's features, in order.")
@click.option(
    "--window", metavar="TIME", help="Length of the windows, such as 5s; default: aggregate.window."
)
@click.option("--trust-pickle", is_flag=True, help="Open pickles, which may run any code.")
@click.option("--replace", is_flag=True, help="Drop the sensor's other devices instead of keeping them.")
@click.option("--promote/--no-promote", default=True, help="Whether the new version is scored.")
def import_models(
    path: Path,
    sensor: str | None,
    device: str | None,
    features: str | None,
    window: str | None,
    trust_pickle: bool,
    replace: bool,
    promote: bool,
    data: str | None,
    env: str | None,
    as_json: bool,
) -> None:
    """Import pre-trained models (StandardScaler and one-class SVM) from PATH.

    PATH is a file or a folder: the open form (.json), skops (.skops), or pickles.
    """
    from batch_scoring.core.parameters import read_duration, read_parameters
    from batch_scoring.core.scratch import scratch_folder
    from batch_scoring.registry import tracking
    from batch_scoring.registry.pretrained import read_pretrained, to_trainings
    from batch_scoring.windows.settings import AggregateParameters

    context = open_context(data, env)
    fleet_models = context.catalog["fleet_models"]
    names = tuple(name.strip() for name in features.split(",")) if features else None
    found = read_pretrained(path, device, sensor, names, trust_pickle)
    usual = read_parameters(AggregateParameters, context.params.get("aggregate"), "aggregate").length
    length = window if window is not None else usual
    there = {} if replace else fleet_models.load()
    former = {name: there[name]() for name in sorted({one.sensor for one in found} & set(there))}
    fleet_models.promote = promote
    with scratch_folder() as scratch:
        trainings = to_trainings(
            found,
            read_duration(length, "--window").total_seconds(),
            {name: version.models for name, version in former.items()},
            scratch,
        )
        fleet_models.save(trainings)
        fleet_models.confirm()
    versions = [
        tracking.find_version(fleet_models.store, name, one.fingerprint) for name, one in trainings.items()
    ]
    _print_rows([_summary(version) for version in versions if version], as_json, "")


def _fleet_models(data: str | None, env: str | None) -> TrackedFleetModels:
    return cast("TrackedFleetModels", open_context(data, env).catalog["fleet_models"])


def _version(fleet_models: TrackedFleetModels, text: str) -> Version:
    """Find the version of ``SENSOR`` or ``SENSOR@VERSION``; a sensor id may contain an ``@``."""
    from batch_scoring.registry import tracking

    sensor, at, wanted = text.rpartition("@")
    if not at or text in tracking.list_sensors(fleet_models.store):
        return tracking.resolve_version(fleet_models.store, text)
    return tracking.resolve_version(fleet_models.store, sensor, wanted)


def _say_champion(fleet_models: TrackedFleetModels, sensor: str, as_json: bool) -> None:
    from batch_scoring.registry import tracking

    version = tracking.resolve_version(fleet_models.store, sensor)
    if as_json:
        _print_fields(_summary(version), as_json)
    else:
        click.echo(f"{sensor}: version {version.version} is the champion and published.")


def _summary(version: Version) -> Row:
    tags = version.tags
    rate = tags.get("train_flag_rate")
    return {
        "sensor": version.sensor,
        "version": version.version,
        "alias": ", ".join(version.aliases),
        "models": int(tags.get("n_models", 0)),
        "trained_from": _minute(tags.get("trained_from")),
        "trained_to": _minute(tags.get("trained_to")),
        "flag_rate": float(rate) if rate else None,
        "run": version.run_id,
    }


def _counted(removals: Sequence[Removal]) -> str:
    counts = Counter(one.kind for one in removals)
    counts["published file"] = counts.pop("published", 0)
    return ", ".join(number(n, what) for what, n in counts.items() if n)


def _bytes(n: int | None) -> str:
    return "–" if n is None else f"{n / 1e6:.1f} MB"


def _minute(text: str | None) -> str | None:
    return f"{text[:16]}Z" if text else None


def _print_rows(rows: Sequence[Row], as_json: bool, when_empty: str) -> None:
    if as_json:
        print_json(rows, _text)
    elif not rows:
        click.echo(when_empty)
    else:
        click.echo(text_table([list(rows[0]), *([_text(value) for value in row.values()] for row in rows)]))


def _print_fields(fields: Row, as_json: bool) -> None:
    if as_json:
        print_json(fields, _text)
    else:
        click.echo(text_table([[name, _text(value)] for name, value in fields.items()]))


def _text(value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return value.strftime("%Y-%m-%dT%H:%MZ") if hasattr(value, "strftime") else str(value)


for one in (
    *(list_models, show_model, promote_model, compare_models, rollback_model),
    *(prune_models, import_models),
):
    models.add_command(one)
