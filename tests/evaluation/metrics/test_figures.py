"""Ratios of sums, and intervals that hold what they promise."""

import numpy as np
import pytest

from batch_scoring.evaluation.metrics.figures import DEVICE_SUMS, SUMS, figures, intervals


def rows(n, **values):
    """Sums of n devices; 1 where nothing is said."""
    return {name: np.broadcast_to(values.get(name, 1.0), n).astype(float) for name in (*SUMS, *DEVICE_SUMS)}


def test_a_figure_is_a_ratio_of_sums_and_nothing_where_there_is_nothing():
    told = figures(rows(2, events=np.array([4, 0]), events_found=np.array([1, 0]), alerts=np.array([5, 0])))
    assert told["event_recall"][0] == 0.25
    assert np.isnan(told["event_recall"][1])
    assert np.isnan(told["alert_precision"][1])
    assert told["false_alerts_per_sensor_week"][0] == 4


def test_the_interval_of_a_share_is_about_that_of_the_binomial():
    found = (np.arange(100) < 30).astype(float)
    of, _ = intervals({"a": rows(100, events_found=found)}, 2000, 0, "a")
    assert of["a"]["event_recall"] == pytest.approx([0.21, 0.39], abs=0.015)


def test_two_methods_that_differ_by_a_constant_differ_by_it_in_every_draw():
    found = np.random.default_rng(1).random(40)
    _, leads = intervals(
        {"a": rows(40, events_found=found + 0.25), "b": rows(40, events_found=found)}, 200, 0, "a"
    )
    assert leads.keys() == {"b"}
    assert leads["b"]["event_recall"] == pytest.approx([0.25, 0.25])


def test_one_device_tells_nothing_of_others():
    of, _ = intervals({"a": rows(1)}, 50, 0, "a")
    assert np.isnan(of["a"]["event_recall"]).all()


def test_the_same_seed_gives_the_same_intervals():
    sums = {"a": rows(9, events_found=np.arange(9.0))}
    (one, _), (same, _), (other, _) = (intervals(sums, 50, seed, "a") for seed in (3, 3, 4))
    assert one["a"]["event_recall"].tolist() == same["a"]["event_recall"].tolist()
    assert one["a"]["event_recall"].tolist() != other["a"]["event_recall"].tolist()
