"""The steps of ``evaluate``: judge the predictions and the baselines, then write it down in every form."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.evaluation.baselines import verdict_of_baseline
from batch_scoring.evaluation.judging import judge
from batch_scoring.evaluation.sensor_windows import SensorWindows, Verdict, verdict_of_models
from batch_scoring.evaluation.tally import Tally
from batch_scoring.evaluations import TrackedEvaluation
from batch_scoring.fleet.errors import InputError
from batch_scoring.ids import Selection, require_known
from batch_scoring.parameters import read_parameters
from batch_scoring.partition_keys import by_sensor
from batch_scoring.pipelines.evaluate.basis import Basis
from batch_scoring.pipelines.evaluate.evaluation import MODELS, Evaluation, build_evaluation
from batch_scoring.pipelines.evaluate.known_events import known_events
from batch_scoring.pipelines.evaluate.reading import latest_training, read_sensor
from batch_scoring.pipelines.evaluate.settings import EvaluateParameters, target_rate
from batch_scoring.pipelines.evaluate.summary import write_summary
from batch_scoring.pipelines.evaluate.tracked import tracked_evaluation
from batch_scoring.pipelines.evaluate.truth import truth_of
from batch_scoring.pipelines.train.settings import TrainParameters
from batch_scoring.publishing import PublishedModel

logger = logging.getLogger(__name__)

Partitions = Mapping[str, Callable[[], pq.ParquetFile]]


def judge_predictions(
    windows: Partitions,
    predictions: Partitions,
    fleet_models: Mapping[str, Callable[[], PublishedModel]],
    labels: pa.Table,
    fault_labels: pq.ParquetFile,
    feedback: pa.Table,
    parameters: dict[str, Any],
    train_parameters: dict[str, Any],
    device: Any,
    sensor: Any,
) -> Evaluation:
    """Hold the predictions, and the baselines on the same windows, against what is known.

    Parameters
    ----------
    windows, predictions : partitions
        Schemas ``windows_schema(features)`` and PREDICTIONS, by sensor and day.
    fleet_models : mapping of str to callable
        The champions: what they learned from is not judged.
    labels : pyarrow.Table
        Schema ``LABELS``.
    fault_labels : pyarrow.parquet.ParquetFile
        What the simulator broke; without rows and columns where nothing was simulated.
    feedback : pyarrow.Table
        Schema ``FEEDBACK``.
    parameters : dict
        See :class:`EvaluateParameters`.
    train_parameters : dict
        ``params:train``; the budget of false alarms is there.
    device, sensor
        What the run is about.

    Raises
    ------
    InputError
        When there are no windows, no labels, or nothing to judge.
    """
    settings = read_parameters(EvaluateParameters, parameters, "evaluate")
    train = read_parameters(TrainParameters, train_parameters, "train")
    selection = Selection.read(device, sensor)
    sensors, predicted = by_sensor(windows), by_sensor(predictions)
    if not sensors:
        raise InputError("there are no windows yet; run `kedro run --pipelines=aggregate` first")
    require_known("sensor", selection.sensors, sensors)
    known = known_events(labels, fault_labels.read(), feedback, selection)
    fallback = latest_training(fleet_models) if settings.from_ is None else None
    tally = Tally([MODELS, *settings.baselines], known.devices["device"].to_pylist())
    basis = Basis()
    for name, days in sensors.items():
        if not selection.has_sensor(name):
            continue
        read = read_sensor(
            name,
            [windows[key] for key in days.values()],
            [predictions[key] for key in predicted.get(name, {}).values()],
            fleet_models[name]() if name in fleet_models else None,
            fallback,
            settings,
            selection,
        )
        if read is None:
            continue
        mine, judged = read
        told = truth_of(mine, judged, known)
        rate = target_rate(settings, train, basis.add(mine, told))
        verdicts = _verdicts(mine, settings, rate)
        outcomes = {method: (verdict, judge(told.truth, verdict)) for method, verdict in verdicts.items()}
        tally.add(name, mine.devices, told.truth, outcomes)
        logger.info("evaluate: %s: %d windows, %d events", name, mine.is_test.sum(), told.events.num_rows)
    require_known("device", selection.devices, tally.devices)
    basis.check(known)
    return build_evaluation(tally, basis, target_rate(settings, train, basis.window_us), settings)


def _verdicts(windows: SensorWindows, settings: EvaluateParameters, rate: float) -> dict[str, Verdict]:
    verdicts = {MODELS: verdict_of_models(windows)}
    return verdicts | {
        name: verdict_of_baseline(name, windows, rate, settings.seed) for name in settings.baselines
    }


def tabulate_evaluation(evaluation: Evaluation) -> tuple[dict[str, Any], pa.Table, pa.Table, str]:
    """The figures over the fleet as data, all figures, all events, and what a person reads."""
    return evaluation.metrics, evaluation.figures, evaluation.events, write_summary(evaluation)


def draw_evaluation(evaluation: Evaluation) -> dict[str, bytes]:
    """The figures as PNG, by the names of their files."""
    from batch_scoring.pipelines.evaluate.drawing import draw_figures

    return draw_figures(evaluation)


def track_evaluation(evaluation: Evaluation, drawn: dict[str, bytes]) -> TrackedEvaluation:
    """What MLflow gets of an evaluation: the figures over the fleet, and all files."""
    return tracked_evaluation(evaluation, drawn)
