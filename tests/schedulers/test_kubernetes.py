"""What the manifests mean here; `make lint` checks their schema. Podman runs their pods."""

from __future__ import annotations

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from batch_scoring.core.errors import CONFLICT, FAILED, NO_CAPACITY
from tests.containers.conftest import image, kedro, podman  # noqa: F401
from tests.end_to_end.workspaces import TABLES
from tests.schedulers.conftest import RECIPES
from tests.schedulers.environments import unscored
from tests.schedulers.test_steps import HOUR

FILES = ("hour.yaml", "shards.yaml")
OUT_OF_MEMORY, COMMAND_LINE = 137, 2


def manifests(kind: str) -> list[dict]:
    texts = [(RECIPES / "kubernetes" / name).read_text() for name in FILES]
    found = [one for text in texts for one in yaml.safe_load_all(text)]
    return [one for one in found if one["kind"] == kind]


CRON_JOBS = {one["metadata"]["name"]: one["spec"] for one in manifests("CronJob")}


def job_of(name: str) -> dict:
    return CRON_JOBS[name]["jobTemplate"]["spec"]


def pod_of(name: str) -> dict:
    return job_of(name)["template"]["spec"]


@pytest.mark.parametrize("name", CRON_JOBS)
def test_what_fails_again_ends_at_once_and_all_else_is_tried_again(name):
    job, pod = job_of(name), pod_of(name)
    (container,) = pod["containers"]
    by_code = [rule for rule in job["podFailurePolicy"]["rules"] if "onExitCodes" in rule]
    (rule,) = by_code
    assert rule["action"] == ("FailIndex" if "completionMode" in job else "FailJob")
    assert rule["onExitCodes"]["containerName"] == container["name"]
    assert set(rule["onExitCodes"]["values"]) == {FAILED, COMMAND_LINE}
    assert not {CONFLICT, NO_CAPACITY, OUT_OF_MEMORY} & set(rule["onExitCodes"]["values"])
    assert pod["restartPolicy"] == "Never"  # without it Kubernetes takes no such policy
    assert max(job.get("backoffLimit", 0), job.get("backoffLimitPerIndex", 0)) >= 3


@pytest.mark.parametrize("name", CRON_JOBS)
def test_no_run_meets_the_next_hours(name):
    spec, job = CRON_JOBS[name], job_of(name)
    minute, hours = spec["schedule"].split(maxsplit=1)
    assert (spec["concurrencyPolicy"], hours, spec["timeZone"]) == ("Forbid", "* * * *", "Etc/UTC")
    assert 0 <= int(minute) < 60
    assert job["activeDeadlineSeconds"] <= 3600


@pytest.mark.parametrize("name", CRON_JOBS)
def test_a_pod_is_nobody_may_nothing_and_writes_to_its_scratch_folder_alone(name):
    pod = pod_of(name)
    (container,) = pod["containers"]
    security = container["securityContext"]
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 10001)
    assert (security["readOnlyRootFilesystem"], security["allowPrivilegeEscalation"]) == (True, False)
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]
    assert set(container["resources"]["limits"]) == {"memory", "ephemeral-storage"}


def test_there_is_no_secret_and_an_identity_is_used():
    assert manifests("Secret") == []
    (settings,) = [one["data"] for one in manifests("ConfigMap")]
    assert settings["AZURE_TOKEN_CREDENTIALS"] == "WorkloadIdentityCredential"
    assert [name for name in settings if re.search("KEY|SAS|CONNECTION|PASSWORD", name)] == []
    (account,) = manifests("ServiceAccount")
    assert "azure.workload.identity/client-id" in account["metadata"]["annotations"]
    for name in CRON_JOBS:
        labels = job_of(name)["template"]["metadata"]["labels"]
        assert labels["azure.workload.identity/use"] == "true"
        assert pod_of(name)["serviceAccountName"] == account["metadata"]["name"]


def test_there_is_a_pod_for_each_shard():
    job = job_of("fleet-shards")
    assert job["completions"] == job["parallelism"]
    assert environment_of("fleet-shards")["SHARDS"] == str(job["completions"])


def environment_of(name: str) -> dict[str, str]:
    (container,) = pod_of(name)["containers"]
    (settings,) = [one["data"] for one in manifests("ConfigMap")]
    return settings | {one["name"]: one["value"] for one in container.get("env", [])}


def expanded(text: str, environment: dict[str, str]) -> str:
    """As Kubernetes does: a name that it does not know stays as it is."""
    return re.sub(r"\$\(([^)]*)\)", lambda found: environment.get(found[1], found[0]), text)


def run_pod(podman, image: str, name: str, folders: dict[Path, str], more: dict[str, str]) -> int:  # noqa: F811
    """Run the container of a pod as its manifest says; its exit code."""
    pod = pod_of(name)
    (container,) = pod["containers"]
    security, user = container["securityContext"], pod["securityContext"]
    environment = environment_of(name) | more
    assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
    done = podman.run(
        *("run", "--rm", "--network=none", "--read-only", "--security-opt=no-new-privileges"),
        *(f"--cap-drop={one}" for one in security["capabilities"]["drop"]),
        f"--user={user['runAsUser']}:{user['runAsGroup']}",
        *(f"--tmpfs={mount['mountPath']}" for mount in container["volumeMounts"]),
        *(f"--env={key}={value}" for key, value in environment.items()),
        *(f"--volume={here}:{there}" for here, there in folders.items()),
        f"--entrypoint={json.dumps(container['command'])}",
        image,
        *(expanded(argument, environment) for argument in container["args"]),
        check=False,
    )
    print(done.stdout, done.stderr)
    return done.returncode


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.containers
@pytest.mark.xdist_group("image")
def test_the_pods_score_a_workspace_to_the_rows_of_one_run(podman, image, trained, tmp_path):  # noqa: F811
    readings = Path(trained.folder) / "01_raw/readings"
    alone, fleet = unscored(trained, tmp_path / "alone"), unscored(trained, tmp_path / "fleet")
    alone.run(",".join(HOUR), f"readings={readings}")
    subprocess.run(["chown", "-R", "10001:10001", str(fleet.folder)], check=True)
    folders = {Path(fleet.folder): "/data", readings: "/readings:ro"}
    # In the place of Blob Storage.
    local = {"BATCH_SCORING_DATA": "/data", "READINGS": "/readings"}

    def run(name: str, **more: str) -> int:
        return run_pod(podman, image, name, folders, local | more)

    assert run("fleet-prepare") == 0
    shards = int(environment_of("fleet-shards")["SHARDS"])
    with ThreadPoolExecutor(shards) as pool:
        codes = [*pool.map(lambda at: run("fleet-shards", JOB_COMPLETION_INDEX=str(at)), range(shards))]
    assert set(codes) <= {0, CONFLICT}
    assert fleet.table("07_model_output/predictions").num_rows > 1000
    assert run("fleet-hour") == 0
    assert fleet.rows(*TABLES) == alone.rows(*TABLES)
