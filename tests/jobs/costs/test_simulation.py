"""The simulated cluster: what must hold whatever the jobs, the nodes and autoscaling are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.jobs.costs.figures import simulate_day
from batch_scoring.jobs.costs.simulation import Cluster, Timing, simulate

EVERY = 3600.0
durations = st.lists(st.integers(1, 900).map(float), min_size=1, max_size=12)
timings = st.builds(
    Timing,
    node_start=st.integers(0, 600).map(float),
    node_stop=st.integers(0, 120).map(float),
    autoscale_interval=st.integers(60, 900).map(float),
    autoscale_offset=st.integers(0, 600).map(float),
    idle_before_stop=st.integers(0, 900).map(float),
)


@st.composite
def clusters(draw):
    most = draw(st.integers(1, 6))
    return Cluster(draw(st.integers(1, 4)), draw(st.integers(0, most)), most)


def fixed(nodes, tasks=1):
    return Cluster(tasks, nodes, nodes)


@given(durations, clusters(), timings, st.integers(1, 4))
def test_every_job_of_every_run_runs_once_for_as_long_as_it_takes(jobs, cluster, timing, runs):
    done = simulate(jobs, EVERY, runs, cluster, timing)
    ran = sorted(zip(done.job_run.tolist(), done.job.tolist(), strict=True))
    assert ran == [(run, job) for run in range(runs) for job in range(len(jobs))]
    np.testing.assert_allclose(done.job_end - done.job_start, np.array(jobs)[done.job])
    assert (done.job_start >= done.scheduled[done.job_run]).all()


@given(durations, clusters(), timings, st.integers(1, 4))
def test_jobs_run_only_on_nodes_that_are_there_and_have_room(jobs, cluster, timing, runs):
    done = simulate(jobs, EVERY, runs, cluster, timing)
    ready = done.node_from + np.where(
        np.arange(len(done.node_from)) < cluster.min_nodes, 0, timing.node_start
    )
    assert (done.job_start >= ready[done.job_node]).all()
    assert (done.job_end <= done.node_to[done.job_node]).all()
    for node in range(len(done.node_from)):
        mine = done.job_node == node
        begun, ended = done.job_start[mine], done.job_end[mine]
        at_once = [((begun <= moment) & (ended > moment)).sum() for moment in begun]
        assert max(at_once, default=0) <= cluster.tasks_per_node
    moments = np.concatenate([done.node_from, done.job_start])
    paid = done.paid_nodes(moments)
    assert (
        cluster.min_nodes <= paid.min(initial=cluster.max_nodes) <= paid.max(initial=0) <= cluster.max_nodes
    )


@given(durations, clusters(), timings)
def test_a_run_takes_as_long_as_its_longest_job_and_as_its_work_needs(jobs, cluster, timing):
    makespan = simulate(jobs, EVERY, 1, cluster, timing).makespans[0]
    assert makespan >= max(jobs)
    assert makespan >= sum(jobs) / (cluster.max_nodes * cluster.tasks_per_node) - 1e-6


@given(durations, st.integers(1, 3), timings)
def test_more_nodes_never_lengthen_a_run(jobs, tasks, timing):
    for of in (lambda nodes: fixed(nodes, tasks), lambda nodes: Cluster(tasks, 0, nodes)):
        spans = [simulate(jobs, EVERY, 1, of(nodes), timing).makespans[0] for nodes in range(1, 8)]
        assert spans == sorted(spans, reverse=True)


@given(durations, st.integers(1, 6), timings, st.floats(0, 10))
def test_a_fixed_cluster_costs_nodes_times_hours_times_price(jobs, nodes, timing, price):
    day = simulate_day(jobs, EVERY, fixed(nodes), timing)
    assert day.cost(price) == pytest.approx(nodes * 24 * price)


@given(durations, clusters(), timings, st.floats(0, 10))
def test_nothing_costs_less_than_nothing_and_shares_are_shares(jobs, cluster, timing, price):
    day = simulate_day(jobs, EVERY, cluster, timing)
    assert day.cost(price) >= 0
    assert 0 <= day.idle_share <= 1
    assert day.node_hours <= cluster.max_nodes * 24 + 1e-9


@given(durations, st.integers(1, 6), st.integers(1, 3), timings)
def test_a_cluster_from_zero_idles_no_more_than_a_fixed_one(jobs, nodes, tasks, timing):
    scaled = simulate_day(jobs, EVERY, Cluster(tasks, 0, nodes), timing)
    steady = simulate_day(jobs, EVERY, fixed(nodes, tasks), timing)
    if scaled.makespan <= EVERY:  # else some of the work is of another day
        assert scaled.idle_share <= steady.idle_share + 1e-9


def test_a_cluster_from_zero_ends_with_no_node():
    done = simulate([60.0] * 5, EVERY, 3, Cluster(1, 0, 5), Timing(240, 60, 300))
    assert np.isfinite(done.node_to).all()
    assert done.paid_nodes(np.array([3599.0, 3600.0, 1e6])).tolist() == [0, 5, 0]


def test_work_of_more_than_an_hour_an_hour_falls_behind():
    day = simulate_day([3000.0, 3000.0], EVERY, fixed(1), Timing(0, 0, 60))
    assert not day.keeps_up
    assert day.makespans[-1] > day.makespans[0] + 20 * 2400


def test_a_schedule_rarer_than_a_day_is_reckoned_by_the_day():
    week = 7 * 86400.0
    day = simulate_day([3600.0], week, Cluster(1, 0, 1), Timing(0, 0, 3600))
    assert day.node_hours == pytest.approx(1 / 7)
