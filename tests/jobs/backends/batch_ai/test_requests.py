import json
import re
import shlex
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Shard
from batch_scoring.core.parameters import read_parameters
from batch_scoring.jobs.backends.batch_ai import requests
from batch_scoring.jobs.backends.batch_ai.settings import (
    BatchAISettings,
    ClusterSettings,
    ContainerSettings,
    FileServerSettings,
)
from batch_scoring.jobs.specs import JobSpec

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
SPEC = JobSpec("score-1", "a-1", "score", AT, ("a",), models={"a": "m"})
VAULT = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/Keys"
BLOB = {"kind": "blob", "path": "logs", "account": "acct", "container": "logs", "key_secret": "storage"}
SETTINGS = BatchAISettings(
    subscription="s",
    resource_group="rg",
    location="eastus",
    key_vault=VAULT,
    logs="$AZ_BATCHAI_MOUNT_ROOT/logs",
    cluster=ClusterSettings(ssh_public_key="ssh-ed25519 AAAA"),
    container=ContainerSettings(image="scoring:1", registry="acct.azurecr.io"),
    mounts=[BLOB],
)


def job(settings=SETTINGS, spec=SPEC, data="abfs://fleet/data", retries=2):
    return requests.job(spec, settings, data, None, timedelta(minutes=50), retries).serialize()["properties"]


def cluster(**more):
    settings = replace(SETTINGS, cluster=replace(SETTINGS.cluster, **more))
    return requests.cluster(settings).serialize()["properties"]


def secret(name):
    return {"sourceVault": {"id": VAULT}, "secretUrl": f"https://keys.vault.azure.net/secrets/{name}"}


def test_a_job_is_one_container_on_one_node_of_the_cluster():
    body = job()
    place = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.BatchAI/workspaces/batch-scoring"
    assert body["nodeCount"] == 1
    assert body["cluster"] == {"id": f"{place}/clusters/scoring"}
    assert body["containerSettings"]["imageSourceRegistry"] == {
        "serverUrl": "acct.azurecr.io",
        "image": "scoring:1",
    }
    assert body["stdOutErrPathPrefix"] == "$AZ_BATCHAI_MOUNT_ROOT/logs"
    assert "mountVolumes" not in body, "the mounts are the cluster's"


def test_a_job_has_time_for_all_its_tries_and_as_long_again_to_come():
    assert job(retries=2)["constraints"]["maxWallClockTime"] == "PT3H20M"
    assert job(retries=0)["constraints"]["maxWallClockTime"] == "PT1H40M"


def test_secrets_are_references_to_the_vault_and_nothing_else():
    settings = replace(
        SETTINGS,
        secrets={"AZURE_STORAGE_CONNECTION_STRING": "connection"},
        container=replace(SETTINGS.container, user="puller", password_secret="registry"),
        cluster=replace(SETTINGS.cluster, app_insights="/app", app_insights_secret="insights"),
    )
    body, nodes = job(settings), requests.cluster(settings).serialize()["properties"]
    assert body["secrets"] == [
        {"name": "AZURE_STORAGE_CONNECTION_STRING", "valueSecretReference": secret("connection")}
    ]
    assert body["containerSettings"]["imageSourceRegistry"]["credentials"] == {
        "username": "puller",
        "passwordSecretReference": secret("registry"),
    }
    setup = nodes["nodeSetup"]
    assert setup["performanceCountersSettings"]["appInsightsReference"] == {
        "component": {"id": "/app"},
        "instrumentationKeySecretReference": secret("insights"),
    }
    text = json.dumps([body, nodes])
    assert not re.search(r'"(accountKey|password|instrumentationKey|adminUserPassword|value)"', text)


