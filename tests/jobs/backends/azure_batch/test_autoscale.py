"""The formula, evaluated by the stand-in's evaluator of the service's language."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.jobs.backends.azure_batch.autoscale import autoscale_formula
from batch_scoring.jobs.backends.azure_batch.settings import AzureBatchSettings
from tests.emulators.azure_batch.formula import FormulaError, Samples, evaluate

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)


def nodes(settings, changes, now=NOW, before=0):
    """The targets, dedicated and low-priority, for what was pending since when."""
    variables = {
        "$PendingTasks": Samples(changes, now),
        "$TargetDedicatedNodes": float(before),
        "$TargetLowPriorityNodes": float(before),
    }
    found = evaluate(autoscale_formula(settings), variables)
    assert found["$NodeDeallocationOption"] == "taskcompletion"
    return found["$TargetDedicatedNodes"], found["$TargetLowPriorityNodes"]


def pending(count, minutes=10):
    return [(NOW - timedelta(minutes=minutes), float(count))]


def test_no_tasks_no_nodes():
    assert nodes(AzureBatchSettings(), pending(0)) == (0, 0)


def test_a_node_for_every_task_up_to_the_most():
    assert nodes(AzureBatchSettings(max_nodes=10), pending(7)) == (7, 0)
    assert nodes(AzureBatchSettings(max_nodes=10), pending(5000)) == (10, 0)


def test_nodes_with_four_slots_for_nine_tasks_are_three():
    assert nodes(AzureBatchSettings(tasks_per_node=4), pending(9)) == (3, 0)


def test_low_priority_nodes_in_the_place_of_dedicated_ones():
    assert nodes(AzureBatchSettings(low_priority=True), pending(3)) == (0, 3)


def test_without_a_fresh_sample_everything_stays():
    assert nodes(AzureBatchSettings(), [], before=6) == (6, 0)


def test_nodes_stay_warm_after_the_last_task():
    changes = [*pending(3, 60), (NOW - timedelta(minutes=8), 0.0)]
    assert nodes(AzureBatchSettings(keep_warm=timedelta(minutes=15)), changes) == (3, 0)
    assert nodes(AzureBatchSettings(keep_warm=timedelta(minutes=5)), changes) == (0, 0)
    assert nodes(AzureBatchSettings(), changes) == (0, 0)


settings_of = st.builds(
    lambda low, more, slots, warm, cheap: AzureBatchSettings(
        vm_size="Standard_D64s_v5",  # takes as many tasks as a node ever may
        min_nodes=low,
        max_nodes=low + more,
        tasks_per_node=slots,
        keep_warm=timedelta(minutes=warm),
        low_priority=cheap,
    ),
    st.integers(0, 20),
    st.integers(1, 100),
    st.integers(1, 256),
    st.integers(0, 120),
    st.booleans(),
)
histories = st.lists(st.tuples(st.integers(0, 7200), st.integers(0, 20_000)), max_size=8)


@given(settings_of, histories, st.integers(0, 1000))
def test_never_below_the_minimum_and_never_above_the_maximum(settings, history, before):
    changes = sorted((NOW - timedelta(seconds=ago), float(count)) for ago, count in history)
    dedicated, low = nodes(settings, changes, before=before)
    target, other = (low, dedicated) if settings.low_priority else (dedicated, low)
    assert settings.min_nodes <= target <= settings.max_nodes
    assert other == 0


@given(settings_of, st.integers(0, 20_000))
def test_as_many_slots_as_tasks_and_no_node_too_many(settings, count):
    target = max(nodes(settings, pending(count, 600)))
    if settings.min_nodes < target < settings.max_nodes:
        assert (target - 1) * settings.tasks_per_node < count <= target * settings.tasks_per_node


@given(settings_of)
def test_nothing_but_the_minimum_where_nothing_has_been_pending_for_long(settings):
    assert max(nodes(settings, pending(0, 600))) == settings.min_nodes


@given(settings_of)
def test_the_service_takes_the_formula(settings):
    text = autoscale_formula(settings)
    assert len(text.encode()) < 8192
    assert text.count(";") < 100


def a_day(settings):
    """Targets over a day: 5 tasks at each full hour, each 2 minutes, from 6 to 20 o'clock."""
    midnight = NOW.replace(hour=0)
    changes = [(midnight - timedelta(hours=1), 0.0)]
    for hour in range(6, 20):
        begin = midnight + timedelta(hours=hour)
        changes += [(begin, 5.0), (begin + timedelta(minutes=12), 0.0)]
    targets, before = [], 0.0
    for minute in range(0, 24 * 60, 5):
        now = midnight + timedelta(minutes=minute, seconds=40)
        before = max(nodes(settings, [one for one in changes if one[0] <= now], now, before))
        targets.append(before)
    return targets


@pytest.mark.slow
def test_a_day_from_zero_and_back_to_zero():
    cold = a_day(AzureBatchSettings())
    assert (cold[0], max(cold), cold[-1]) == (0, 5, 0)
    # Twelve minutes of work are three of the evaluations every five minutes.
    assert sum(target > 0 for target in cold) == 14 * 3
    warm = a_day(AzureBatchSettings(keep_warm=timedelta(minutes=15)))
    assert sum(target > 0 for target in warm) == 14 * 6
    kept = a_day(AzureBatchSettings(min_nodes=1))
    assert min(kept) == 1
    assert sum(target > 1 for target in kept) == 14 * 3


GUIDE = Path(__file__).parents[4] / "docs/how-to/run-on-a-cluster.md"
POLICIES = {
    "`min_nodes: 0`": AzureBatchSettings(),
    "`max_nodes: 2`": AzureBatchSettings(max_nodes=2),
    "`keep_warm: 15m`": AzureBatchSettings(keep_warm=timedelta(minutes=15)),
    "`min_nodes: 1`": AzureBatchSettings(min_nodes=1),
    "`min_nodes: 5, max_nodes: 5`": AzureBatchSettings(min_nodes=5, max_nodes=5),
}


@pytest.mark.slow
def test_the_table_of_a_day_in_the_guide_is_what_the_formula_says():
    rows = [
        line.strip("| \n").split(" | ") for line in GUIDE.read_text().splitlines() if " node hours" in line
    ]
    told = {row[0]: row[1:] for row in rows}
    expected = {}
    for name, settings in POLICIES.items():
        day = a_day(settings)
        # Night, then 12:00 to 12:15, 12:15 to 12:30, 12:30 to 13:00.
        shown = [day[0], day[145], day[148], day[151]]
        expected[name] = [*(f"{target:.0f}" for target in shown), f"{sum(day) / 12:.1f} node hours"]
    assert told == expected


@pytest.mark.parametrize(
    "formula",
    [
        "$TargetDedicatedNodes = ceil(1.5);",
        "$TargetDedicatedNodes = $CPUPercent;",
        "$CurrentDedicatedNodes = 1;",
        "$NodeDeallocationOption = whenever;",
        "$TargetDedicatedNodes = 1 +;",
        "$TargetDedicatedNodes = $PendingTasks.GetSample(1;",
    ],
)
def test_the_evaluator_refuses_what_it_does_not_know(formula):
    with pytest.raises(FormulaError):
        evaluate(formula, {"$PendingTasks": Samples([], NOW)})
