"""Remove old versions, and models, runs and folders that no version needs any more.

A version goes first and its artifacts after it, so that no version is ever without artifacts. What is left of
a pruning that was killed belongs to no version, and the next one removes it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import EPOCH
from batch_scoring.registry.interrupted import read_promotion
from batch_scoring.registry.published import Root, folder_of
from batch_scoring.registry.published_files import stale_files
from batch_scoring.registry.tracking.names import registered_name
from batch_scoring.registry.tracking.runs import HOST, PARENT, TRAIN
from batch_scoring.registry.tracking.store import Store, exclusive
from batch_scoring.registry.tracking.versions import (
    OURS,
    RETIRED,
    Version,
    artifacts_of,
    list_sensors,
    list_versions,
    logged_model_id,
    pages,
)

log = logging.getLogger(__name__)

# A training that is under way has a model without a version for a while.
_GRACE = timedelta(days=1)
_COPY = re.compile(r"models:/([^/]+)/(\d+)")


@dataclass(frozen=True)
class Retention:
    """Which versions stay, besides those with an alias.

    Attributes
    ----------
    keep : int
        The newest ones of each sensor.
    younger_than : timedelta
        Versions that were made, or the champion, within this time.
    """

    keep: int = 5
    younger_than: timedelta = timedelta(days=30)


@dataclass(frozen=True)
class Removal:
    """Something to remove.

    Attributes
    ----------
    kind : str
        ``version``, ``model``, ``run``, ``folder`` or ``published``.
    n_bytes : int or None
        Of its artifacts; None where a server has them.
    """

    kind: str
    name: str
    reason: str
    n_bytes: int | None
    remove: Callable[[], None] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Pruning:
    """What is removed, and of each version that stays the reason."""

    removals: list[Removal]
    kept: list[tuple[Version, str]]


def prune(
    store: Store,
    published: Root,
    retention: Retention,
    now: datetime,
    sensor: str | None = None,
    dry_run: bool = False,
) -> Pruning:
    """Remove what no retention rule, alias or other version needs; what is left can be pruned again.

    Parameters
    ----------
    published : Folder, path or URL
        The folder of the published models.
    now : datetime
        UTC.
    sensor : str, optional
        Only its versions and published files; default: all, and what belongs to no version.
    dry_run : bool
        Only find out.

    Raises
    ------
    InputError
        When the database was copied or moved: its artifacts may be another workspace's.
    """
    with exclusive(store.uri):
        found = _Finder(store, published, retention, now).find(sensor)
        if not dry_run:
            for one in found.removals:
                one.remove()
        return found


class _Finder:
    """Looks through registry, experiment and folders once."""

    def __init__(self, store: Store, published: Root, retention: Retention, now: datetime) -> None:
        self.store, self.published, self.retention, self.now = store, published, retention, now
        # Of any software: a copy of a version, or another model of the same artifacts, needs them, too.
        self.entries = {
            (one.name, str(one.version)): one for one in pages(store.client.search_model_versions, "")
        }
        location = store.client.get_experiment(store.experiment_id).artifact_location
        self.root = _local_path(location)
        if store.artifacts and self.root and self.root != Path(store.artifacts).absolute():
            raise InputError(
                f"{store.artifacts}: this MLflow database has its artifacts in {self.root}, so it is a copy "
                "of another workspace's, or was moved; prune there, or move it back"
            )
        self.doomed: set[str | None] = set()

    def find(self, sensor: str | None) -> Pruning:
        removals: list[Removal] = []
        kept: list[tuple[Version, str]] = []
        for name in [sensor] if sensor is not None else list_sensors(self.store):
            doomed = []
            for version, reason in self._reasons(name):
                if reason is None:
                    doomed.append(version)
                else:
                    kept.append((version, reason))
            for one in doomed:
                del self.entries[registered_name(one.sensor), one.version]
            removals += map(self._version, doomed)
            removals += self._published(name, {one.version for one, _ in kept if one.sensor == name})
        if sensor is None:
            removals += [*self._models(), *self._runs(), *self._folders()]
        return Pruning(removals, kept)

    def _reasons(self, sensor: str) -> Iterator[tuple[Version, str | None]]:
        """Yield the versions of a sensor, newest first, with the reason to keep each."""
        begun = read_promotion(self.published, sensor)
        named = {begun.version, begun.previous} if begun else set()
        copies = {
            match.groups(): name
            for (name, _), one in self.entries.items()
            if (match := _COPY.fullmatch(one.source or ""))
        }
        for rank, version in enumerate(list_versions(self.store, sensor)):
            copy = copies.get((registered_name(sensor), version.version))
            reason: str | None
            if version.aliases:
                reason = ", ".join(version.aliases)
            elif version.version in named:
                reason = "in an interrupted change of champion"
            elif copy is not None:
                reason = f"copied to {copy}"
            elif rank < self.retention.keep:
                reason = f"among the newest {self.retention.keep}"
            elif self.now - _last_used(version) < self.retention.younger_than:
                reason = "new, or scored not long ago"
            else:
                reason = None
            yield version, reason

    def _version(self, version: Version) -> Removal:
        model_id = logged_model_id(version.source)
        self.doomed.add(model_id)
        location = artifacts_of(self.store, version)
        is_needed = self._is_needed(model_id, location)

        def remove() -> None:
            name, client = registered_name(version.sensor), self.store.client
            if version.version in map(str, client.get_registered_model(name).aliases.values()):
                log.info(
                    "sensor %r: version %s has an alias by now; it stays", version.sensor, version.version
                )
                return
            with _if_there():
                client.delete_model_version(name, version.version)
            if not is_needed:
                self._remove_model(model_id, location)

        age = (self.now - _last_used(version)).days
        size = 0 if is_needed else _size(location)
        return Removal("version", f"{version.sensor}@{version.version}", f"{age} days old", size, remove)

    def _models(self) -> Iterator[Removal]:
        """Find models of ours that no version has, as a killed training leaves them."""
        ours = " and ".join(f"tags.{key} = '{value}'" for key, value in OURS.items())
        experiment = [self.store.experiment_id]
        for one in pages(partial(self.store.client.search_logged_models, experiment), ours):
            is_new = self.now - _moment(one.creation_timestamp) < _GRACE
            if is_new or one.model_id in self.doomed or self._is_needed(one.model_id, one.artifact_location):
                continue
            remove = partial(self._remove_model, one.model_id, one.artifact_location)
            yield Removal("model", one.name, "no version has it", _size(one.artifact_location), remove)

    def _runs(self) -> Iterator[Removal]:
        """Find trainings whose versions are all gone, or that never made one."""
        needed = {one.run_id for one in self.entries.values()}
        search = partial(self.store.client.search_runs, [self.store.experiment_id])
        for run in pages(search, f"attributes.run_name = '{TRAIN}'"):
            info, tags = run.info, run.data.tags
            is_open = info.status in ("RUNNING", "SCHEDULED")
            ended = _moment(info.end_time or info.start_time)
            if info.run_id in needed or is_open or HOST not in tags or PARENT in tags:
                continue
            if self.now - ended >= max(self.retention.younger_than, _GRACE):
                state = "" if info.status == "FINISHED" else f", {info.status.lower()}"
                remove, size = partial(self._remove_run, info.run_id), _size(info.artifact_uri)
                yield Removal("run", f"{TRAIN} {info.run_id}", f"no version is of it{state}", size, remove)

    def _folders(self) -> Iterator[Removal]:
        """Find folders of artifacts that MLflow's database knows nothing of; a server's cannot be listed."""
        from mlflow.exceptions import MlflowException

        client = self.store.client
        known = [("models/m-*", client.get_logged_model), ("?" * 32, client.get_run)]
        for pattern, look_up in known if self.root else ():
            for folder in sorted(self.root.glob(pattern)) if self.root else ():
                changed = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
                if self.now - changed < _GRACE:
                    continue
                try:
                    look_up(folder.name)
                except MlflowException as error:
                    if error.error_code == "RESOURCE_DOES_NOT_EXIST" and not self._is_source(folder):
                        remove = partial(_remove_artifacts, self.store, folder.as_uri())
                        yield Removal(
                            "folder",
                            str(folder),
                            "MLflow knows nothing of it",
                            _size(folder.as_uri()),
                            remove,
                        )

    def _published(self, sensor: str, kept: set[str]) -> Iterator[Removal]:
        """Find what was published of versions that are gone."""
        folder = folder_of(self.published, sensor)
        before = self.now - max(self.retention.younger_than, _GRACE)
        for entry, reason in stale_files(folder, kept, before):
            remove = partial(folder.delete, entry.name)
            yield Removal("published", folder.path(entry.name), reason, entry.size, remove)

    def _is_needed(self, model_id: str | None, location: str) -> bool:
        """Whether a version that stays has these artifacts."""
        sources = {one.source for one in self.entries.values()}
        return (model_id is not None and f"models:/{model_id}" in sources) or any(
            source and source.startswith(location.rstrip("/")) for source in sources
        )

    def _is_source(self, folder: Path) -> bool:
        return any((one.source or "").startswith(f"{folder.as_uri()}/") for one in self.entries.values())

    def _remove_model(self, model_id: str | None, location: str) -> None:
        _remove_artifacts(self.store, location)
        # Last: by this entry a pruning that was killed finds the artifacts again.
        if model_id is not None:
            with _if_there():
                self.store.client.delete_logged_model(model_id)

    def _remove_run(self, run_id: str) -> None:
        client = self.store.client
        children = pages(
            partial(client.search_runs, [self.store.experiment_id]), f"tags.`{PARENT}` = '{run_id}'"
        )
        for child in [*children, client.get_run(run_id)]:
            _remove_artifacts(self.store, child.info.artifact_uri)
            client.delete_run(child.info.run_id)


@contextmanager
def _if_there() -> Iterator[None]:
    """Go on where MLflow says that something is not there, such as after a deletion on its pages."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise


def _last_used(version: Version) -> datetime:
    """Return when a version was made, or was last the champion."""
    retired = version.tags.get(RETIRED)
    return max(version.created, datetime.fromisoformat(retired)) if retired else version.created


def _moment(ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ms)


def _remove_artifacts(store: Store, uri: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    get_artifact_repository(uri, tracking_uri=store.uri).delete_artifacts()
    path = _local_path(uri)
    if (
        path is not None
        and path.name == "artifacts"
        and path.parent.is_dir()
        and not any(path.parent.iterdir())
    ):
        path.parent.rmdir()


def _size(uri: str) -> int | None:
    """Return the bytes below a local folder; None where a server has it."""
    path = _local_path(uri)
    if path is None:
        return None
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())


def _local_path(uri: str) -> Path | None:
    from urllib.parse import urlparse
    from urllib.request import url2pathname

    parsed = urlparse(uri)
    return Path(url2pathname(parsed.path)) if parsed.scheme == "file" else None
