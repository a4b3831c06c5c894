"""The cluster of the settings, simulated beside those that the planner proposes."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from batch_scoring.jobs.backends.azure_batch.settings import AzureBatchSettings
from batch_scoring.jobs.backends.batch_ai.settings import BatchAISettings, ClusterSettings
from batch_scoring.jobs.costs import words
from batch_scoring.jobs.costs.choices import Schedule, all_choices
from batch_scoring.jobs.costs.configured import configured_cluster
from batch_scoring.jobs.costs.page import draw_page
from batch_scoring.jobs.costs.settings import CostSettings
from batch_scoring.jobs.costs.simulation import Cluster
from batch_scoring.jobs.settings import JobsParameters

# A node costs a cent a minute, a tenth of it where it may be taken away. It takes 4 minutes to start and one
# to stop. Autoscaling looks at :00, :05, :10, … and what is idle is stopped at once, unless kept warm.
COSTS = CostSettings(
    nodes=[
        {"name": "other", "tasks": 9, "dedicated": 9.0, "low_priority": 9.0},
        {"name": "one", "vm_size": "standard_d2s_V5", "tasks": 2, "dedicated": 0.6, "low_priority": 0.06},
    ],
    autoscale_offset=timedelta(0),
    idle_before_stop=timedelta(0),
)
FIVE_OF_TWO_MINUTES = Schedule((120.0,) * 5, 3600.0, 3600.0)


def engine_of(**pool):
    settings = JobsParameters(backend="azure_batch", azure_batch=AzureBatchSettings(**pool), costs=COSTS)
    return configured_cluster(settings)


def simulated(schedule=FIVE_OF_TWO_MINUTES, **pool):
    return engine_of(**pool).choice(schedule, COSTS)


def figures(choice):
    """Cents an hour, minutes of a run."""
    return 100 * choice.cost_per_day / 24, choice.day.makespan / 60


def test_a_pool_costs_what_its_settings_make_it_cost():
    # Five nodes with one job each: asked for at :00, done at :06, seen at :10, gone at :11: 5 x 11 cents.
    # The size of node says two jobs at once, the pool one.
    assert figures(simulated(max_nodes=10)) == pytest.approx((55, 6))
    # Three of two jobs: likewise, 3 x 11 cents.
    assert figures(simulated(max_nodes=10, tasks_per_node=2)) == pytest.approx((33, 6))
    # One node: from :04 to :14, seen at :15, gone at :16.
    assert figures(simulated(max_nodes=1)) == pytest.approx((16, 14))
    # At a tenth of the price.
    assert figures(simulated(max_nodes=1, low_priority=True)) == pytest.approx((1.6, 14))
    # Idle from :14, warm for 10 minutes, so until :24; seen at :25, gone at :26.
    assert figures(simulated(max_nodes=1, keep_warm=timedelta(minutes=10))) == pytest.approx((26, 14))
    # Two that stay.
    assert figures(simulated(min_nodes=2, max_nodes=2)) == pytest.approx((120, 6))
    # Looked at every 8 minutes: seen idle at :16, gone at :17.
    interval = {"autoscale_interval": timedelta(minutes=8)}
    assert figures(simulated(replace(FIVE_OF_TWO_MINUTES, every=4800.0), max_nodes=1, **interval)) == (
        pytest.approx((17 * 3 / 4, 14))
    )


def test_of_batch_ai_a_node_runs_one_job_and_a_manual_cluster_has_all_its_nodes():
    def read(**cluster):
        settings = BatchAISettings(cluster=ClusterSettings(**cluster))
        return configured_cluster(JobsParameters(backend="batch_ai", batch_ai=settings, costs=COSTS))

    assert read(max_nodes=3).cluster == Cluster(1, 0, 3)
    assert read(min_nodes=1, max_nodes=3).cluster == Cluster(1, 1, 3)
    assert read(max_nodes=3, scale="manual").cluster == Cluster(1, 3, 3)
    small = {"vm_size": "STANDARD_D2S_V5", "max_nodes": 3, "scale": "manual"}
    cheap, dear = (
        read(priority=priority, **small).choice(FIVE_OF_TWO_MINUTES, COSTS)
        for priority in ("lowpriority", "dedicated")
    )
    assert (cheap.price, dear.price) == (0.06, 0.6)
    assert figures(dear) == pytest.approx((180, 4))


@pytest.mark.parametrize("backend", ["local", "dask"])
def test_an_engine_that_rents_no_nodes_has_no_cluster(backend):
    assert configured_cluster(JobsParameters(backend=backend)) is None


def test_a_size_without_a_price_is_said():
    engine = configured_cluster(JobsParameters(backend="batch_ai", costs=COSTS))
    assert engine.choice(FIVE_OF_TWO_MINUTES, COSTS) is None
    sentence = words.unpriced(engine)
    assert "jobs.batch_ai.cluster" in sentence and sentence.endswith("the vm_size STANDARD_D2_V2.")


def test_it_is_held_against_the_cheapest():
    best = all_choices(FIVE_OF_TWO_MINUTES, COSTS)[0]

    def said(schedule=FIVE_OF_TWO_MINUTES, beside=best, **pool):
        engine = engine_of(**pool)
        return words.beside(engine, engine.choice(schedule, COSTS), beside, "EUR")

    # The best is one node with two jobs at once, from :04 to :10, gone at :11.
    assert figures(best) == pytest.approx((11, 10))
    # 55 cents an hour are 44 more, 730 hours a month; a node with one job at a tenth of the price 9.4 less.
    ten = said(max_nodes=10)
    assert ten.startswith(
        "As configured (jobs.azure_batch): 0–10 dedicated nodes, 13.20 EUR a day, 401.50 a month"
    )
    assert ten.endswith(", 321.20 more than that.")
    cheap = said(max_nodes=1, low_priority=True)
    assert "0–1 Spot nodes" in cheap and cheap.endswith(", 68.62 less than that.")
    assert said(max_nodes=1, tasks_per_node=2).endswith(", as cheap as that.")
    hurried = Schedule((120.0,) * 5, 3600.0, 300.0)
    assert said(hurried, max_nodes=10).endswith("too late: the slowest run takes 6 min.")
    assert said(Schedule((3000.0,) * 5, 3600.0, 3600.0), max_nodes=2).endswith("it falls behind.")
    assert said(max_nodes=10, beside=replace(best, deadline=60.0)).endswith("and it is in time.")


def test_one_that_takes_hours_longer_leaves_the_others_where_they_are_on_the_page():
    schedule = Schedule((600.0,) * 40, 3600.0, 3600.0)
    choices = all_choices(schedule, COSTS)
    slow = simulated(schedule, max_nodes=1)
    assert slow.day.makespan > 5 * choices[0].day.makespan
    alone, beside = (draw_page(choices, schedule, COSTS, "as given", [], own) for own in (None, slow))
    (height,) = re.findall(r'class="best" cx="[\d.]+" cy="([\d.]+)"', alone)
    assert re.findall(r'class="best" cx="[\d.]+" cy="([\d.]+)"', beside) == [height]
    (edge,) = re.findall(r'class="own" cx="[\d.]+" cy="([\d.]+)"', beside)
    assert 0 < float(edge) < float(height)
