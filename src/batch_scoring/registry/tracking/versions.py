"""List, find and load the versions of a sensor's models, read-only."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import require_known
from batch_scoring.core.moments import EPOCH
from batch_scoring.core.parameters import suggestion
from batch_scoring.core.scratch import scratch_folder
from batch_scoring.detection.model_file import FleetFile
from batch_scoring.registry.tracking.model_folder import find_models
from batch_scoring.registry.tracking.names import registered_name, sensor_of
from batch_scoring.registry.tracking.store import Store
from batch_scoring.training.result import PROMOTED

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

CHAMPION = "champion"
PREVIOUS = "previous"
_STAGES = ("production", "staging", "archived")

# On a version that was evaluated: the run of the last evaluation.
EVALUATED = "evaluated_in_run"
# On a former champion: when it ceased to be one, ISO 8601, UTC.
RETIRED = "in_service_until"

# On a version: that it was the champion once, so that a repeated `train` does not undo a rollback; or
# why it never was, with the version it was compared with and the numbers of the comparison.
VERDICT, OPPONENT, REASON, NUMBERS = "verdict", "compared_with", "reason", "comparison"

# Tag of every registered model of this project: a tracking server may hold others.
OURS = {"made_by": "batch_scoring"}


@dataclass(frozen=True)
class Version:
    """A version's entry in the registry, without its models.

    Attributes
    ----------
    aliases : tuple of str
        Sorted; ``champion`` is what is scored.
    tags : dict of str to str
        ``n_models``, ``features``, ``window_seconds``, ``trained_from``, ``trained_to``,
        ``train_flag_rate`` and others.
    created : datetime
        UTC.
    source : str
        ``models:/`` and the id of its logged model, or, of versions of former releases, where its artifacts
        lie; see :func:`artifacts_of`.
    """

    sensor: str
    version: str
    run_id: str
    fingerprint: str
    aliases: tuple[str, ...]
    tags: dict[str, str]
    source: str
    created: datetime = EPOCH


class TrackedVersion:
    """A version with its models, which are fetched on demand.

    Attributes
    ----------
    decided : dict of str to (str, str)
        The sensor's versions with a verdict, by fingerprint: number and verdict. The newest one's
        verdict stands whichever is the champion now; a refusal of an older one
        only beside the champion it was compared with.
    models : FleetFile
        MLflow's own file where readable; else a copy, deleted with this object.
    """

    def __init__(
        self, store: Store, version: Version, decided: dict[str, tuple[str, str]] | None = None
    ) -> None:
        self.version = version.version
        self.is_champion = CHAMPION in version.aliases
        self.decided = decided or {}
        self.fingerprint = version.fingerprint
        self._store = store
        self._version = version

    @cached_property
    def models(self) -> FleetFile:
        """Load the models; fetched at the first use."""
        scratch = ExitStack()
        weakref.finalize(self, scratch.close)
        place = artifacts_of(self._store, self._version)
        return find_models(place, self._store.uri, lambda: scratch.enter_context(scratch_folder()))


def logged_model_id(source: str) -> str | None:
    """Return the id of a version's logged model; None of versions of former releases.

    Examples
    --------
    >>> logged_model_id("models:/m-0123"), logged_model_id("file:///data/models/m-0123/artifacts")
    ('m-0123', None)
    """
    return source.removeprefix("models:/") if source.startswith("models:/m-") else None


def artifacts_of(store: Store, version: Version) -> str:
    """Return where the artifacts of a version lie."""
    if not version.source.startswith("models:/"):
        return version.source
    name = registered_name(version.sensor)
    return str(store.client.get_model_version_download_uri(name, version.version))


def list_sensors(store: Store) -> list[str]:
    """List the sensors that were trained, sorted as UTF-8 bytes."""
    return list(list_champions(store))


def list_champions(store: Store) -> dict[str, str | None]:
    """Return the champion's number of each sensor that was trained; None without a champion."""
    condition = " and ".join(f"tags.{key} = '{value}'" for key, value in OURS.items())
    found = {
        sensor_of(model.name): model.aliases.get(CHAMPION)
        for model in pages(store.client.search_registered_models, condition)
        # A run that was killed may have left a model without a version.
        if model.latest_versions
    }
    return {sensor: found[sensor] and str(found[sensor]) for sensor in sorted(found, key=str.encode)}


