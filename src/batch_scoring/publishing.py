"""The champions as the scoring jobs read them: a manifest and a table a sensor. Knows nothing of MLflow."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.datasets.arrow_parquet import atomic_file
from batch_scoring.fleet.errors import InputError
from batch_scoring.fleet.model import METADATA_KEY, MODELS, FleetModel
from batch_scoring.ids import from_path_segment, path_segment

MANIFEST = "manifest.json"
MANIFEST_FORMAT = 1

# What a scoring job holds in memory at a time when it streams a fleet too large to hold.
ROW_GROUP_DEVICES = 1_024


@dataclass(frozen=True)
class Manifest:
    """Which models of a sensor are to be scored.

    Attributes
    ----------
    sensor : str
    version : str
        The version's number in the registry.
    run_id : str
        The MLflow run that made it.
    sha256 : str
        Of the table's bytes, in hex.
    file : str
        The table's name, beside the manifest.
    features : tuple of str
    window_seconds : float
    n_models : int
        Devices that have a model.
    fingerprint : str
        Digest of what the version was trained from.
    format_version : int
    """

    sensor: str
    version: str
    run_id: str
    sha256: str
    file: str
    features: tuple[str, ...]
    window_seconds: float
    n_models: int
    fingerprint: str
    format_version: int = MANIFEST_FORMAT


@dataclass(frozen=True)
class PublishedModel:
    """A champion with its manifest."""

    manifest: Manifest
    model: FleetModel


def encode_model(model: FleetModel) -> pa.Buffer:
    """Write a fleet model as Parquet in memory: the same model gives the same bytes.

    Row groups hold 1,024 devices and are sorted by device, so a reader may stream them or skip
    to the devices it wants.
    """
    # A table that was read from Parquet has notes on its fields, which would be other bytes.
    metadata = {METADATA_KEY: model.table.schema.metadata[METADATA_KEY]}
    table = model.table.cast(MODELS).replace_schema_metadata(metadata)
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, table.schema, compression="zstd") as writer:
        writer.write_table(table, row_group_size=ROW_GROUP_DEVICES)
    return sink.getvalue()


def decode_model(data: pa.Buffer | bytes) -> FleetModel:
    """Read what :func:`encode_model` wrote.

    Raises
    ------
    InputError
        When it is not Parquet, or not a fleet model.
    """
    try:
        # Not read_table: that imports pyarrow.dataset, and it pandas.
        table = pq.ParquetFile(pa.BufferReader(data)).read()
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"this is not a fleet model: {error}") from error
    return FleetModel.from_table(table)


def publish(root: Path | str, model: FleetModel, version: str, run_id: str, fingerprint: str) -> Manifest:
    """Make ``model`` the one that is scored for its sensor.

    The table is written first, under a name made of its content, and then the manifest that names
    it; each appears whole or not at all. So a reader never finds a manifest without its table,
    and a job that has read the older manifest still finds the older table.

    Parameters
    ----------
    root : path
        The folder of all published models.
    model : FleetModel
    version, run_id, fingerprint : str
        Where the model comes from; kept in the manifest.

    Returns
    -------
    Manifest
    """
    data = encode_model(model)
    digest = hashlib.sha256(data).hexdigest()
    manifest = Manifest(
        sensor=model.info.sensor,
        version=version,
        run_id=run_id,
        sha256=digest,
        file=f"{digest[:16]}.parquet",
        features=model.info.features,
        window_seconds=model.info.window_seconds,
        n_models=model.table.num_rows,
        fingerprint=fingerprint,
    )
    folder = sensor_folder(root, manifest.sensor)
    _write_unless_there(folder / manifest.file, data)
    text = json.dumps(dataclasses.asdict(manifest), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    _write_unless_there(folder / MANIFEST, text.encode())
    return manifest


def sensor_folder(root: Path | str, sensor: str) -> Path:
    """Where the published model of a sensor lies."""
    return Path(root) / path_segment(sensor)


def list_published(root: Path | str) -> list[str]:
    """The sensors that have a published model, sorted as UTF-8 bytes."""
    found = (from_path_segment(path.parent.name) for path in Path(root).glob(f"*/{MANIFEST}"))
    return sorted(found, key=str.encode)


def read_manifest(root: Path | str, sensor: str) -> Manifest:
    """Read which models of a sensor are to be scored.

    Raises
    ------
    InputError
        When nothing is published for the sensor, or the manifest cannot be read.
    """
    path = sensor_folder(root, sensor) / MANIFEST
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        manifest = _manifest_from_json(values, path)
    except FileNotFoundError:
        raise InputError(
            f"sensor {sensor!r} has no published model at {path}; train it, or promote a version"
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path}: not a readable manifest ({error}); publish the model again with `kedro models promote`"
        ) from error
    if manifest.sensor != sensor:
        raise InputError(f"{path}: is of sensor {manifest.sensor!r}, expected {sensor!r}; promote a version")
    return manifest


def load_published(root: Path | str, sensor: str) -> PublishedModel:
    """Load the models of a sensor that are to be scored, and check that they are the ones published.

    Raises
    ------
    InputError
        When nothing is published for the sensor, or its table is missing or damaged.
    """
    manifest = read_manifest(root, sensor)
    path = sensor_folder(root, sensor) / manifest.file
    again = f"publish it again with `kedro models promote {sensor} {manifest.version}`"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: the published table of sensor {sensor!r} is missing; {again}") from None
    digest = hashlib.sha256(data).hexdigest()
    if digest != manifest.sha256:
        raise InputError(
            f"{path}: the published table of sensor {sensor!r} is damaged: its sha256 begins with "
            f"{digest[:16]}, expected {manifest.sha256[:16]}; {again}"
        )
    return PublishedModel(manifest, decode_model(data))


def published_as(root: Path | str, sensor: str, version: str, run_id: str) -> Manifest | None:
    """The manifest, when just this version of the sensor is published and whole; else None."""
    try:
        manifest = load_published(root, sensor).manifest
    except InputError:
        return None
    return manifest if (manifest.version, manifest.run_id) == (version, run_id) else None


def _write_unless_there(path: Path, data: pa.Buffer | bytes) -> None:
    """Write the file, unless it holds just these bytes: a second publishing changes nothing."""
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == bytes(data):
        return
    with atomic_file(path) as file:
        file.write(data)


def _manifest_from_json(values: dict[str, Any], path: Path) -> Manifest:
    if values["format_version"] > MANIFEST_FORMAT:
        raise InputError(
            f"{path}: this manifest has format {values['format_version']}, newer than the "
            f"{MANIFEST_FORMAT} known here; upgrade batch_scoring"
        )
    return Manifest(**{**values, "features": tuple(values["features"])})
