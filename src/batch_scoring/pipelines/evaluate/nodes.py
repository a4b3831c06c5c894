"""Nodes of ``evaluate``: match predictions and baselines with events, aggregate, and report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection, file_name, id_of_file, require_known
from batch_scoring.core.parameters import read_parameters
from batch_scoring.evaluation.basis import Basis
from batch_scoring.evaluation.findings import MODELS, Evaluation, build_evaluation
from batch_scoring.evaluation.known_events import KnownEvents, known_events
from batch_scoring.evaluation.metrics.baselines import verdict_of_baseline
from batch_scoring.evaluation.metrics.matching import match_verdict
from batch_scoring.evaluation.metrics.sensor_windows import SensorWindows, Verdict, verdict_of_models
from batch_scoring.evaluation.metrics.tally import SensorOutcomes, Tally
from batch_scoring.evaluation.reading import latest_training, read_sensor
from batch_scoring.evaluation.sensor_result import EvaluatedSensor, rests_on
from batch_scoring.evaluation.settings import EvaluateParameters, target_rate
from batch_scoring.evaluation.summary import write_headline, write_summary
from batch_scoring.evaluation.tracked import tracked_evaluation
from batch_scoring.evaluation.truth import truth_of
from batch_scoring.operations.annotations import Annotations
from batch_scoring.registry.evaluation import TrackedEvaluation
from batch_scoring.registry.published import PublishedModel
from batch_scoring.storage.row_table import RowTable
from batch_scoring.training.settings import TrainParameters

logger = logging.getLogger(__name__)

Models = Mapping[str, Callable[[], PublishedModel]]


def match_events(
    windows: RowTable,
    predictions: RowTable,
    fleet_models: Models,
    annotations: Annotations,
    parameters: dict[str, Any],
    train_parameters: dict[str, Any],
    device: Any,
    sensor: Any,
    judged: str | None,
) -> Iterator[dict[str, bytes]]:
    """Match the predictions, and the baselines on the same windows, with known events, sensor by sensor.

    Parameters
    ----------
    windows, predictions : RowTable
        Schemas ``windows_schema(features)`` and PREDICTIONS.
    fleet_models : mapping of str to callable
        The champions: windows that they were trained on do not count.
    annotations : Annotations
        Labels, faults that the simulator injected, and feedback.
    parameters : dict
        See :class:`EvaluateParameters`.
    train_parameters : dict
        ``params:train``; the budget of false alarms of models that do not state their own.
    device, sensor
        The selection of the run.
    judged : str or None
        Folder of a run of jobs. Then ``sensor`` names only this job's share, and labels of all sensors
        count, as faults of a device may show in the labels of sensors that other jobs match.

    Yields
    ------
    dict of str to bytes
        A sensor's :class:`EvaluatedSensor` by the name of its file.

    Raises
    ------
    InputError
        When there are no windows or no labels.
    """
    setup = _Setup.read(parameters, train_parameters)
    selection = Selection.read(device, sensor)
    evaluated = selection if judged is None else Selection.read(device, None)
    known = _known(annotations, evaluated)
    for one in _match(windows, predictions, fleet_models, known, setup, selection):
        yield {f"{file_name(one.outcomes.sensor)}.judged": one.to_bytes()}


def aggregate_figures(
    judged_sensors: Mapping[str, bytes],
    annotations: Annotations,
    parameters: dict[str, Any],
    train_parameters: dict[str, Any],
    device: Any,
    sensor: Any,
) -> Evaluation:
    """Aggregate the results of :func:`match_events` of all sensors into figures over the fleet.

    Parameters
    ----------
    judged_sensors : mapping of str to bytes
        Of this run, or of all jobs of a run of jobs.
    annotations, parameters, train_parameters, device, sensor
        See :func:`match_events`.

    Raises
    ------
    InputError
        When settings or labels have changed since, a file is damaged, or no window counts.
    """
    setup = _Setup.read(parameters, train_parameters)
    selection = Selection.read(device, sensor)
    known = _known(annotations, selection)
    tally = Tally([MODELS, *setup.evaluate.baselines], known.devices["device"].to_pylist())
    basis = Basis()
    # A sensor's windows are freed once it has been added.
    for name in sorted(judged_sensors, key=lambda name: id_of_file(Path(name).stem).encode()):
        one = _read_evaluated(judged_sensors[name], known, setup)
        tally.add(one.outcomes)
        basis.add(one.basis)
    require_known("device", selection.devices, tally.devices)
    basis.check(known, tally.devices)
    return build_evaluation(tally, basis, setup.evaluate)


def _known(annotations: Annotations, selection: Selection) -> KnownEvents:
    return known_events(annotations.labels, annotations.faults, annotations.feedback, selection)


def _read_evaluated(data: bytes, known: KnownEvents, setup: _Setup) -> EvaluatedSensor:
    one = EvaluatedSensor.from_bytes(data)
    if one.rests_on != rests_on(setup.evaluate, known, setup.rate(one.basis.window_us)):
        raise InputError(
            f"sensor {one.outcomes.sensor!r} was evaluated with other settings or labels than the current "
            "ones; submit the evaluation for another time"
        )
    return one


@dataclass(frozen=True)
class _Setup:
    """The settings of an evaluation."""

    evaluate: EvaluateParameters
    train: TrainParameters

    @classmethod
    def read(cls, parameters: dict[str, Any], train_parameters: dict[str, Any]) -> _Setup:
        return cls(
            read_parameters(EvaluateParameters, parameters, "evaluate"),
            read_parameters(TrainParameters, train_parameters, "train"),
        )

    def rate(self, window_us: int) -> float:
        return target_rate(self.evaluate, self.train, window_us)


def _match(
    windows: RowTable,
    predictions: RowTable,
    fleet_models: Models,
    known: KnownEvents,
    setup: _Setup,
    selection: Selection,
) -> Iterator[EvaluatedSensor]:
    """Evaluate the selected sensors that have windows, one after the other."""
    sensors = windows.distinct("sensor")
    if not sensors:
        raise InputError("there are no windows yet; run `kedro run --pipelines=aggregate` first")
    require_known("sensor", selection.sensors, sensors)
    # It opens the models of all sensors; most evaluations never need it.
    fallback = cache(partial(latest_training, fleet_models))
    for name in filter(selection.has_sensor, sensors):
        published = fleet_models[name]() if name in fleet_models else None
        read = read_sensor(
            name, windows, predictions, published, fallback, setup.rate, setup.evaluate, selection
        )
        if read is None:
            continue
        mine, evaluated = read
        found = truth_of(mine, evaluated, known)
        rate = setup.rate(mine.window_us)
        verdicts = _verdicts(mine, setup.evaluate)
        outcomes = {
            method: (verdict, match_verdict(found.truth, verdict)) for method, verdict in verdicts.items()
        }
        logger.info(
            "evaluate: sensor %r: %d windows, %d events", name, mine.is_test.sum(), found.events.num_rows
        )
        yield EvaluatedSensor(
            SensorOutcomes.gather(name, mine.devices, found.truth, outcomes),
            Basis.of_sensor(mine, found),
            rests_on(setup.evaluate, known, rate),
        )


def _verdicts(windows: SensorWindows, settings: EvaluateParameters) -> dict[str, Verdict]:
    verdicts = {MODELS: verdict_of_models(windows)}
    return verdicts | {name: verdict_of_baseline(name, windows, settings.seed) for name in settings.baselines}


def tabulate_evaluation(evaluation: Evaluation) -> tuple[dict[str, Any], pa.Table, pa.Table, str]:
    """Tabulate the figures over the fleet as data, all figures, all events, and the Markdown summary."""
    return evaluation.metrics, evaluation.figures, evaluation.events, write_summary(evaluation)


def write_run_headline(evaluation: Evaluation, parameters: dict[str, Any]) -> str:
    """Write what is printed at the end of the run."""
    return write_headline(evaluation, read_parameters(EvaluateParameters, parameters, "evaluate").data)


def draw_evaluation(evaluation: Evaluation) -> dict[str, bytes]:
    """Draw the figures as PNG, by the names of their files."""
    from batch_scoring.evaluation.drawing import draw_figures

    return draw_figures(evaluation)


def track_evaluation(evaluation: Evaluation, drawn: dict[str, bytes]) -> TrackedEvaluation:
    """Prepare the evaluation for MLflow: the figures over the fleet, and all files."""
    return tracked_evaluation(evaluation, drawn)