def test_every_kind_of_mount_is_there():
    settings = replace(
        SETTINGS,
        file_server=FileServerSettings(name="nfs"),
        mounts=[
            BLOB | {"options": "--file-cache-timeout=0"},
            {"kind": "files", "path": "share", "account": "acct", "share": "s", "key_secret": "storage"},
            {"kind": "file_server", "path": "own", "source": "fleet"},
            {"kind": "nfs", "path": "a", "source": "10.0.0.4:/x", "options": "ro"},
            {"kind": "gluster", "path": "b", "source": "10.0.0.5:/y"},
            {"kind": "lustre", "path": "c", "source": "10.0.0.6@tcp:/z"},
            {"kind": "command", "path": "d", "of": "job", "command": "mount -t cifs //h/s"},
        ],
    )
    mounts = requests.cluster(settings).serialize()["properties"]["nodeSetup"]["mountVolumes"]
    key = {"accountKeySecretReference": secret("storage")}
    assert mounts["azureBlobFileSystems"] == [
        {
            "accountName": "acct",
            "containerName": "logs",
            "credentials": key,
            "relativeMountPath": "logs",
            "mountOptions": "--file-cache-timeout=0",
        }
    ]
    assert mounts["azureFileShares"] == [
        {
            "accountName": "acct",
            "azureFileUrl": "https://acct.file.core.windows.net/s",
            "credentials": key,
            "relativeMountPath": "share",
            "fileMode": "0777",
            "directoryMode": "0777",
        }
    ]
    place = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.BatchAI/workspaces/batch-scoring"
    assert mounts["fileServers"] == [
        {
            "fileServer": {"id": f"{place}/fileServers/nfs"},
            "sourceDirectory": "fleet",
            "relativeMountPath": "own",
        }
    ]
    commands = [one["mountCommand"] for one in mounts["unmanagedFileSystems"]]
    assert commands == [
        "mount -t nfs -o ro 10.0.0.4:/x",
        "mount -t glusterfs 10.0.0.5:/y",
        "mount -t lustre 10.0.0.6@tcp:/z",
    ]
    assert job(settings)["mountVolumes"] == {
        "unmanagedFileSystems": [{"mountCommand": "mount -t cifs //h/s", "relativeMountPath": "d"}]
    }


def test_the_environment_and_the_folders_of_a_job_are_as_they_are_set():
    settings = replace(
        SETTINGS,
        environment={"N": 1},
        inputs={"MODELS": "$AZ_BATCHAI_MOUNT_ROOT/logs/in"},
        outputs={"TABLES": "$AZ_BATCHAI_MOUNT_ROOT/logs"},
        preparation="nvidia-smi",
        priority="high",
    )
    body = job(settings)
    assert body["environmentVariables"] == [{"name": "N", "value": "1"}]
    assert body["inputDirectories"] == [{"id": "MODELS", "path": "$AZ_BATCHAI_MOUNT_ROOT/logs/in"}]
    assert body["outputDirectories"] == [{"id": "TABLES", "pathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/logs"}]
    assert (body["jobPreparation"], body["schedulingPriority"]) == ({"commandLine": "nvidia-smi"}, "high")


def test_a_cluster_scales_by_its_jobs_or_stays_as_it_is():
    auto = {"minimumNodeCount": 0, "maximumNodeCount": 9, "initialNodeCount": 2}
    assert cluster(max_nodes=9, initial_nodes=2)["scaleSettings"] == {"autoScale": auto}
    manual = {"targetNodeCount": 3, "nodeDeallocationOption": "requeue"}
    assert cluster(scale="manual", max_nodes=3)["scaleSettings"] == {"manual": manual}


def test_a_cluster_that_scales_otherwise_is_told_from_one_that_only_began_otherwise():
    def scale(**more):
        return requests.scale(ClusterSettings(**more))

    assert requests.same_scale(scale(initial_nodes=2), scale())
    assert not requests.same_scale(scale(max_nodes=5), scale())
    assert not requests.same_scale(scale(min_nodes=1), scale())
    assert not requests.same_scale(scale(scale="manual"), scale())
    assert not requests.same_scale(scale(), scale(scale="manual"))
    assert requests.same_scale(scale(scale="manual"), scale(scale="manual"))
    assert not requests.same_scale(None, scale())


def test_nodes_have_their_image_their_subnet_and_their_user():
    body = cluster(image="p:o:s", subnet="/net", priority="lowpriority", setup_command="true")
    assert body["virtualMachineConfiguration"] == {
        "imageReference": {"publisher": "p", "offer": "o", "sku": "s"}
    }
    assert body["subnet"] == {"id": "/net"}
    assert body["vmPriority"] == "lowpriority"
    assert body["userAccountSettings"] == {
        "adminUserName": "scoring",
        "adminUserSshPublicKey": "ssh-ed25519 AAAA",
    }
    assert body["nodeSetup"]["setupTask"] == {
        "commandLine": "true",
        "stdOutErrPathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/logs",
    }
    assert cluster(image="p:o:s:1.2")["virtualMachineConfiguration"]["imageReference"]["version"] == "1.2"


def test_a_file_server_has_its_disks():
    settings = replace(SETTINGS, file_server=FileServerSettings(name="nfs", disks=2, disk_gb=10))
    assert requests.file_server(settings).serialize()["properties"]["dataDisks"] == {
        "diskSizeInGB": 10,
        "cachingType": "none",
        "diskCount": 2,
        "storageAccountType": "Standard_LRS",
    }


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)


