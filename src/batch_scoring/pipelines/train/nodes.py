"""Nodes of ``train``: fit one model per device, sensor by sensor; skip sensors with unchanged windows."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection, require_known
from batch_scoring.core.parameters import read_parameters, scheduled_time
from batch_scoring.core.progress import show_progress
from batch_scoring.core.scratch import scratch_folder
from batch_scoring.core.stopwatch import stopwatch
from batch_scoring.core.text import number
from batch_scoring.detection.fit import fleet_info
from batch_scoring.detection.fit_workers import FitWorkers
from batch_scoring.detection.model import FleetModel
from batch_scoring.detection.model_file import FleetFile, replace_models, write_models
from batch_scoring.ingestion.quarantine import count_refused_devices
from batch_scoring.operations.annotations import Annotations
from batch_scoring.storage.row_table import Look, RowTable, Update, no_change
from batch_scoring.tables.schemas import STATUS
from batch_scoring.training.history import History
from batch_scoring.training.outcome import fleet_metrics, status_update
from batch_scoring.training.promotion import challenge
from batch_scoring.training.result import BY_HAND, PROMOTED, REFUSED, Training
from batch_scoring.training.settings import TrainParameters
from batch_scoring.training.windows import Plant, TrainingWindows, find_windows

logger = logging.getLogger(__name__)

# Opens the version in force of each sensor: ``models``, ``version``, ``fingerprint``.
InForce = Mapping[str, Callable[[], Any]]


def train_models(
    windows: RowTable,
    quarantine: RowTable,
    annotations: Annotations,
    parameters: dict[str, Any],
    at: Any,
    device: Any,
    sensor: Any,
    timezone: str = "UTC",
    domain: Mapping[str, Any] | None = None,
) -> Iterator[tuple[Update, dict[str, Training] | Look[InForce]]]:
    """Yield the status of the devices of each sensor, and their trained models.

    Parameters
    ----------
    windows : RowTable
        Schema ``windows_schema(features)``; each file is sorted by sensor, device and window_start.
    quarantine : RowTable
        Schema QUARANTINE: a device all of whose readings were refused is named.
    annotations : Annotations
        Windows that overlap a true event, or times of the calendar, are not trained on; a machine is trained
        under the id in use, on the windows of all its ids.
    parameters : dict
        See :class:`TrainParameters`.
    at
        The scheduled time, UTC; windows that end later are not trained on. None for now.
    device, sensor
        The selection of the run. Other devices of a sensor keep their models.
    timezone : str
        IANA time zone of the readings, whose hours count where ``train.timezone`` names no other.
    domain : dict, optional
        See :class:`~batch_scoring.plant.settings.DomainParameters`: windows of machines that are off are not
        trained on.

    Yields
    ------
    status : update
        Schema STATUS; one sensor, all of its devices. Devices outside the selection keep their rows.
    models : dict of str to Training
        A look at the versions in force first. Then one sensor; empty where nothing has changed since its
        version in force. Its file of models is there until the next is asked for.

    Raises
    ------
    InputError
        When there are no windows, or a device or sensor asked for has none to train on.
    """
    settings = read_parameters(TrainParameters, parameters, "train").in_zone(timezone)
    selection = Selection.read(device, sensor)
    sensors = windows.distinct("sensor")
    if not sensors:
        raise InputError("there are no windows yet; run `kedro run --pipelines=aggregate` first")
    require_known("sensor", selection.sensors, sensors)
    now = scheduled_time(at)
    plant = Plant.of(annotations, domain)
    selection = replace(selection, devices=plant.devices.all_newest(selection.devices))
    refused = count_refused_devices(quarantine)
    found: set[str] = set()
    look = Look[InForce]()
    yield no_change, look
    previous_models = look.seen
    with FitWorkers() as workers:
        for name in filter(selection.has_sensor, sensors):
            previous = previous_models[name]() if name in previous_models else None
            mine = find_windows(name, windows, settings, now, annotations.feedback, plant)
            with scratch_folder() as scratch:
                settled = settings.for_windows(mine.window_us) if mine else settings
                work = _Work(settled, selection, workers, scratch)
                training, fitted = (
                    _train_sensor(mine, previous, work) if mine else (None, STATUS.empty_table())
                )
                found.update(fitted["device"].to_pylist() if selection.devices is not None else ())
                status = status_update(name, fitted, refused, selection, mine)
                # The status first: once its version exists, a training is not repeated.
                yield status, ({name: training} if training else {})
    if without := (selection.devices or frozenset()) - found:
        require_known(
            "device", selection.devices, windows.distinct("device", windows.files(sensors=selection.sensors))
        )
        raise InputError(
            f"device {min(without)!r} has no window to train on before `at` and between train.from and "
            "train.to; change these, or leave the device out"
        )


@dataclass(frozen=True)
class _Work:
    """Settings and workers shared by all sensors of a run, and a scratch folder for one sensor's files."""

    settings: TrainParameters
    selection: Selection
    workers: FitWorkers
    scratch: Path


