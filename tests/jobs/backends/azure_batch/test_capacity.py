"""A service without nodes to give is heard of while jobs wait, and what was before is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from batch_scoring.core.errors import CapacityError
from batch_scoring.jobs import capacity, scheduler
from batch_scoring.jobs.capacity import CapacityWatch
from batch_scoring.jobs.specs import State
from tests.jobs.backends.azure_batch.conftest import RUN, specs
from tests.waiting import wait_for

pytestmark = pytest.mark.slow  # servers and processes, together longer than the quick tests may take

QUOTA = ("AccountCoreQuotaReached", "The specified account has reached core quota")


@pytest.fixture
def engine(cluster):
    found = cluster.engine()
    found.ensure()
    return found


def until_told(engine, since):
    return wait_for(lambda: engine.trouble(since))


def test_a_quota_that_is_used_up_is_told_given_up_and_made_good(cluster, engine, monkeypatch):
    monkeypatch.setattr(capacity, "SECONDS_BETWEEN_LOOKS", 0.05)
    pool = cluster.server.account.pools["batch-scoring"]
    pool.shortage = QUOTA
    said = []
    watch = CapacityWatch(engine, RUN, timedelta(seconds=0.5), said.append)
    engine.submit(RUN, specs("a", "b"))
    with pytest.raises(CapacityError, match="run when there are nodes"):
        scheduler.wait(engine, RUN, pause=0.02, look=watch.look)
    assert len(said) == 1
    assert "2 jobs wait and none runs: pool batch-scoring gets no nodes" in said[0]
    assert "(AccountCoreQuotaReached)" in said[0] and "ask for more in the portal" in said[0]
    pool.shortage = None
    ended = scheduler.wait(engine, RUN, pause=0.02, look=CapacityWatch(engine, RUN, timedelta(1), print).look)
    assert {one.state for one in ended} == {State.SUCCEEDED}
    assert cluster.executions() == {"a": 1, "b": 1}


def test_a_region_without_machines_is_told(cluster, engine):
    cluster.server.account.pools["batch-scoring"].shortage = (
        "AllocationFailed",
        "Desired number could not be allocated",
    )
    engine.submit(RUN, specs("a"))
    told = until_told(engine, datetime.now(UTC))
    assert "(AllocationFailed)" in told and "another deploy.nodes.vm_size or region" in told


def test_what_an_earlier_run_lacked_is_not_told(cluster, engine):
    cluster.server.account.pools["batch-scoring"].shortage = QUOTA
    engine.submit(RUN, specs("a"))
    assert until_told(engine, datetime.now(UTC)) is not None
    assert engine.trouble(datetime.now(UTC) + timedelta(minutes=1)) is None


def test_a_formula_that_fails_is_told(cluster, engine):
    since = datetime.now(UTC)
    cluster.server.account.pools["batch-scoring"].asked["autoScaleFormula"] = (
        "$TargetDedicatedNodes = $Nothing;"
    )
    assert "the autoscale formula of pool batch-scoring fails" in until_told(engine, since)


def test_a_pool_that_grows_is_no_trouble(cluster, engine):
    engine.submit(RUN, specs("a"))
    assert engine.trouble(datetime.now(UTC)) is None
    cluster.wait(engine)
