"""Publish champions for scoring jobs: one manifest and one table per sensor, without MLflow."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch_scoring.core.digests import digest_of, file_sha256
from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import file_name, from_path_segment, id_of_file, path_segment
from batch_scoring.core.scratch import temporary_file
from batch_scoring.detection.model import FleetModel
from batch_scoring.detection.model_file import FleetFile, write_models
from batch_scoring.storage import Folder, open_folder
from batch_scoring.storage.json_files import json_bytes
from batch_scoring.storage.local import LocalFolder

if TYPE_CHECKING:
    from batch_scoring.storage.row_table import RowTable

Root = Folder | Path | str

MANIFEST = "manifest.json"
MANIFEST_FORMAT = 4


@dataclass(frozen=True)
class Manifest:
    """Which models of a sensor are scored.

    Attributes
    ----------
    version : str
        The version's number in the registry.
    run_id : str
        The MLflow run that made it.
    sha256 : str
        Of the table's bytes, in hex.
    contents_sha256 : str
        Of its metadata and its checksums, which are verified while the data is read: so a
        scoring job knows what it reads without reading it twice.
    file : str
        The table's name, beside the manifest.
    window_seconds : float
    n_models : int
        Devices that have a model.
    fingerprint : str
        Digest of what the version was trained from.
    own_sha256 : str
        Of all other entries, so that an edited manifest is noticed; empty in manifests of earlier versions.
    """

    sensor: str
    version: str
    run_id: str
    sha256: str
    contents_sha256: str
    file: str
    features: tuple[str, ...]
    window_seconds: float
    n_models: int
    fingerprint: str
    format_version: int = MANIFEST_FORMAT
    own_sha256: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of all entries but ``own_sha256``, 64 hex digits."""
        return digest_of(dataclasses.asdict(self) | {"own_sha256": ""})


@dataclass(frozen=True)
class PublishedModel:
    """A champion with its manifest.

    Attributes
    ----------
    models : FleetFile
        Opened; damage is reported when the damaged part is read.
    path : str
        Where it is published; of a blob, ``models`` is a copy.
    root : Folder, path or URL
        The folder of all published models.
    """

    manifest: Manifest
    models: FleetFile
    path: str = ""
    root: Root = ""

    def versions(self) -> dict[str, PublishedModel]:
        """Open all versions of the sensor that were ever published, by number; without unreadable ones."""
        folder, found = folder_of(self.root, self.manifest.sensor), {}
        for entry in folder.entries(".json"):
            if entry.name == MANIFEST:
                continue
            try:
                one = load_published(
                    self.root, self.manifest.sensor, from_path_segment(Path(entry.name).stem)
                )
            except InputError:
                continue
            found[one.manifest.version] = one
        return found

    def verify(self) -> PublishedModel:
        """Read the whole file now, a piece at a time, and compare its digest with the manifest's.

        Raises
        ------
        InputError
            When it differs from what was published.
        """
        if self.models.sha256() != self.manifest.sha256:
            raise _damaged(self.path, self.manifest, "its SHA-256 differs")
        return self


@dataclass(frozen=True)
class Champion:
    """The champion of a sensor, not opened yet: call it to open it.

    Attributes
    ----------
    root : Folder, path or URL
        The folder of all published models.
    sensor : str
    pin : str
        The manifest to open; empty for that of today's champion. See :func:`pin`.
    """

    root: Root
    sensor: str
    pin: str = ""

    def __call__(self) -> PublishedModel:
        """Open it; see :func:`load_published`."""
        return load_published(self.root, self.sensor, self.pin)


class InService(dict[str, Callable[[], PublishedModel]]):
    """What windows are scored with: opens the champion of each sensor.

    Attributes
    ----------
    calibrations : RowTable or None
        Schema CALIBRATIONS: the curves of the series, day by day; a run of ``score`` adds to them.
    """

    def __init__(
        self, champions: Mapping[str, Callable[[], PublishedModel]], calibrations: RowTable | None = None
    ) -> None:
        super().__init__(champions)
        self.calibrations = calibrations


