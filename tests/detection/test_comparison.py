"""A challenger is refused when it is surely worse, and only then."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import pearsonr

from batch_scoring.detection.comparison import (
    ChampionChallenger,
    Comparison,
    Figures,
    PromotionLimits,
    decide,
    is_over_budget,
    rank_correlations,
)
from tests.factories import make_model, make_windows

LIMITS = PromotionLimits()
WELL = Figures(models=10, windows=10_000, flagged=10, alarms=10, target=0.001)


def is_promoted(challenger=WELL, champion=WELL, **more):
    return decide(Comparison(challenger, champion, **more), LIMITS)[0]


def test_the_same_again_is_promoted():
    assert is_promoted()


def test_one_that_surely_flags_too_much_is_refused():
    assert not is_promoted(replace(WELL, flagged=100, alarms=100))


def test_one_long_event_is_no_reason_to_refuse():
    assert is_promoted(replace(WELL, flagged=100, alarms=2))


def test_one_that_flags_as_much_over_its_target_as_the_champion_is_not_worse():
    much = replace(WELL, flagged=300, alarms=300)
    assert is_promoted(much, much)
    assert not is_promoted(much, WELL)


def test_one_that_is_promoted_over_its_budget_says_so_and_what_to_do():
    much = replace(WELL, flagged=300, alarms=300)
    verdict, reason = decide(Comparison(much, replace(much, flagged=400)), LIMITS)
    assert verdict
    assert "it flags 30 times its target, the champion 40 times; the limit is " in reason
    assert "train.range" in reason and "true_event" in reason
    assert is_over_budget(Comparison(much, much), LIMITS)
    assert not is_over_budget(Comparison(WELL, much), LIMITS)
    assert not is_over_budget(Comparison(replace(much, windows=99), much), LIMITS)


def test_each_is_held_against_its_own_target():
    generous = replace(WELL, flagged=100, alarms=100, target=0.01)
    assert is_promoted(generous, WELL)


def test_lost_models_are_a_reason_to_refuse_even_without_windows():
    assert is_promoted(Figures(99), Figures(100), lost_models=0.01)
    verdict, reason = decide(Comparison(Figures(98), Figures(100), lost_models=0.02), LIMITS)
    assert not verdict
    assert "2.0% of the champion's devices" in reason


def test_too_few_windows_cannot_tell_and_promote():
    few = Figures(10, 99, 99, 99, 0.001)
    verdict, reason = decide(Comparison(few, WELL), LIMITS)
    assert verdict
    assert "99 held-out windows are too few" in reason


def test_an_order_turned_round_is_refused_between_models_of_one_kind():
    assert not is_promoted(rank_stability=0.1)
    assert is_promoted(rank_stability=0.1, is_alike=False)


def test_without_a_target_there_is_no_budget_to_keep():
    assert is_promoted(replace(WELL, flagged=5000, alarms=5000, target=None))


def savage_scores(values):
    """Of each value, the mean over the ranks that it and those equal to it take."""
    n = len(values)
    score = [sum(1 / k for k in range(rank, n + 1)) for rank in range(1, n + 1)]
    ranked = sorted(values)
    return [np.mean([s for s, other in zip(score, ranked, strict=True) if other == one]) for one in values]


def test_rank_correlations_are_those_of_savage_scores_with_ties():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 9, 90) * 1.0, rng.integers(0, 9, 90) * 1.0
    found = rank_correlations(np.repeat([0, 1, 2, 3], [30, 40, 10, 10]), one, other)
    parts = slice(0, 30), slice(30, 70)
    expected = [pearsonr(savage_scores(one[s]), savage_scores(other[s])).statistic for s in parts]
    assert found == pytest.approx(expected)


def test_the_most_abnormal_windows_weigh_most():
    calm = np.arange(100.0)
    first, last = np.append(calm[:5][::-1], calm[5:]), np.append(calm[:-5], calm[-5:][::-1])
    device = np.repeat([0, 1], 100)
    of_first, of_last = rank_correlations(device, np.tile(calm, 2), np.append(first, last))
    assert of_first < 0.95 < 0.999 < of_last


def test_constant_scores_and_no_scores_have_no_order():
    assert rank_correlations(np.zeros(30, int), np.ones(30), np.arange(30.0)).size == 0
    assert rank_correlations(np.zeros(0, int), np.ones(0), np.ones(0)).size == 0


def compare(values, challenger, champion):
    names = [device for device, some in values.items() for _ in some]
    windows = make_windows(np.concatenate(list(values.values()))[:, None], names)
    # Out of order, as several days beside each other are.
    halves = [windows.slice(10), windows.slice(0, 10)]
    versions = ChampionChallenger((0.01, 0.02))
    versions.add(pa.concat_tables(halves), challenger, champion)
    return versions.result()


def test_both_judge_the_same_windows():
    quiet, loud = np.linspace(0, 0.5, 30), np.linspace(0, 0.5, 30)
    # Two of them are neighbours in time, and far apart in the table.
    loud[[9, 10, 20]] = 5.0
    models = make_model(["a", "b"])
    found = compare({"a": loud, "b": quiet}, models, models)
    assert found.challenger == Figures(2, 60, 3, 2, 0.01)
    assert found.champion == Figures(2, 60, 3, 2, 0.02)
    assert (found.lost_models, found.flag_agreement, found.is_alike) == (0.0, 1.0, True)
    assert found.rank_stability == pytest.approx(1.0)
    assert found.numbers()["challenger_over_target"] == pytest.approx(5.0)


def test_devices_that_the_challenger_has_no_model_of_are_lost():
    found = compare({"a": np.zeros(30), "b": np.zeros(30)}, make_model(["b"]), make_model(["a", "b"]))
    assert (found.challenger.models, found.champion.models, found.lost_models) == (1, 2, 0.5)
    assert found.challenger.windows == 30


def test_a_champion_that_cannot_judge_leaves_the_challengers_numbers():
    found = compare({"a": np.full(30, 9.0)}, make_model(["a"]), None)
    assert (found.challenger.flagged, found.champion.windows) == (30, 0)
    assert (found.flag_agreement, found.rank_stability, found.is_alike) == (None, None, False)
