"""Register the trainings that jobs staged: once, under a lease, when the jobs have ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.lease import Lease
from batch_scoring.registry import tracking
from batch_scoring.registry.published import pin, read_manifest
from batch_scoring.registry.staged import PreviousVersion, StagedTrainings
from batch_scoring.training.result import BY_HAND, PROMOTED, Decision, Training

if TYPE_CHECKING:
    from batch_scoring.datasets.fleet_models import TrackedFleetModels
    from batch_scoring.registry.tracking import TrackedVersion, Version

_LEASE = "registering/turn.json"


def versions_in_force(tracked_models: TrackedFleetModels) -> dict[str, PreviousVersion]:
    """Find for each registered sensor the version that a training is compared with.

    A champion whose promotion was killed half way is published first.
    """
    found = {}
    for sensor, load in tracked_models.load().items():
        tracked: TrackedVersion = load()  # type: ignore[assignment]
        pinned = _pinned(tracked_models, sensor, tracked) if tracked.is_champion else ""
        found[sensor] = PreviousVersion(
            tracked.version, tracked.fingerprint, tracked.is_champion, tracked.decided, pinned
        )
    return found


def _pinned(tracked_models: TrackedFleetModels, sensor: str, champion: TrackedVersion) -> str:
    try:
        is_published = read_manifest(tracked_models.published, sensor).version == champion.version
    except InputError:
        is_published = False
    if not is_published:
        version = tracking.resolve_version(tracked_models.store, sensor, champion.version)
        tracking.promote(tracked_models.store, tracked_models.published, version)
    return pin(tracked_models.published, sensor)


def register(
    staged: StagedTrainings,
    fleet_models: TrackedFleetModels,
    on_registered: Callable[[str], None] = lambda line: None,
) -> list[str]:
    """Register a version of each staged training without one, and promote it where that was decided.

    Idempotent, also after a kill: the same fingerprint is the same version, and a registered training is
    left alone, whatever was promoted since. Of concurrent processes one registers and the others wait.

    Parameters
    ----------
    fleet_models : TrackedFleetModels
        The catalog entry of the workspace.
    on_registered : callable
        Called with a line about each sensor when it is registered.

    Returns
    -------
    list of str
        The sensors registered by this call.

    Raises
    ------
    InputError
        When the tracking server does not answer, or a staged file is damaged.
    """
    done: list[str] = []
    sensors = staged.sensors()
    if not sensors:
        return done
    with Lease(staged.run, _LEASE) as lease:
        before = staged.previous(fleet_models.published)
        for sensor in sensors:
            if staged.registered(sensor) is not None:
                continue
            lease.renew()
            training = _still_decided(staged.load(sensor), before.get(sensor), fleet_models)
            fleet_models.save({sensor: training})
            version = tracking.find_version(fleet_models.store, sensor, training.fingerprint)
            assert version is not None, "it was just registered"
            staged.mark_registered(training, version.version)
            on_registered(version_line(version))
            done.append(sensor)
        fleet_models.confirm()
    return done


def _still_decided(
    training: Training, before: PreviousVersion | None, fleet_models: TrackedFleetModels
) -> Training:
    """Leave the promotion to a person where the champion has changed since the comparison."""
    if training.decision.verdict != PROMOTED or tracking.is_new_store(fleet_models.tracking_uri):
        return training
    now = tracking.champion(fleet_models.store, training.sensor)
    compared_with = before.version if before is not None and before.is_champion else None
    is_same = (now and now.version) == compared_with or (
        now is not None and now.fingerprint == training.fingerprint
    )
    if is_same:
        return training
    reason = (
        f"version {now.version if now else 'none'} has become the champion since the jobs were planned, "
        f"when it was {compared_with or 'none'}"
    )
    decision = Decision(BY_HAND, reason, training.decision.champion, training.decision.numbers)
    return replace(training, decision=decision)


def version_line(version: Version) -> str:
    """Describe a registered version in one line."""
    verdict = version.tags.get("verdict", PROMOTED).replace("_", " ")
    why = f": {version.tags['reason']}" if version.tags.get("reason") else ""
    models = version.tags.get("n_models", "?")
    return f"sensor {version.sensor!r}: version {version.version}, {models} models, {verdict}{why}"