@given(texts, texts, st.sampled_from(["", "$AZ_BATCHAI_MOUNT_ROOT/", "$AZ_BATCHAI_JOB_MOUNT_ROOT/"]))
def test_the_shell_gives_the_job_the_arguments_of_its_plan(sensor, folder, root):
    spec = JobSpec("r", "n", "score", AT, (sensor,), sensor, Shard(1, 2), {sensor: "m"})
    data = root + folder
    line = requests.command_line(spec, data, "azure", timedelta(minutes=1), 1)
    words = shlex.split(line)
    first = words.index("python")
    assert words[first + 1 : words.index("&&")] == spec.arguments(data, "azure")


def test_the_shell_knows_the_mount_and_nothing_that_an_id_names(tmp_path):
    spec = replace(SPEC, sensors=("$HOME `id` $AZ_BATCHAI_MOUNT_ROOT",))
    (tmp_path / "python").write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
    (tmp_path / "python").chmod(0o755)
    line = requests.command_line(spec, "$AZ_BATCHAI_MOUNT_ROOT/a b", None, timedelta(minutes=1), 0)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "AZ_BATCHAI_MOUNT_ROOT": "/mnt/x y"}
    done = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == spec.arguments("/mnt/x y/a b")


@pytest.mark.parametrize(("code", "retries", "tries"), [(7, 0, 1), (7, 2, 3), (0, 2, 1)])
def test_a_job_is_tried_until_it_succeeds_so_often_at_most(tmp_path, code, retries, tries):
    (tmp_path / "python").write_text(f'#!/bin/bash\necho x >> "{tmp_path}/tries"\nexit {code}\n')
    (tmp_path / "python").chmod(0o755)
    line = requests.command_line(SPEC, "d", None, timedelta(minutes=1), retries)
    done = subprocess.run(["bash", "-c", line], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    assert done.returncode == code
    assert len((tmp_path / "tries").read_text().split()) == tries


def test_a_try_that_takes_too_long_is_ended(tmp_path):
    (tmp_path / "python").write_text("#!/bin/bash\nexec sleep 60\n")
    (tmp_path / "python").chmod(0o755)
    line = requests.command_line(SPEC, "d", None, timedelta(milliseconds=100), 0)
    done = subprocess.run(["bash", "-c", line], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    assert done.returncode == requests.TIMED_OUT


def volume(**more):
    return {"mounts": [BLOB | more]}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"location": None}, "jobs.batch_ai.location: this setting is missing"),
        ({"key_vault": None}, "jobs.batch_ai.key_vault: this setting is missing"),
        (
            {"logs": "$AZ_BATCHAI_MOUNT_ROOT/elsewhere"},
            "is not on a mount; mounts are: $AZ_BATCHAI_MOUNT_ROOT/logs",
        ),
        ({"container": ContainerSettings()}, "jobs.batch_ai.container.image: this setting is missing"),
    ],
)
def test_settings_that_are_not_complete_are_told_before_anything_is_sent(change, told):
    SETTINGS.check_complete()
    with pytest.raises(InputError, match=re.escape(told)):
        replace(SETTINGS, **change).check_complete()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"workspace": "a b"}, "jobs.batch_ai.workspace: 'a b'"),
        ({"priority": "urgent"}, "jobs.batch_ai.priority: 'urgent'"),
        ({"endpoint": "http://x"}, "jobs.batch_ai.endpoint: 'http://x'"),
        ({"at_once": 0}, "jobs.batch_ai.at_once: 0"),
        (volume(kind="floppy"), "mounts[0].kind: 'floppy'"),
        (volume(path="../x"), "mounts[0].path: '../x'"),
        (volume(key_secret=None), "mounts[0].key_secret: this setting is missing"),
        (volume(share="s"), "mounts[0].share: a mount of kind blob has no such"),
        (volume(of="pod"), "mounts[0].of: 'pod' is not valid; expected one of 'cluster', 'job'"),
        ({"mounts": [BLOB, BLOB]}, "mounts[1].path: 'logs'"),
        ({"mounts": [{"kind": "file_server", "path": "a"}]}, "there is no file server"),
        ({"cluster": {"min_nodes": 5}}, "jobs.batch_ai.cluster.min_nodes: 5 is not valid; expected 0 to 4"),
        ({"cluster": {"max_nodes": 0}}, "jobs.batch_ai.cluster.max_nodes: 0"),
        ({"cluster": {"image": "ubuntu"}}, "expected publisher:offer:sku"),
        ({"cluster": {"app_insights": "/x"}}, "go together"),
        ({"container": {"user": "u"}}, "user and password_secret go together"),
        ({"file_server": {"disk_type": "tape"}}, "jobs.batch_ai.file_server.disk_type: 'tape'"),
    ],
)
def test_settings_that_make_no_sense_are_told_in_a_sentence(values, told):
    with pytest.raises(InputError, match=re.escape(told)):
        read_parameters(BatchAISettings, values, "jobs.batch_ai")
