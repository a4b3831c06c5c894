"""Which cluster is the cheapest, reckoned by hand."""

from datetime import timedelta

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.costs import words
from batch_scoring.jobs.costs.choices import Policy, Schedule, all_choices, fewest_nodes, short_list
from batch_scoring.jobs.costs.replicas import on_container_apps
from batch_scoring.jobs.costs.settings import CostSettings

# A node runs one job at once and costs a cent a minute. It takes 4 minutes to start and one to stop.
# Autoscaling looks at :00, :05, :10, … and stops what is idle then.
CENT_A_MINUTE = [{"name": "one", "tasks": 1, "dedicated": 0.6, "low_priority": 0.06}]
BY_HAND = CostSettings(
    nodes=CENT_A_MINUTE,
    node_start=timedelta(minutes=4),
    node_stop=timedelta(minutes=1),
    autoscale_interval=timedelta(minutes=5),
    autoscale_offset=timedelta(0),
    idle_before_stop=timedelta(0),
    job_overhead=timedelta(0),
)


def five_jobs_of_two_minutes(deadline_minutes):
    return all_choices(Schedule((120.0,) * 5, 3600.0, 60.0 * deadline_minutes), BY_HAND)


def of(choices, least, most):
    (found,) = [one for one in choices if (one.cluster.min_nodes, one.cluster.max_nodes) == (least, most)]
    return found


def figures(choice):
    """Cents an hour, minutes of a run, idle share."""
    return 100 * choice.cost_per_day / 24, choice.day.makespan / 60, choice.day.idle_share


def test_within_the_hour_one_node_from_zero_is_the_cheapest():
    choices = five_jobs_of_two_minutes(60)
    best = choices[0]
    assert (best.policy, best.cluster.max_nodes) == (Policy.FROM_ZERO, 1)
    # :00 asked for, :04 ready, five jobs of 2 minutes to :14, seen idle at :15, gone at :16.
    # 16 minutes = 16 cents; 10 of the 16 minutes are work.
    assert figures(of(choices, 0, 1)) == pytest.approx((16, 14, 6 / 16))
    # Two nodes: 3 and 2 jobs from :04, so to :10 and :08, seen idle at :10, gone at :11.
    # 2 nodes x 11 minutes = 22 cents.
    assert figures(of(choices, 0, 2)) == pytest.approx((22, 10, 12 / 22))
    # Five nodes: one job each, to :06, seen idle at :10, gone at :11. 5 x 11 = 55 cents.
    assert figures(of(choices, 0, 5)) == pytest.approx((55, 6, 45 / 55))
    # One that stays: 60 minutes = 60 cents; five jobs one after the other.
    assert figures(of(choices, 1, 1)) == pytest.approx((60, 10, 50 / 60))
    # One that stays and four that come: the one has done two jobs when the four are ready at :04, so
    # two of them have nothing to do, are seen at :05, gone at :06; the other three jobs end at :06, and
    # two nodes are gone at :11. 60 + 2 x 6 + 2 x 11 = 94 cents.
    assert figures(of(choices, 1, 5)) == pytest.approx((94, 6, 84 / 94))
    # Five that stay: 5 x 60 = 300 cents, all jobs at once.
    assert figures(of(choices, 5, 5)) == pytest.approx((300, 2, 290 / 300))
    # 24 hours of 16 cents, and 730 of them.
    assert best.cost_per_day == pytest.approx(3.84)
    assert best.cost_per_month == pytest.approx(116.80)


def test_with_less_time_more_nodes_are_the_cheapest():
    # 12 minutes: one node from zero takes 14, two take 10, for 22 cents an hour.
    best = five_jobs_of_two_minutes(12)[0]
    assert (best.policy, best.cluster.max_nodes) == (Policy.FROM_ZERO, 2)
    assert best.cost_per_day == pytest.approx(24 * 0.22)
    # 5 minutes: a node that has to start is ready at :04 and done at :06, too late. Three that stay do
    # 3 and 2 jobs by :04, for 180 cents an hour; two do it by :06.
    best = five_jobs_of_two_minutes(5)[0]
    assert (best.policy, best.cluster.max_nodes) == (Policy.FIXED, 3)
    assert best.cost_per_day == pytest.approx(24 * 1.80)


