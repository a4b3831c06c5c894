"""What counts as found, as false, as late: hand-drawn cases, each with the number a person would say."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from batch_scoring.evaluation.metrics.figures import SUMS, figures
from batch_scoring.evaluation.metrics.matching import SWEEP, match_verdict, rank
from tests.evaluation.metrics.worlds import BUDGET, events, truth, verdict


def judged(drawn, *labels, device_labels=None):
    known = truth(drawn, events(*labels), events(*device_labels) if device_labels else None)
    return match_verdict(known, verdict(drawn))


def sums(drawn, *labels, **more):
    return {name: values.tolist() for name, values in judged(drawn, *labels, **more).sums.items()}


def test_an_event_is_found_when_an_anomalous_window_overlaps_it():
    found = judged(["..#.", "#..."], (0, 2.9, 3.1), (0, 3, 4), (1, 0.5, 0.6), (1, 1, 4))
    assert found.is_found.tolist() == [True, False, True, False]
    assert found.sums["events"].tolist() == [2, 2]
    assert found.sums["events_found"].tolist() == [1, 1]


def test_the_delay_runs_from_the_start_of_the_event_to_the_end_of_its_first_anomalous_window():
    found = judged([".#.##."], (0, 2.5, 6), (0, 0, 0.9))
    assert found.delay_seconds[0] == 1.5 * 3600
    assert np.isnan(found.delay_seconds[1])


def test_an_alert_is_a_run_of_neighbouring_anomalous_windows_and_right_when_it_meets_a_label():
    one = sums(["##.# #", "#....."], (0, 1.5, 1.6))
    assert one["alerts"] == [3, 1]
    assert one["right_alerts"] == [1, 0]
    assert one["false_windows"] == [3, 1]


def test_an_alert_that_meets_a_label_of_another_sensor_is_right_for_the_device():
    one = sums(["#..#"], (0, 0, 1), device_labels=[(0, 0, 1), (0, 3, 4)])
    assert (one["right_alerts"], one["right_alerts_any_sensor"]) == ([1], [2])
    assert (one["true_windows"], one["true_windows_any_sensor"]) == ([1], [2])


def test_a_labelled_window_without_a_prediction_is_missed_and_a_normal_one_is_no_chance_of_a_false_alarm():
    one = sums(["#??."], (0, 0, 2))
    assert one["labelled_windows"] == [2]
    assert one["true_windows"] == [1]
    assert one["normal_windows"] == [1]
    assert one["windows_without_prediction"] == [2]


def test_an_event_in_silence_counts_and_is_missed():
    one = sums([".  .", "??.."], (0, 1, 3), (1, 0, 2))
    assert one["events"] == [1, 1]
    assert one["events_found"] == [0, 0]
    assert one["events_without_windows"] == [1, 1]


def test_an_event_of_a_device_that_the_sensor_does_not_have_is_nobodys():
    assert sums(["#."], (-1, 0, 2))["events"] == [0]


def test_sensor_weeks_are_the_time_of_normal_windows():
    assert sums(["....", "?..."], (0, 0, 1))["sensor_weeks"] == pytest.approx([3 / 168, 3 / 168])


def test_a_series_with_one_class_only_has_no_ranking_and_does_not_count():
    one = sums(["135", "135", "..."], (0, 2, 3), (1, 0, 3))
    assert one["ranked_series"] == [1, 0, 0]
    assert one["roc_auc"] == [1, 0, 0]
    assert figures({name: np.array(one[name]).sum(keepdims=True) for name in SUMS})["roc_auc"] == [1]


def test_the_areas_are_scikit_learns_and_the_best_f1_is_the_best_of_all_thresholds():
    generator = np.random.default_rng(0)
    y, score = generator.random(60) < 0.3, generator.integers(0, 12, 60).astype(float)
    roc, pr, f1 = rank(np.append(y, True), np.append(score, np.nan))
    assert (roc, pr) == (roc_auc_score(y, score), average_precision_score(y, score))
    best = max(2 * (y & (score >= t)).sum() / (y.sum() + (score >= t).sum()) for t in score)
    assert f1 == pytest.approx(best)


def test_the_windows_of_all_devices_make_one_ranking():
    found = judged(["19", "28"], (0, 1, 2))
    assert found.pooled["roc_auc"] == 1
    assert judged(["12", "38"], (0, 1, 2)).pooled["roc_auc"] == pytest.approx(1 / 3)


def test_the_sweep_passes_through_the_verdict():
    drawn, labels = ["..#5.#8", "9#....."], [(0, 2, 4), (1, 0, 1), (1, 5, 6)]
    found = judged(drawn, *labels)
    place = np.flatnonzero(SWEEP == 1)[0]
    assert found.sweep_found[place] == found.is_found.sum() == 1
    false = found.sums["alerts"].sum() - found.sums["right_alerts"].sum()
    assert found.sweep_false_alerts[place] == false == 2
    assert found.sweep_found[np.searchsorted(SWEEP, 0.8)] == 2
    assert np.all(np.diff(found.sweep_found) <= 0)


def test_range_recall_and_precision_are_those_of_aeon():
    """Of aeon 1.6.0: range_recall and range_precision, alpha=0, cardinality one, flat bias."""
    found = figures(judged(["...##..#..##......."], (0, 2, 6), (0, 9, 11), (0, 15, 18)).sums)
    assert found["range_recall"].tolist() == pytest.approx([0.3333333333333333])
    assert found["range_precision"].tolist() == [0.5]
    assert found["alerts_per_event_found"].tolist() == [3 / 2]


def test_the_budget_of_normal_windows_adds_up():
    found = judged([".?..#"], (0, 0, 1)).sums
    assert found["budgeted_windows"].tolist() == [3 * BUDGET]
    assert figures(found)["realised_over_target"].tolist() == pytest.approx([1 / (3 * BUDGET)])
