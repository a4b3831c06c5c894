"""Promote, roll back and publish versions to the scoring jobs."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from batch_scoring.core.errors import InputError
from batch_scoring.detection.model_file import FleetFile
from batch_scoring.registry.interrupted import Promotion, begin_promotion, end_promotion, read_promotion
from batch_scoring.registry.published import Manifest, Root, folder_of, publish, published_as, read_manifest
from batch_scoring.registry.tracking.names import registered_name
from batch_scoring.registry.tracking.registration import decision_tags
from batch_scoring.registry.tracking.store import Store, exclusive
from batch_scoring.registry.tracking.versions import (
    CHAMPION,
    PREVIOUS,
    RETIRED,
    VERDICT,
    TrackedVersion,
    Version,
    champion,
    list_champions,
    list_versions,
    resolve_version,
)
from batch_scoring.training.result import PROMOTED, Decision

log = logging.getLogger(__name__)


def promote(store: Store, published: Root, version: Version) -> Manifest:
    """Make a version the champion and publish it to the scoring jobs.

    Promoting the champion again publishes it again, and changes nothing else. A promotion or rollback
    that was interrupted is completed first.

    Parameters
    ----------
    published : Folder, path or URL
        The folder of the published models.
    """
    with exclusive(store.uri):
        _complete(store, published, version.sensor)
        return _promote(store, published, version)


def promote_trained(store: Store, published: Root, version: Version, models: FleetFile | None) -> None:
    """Promote the version of a training, unless that would undo a rollback.

    The newest version was promoted when it was made. When it is not the champion now, a user chose
    another one, and training from the same data again does not overrule that.
    """
    with exclusive(store.uri):
        _complete(store, published, version.sensor)
        versions = list_versions(store, version.sensor)
        is_newest = versions[0].version == version.version
        chosen = next((one for one in versions if CHAMPION in one.aliases), version)
        if is_newest and PROMOTED in version.tags and chosen.version != version.version:
            log.info("sensor %r: version %s stays the champion", chosen.sensor, chosen.version)
            version, models = chosen, None
        _promote(store, published, version, models)


def record_decision(store: Store, version: Version, decision: Decision) -> None:
    """Record why a version is scored or not, with the numbers; a new version has the record already."""
    if decision.verdict != PROMOTED:
        log.info(
            "sensor %r: version %s is not promoted (%s): %s; `kedro models promote` does it by hand",
            *(version.sensor, version.version, decision.verdict.replace("_", " "), decision.reason),
        )
    name = registered_name(version.sensor)
    for key, text in decision_tags(decision).items():
        if version.tags.get(key) != text:
            store.client.set_model_version_tag(name, version.version, key, text)


def complete_promotions(store: Store, published: Root) -> None:
    """Complete the promotions that a killed run left undone.

    A sensor whose first version was never promoted gets its newest one as the champion, unless only a
    person may promote it; a champion that is not the version published is published.
    """
    with exclusive(store.uri):
        for sensor in list_champions(store):
            _complete(store, published, sensor)
        for sensor, chosen in list_champions(store).items():
            if chosen is None or chosen != _published_version(published, sensor):
                free = (one for one in list_versions(store, sensor) if VERDICT not in one.tags)
                wanted = champion(store, sensor) or next(free, None)
                if wanted is not None:
                    _promote(store, published, wanted)


def rollback(store: Store, published: Root, sensor: str) -> tuple[Version, Manifest]:
    """Make the champion before this one the champion again; a second rollback undoes the first.

    Raises
    ------
    InputError
        When the sensor is unknown or there was no champion before.
    """
    with exclusive(store.uri):
        completed = _complete(store, published, sensor)
        if completed is not None and completed[0].is_rollback:
            return completed[1:]
        former = resolve_version(store, sensor)
        versions = list_versions(store, sensor)
        target = next((version for version in versions if PREVIOUS in version.aliases), None)
        if target is None:
            numbers = ", ".join(version.version for version in versions)
            raise InputError(
                f"sensor {sensor!r} has no previous champion to go back to; name one of its versions "
                f"({numbers}) in `kedro models promote`"
            )
        return target, _change(store, published, target, former, is_rollback=True)


def _promote(store: Store, published: Root, version: Version, models: FleetFile | None = None) -> Manifest:
    former = champion(store, version.sensor)
    if former is not None and former.version == version.version:
        return _publish(store, published, version, models)
    return _change(store, published, version, former, models)


def _change(
    store: Store,
    published: Root,
    target: Version,
    former: Version | None,
    models: FleetFile | None = None,
    is_rollback: bool = False,
) -> Manifest:
    """Change the champion in MLflow and for jobs; the intent is recorded first, so it can be completed."""
    previous = former.version if former is not None else ""
    begin_promotion(published, target.sensor, Promotion(target.version, previous, is_rollback))
    if former is not None:
        _set_alias(store, former, PREVIOUS)
        name, now = registered_name(former.sensor), datetime.now(UTC).isoformat(timespec="seconds")
        store.client.set_model_version_tag(name, former.version, RETIRED, now)
    _set_alias(store, target, CHAMPION)
    manifest = _publish(store, published, target, models)
    end_promotion(published, target.sensor)
    return manifest


def _complete(store: Store, published: Root, sensor: str) -> tuple[Promotion, Version, Manifest] | None:
    """Complete an interrupted change of champion; None if there was none."""
    begun = read_promotion(published, sensor)
    if begun is None:
        return None
    versions = {version.version: version for version in list_versions(store, sensor)}
    if begun.version not in versions:
        end_promotion(published, sensor)  # the version was deleted since
        return None
    target, former = versions[begun.version], versions.get(begun.previous)
    manifest = _change(store, published, target, former, is_rollback=begun.is_rollback)
    what = "rollback" if begun.is_rollback else "promotion"
    log.info("sensor %r: the interrupted %s to version %s is completed", sensor, what, target.version)
    return begun, target, manifest


def _publish(store: Store, published: Root, version: Version, models: FleetFile | None) -> Manifest:
    there = published_as(published, version.sensor, version.version, version.run_id)
    if there is None:
        # Keep it until published: a fetched copy of its models is deleted with it.
        tracked = TrackedVersion(store, version)
        models = models or tracked.models
        there = publish(published, models, version.version, version.run_id, version.fingerprint)
        log.info("sensor %r: version %s is published as the champion", version.sensor, version.version)
    if PROMOTED not in version.tags:
        name = registered_name(version.sensor)
        store.client.set_model_version_tag(name, version.version, PROMOTED, "true")
    return there


def _published_version(published: Root, sensor: str) -> str | None:
    try:
        manifest = read_manifest(published, sensor)
    except InputError:
        return None
    is_there = folder_of(published, sensor).entry(manifest.file) is not None
    return manifest.version if is_there else None


def _set_alias(store: Store, version: Version, alias: str) -> None:
    store.client.set_registered_model_alias(registered_name(version.sensor), alias, version.version)
