"""What a deployment sends to providers, and what the stand-in answers, is as Azure describes it."""

from __future__ import annotations

import pytest

from batch_scoring.deploy.arm.up import DeploymentRequest, up
from tests.deploy.arm.templates import STREAM_JOB, VAULT, parameters, template
from tests.emulators.oav import Validator, require

_PATTERNS = {
    "Microsoft.Logic": "logic/resource-manager/**/2019-05-01/*.json",
    "Microsoft.StreamAnalytics": "streamanalytics/resource-manager/**/2020-03-01/*.json",
}


@pytest.mark.slow
@pytest.mark.parametrize("namespace", _PATTERNS)
def test_what_is_sent_and_answered_is_as_it_is_described(client, server, namespace):
    pattern = _PATTERNS[namespace]
    require(pattern)
    up(client, DeploymentRequest(template(), parameters(), STREAM_JOB, VAULT), print)
    recorded = [*server.arm.recorder.exchanges, *server.recorder.exchanges]
    exchanges = [one for one in recorded if f"/providers/{namespace}/" in one.path]
    assert exchanges
    with Validator(pattern, "management.azure.com") as validator:
        assert [str(one) for one in validator.violations(exchanges)] == []
