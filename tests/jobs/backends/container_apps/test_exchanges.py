"""What client and stand-in say to each other is what the models of Microsoft's client say."""

import re

import pytest
from azure.mgmt.appcontainers import models

from batch_scoring.core.errors import InputError
from tests.deploy.template import sdk_models
from tests.emulators.node_faults import Fault
from tests.jobs.backends.container_apps.conftest import RUN, specs

pytestmark = pytest.mark.slow

# What is at the end of a path, and what is sent and answered there.
KINDS = {
    r"/jobs/[^/]+": (None, models.Job),
    r"/start": (models.JobExecutionTemplate, models.JobExecutionBase),
    r"/executions": (None, models.ContainerAppJobExecutions),
    r"/stop": (None, None),
    r"/usages": (None, models.Usage),
}


def faults(exchange):
    sent, answered = next(kind for end, kind in KINDS.items() if re.search(f"{end}$", exchange.path))
    if exchange.status >= 400:
        answered = models.ErrorResponse
    found = [("sent", fault) for fault in sdk_models.faults(exchange.request_body, sent)] if sent else []
    bodies = [] if answered is None or exchange.response_body is None else [exchange.response_body]
    if answered is models.Usage:
        bodies = bodies[0]["value"]
    for body in bodies:
        wrong = sdk_models.faults(body, answered)
        found += [("answered", one) for one in wrong if "only the service sets it" not in one]
    return found


def test_every_exchange_is_as_the_models_say(environment, how):
    how |= {"a": "fail", "c": "hang"}
    environment.apps.faults.add(Fault.IMAGE, times=2, fits=lambda key: key[1] == "b")
    environment.apps.answers.add(503, method="POST", part="/start", after=True)
    environment.apps.page = 2
    engine = environment.engine()
    engine.ensure()
    engine.submit(RUN, specs("a", "b", "c", "d"))
    environment.apps.cores.allow(0.0)
    environment.apps.shortage = "Maximum Allowed Cores exceeded"
    engine.submit(RUN, specs("a", "b", "c", "d", "e"))
    engine.statuses(RUN)
    engine.cancel(RUN, ["c", "e"])
    environment.wait(engine)
    environment.apps.answers.add(403, "AuthorizationFailed", method="POST")
    with pytest.raises(InputError):
        engine.retry(RUN, specs("b"))
    exchanges = environment.server.recorder.exchanges
    assert [(one.path, found) for one in exchanges for found in faults(one)] == []
    assert {re.sub(r"-[0-9a-f]{7}/", "/", one.path).rpartition("/")[2] for one in exchanges} >= {
        *("start", "executions", "stop", "usages", "caj-fleet-shards")
    }
    assert {one.status for one in exchanges} >= {200, 403, 503}


def test_what_is_not_as_the_models_say_is_found():
    wrong = {"value": [{"properties": {"status": "Running", "beginTime": "2026-01-05T10:00:00Z"}}]}
    assert sdk_models.faults(wrong, models.ContainerAppJobExecutions) == [
        "value[0].properties.status: only the service sets it",
        "value[0].properties.beginTime: it is unknown",
    ]
