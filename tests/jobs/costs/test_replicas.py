"""What a schedule costs where only the seconds of jobs are paid."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from batch_scoring.cli import cli
from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import read_parameters
from batch_scoring.jobs.costs.choices import Schedule
from batch_scoring.jobs.costs.replicas import on_container_apps
from batch_scoring.jobs.costs.settings import CostSettings, ReplicaPrices

PROJECT = Path(__file__).parents[3]
# A cent for a core's second, a tenth of it for a GiB's; nothing is free.
PRICES = ReplicaPrices(0.01, 0.001, 0.0, 0.0, cores=2.0, start=timedelta(seconds=30))


def costs(**changes):
    return CostSettings(container_apps=ReplicaPrices(**{**vars(PRICES), **changes}))


def test_only_seconds_of_jobs_are_paid_and_the_grant_is_taken_off():
    schedule = Schedule((60.0, 60.0), 3600.0, 3600.0)
    found = on_container_apps(schedule, costs(), 0.5)
    # 730 hours of 120 s, half a core and one GiB.
    assert (found.vcpu_seconds, found.gib_seconds) == pytest.approx((43_800, 87_600))
    assert found.cost_per_month == pytest.approx(438 + 87.6)
    granted = on_container_apps(schedule, costs(free_vcpu_seconds=40_000, free_gib_seconds=100_000), 0.5)
    assert granted.cost_per_month == pytest.approx(38)


def test_jobs_wait_where_the_quota_of_cores_is_used_up():
    schedule = Schedule((60.0,) * 4, 3600.0, 100.0)
    assert (
        on_container_apps(schedule, costs(), 0.5).makespan,
        on_container_apps(schedule, costs(), 1.0).makespan,
    ) == (*(90.0, 180.0),)
    assert on_container_apps(schedule, costs(), 0.5).is_in_time
    assert not on_container_apps(schedule, costs(), 1.0).is_in_time


def test_what_is_more_than_an_hour_s_work_falls_behind():
    assert not on_container_apps(Schedule((3000.0,) * 4, 3600.0, 9e9), costs(), 2.0).is_in_time


@pytest.mark.parametrize("setting", ["vcpu_second", "cores"])
def test_a_price_or_a_quota_that_is_none_is_refused(setting):
    with pytest.raises(InputError, match=rf"jobs\.costs\.container_apps\.{setting}: -1"):
        read_parameters(CostSettings, {"container_apps": {setting: -1}}, "jobs.costs")


@pytest.mark.slow
def test_the_plan_prices_it_beside_the_clusters(monkeypatch):
    bootstrap_project(PROJECT)
    monkeypatch.chdir(PROJECT)
    given = ["jobs", "plan", "--jobs", "5", "--minutes", "2"]
    text = CliRunner().invoke(cli, given).output
    assert "Container Apps (1 core, 2 GiB a job): " in text
    told = json.loads(CliRunner().invoke(cli, [*given, "--json"]).output)["container_apps"]
    # 5 jobs of 122 s, 730 times: 445,300 s.
    assert told["vcpu_seconds"] == pytest.approx(445_300)
    assert told["cost_per_month"] == pytest.approx(265_300 * 0.000024 + 530_600 * 0.000003)
    assert f"{told['cost_per_month']:,.2f} USD a month" in text
    assert told["in_time"] is True
