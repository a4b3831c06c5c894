"""Turn a fleet model into a new version of its sensor's registered model."""

from __future__ import annotations

import json
import tempfile
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.errors import InputError
from batch_scoring.detection.model_file import FleetFile
from batch_scoring.registry.tracking.lineage import dataset_of, maker_tags
from batch_scoring.registry.tracking.model_folder import write_model_folder
from batch_scoring.registry.tracking.names import plain_name, registered_name
from batch_scoring.registry.tracking.runs import MAX_TEXT, flatten, log_batch
from batch_scoring.registry.tracking.store import Store, local_store_as_default
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
from batch_scoring.training.result import PROMOTED, Decision, Training

# The columns that the tags of a version summarise.
_SUMMARISED = pa.schema(
    [MODEL_KEYS.field(name) for name in ("trained_from", "trained_to", "train_flag_rate")]
)


def register(store: Store, run_id: str, training: Training) -> Version:
    """Log a training's models, metrics and data to a run, and make it the newest version of its sensor.

    The version is created last, so one that exists has its artifacts.

    Raises
    ------
    InputError
        When the store has a registered model of this name made by other software.
    """
    sensor = training.sensor
    tags = _version_tags(training.models, training.fingerprint)
    _ensure_registered_model(store, sensor)
    model_id = _upload(store, run_id, training, tags)
    _log_numbers(store, run_id, model_id, training)
    with local_store_as_default(store):
        created = store.client.create_model_version(
            registered_name(sensor),
            source=f"models:/{model_id}",  # by which MLflow's pages link a version to its model
            run_id=run_id,
            model_id=model_id,
            tags=tags | maker_tags() | decision_tags(training.decision),
            description=_description(training, tags),
        )
    # By this tag they link the model to its version; a server sets it itself.
    link = json.dumps([{"name": created.name, "version": str(created.version)}])
    store.client.set_logged_model_tags(model_id, {"mlflow.modelVersions": link})
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


def _upload(store: Store, run_id: str, training: Training, tags: dict[str, str]) -> str:
    from mlflow.entities import LoggedModelOutput

    client = store.client
    logged = client.create_logged_model(
        store.experiment_id,
        name=plain_name(training.sensor),
        source_run_id=run_id,
        tags=OURS | tags,
        params={key: text[:MAX_TEXT] for key, text in flatten(training.parameters).items()},
        model_type=training.models.info.detector,
    )
    with tempfile.TemporaryDirectory(prefix="batch_scoring_") as scratch:
        folder = write_model_folder(Path(scratch), training.models, logged)
        client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return str(logged.model_id)


def _log_numbers(store: Store, run_id: str, model_id: str, training: Training) -> None:
    """Log metrics to the run and to the model, and as the run's input the data that they come from."""
    from mlflow.entities import DatasetInput, InputTag

    named = {f"{plain_name(training.sensor)}/{key}": value for key, value in training.metrics.items()}
    if training.data is None:
        log_batch(store, run_id, named, {}, model_id=model_id)
        return
    dataset = dataset_of(training.data)
    tags = [InputTag("mlflow.data.context", "training"), InputTag("sensor", training.sensor)]
    store.client.log_inputs(run_id, [DatasetInput(dataset, tags)])
    log_batch(
        store,
        run_id,
        named,
        {},
        model_id=model_id,
        dataset_name=dataset.name,
        dataset_digest=dataset.digest,
    )


def _description(training: Training, tags: dict[str, str]) -> str:
    """Say in a few lines what a version is, for MLflow's pages."""
    span = [f"{tags[name][:16].replace('T', ' ')}" for name in ("trained_from", "trained_to")]
    length = timedelta(seconds=training.models.info.window_seconds)
    lines = [
        f"{training.models.n_models} models, a device each, of windows of {length} of sensor "
        f"{training.sensor}" + (f", trained on {span[0]} to {span[1]} UTC." if all(span) else "."),
    ]
    if training.data is not None:
        lines.append(f"Data: {training.data.place}, version {training.data.version} of the Delta table.")
    if training.decision.reason:
        verdict = training.decision.verdict.replace("_", " ").capitalize()
        lines.append(f"{verdict}: {training.decision.reason}.")
    return "\n\n".join(lines)


def _ensure_registered_model(store: Store, sensor: str) -> None:
    from mlflow.exceptions import MlflowException

    name = registered_name(sensor)
    try:
        description = f"The anomaly models of sensor {sensor}, a device each; `champion` is what is scored."
        store.client.create_registered_model(name, {**OURS, "sensor": sensor}, description)
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
