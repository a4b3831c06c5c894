"""Versions in service have a run each in MLflow, with a value a day; no day is logged twice."""

from __future__ import annotations

import pytest

from batch_scoring.core.moments import DAY_US
from batch_scoring.datasets.fleet_models import ServiceRuns
from batch_scoring.registry.tracking import TrainingRun, log_service, register, service_runs
from tests.fleet_models import make_model, training_of

FIRST = 20_458 * DAY_US  # 2026-01-05


@pytest.fixture(autouse=True)
def registered(store):
    run = TrainingRun(store, 0)
    for seed in (0, 1):
        register(store, run.run_id, training_of(make_model("air/flow", seed=seed), f"f{seed}"))
    run.end("FINISHED")


def days(*rates, first=FIRST, version="1", sensor="air/flow"):
    return [((sensor, version), [(first + i * DAY_US, {"flag_rate": one}) for i, one in enumerate(rates)])]


def series(store, version="1"):
    run = service_runs(store)["air/flow", version]
    history = store.client.get_metric_history(run.run_id, "flag_rate")
    return [(one.step, one.timestamp, one.value) for one in sorted(history, key=lambda one: one.step)]


def test_figures_become_a_series_over_the_days(store):
    log_service(store, service_runs(store), days(0.1, 0.2))
    n = log_service(store, service_runs(store), days(0.1, 0.2, 0.3))

    ended_ms = (FIRST + DAY_US) // 1000
    day_ms = DAY_US // 1000
    assert n == 1
    assert series(store) == [(0, ended_ms, 0.1), (1, ended_ms + day_ms, 0.2), (2, ended_ms + 2 * day_ms, 0.3)]


def test_each_version_has_a_run_that_leads_to_its_model(store):
    both = days(0.1) + days(0.5, version="2", first=FIRST + DAY_US)
    log_service(store, service_runs(store), both)

    found = service_runs(store)
    assert list(found) == [("air/flow", "2"), ("air/flow", "1")]
    run = store.client.get_run(found["air/flow", "2"].run_id)
    assert run.info.run_name == "air/flow v2 in service"
    assert run.info.status == "FINISHED"
    (model,) = run.inputs.model_inputs
    assert f"models:/{model.model_id}" == store.client.get_model_version("air~2Fflow", "2").source


def test_a_day_that_was_killed_half_way_is_logged_once(store, monkeypatch):
    log_service(store, service_runs(store), days(0.1))
    real = type(store.client).log_batch

    def killed(self, *arguments, tags=(), **more):
        if tags:
            raise KeyboardInterrupt
        real(self, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(type(store.client), "log_batch", killed)
        with pytest.raises(KeyboardInterrupt):
            log_service(store, service_runs(store), days(0.1, 0.2))
    log_service(store, service_runs(store), days(0.1, 0.2))

    assert [(step, value) for step, _, value in series(store)] == [(0, 0.1), (1, 0.2)]


def test_a_version_that_is_gone_gets_no_run(store):
    assert log_service(store, {}, days(0.1, version="7")) == 0
    assert service_runs(store) == {}


def test_more_days_than_a_request_holds_are_logged(store):
    rates = [i / 2000 for i in range(1_200)]
    log_service(store, {}, days(*rates))
    assert [value for *_, value in series(store)] == rates


def test_the_catalog_entry_asks_for_days_a_week_before_the_last_one(store, tmp_path, no_tracking_uri):
    asked = []

    def figures(since):
        asked.append(since)
        return days(0.1, 0.2)

    for _ in range(2):
        ServiceRuns(str(tmp_path)).save(figures)

    assert asked == [None, FIRST + DAY_US - 7 * DAY_US]
    assert len(series(store)) == 2


def test_without_a_database_nothing_is_computed(tmp_path, no_tracking_uri):
    ServiceRuns(str(tmp_path / "new")).save(lambda since: pytest.fail("nobody asked"))
    assert not (tmp_path / "new").exists()
