"""A pool whose nodes have an identity, through Azure Resource Manager."""

import time
from dataclasses import replace

import pytest
from azure.core.credentials import AccessToken

from batch_scoring.core.errors import CapacityError, InputError
from batch_scoring.jobs.backends.azure_batch.backend import AzureBatchBackend
from tests.emulators.azure_batch.known_differences import (
    DESCRIBED_MANAGEMENT_VERSION,
    MANAGEMENT_DESCRIPTION,
    is_known,
)
from tests.emulators.azure_batch.management import ACCOUNT_ID, TOKEN, Management
from tests.emulators.certificates import make_certificate
from tests.emulators.oav import Validator, require
from tests.jobs.backends.azure_batch.conftest import IDENTITY


class Credential:
    def __init__(self, token=TOKEN):
        self.token = token

    def get_token(self, *scopes, **options):
        return AccessToken(self.token, int(time.time()) + 3600)


@pytest.fixture
def management(cluster, tmp_path):
    certificate, key = make_certificate(tmp_path / "certificate")
    with Management(cluster.server.account, certificate, key) as running:
        running.certificate = certificate
        yield running


def engine(cluster, management, account_id=ACCOUNT_ID, token=TOKEN, **changes):
    service = replace(cluster.settings.azure_batch, identity=IDENTITY, account_id=account_id, **changes)
    options = {
        "credential": Credential(token),
        "base_url": management.endpoint,
        "credential_scopes": ["https://management.azure.com/.default"],
        "connection_verify": str(management.certificate),
    }
    settings = replace(cluster.settings, azure_batch=service)
    return AzureBatchBackend(str(cluster.data), None, settings, management=options)


def test_the_pool_is_created_once_with_its_identity(cluster, management):
    engine(cluster, management).ensure()
    engine(cluster, management).ensure()
    engine(cluster, management)._create_pool()
    pool = cluster.server.account.pools["batch-scoring"]
    assert pool.asked["identity"]["userAssignedIdentities"] == [{"resourceId": IDENTITY}]
    made = [one.status for one in management.recorder.exchanges if one.method == "PUT"]
    assert made == [200, 412]
    assert cluster.server.calls()["POST /pools"] == 0
    assert cluster.server.calls()["POST /pools/*/enableautoscale"] == 0


def test_an_identity_needs_the_id_of_the_account(cluster, management):
    with pytest.raises(InputError, match="account_id: None"):
        engine(cluster, management, account_id=None).ensure()


def test_who_may_not_manage_the_account_is_told(cluster, management):
    with pytest.raises(InputError, match="authentication failed"):
        engine(cluster, management, token="another").ensure()


@pytest.mark.slow
def test_the_request_is_as_the_description_says(cluster, management, capsys):
    require(MANAGEMENT_DESCRIPTION)
    engine(cluster, management).ensure()
    engine(cluster, management)._create_pool()
    exchanges = management.recorder.exchanges
    description = (MANAGEMENT_DESCRIPTION, "management.azure.com", DESCRIBED_MANAGEMENT_VERSION, is_known)
    with Validator(*description) as oav:
        violations = oav.violations(exchanges)
    with capsys.disabled():
        print(f"\nAzure Batch, management: {len(exchanges)} exchanges, {len(violations)} violations")
    assert [str(one) for one in violations] == []


ONE_FAMILY = [{"name": "standardDSv3Family", "coreQuota": 1}]


@pytest.mark.parametrize(
    ("quotas", "changes", "said"),
    [
        ({"dedicatedCoreQuota": 0}, {}, "its quota of cores of Standard_D2s_v3 is 0, and one node has 2"),
        ({"dedicatedCoreQuotaPerVMFamily": ONE_FAMILY}, {}, "its quota of cores of Standard_D2s_v3 is 1"),
        ({"lowPriorityCoreQuota": 0}, {"low_priority": True}, "its quota of Spot cores is 0"),
    ],
)
def test_a_quota_for_no_node_is_told_before_anything_is_submitted(cluster, management, quotas, changes, said):
    cluster.server.account.quotas |= quotas
    with pytest.raises(CapacityError, match=said):
        engine(cluster, management, vm_size="Standard_D2s_v3", **changes).ensure()
    assert cluster.server.account.pools == {}


@pytest.mark.parametrize(
    ("quotas", "warned"),
    [
        ({"dedicatedCoreQuota": 4}, "enough for 2 nodes"),
        ({"dedicatedCoreQuotaPerVMFamily": [{"name": "standardESv5Family", "coreQuota": 0}]}, ""),
        ({}, ""),
    ],
)
def test_a_quota_for_some_nodes_is_warned_of(cluster, management, caplog, quotas, warned):
    cluster.server.account.quotas |= quotas
    with caplog.at_level("WARNING"):
        engine(cluster, management, vm_size="Standard_D2s_v3").ensure()
    assert warned in caplog.text and bool(caplog.text) is bool(warned)


def test_an_account_that_cannot_be_read_stops_nothing(cluster, management):
    engine(cluster, management).ensure()
    engine(cluster, management, token="of somebody who may not read").ensure()