def _train_sensor(windows: TrainingWindows, previous: Any, work: _Work) -> tuple[Training | None, pa.Table]:
    """Train one sensor; None where nothing is new. Also return the status of the fitted devices."""
    settings, devices = work.settings, work.selection.devices
    fingerprint = windows.fingerprint(settings)
    sensor = windows.sensor
    if previous is not None and devices is None and _is_settled(sensor, previous, fingerprint, settings):
        return None, STATUS.empty_table()
    models, status = _fit(windows, work)
    if models.n_models == 0:
        return None, status
    if devices is not None and previous is not None:
        merged = work.scratch / "merged.arrow"
        write_models(merged, models.info, replace_models(previous.models, models))
        models = FleetFile(merged)
        if models.same_models(previous.models):
            return None, status
        made_of = f"{previous.fingerprint} {fingerprint} {sorted(devices)}"
        fingerprint = hashlib.sha256(made_of.encode()).hexdigest()
        if _is_settled(sensor, previous, fingerprint, settings):
            return None, status
    decision = challenge(windows, models, previous, settings, devices)
    compared = {f"comparison/{name}": value for name, value in decision.numbers.items()}
    metrics = {**fleet_metrics(models, status), **compared}
    parameters = _as_text(settings)
    return Training(models, status, fingerprint, parameters, metrics, decision, windows.data), status


# Verdicts of earlier trainings on the same inputs that need no new decision.
_SETTLED = {
    "always": {PROMOTED},
    "if_not_worse": {PROMOTED, REFUSED},
    "never": {PROMOTED, REFUSED, BY_HAND},
}

_NOT_SCORED = {
    PROMOTED: "another version was promoted by hand",
    REFUSED: "refused",
    BY_HAND: "to be promoted by hand",
}


def _is_settled(sensor: str, previous: Any, fingerprint: str, settings: TrainParameters) -> bool:
    """Whether a version with the same fingerprint exists, and its verdict still holds."""
    if previous.fingerprint == fingerprint:
        logger.info("train: sensor %r: unchanged since version %s", sensor, previous.version)
        return True
    version, verdict = previous.decided.get(fingerprint, ("", ""))
    if verdict not in _SETTLED[settings.promote]:
        return False
    logger.info(
        "train: sensor %r: unchanged since version %s, which is not scored (%s); "
        "version %s stays the champion",
        *(sensor, version, _NOT_SCORED[verdict], previous.version),
    )
    return True


def _fit(windows: TrainingWindows, work: _Work) -> tuple[FleetFile, pa.Table]:
    """Fit the selected devices; return their models in a file, and the status of each device."""
    began = time.perf_counter()
    settings = work.settings
    info = fleet_info(
        windows.sensor, windows.features, windows.window_us, settings.fit.detector, settings.warm_up
    )
    statuses = [STATUS.empty_table()]
    n_total = windows.n_windows
    n_expected = n_total if work.selection.devices is None else 0

    history = History(windows.features, settings.warm_up)

    def parts() -> Generator[FleetModel]:
        n_done = 0
        ranges = history.observe(windows.ranges(work.selection.devices))
        fitted = work.workers.fit(ranges, windows.features, settings.fit, n_expected)
        with show_progress(f"train: sensor {windows.sensor!r}", n_total, "windows") as progress:
            for part in fitted:
                statuses.append(part.status)
                yield FleetModel(part.models, info)
                n_done += part.n_windows
                progress(n_done)

    path = work.scratch / "fitted.arrow"
    # On an error such as a full disk, close at once, so that pending fits stop.
    with closing(parts()) as models_of_parts:
        write_models(path, info, models_of_parts)
    models, status = FleetFile(path), history.add_to(pa.concat_tables(statuses))
    if noteworthy := history.summary(status):
        logger.warning("train: sensor %r: %s", windows.sensor, noteworthy)
    stopwatch.add("fit", time.perf_counter() - began)
    stopwatch.count("windows", n_total)
    stopwatch.count("devices", status.num_rows)
    stopwatch.count("failed", status.num_rows - models.n_models)
    logger.info(
        "train: sensor %r: %d of %s fitted in %.1f s",
        windows.sensor,
        models.n_models,
        number(status.num_rows, "device"),
        time.perf_counter() - began,
    )
    return models, status


def _as_text(settings: TrainParameters) -> dict[str, Any]:
    values = asdict(settings)
    # The promotion settings do not affect what is trained; the version records them.
    del values["promote"], values["promotion"]
    share = f"first {settings.share:g} of the windows"
    held_out = f"{settings.hold_out} before the newest window" if settings.hold_out is not None else share
    return {
        "from": str(values.pop("from_") or "first window"),
        "to": str(values.pop("to") or held_out),
        **{name: str(value) for name in ("range", "hold_out") if (value := values.pop(name)) is not None},
        **values.pop("fit"),
        "features": " ".join(settings.features) if settings.features else "all",
    }
