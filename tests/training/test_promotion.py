"""A new version is held against the champion on windows that neither was trained on."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from batch_scoring.tables.schemas import FEEDBACK
from batch_scoring.training.result import BY_HAND, PROMOTED, REFUSED
from tests.factories import DAY_US, START, START_US, make_windows
from tests.pipelines.train.test_nodes import Workspace

pytestmark = pytest.mark.slow

COMBINED = {"detector": "combined", "threshold": "calibrated", "false_alarm_rate": 0.01}


def noisy(work, day, scale, devices=("a", "b")):
    """A day of sensor s, new or in place of what is there; its readings spread so wide."""
    X = np.random.default_rng(day).normal(scale=scale, size=(288 * len(devices), 2))
    table = make_windows(X, [d for d in devices for _ in range(288)], "s", start_us=START_US + day * DAY_US)
    work.put_day("s", day, table)


def cut(work, day, device, n):
    """Of this device, keep the first windows of that day only."""
    first = START + timedelta(days=day)
    table = work.windows.load().read(sensors=["s"])
    table = table.filter(pc.greater_equal(table["window_start"], first)).sort_by(
        [("device", "ascending"), ("window_start", "ascending")]
    )
    mine = pc.equal(table["device"], device)
    work.put_day("s", day, pa.concat_tables([table.filter(pc.invert(mine)), table.filter(mine).slice(0, n)]))


@pytest.fixture
def work(tmp_path):
    """A champion of a calm first day; a second day is there."""
    work = Workspace(tmp_path)
    work.train(sensor="s", share=0.5, fit=COMBINED)
    return work


def decision(work, **settings):
    trainings, _ = work.train(sensor="s", **({"fit": COMBINED} | settings))
    return trainings["s"].decision


def test_the_first_version_is_promoted(tmp_path):
    found = decision(Workspace(tmp_path))
    assert (found.verdict, found.reason, found.numbers) == (PROMOTED, "there is no champion yet", {})


def test_one_that_is_not_worse_is_promoted_with_its_numbers(work):
    found = decision(work, share=0.6)
    assert (found.verdict, found.reason, found.champion) == (PROMOTED, "not worse than the champion", "1")
    # The second day less a tenth of both.
    assert found.numbers["challenger_windows"] == found.numbers["champion_windows"] == 2 * (576 - 345)
    assert found.numbers["challenger_target"] == pytest.approx(0.01)
    assert found.numbers["rank_stability"] > 0.8


def test_what_the_champion_learned_from_is_not_held_out(work):
    found = decision(work, share=0.3)
    # All after the first half, which is the champion's.
    assert found.numbers["challenger_windows"] == found.numbers["champion_windows"] == 2 * 288


def test_one_that_flags_too_much_is_refused(work):
    # Trained on a quiet hour that tells nothing of the day after.
    noisy(work, 2, 0.2)
    noisy(work, 3, 1.0)
    settings = {"from": "2026-01-07T00:00Z", "to": "2026-01-08T00:00Z"}
    found = decision(work, **settings)
    assert found.verdict == REFUSED
    assert "times its target" in found.reason
    assert found.numbers["challenger_over_target"] > 10 > found.numbers["champion_over_target"]


def test_one_that_flags_too_much_but_less_than_the_champion_is_promoted_with_a_warning(work, caplog):
    # After the champion's calm day the machines run wild, and wilder at the end.
    noisy(work, 1, 3.0)
    noisy(work, 2, 6.0)
    found = decision(work, **{"from": "2026-01-06T00:00Z", "to": "2026-01-07T00:00Z"})
    assert found.verdict == PROMOTED
    assert found.numbers["champion_over_target"] > found.numbers["challenger_over_target"] > 1.3
    assert "not worse than the champion, but over its budget" in found.reason
    assert "train.range" in found.reason
    assert [r.levelname for r in caplog.records if "held-out windows" in r.getMessage()] == ["WARNING"]


def test_the_numbers_are_metrics_of_the_training(work):
    trainings, _ = work.train(sensor="s", share=0.6, fit=COMBINED)
    training = trainings["s"]
    assert training.metrics["comparison/lost_models"] == 0.0
    assert "promotion" not in training.parameters


def test_lost_devices_are_a_reason_to_refuse(work):
    noisy(work, 2, 1.0, ["a"])
    noisy(work, 3, 1.0)
    found = decision(work, **{"from": "2026-01-07T00:00Z", "to": "2026-01-08T00:00Z"})
    assert (found.verdict, found.numbers["lost_models"]) == (REFUSED, 0.5)


def test_without_held_out_windows_it_is_promoted_unless_models_are_missing(work):
    found = decision(work, share=1.0)
    assert (found.verdict, found.reason) == (PROMOTED, "0 held-out windows are too few to compare on")
    noisy(work, 2, 1.0)
    # Too few windows of b to learn from, but it sends.
    cut(work, 2, "b", 29)
    found = decision(work, **{"from": "2026-01-07T00:00Z"}, share=1.0)
    assert (found.verdict, found.numbers["lost_models"]) == (REFUSED, 0.5)


def test_a_device_that_fell_silent_loses_no_model(work):
    noisy(work, 2, 1.0, ["a"])
    found = decision(work, **{"from": "2026-01-07T00:00Z"}, share=1.0)
    assert (found.numbers["challenger_models"], found.numbers["champion_models"]) == (1, 2)
    assert (found.verdict, found.numbers["lost_models"]) == (PROMOTED, 0.0)


def test_a_device_in_a_confirmed_event_is_not_silent(work):
    noisy(work, 2, 1.0)
    rows = [("b", "s", START + timedelta(days=2), START + timedelta(days=3), "true_event", "")]
    columns = zip(*rows, strict=True)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, FEEDBACK, strict=True)]
    work.feedback = pa.table(arrays, schema=FEEDBACK)
    found = decision(work, **{"from": "2026-01-07T00:00Z"}, share=1.0)
    assert (found.verdict, found.numbers["lost_models"]) == (REFUSED, 0.5)


def test_confirmed_events_are_not_held_against_a_version(work):
    noisy(work, 1, 9.0)
    rows = [(d, "s", START + timedelta(days=1), START + timedelta(days=2), "true_event", "") for d in "ab"]
    columns = zip(*rows, strict=True)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, FEEDBACK, strict=True)]
    work.feedback = pa.table(arrays, schema=FEEDBACK)
    noisy(work, 2, 1.0)
    assert decision(work, share=0.6).numbers["challenger_windows"] == 2 * 288


def test_other_features_are_judged_by_their_own(work):
    found = decision(work, share=0.6, features=["mean"])
    assert found.numbers["champion_windows"] == found.numbers["challenger_windows"] > 0
    # And from another kind of windows the champion can judge nothing.
    days = []
    for day in range(2):
        X = np.random.default_rng(day).normal(size=(576, 1))
        names = [d for d in "ab" for _ in range(288)]
        days.append(make_windows(X, names, "s", features=["max"], start_us=START_US + day * DAY_US))
    work.windows.replace(*days)
    found = decision(work, share=0.6)
    assert found.numbers["challenger_windows"] > 0 == found.numbers["champion_windows"]
    assert found.verdict == PROMOTED


def test_another_detector_is_held_against_its_own_target(work):
    svm = {"detector": "one_class_svm", "threshold": "calibrated", "false_alarm_rate": 0.02}
    found = decision(work, share=0.6, fit=svm)
    assert (found.numbers["challenger_target"], found.verdict) == (0.02, PROMOTED)


def test_only_the_trained_devices_are_compared(work):
    trainings, _ = work.train(device="b", sensor="s", share=0.6, fit=COMBINED)
    assert trainings["s"].decision.numbers["challenger_models"] == 1


def test_promotion_can_be_ordered_or_forbidden(work):
    assert decision(work, share=0.6, promote="never").verdict == BY_HAND
    assert decision(work, share=0.65, promote="always").verdict == PROMOTED


def test_what_was_decided_is_not_trained_again(work):
    before = dict(work.models)
    training = work.train(sensor="s", share=0.6, fit=COMBINED)[0]["s"]
    for verdict, quiet in [
        (REFUSED, {"if_not_worse", "never"}),
        (BY_HAND, {"never"}),
        (PROMOTED, {"always", "if_not_worse", "never"}),
    ]:
        for promote in ("always", "if_not_worse", "never"):
            work.models = dict(before)
            work.models["s"].decided = {training.fingerprint: ("2", verdict)}
            trainings, _ = work.train(sensor="s", share=0.6, fit=COMBINED, promote=promote)
            assert (trainings == {}) == (promote in quiet), (verdict, promote)
