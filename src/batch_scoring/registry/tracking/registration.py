"""Turn a fleet model into a new version of its sensor's registered model."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.errors import InputError
from batch_scoring.detection.model_file import FleetFile
from batch_scoring.registry.tracking.model_folder import write_model_folder
from batch_scoring.registry.tracking.names import plain_name, registered_name
from batch_scoring.registry.tracking.store import Store
from batch_scoring.registry.tracking.versions import (
    NUMBERS,
    OPPONENT,
    OURS,
    REASON,
    VERDICT,
    Version,
    list_versions,
    read_version,
)
from batch_scoring.tables.schemas import MODEL_KEYS
from batch_scoring.training.result import PROMOTED, Decision

# The columns that the tags of a version summarise.
_SUMMARISED = pa.schema(
    [MODEL_KEYS.field(name) for name in ("trained_from", "trained_to", "train_flag_rate")]
)


def register(
    store: Store, run_id: str, models: FleetFile, fingerprint: str, decision: Decision | None = None
) -> Version:
    """Log a fleet model to a run and make it the newest version of its sensor.

    The version is created last, so one that exists has its artifacts.

    Raises
    ------
    InputError
        When the store has a registered model of this name made by other software.
    """
    sensor = models.info.sensor
    _ensure_registered_model(store, sensor)
    model_id, location = _upload(store, run_id, models)
    created = store.client.create_model_version(
        registered_name(sensor),
        source=location,
        run_id=run_id,
        model_id=model_id,
        tags=_version_tags(models, fingerprint) | (decision_tags(decision) if decision else {}),
    )
    return _first_of_equals(store, read_version(created, sensor, {}))


def _first_of_equals(store: Store, created: Version) -> Version:
    """Return the version to keep when another run registered the same training: the first one.

    A local database has a lock against that (``exclusive``), a tracking server has none.
    """
    versions = list_versions(store, created.sensor)
    equal = [one for one in versions if one.fingerprint == created.fingerprint]
    first = min(equal, key=lambda one: int(one.version), default=created)
    if int(first.version) >= int(created.version):
        return created
    store.client.delete_model_version(registered_name(created.sensor), created.version)
    return first


def decision_tags(decision: Decision) -> dict[str, str]:
    """Return the tags that record why a version is scored or not; a promotion has a tag of its own."""
    tags = {
        VERDICT: decision.verdict if decision.verdict != PROMOTED else "",
        REASON: decision.reason,
        OPPONENT: decision.champion,
        NUMBERS: json.dumps(decision.numbers, sort_keys=True) if decision.numbers else "",
    }
    return {name: text for name, text in tags.items() if text}


def _upload(store: Store, run_id: str, models: FleetFile) -> tuple[str, str]:
    from mlflow.entities import LoggedModelOutput

    client = store.client
    logged = client.create_logged_model(
        store.experiment_id, name=plain_name(models.info.sensor), source_run_id=run_id, tags=OURS
    )
    with tempfile.TemporaryDirectory(prefix="batch_scoring_") as scratch:
        folder = write_model_folder(Path(scratch), models, logged)
        client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return logged.model_id, logged.artifact_location


def _ensure_registered_model(store: Store, sensor: str) -> None:
    from mlflow.exceptions import MlflowException

    name = registered_name(sensor)
    try:
        store.client.create_registered_model(name, tags={**OURS, "sensor": sensor})
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        if OURS.items() <= store.client.get_registered_model(name).tags.items():
            return
        raise InputError(
            f"the MLflow store at {store.uri} has a registered model {name!r} that batch_scoring did not "
            f"make; rename it, or tag it made_by={OURS['made_by']} to have versions added to it"
        ) from error


def _version_tags(models: FleetFile, fingerprint: str) -> dict[str, str]:
    # Three numbers per device fit into memory.
    table = pa.concat_tables([_SUMMARISED.empty_table(), *models.batches(_SUMMARISED.names)])
    rate = pc.mean(pc.drop_null(table["train_flag_rate"])).as_py()
    first = pc.min(table["trained_from"]).as_py()
    last = pc.max(table["trained_to"]).as_py()
    return {
        "sensor": models.info.sensor,
        "fingerprint": fingerprint,
        "n_models": str(models.n_models),
        "features": ", ".join(models.info.features),
        "window_seconds": f"{models.info.window_seconds:g}",
        "trained_from": first.isoformat() if first else "",
        "trained_to": last.isoformat() if last else "",
        "train_flag_rate": "" if rate is None else repr(rate),
    }