def list_versions(store: Store, sensor: str) -> list[Version]:
    """List the versions of a sensor, newest first; empty when it was never trained."""
    return _search(store, sensor, f"name = '{registered_name(sensor)}'")


def find_version(store: Store, sensor: str, fingerprint: str) -> Version | None:
    """Find the newest version of a sensor with this fingerprint; None without one."""
    condition = f"name = '{registered_name(sensor)}' and tags.fingerprint = '{fingerprint}'"
    return next(iter(_search(store, sensor, condition)), None)


def champion(store: Store, sensor: str) -> Version | None:
    """Return the version of a sensor that is scored."""
    return next((one for one in list_versions(store, sensor) if CHAMPION in one.aliases), None)


def find_entry(store: Store, sensor: str, version: str) -> ModelVersion | None:
    """Find MLflow's entry of a version; None where it is gone."""
    from mlflow.exceptions import MlflowException

    try:
        return store.client.get_model_version(registered_name(sensor), version)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def resolve_version(store: Store, sensor: str, wanted: str | None = None) -> Version:
    """Find the version that the user named.

    Parameters
    ----------
    wanted : str, optional
        A version's number or an alias. Without it: the champion, or else the newest version.

    Raises
    ------
    InputError
        When the sensor or version does not exist; suggests similar ones.
    """
    versions = list_versions(store, sensor)
    if not versions:
        require_known("sensor", [sensor], set(list_sensors(store)) - {sensor})
    names = {one.version: one for one in versions}
    names |= {alias: one for one in versions for alias in one.aliases}
    if wanted is None:
        return names.get(CHAMPION, versions[0])
    if wanted not in names:
        hint = suggestion(wanted, names) or f"there are {', '.join(names)}"
        if wanted.lower() in _STAGES:
            hint = f"stages are of former MLflow, name a number or an alias: {', '.join(names)}"
        raise InputError(f"sensor {sensor!r} has no version {wanted!r}; {hint}")
    return names[wanted]


def load_in_force(store: Store, sensor: str) -> TrackedVersion:
    """Load the champion, or the newest version without one, with the verdicts on all versions."""
    versions = list_versions(store, sensor)
    in_force = resolve_version(store, sensor)
    newest = versions[0]
    decided = {
        one.fingerprint: (one.version, one.tags[VERDICT])
        for one in versions
        if VERDICT in one.tags and (one is newest or one.tags.get(OPPONENT) == in_force.version)
    }
    if PROMOTED in newest.tags:
        decided[newest.fingerprint] = (newest.version, PROMOTED)
    return TrackedVersion(store, in_force, decided)


def read_version(found: ModelVersion, sensor: str, aliases: dict[str, str]) -> Version:
    """Convert MLflow's entry of a version to a ``Version``."""
    number = str(found.version)
    own = tuple(sorted(alias for alias, version in aliases.items() if str(version) == number))
    fingerprint = found.tags.get("fingerprint", "")
    created = EPOCH + timedelta(milliseconds=found.creation_timestamp or 0)
    run_id, tags = found.run_id or "", dict(found.tags)
    return Version(sensor, number, run_id, fingerprint, own, tags, found.source, created)


def _search(store: Store, sensor: str, condition: str) -> list[Version]:
    found = list(pages(store.client.search_model_versions, condition))
    if not found:
        return []
    # A search does not return the aliases.
    aliases = store.client.get_registered_model(registered_name(sensor)).aliases
    newest_first = sorted(found, key=lambda one: int(one.version), reverse=True)
    return [read_version(one, sensor, aliases) for one in newest_first]


def pages(search: Any, condition: str) -> Iterator[Any]:
    """Yield everything that one of MLflow's searches finds."""
    token = None
    while True:
        page = search(condition, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
