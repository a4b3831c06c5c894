import shlex
from datetime import UTC, datetime, timedelta

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import read_parameters
from batch_scoring.jobs.backends.azure_batch.management import pool_resource
from batch_scoring.jobs.backends.azure_batch.requests import job_request, pool_request, task_request
from batch_scoring.jobs.backends.azure_batch.settings import AzureBatchSettings
from batch_scoring.jobs.settings import JobsParameters
from batch_scoring.jobs.specs import JobSpec
from tests.emulators.azure_batch.times import seconds_of
from tests.jobs.backends.azure_batch.conftest import IDENTITY

IMAGE = "acme.azurecr.io/batch-scoring:1.2.0"
DATA = "abfs://fleet@acme.dfs.core.windows.net/data"


def jobs(**service):
    given = {"endpoint": "https://acme.westeurope.batch.azure.com", "image": IMAGE, "identity": IDENTITY}
    return JobsParameters(backend="azure_batch", azure_batch=AzureBatchSettings(**(given | service)))


def task(data=DATA, environment=None, **service):
    at = datetime(2026, 1, 5, 10, tzinfo=UTC)
    spec = JobSpec("score-1", "job-1", "score", at, ('Motor\'s temp. "°C"',), models={"a b": "x"})
    return spec, task_request(spec, data, "azure", jobs(**service), environment or {}).as_dict()


def test_the_pool_has_the_image_and_scales_itself():
    pool = pool_request(jobs(vm_size="Standard_D4s_v3", tasks_per_node=4).azure_batch).as_dict()
    assert (pool["id"], pool["vmSize"], pool["taskSlotsPerNode"]) == ("batch-scoring", "Standard_D4s_v3", 4)
    assert pool["virtualMachineConfiguration"] == {
        "imageReference": {
            "publisher": "microsoft-dsvm",
            "offer": "ubuntu-hpc",
            "sku": "2404",
            "version": "latest",
        },
        "nodeAgentSKUId": "batch.node.ubuntu 24.04",
        "containerConfiguration": {
            "type": "dockerCompatible",
            "containerImageNames": [IMAGE],
        },
    }
    assert pool["enableAutoScale"] is True
    assert seconds_of(pool["autoScaleEvaluationInterval"]) == 300
    assert "startTask" not in pool


def test_a_new_job_does_not_end_before_its_tasks_are_in():
    job = job_request("score-1", jobs()).as_dict()
    assert job["onAllTasksComplete"] == "noaction"
    assert job["poolInfo"] == {"poolId": "batch-scoring"}
    assert job["constraints"] == {"maxWallClockTime": "P7D", "maxTaskRetryCount": 2}


def test_the_command_line_names_the_job_and_has_nothing_to_be_quoted():
    spec, request = task()
    assert shlex.split(request["commandLine"]) == ["python", *spec.arguments(DATA, "azure")]
    assert not set("\"'{}[]\\$") & set(request["commandLine"])


def test_a_task_runs_in_the_image_within_its_time_with_its_retries():
    _, request = task(environment={"B": "2", "A": "1"})
    assert request["containerSettings"] == {
        "imageName": IMAGE,
        "workingDirectory": "containerImageDefault",
        "containerRunOptions": "--rm --read-only --tmpfs=/tmp --cap-drop=ALL "
        "--security-opt=no-new-privileges",
    }
    constraints = request["constraints"]
    assert (seconds_of(constraints["maxWallClockTime"]), constraints["maxTaskRetryCount"]) == (3000, 2)
    assert request["environmentSettings"] == [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]


def test_a_broken_image_ends_the_run_and_a_failed_shard_does_not():
    conditions = task()[1]["exitConditions"]
    assert [(one["code"], one["exitOptions"]["jobAction"]) for one in conditions["exitCodes"]] == [
        (126, "terminate"),
        (127, "terminate"),
    ]
    assert conditions["default"] == {"jobAction": "none"}


def test_output_goes_beside_the_records_of_the_run():
    files = task()[1]["outputFiles"]
    assert [file["filePattern"] for file in files] == ["../stdout.txt", "../stderr.txt"]
    assert files[0]["destination"]["container"] == {
        "containerUrl": "https://acme.blob.core.windows.net/fleet",
        "path": "data/09_jobs/score-1/job-1.stdout.txt",
        "identityReference": {"resourceId": IDENTITY},
    }
    assert files[0]["uploadOptions"] == {"uploadCondition": "taskcompletion"}


def test_output_stays_on_the_node_without_an_identity_or_an_account():
    assert "outputFiles" not in task(identity=None)[1]
    assert "outputFiles" not in task(data="/local/data")[1]


def test_a_pool_with_an_identity_pulls_with_it_and_is_else_the_same():
    settings = jobs(vm_size="Standard_D4s_v3", tasks_per_node=4).azure_batch
    own, resource = pool_request(settings).as_dict(), pool_resource(settings).as_dict()
    assert resource["identity"] == {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}}
    properties = resource["properties"]
    machine = properties["deploymentConfiguration"]["virtualMachineConfiguration"]
    containers = machine["containerConfiguration"]
    assert containers.pop("containerRegistries") == [
        {"registryServer": "acme.azurecr.io", "identityReference": {"resourceId": IDENTITY}}
    ]
    assert containers.pop("type").lower() == "dockercompatible"
    del own["virtualMachineConfiguration"]["containerConfiguration"]["type"]
    machine["nodeAgentSKUId"] = machine.pop("nodeAgentSkuId")
    assert machine == own["virtualMachineConfiguration"]
    assert properties["scaleSettings"]["autoScale"]["formula"] == own["autoScaleFormula"]
    assert (properties["vmSize"], properties["taskSlotsPerNode"]) == ("Standard_D4s_v3", 4)


def test_an_image_of_docker_hub_needs_no_registry():
    pool = pool_resource(jobs(image="library/python:3.11").azure_batch).as_dict()
    machine = pool["properties"]["deploymentConfiguration"]["virtualMachineConfiguration"]
    assert "containerRegistries" not in machine["containerConfiguration"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"min_nodes": 5, "max_nodes": 4}, "min_nodes: 5 is not valid; expected 0 to 4"),
        ({"autoscale_interval": "1m"}, "expected 5m to 168h"),
        ({"tasks_per_node": 0}, "expected 1 to 8"),
        ({"tasks_per_node": 17, "vm_size": "Standard_D4s_v5"}, "17 is not valid; expected 1 to 16"),
        ({"pool": "a pool"}, "pool: 'a pool'"),
        ({"vm_image": "ubuntu"}, "publisher:offer:sku:version"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(InputError, match=said):
        read_parameters(JobsParameters, {"azure_batch": settings}, "jobs")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"endpoint": None}, "endpoint: this setting is missing"),
        ({"image": None}, "image: this setting is missing"),
        ({"endpoint": "http://acme.westeurope.batch.azure.com"}, "expected https://"),
    ],
)
def test_the_service_is_not_used_with_half_of_the_settings(settings, said):
    with pytest.raises(InputError, match=said):
        jobs(**settings).azure_batch.require_complete()


def test_times_are_read_from_parameters():
    read = read_parameters(JobsParameters, {"azure_batch": {"keep_warm": "15m"}}, "jobs")
    assert read.azure_batch.keep_warm == timedelta(minutes=15)