def test_a_deadline_shorter_than_a_job_nothing_meets():
    choices = five_jobs_of_two_minutes(1)
    assert not any(choice.is_in_time for choice in choices)
    assert choices[0].day.makespan == 120
    assert words.verdict(choices, "USD").startswith("No cluster ends by 1 min; the fastest is fixed, one")
    schedule = Schedule((120.0,) * 5, 3600.0, 60.0)
    assert (
        words.as_json(choices, schedule, "USD", on_container_apps(schedule, BY_HAND, 1.0))["cheapest"] is None
    )


def test_looking_later_and_waiting_for_idle_nodes_costs_what_it_takes():
    later = CostSettings(
        **{
            **BY_HAND.__dict__,
            "autoscale_offset": timedelta(minutes=2),
            "idle_before_stop": timedelta(minutes=3),
        }
    )
    choices = all_choices(Schedule((120.0,) * 5, 3600.0, 3600.0), later)
    # Seen at :02, ready at :06, done at :16. Idle for 1 minute at :17, for 6 at :22; gone at :23.
    # Paid from :02 to :23: 21 cents.
    assert figures(of(choices, 0, 1)) == pytest.approx((21, 16, 11 / 21))


def test_few_big_nodes_are_held_against_many_small_ones():
    sizes = [
        {"name": "small", "tasks": 1, "dedicated": 0.6, "low_priority": 0.06},
        {"name": "big", "tasks": 5, "dedicated": 2.4, "low_priority": 0.24},
    ]
    both = CostSettings(**{**BY_HAND.__dict__, "nodes": sizes})
    choices = all_choices(Schedule((120.0,) * 5, 3600.0, 360.0), both)
    # By :06: five small ones, 5 x 11 x 1 = 55 cents, or one big one, 11 x 4 = 44 cents.
    assert (choices[0].size.name, choices[0].policy) == ("big", Policy.FROM_ZERO)
    assert choices[0].cost_per_day == pytest.approx(24 * 0.44)
    listed = {(choice.size.name, choice.policy): choice for choice in short_list(choices)}
    assert listed["small", Policy.FROM_ZERO].cost_per_day == pytest.approx(24 * 0.55)
    cheap = all_choices(
        Schedule((120.0,) * 5, 3600.0, 360.0), CostSettings(**{**both.__dict__, "low_priority": True})
    )
    assert cheap[0].cost_per_day == pytest.approx(24 * 0.044)


def test_the_fewest_nodes_in_time_are_found():
    schedule = Schedule((120.0,) * 5, 3600.0, 600.0)
    assert [fewest_nodes(schedule, 1, 5, delay) for delay in (0.0, 240.0, 1e6)] == [1, 2, 5]
    assert fewest_nodes(schedule, 5, 9) == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"nodes": []}, "nodes: "),
        ({"nodes": [{"name": "a", "tasks": 0, "dedicated": 1, "low_priority": 1}]}, "nodes: 'a'.tasks: 0"),
        (
            {"nodes": [{"name": "a", "tasks": 1, "dedicated": -1, "low_priority": 1}]},
            "nodes: 'a'.dedicated: -1",
        ),
        ({"nodes": [{"name": "a", "task": 1, "dedicated": 1, "low_priority": 1}]}, "did you mean 'tasks'"),
        ({"nodes": CENT_A_MINUTE * 2}, "two sizes are called 'one'"),
        ({"max_nodes": 0}, "max_nodes: 0"),
        ({"autoscale_interval": timedelta(0)}, "autoscale_interval: "),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, told):
    with pytest.raises(InputError, match=told):
        CostSettings(**changes)
