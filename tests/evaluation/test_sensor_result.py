"""Judged by sensor and summed up, as jobs do it, an evaluation is what it is in one run."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.errors import InputError
from batch_scoring.evaluation.sensor_result import EvaluatedSensor
from batch_scoring.evaluation.tracked import tracked_evaluation
from batch_scoring.operations.annotations import Annotations
from batch_scoring.pipelines.evaluate.nodes import aggregate_figures, match_events
from tests.evaluation.small_fleet import SmallFleet, labels

pytestmark = pytest.mark.slow

SENSORS = ("air/flow", "p", "ü")
KNOWN = labels(("a", "air/flow", 3, 5, "spike"), ("b", "p", 10, 12), ("c", "p", 1, 2), ("a", "gone", 3, 9))


@pytest.fixture
def fleet(tmp_path):
    faults = {("a", "air/flow"): [3, 4, 9], ("b", "p"): [7, 10]}
    return SmallFleet(tmp_path, devices=("a", "b", "ç"), sensors=SENSORS, faults=faults)


def settings(known=KNOWN, device=None, **changes):
    return {
        "annotations": Annotations({"labels": known}),
        "parameters": {"baselines": ["robust_z"], "bootstrap": 20} | changes,
        "train_parameters": {"fit": {"false_alarm_rate": 0.05}},
        "device": device,
    }


def match(fleet, sensors, run="a run", **given):
    judged = {}
    for found in match_events(**fleet.inputs(), **settings(**given), sensor=sensors, judged=run):
        judged |= found
    return judged


@pytest.mark.parametrize("device", [None, ["a", "ç"]])
def test_the_figures_are_those_of_one_run(fleet, device):
    judged = {}
    for share in (["ü"], ["air/flow", "p"]):  # in any order, in any number of jobs
        judged |= match(fleet, share, device=device)
    summed = aggregate_figures(judged, **settings(device=device), sensor=None)
    at_once = match(fleet, None, run=None, device=device)
    assert at_once == judged
    whole = aggregate_figures(at_once, **settings(device=device), sensor=None)
    assert summed.metrics == whole.metrics
    assert summed.figures.equals(whole.figures)
    assert summed.events.equals(whole.events)
    assert summed.versions == whole.versions
    assert summed.sweep.keys() == whole.sweep.keys()
    for method, curve in whole.sweep.items():
        np.testing.assert_array_equal(summed.sweep[method], curve)


@pytest.mark.parametrize(
    "other",
    [
        settings(known=labels(("a", "air/flow", 3, 6))),
        settings(baselines=[]),
        settings(false_alarm_rate=0.2),
        settings() | {"train_parameters": {"fit": {"false_alarm_rate": 0.1}}},
    ],
)
def test_results_of_other_settings_or_labels_are_refused(fleet, other):
    with pytest.raises(InputError, match="'p' was evaluated with other settings"):
        aggregate_figures(match(fleet, ["p"]), **other, sensor=None)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    fleet = SmallFleet(tmp_path_factory.mktemp("fleet"))
    (one,) = match(fleet, None, known=labels(("a", "s", 1, 2))).values()
    return one


def test_a_file_reads_back_and_the_same_judgement_is_the_same_file(good):
    assert EvaluatedSensor.from_bytes(good).to_bytes() == good


def test_a_file_of_another_format_is_told(good, monkeypatch):
    read = EvaluatedSensor.from_bytes(good)
    monkeypatch.setattr("batch_scoring.evaluation.sensor_result._FORMAT", 3)
    newer = read.to_bytes()
    monkeypatch.undo()
    with pytest.raises(InputError, match="sensor 's' has format 3, not 2"):
        EvaluatedSensor.from_bytes(newer)


@given(data=st.data())
def test_a_damaged_file_is_told(good, data):
    place = data.draw(st.integers(0, len(good) - 1))
    turned = bytes([good[place] ^ data.draw(st.integers(1, 255))])
    for bad in (good[:place], good[:place] + turned + good[place + 1 :]):
        with pytest.raises(InputError, match="is damaged"):
            EvaluatedSensor.from_bytes(bad)


def test_the_figures_of_a_sensor_are_of_the_version_that_scored_it(fleet):
    evaluation = aggregate_figures(match(fleet, None), **settings(), sensor=None)
    by_sensor = {
        row["sensor"]: row["event_recall"]
        for row in evaluation.figures.to_pylist()
        if (row["level"], row["method"]) == ("sensor", "fleet_models") and row["event_recall"] is not None
    }

    versions = tracked_evaluation(evaluation, {}).versions
    mixed = replace(evaluation, versions=evaluation.versions | {"p": {"1": 3, "2": 4}})

    assert {sensor for sensor, _ in versions} == set(SENSORS)
    assert {version for _, version in versions} == {"1"}
    assert {
        sensor: one["event_recall"] for (sensor, _), one in versions.items() if "event_recall" in one
    } == (by_sensor)
    assert tracked_evaluation(mixed, {}).versions.keys() == versions.keys() - {("p", "1")}