def publish(
    root: Root, models: FleetFile | FleetModel | Path, version: str, run_id: str, fingerprint: str
) -> Manifest:
    """Publish these models for the scoring of their sensor.

    The table is written first, under a name made of its content, and then the manifest that names
    it; each appears whole or not at all. So a reader never finds a manifest without its table,
    and a job that has read the older manifest still finds the older table.

    Parameters
    ----------
    root : Folder, path or URL
        The folder of all published models.
    models : FleetFile, path or FleetModel
        A file that :func:`write_models` wrote is copied as it is, without being held in memory.
    version, run_id, fingerprint : str
        Where the models come from; kept in the manifest.

    Raises
    ------
    InputError
        When the file is not a fleet model, or another run publishes the sensor at the same time.
    """
    with _in_file(models) as source:
        digest = source.sha256()
        manifest = Manifest(
            sensor=source.info.sensor,
            version=version,
            run_id=run_id,
            sha256=digest,
            contents_sha256=source.contents_sha256,
            file=f"{digest[:16]}.arrow",
            features=source.info.features,
            window_seconds=source.info.window_seconds,
            n_models=source.n_models,
            fingerprint=fingerprint,
        )
        manifest = dataclasses.replace(manifest, own_sha256=manifest.digest)
        folder = folder_of(root, manifest.sensor)
        _copy_unless_there(source, folder, manifest.file, digest)
    text = _json_bytes(manifest)
    write_unless_there(folder, _pinned_file(_pin_name(manifest)), text)
    write_unless_there(folder, MANIFEST, text)
    return manifest


def pin(root: Root, sensor: str) -> str:
    """Return the name under which today's champion of a sensor can be loaded after a promotion.

    Raises
    ------
    InputError
        See :func:`read_manifest`.
    """
    manifest = read_manifest(root, sensor)
    folder, name = folder_of(root, sensor), _pin_name(manifest)
    if folder.entry(_pinned_file(name)) is None:  # published by an earlier version of this project
        write_unless_there(folder, _pinned_file(name), _json_bytes(manifest))
    return name


def folder_of(root: Root, sensor: str) -> Folder:
    """Open the folder of a sensor's published model."""
    return folder_named(open_folder(root), sensor, MANIFEST)


def folder_named(parent: Folder, sensor: str, file: str) -> Folder:
    """Open a sensor's folder, which may lack this file; that of an earlier version, if only that has it.

    Earlier versions listed no capital letters in a name, and ran under Linux alone: elsewhere, the folder of
    ``Temp`` could be that of ``temp``.
    """
    name, former = file_name(sensor), path_segment(sensor)
    is_case_kept = sys.platform == "linux" or not isinstance(parent, LocalFolder)
    if name != former and is_case_kept and parent.entry(f"{name}/{file}") is None:
        name = former if parent.entry(f"{former}/{file}") is not None else name
    return parent.below(name)


def list_published(root: Root) -> list[str]:
    """List the sensors with a published model, sorted as UTF-8 bytes."""
    return sensors_with(open_folder(root), MANIFEST)


def sensors_with(folder: Folder, name: str) -> list[str]:
    """List the sensors whose folder, directly below this one, has a file; sorted as UTF-8 bytes."""
    found = [entry.name.split("/") for entry in folder.entries(f"/{name}")]
    return sorted({id_of_file(parts[0]) for parts in found if len(parts) == 2}, key=str.encode)


def read_manifest(root: Root, sensor: str, pinned: str = "") -> Manifest:
    """Read which models of a sensor are scored.

    Parameters
    ----------
    pinned : str
        The result of :func:`pin`; empty for today's champion.

    Raises
    ------
    InputError
        When nothing is published for the sensor, or the manifest cannot be read.
    """
    folder = folder_of(root, sensor)
    name = _pinned_file(pinned) if pinned else MANIFEST
    path = folder.path(name)
    try:
        values = json.loads(folder.read(name)[0])
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


def load_published(root: Root, sensor: str, pinned: str = "") -> PublishedModel:
    """Open the champion's models of a sensor; for ``pinned`` see :func:`read_manifest`.

    Raises
    ------
    InputError
        When nothing is published for the sensor, or its table is missing, not a fleet model, or another
        file than was published. Damage further inside is reported when the models are read.
    """
    manifest = read_manifest(root, sensor, pinned)
    folder = folder_of(root, sensor)
    path = folder.path(manifest.file)
    try:
        copy = folder.local_copy(manifest.file)
    except FileNotFoundError:
        raise InputError(
            f"{path}: the published table of sensor {sensor!r} is missing; {_publish_again(manifest)}"
        ) from None
    try:
        models = FleetFile(copy)
    except InputError as error:
        raise _damaged(path, manifest, str(error).removeprefix(f"{copy}: ")) from error
    if models.contents_sha256 != manifest.contents_sha256:
        raise _damaged(path, manifest, "it holds other models")
    return PublishedModel(manifest, models, path, root)


def published_as(root: Root, sensor: str, version: str, run_id: str) -> Manifest | None:
    """Return the manifest when this version of the sensor is published and intact; else None."""
    try:
        manifest = load_published(root, sensor).verify().manifest
    except InputError:
        return None
    return manifest if (manifest.version, manifest.run_id) == (version, run_id) else None


def _damaged(path: str, manifest: Manifest, reason: str) -> InputError:
    return InputError(
        f"{path}: the published table of sensor {manifest.sensor!r} is damaged: {reason}; "
        + _publish_again(manifest)
    )


def _publish_again(manifest: Manifest) -> str:
    return f"publish it again with `kedro models promote {manifest.sensor} {manifest.version}`"


@contextmanager
def _in_file(models: FleetFile | FleetModel | Path) -> Iterator[FleetFile]:
    """Give the models as a file that exists during the block."""
    if isinstance(models, FleetModel):
        with temporary_file() as file:
            write_models(file, models.info, [models])
            file.close()
            yield FleetFile(file.name)
    else:
        yield models if isinstance(models, FleetFile) else FleetFile(models)


def _copy_unless_there(source: FleetFile, folder: Folder, name: str, digest: str) -> None:
    """Copy the file, unless a whole copy is there: a second publishing changes nothing."""
    try:
        there = folder.local_copy(name)
    except FileNotFoundError:
        folder.put(name, source.path)
        return
    if file_sha256(there) != digest:
        folder.put(name, source.path)


def write_unless_there(folder: Folder, name: str, data: bytes) -> None:
    """Write the file, unless it holds just these bytes; of two writers at once, one is refused."""
    try:
        there, version = folder.read(name)
    except FileNotFoundError:
        folder.replace(name, data, None)
        return
    if there != data:
        folder.replace(name, data, version)


def _pin_name(manifest: Manifest) -> str:
    return f"{manifest.sha256[:16]}-{manifest.version}-{manifest.run_id[:8]}"


def _pinned_file(pin: str) -> str:
    return f"{path_segment(pin)}.json"


def _json_bytes(manifest: Manifest) -> bytes:
    return json_bytes(dataclasses.asdict(manifest), indent=2, sort_keys=True)


def _manifest_from_json(values: dict[str, Any], path: str) -> Manifest:
    if values["format_version"] > MANIFEST_FORMAT:
        raise InputError(
            f"{path}: this manifest has format {values['format_version']}, newer than the "
            f"{MANIFEST_FORMAT} known here; upgrade batch_scoring"
        )
    manifest = Manifest(**{**values, "features": tuple(values["features"])})
    if manifest.own_sha256 not in ("", manifest.digest):
        raise InputError(
            f"{path}: this manifest was altered after it was published: its entries do not match own_sha256; "
            f"publish a version again with `kedro models promote {manifest.sensor}`"
        )
    return manifest
