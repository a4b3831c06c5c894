"""What a deployment asks before its workflows may fire."""

from types import SimpleNamespace

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.deploy.plan import read_plan, require_limits
from batch_scoring.deploy.settings import DeployParameters
from batch_scoring.jobs.settings import JobsParameters

LIMITS = {
    "jobs.max_wall_time": (
        {"max_wall_time": "55m"},
        {},
        "schedule.wait: 55m is not longer than jobs.max_wall",
    ),
    "jobs.wait_for_nodes": (
        {"wait_for_nodes": "2h"},
        {},
        "schedule.wait: 55m is not longer than jobs.wait_",
    ),
    "deploy.schedule.wait": (
        {},
        {"schedule": {"wait": "20m"}},
        "schedule.wait: 20m is not longer than jobs.",
    ),
    "deploy.retrain.wait": (
        {},
        {"retrain": {"wait": "50m"}},
        "retrain.wait: 50m is not longer than jobs.max",
    ),
    "deploy.nodes.autoscale_interval": (
        {},
        {"nodes": {"autoscale_interval": "1h"}},
        "nodes.autoscale_interval: 1h is not shorter than deploy.schedule.wait (55m)",
    ),
}


@pytest.mark.parametrize(("jobs", "deploy", "said"), LIMITS.values(), ids=LIMITS.keys())
def test_waits_and_limits_are_checked_against_each_other(monkeypatch, jobs, deploy, said):
    context = SimpleNamespace(params={"deploy": deploy, "jobs": jobs})
    monkeypatch.setattr("batch_scoring.deploy.plan.open_context", lambda *_: context)
    with pytest.raises(InputError) as told:
        read_plan(None)
    assert str(told.value).startswith(f"deploy.{said}")


def test_the_shipped_waits_and_limits_fit():
    require_limits(DeployParameters(), JobsParameters())


SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"


class Registries:
    """What the Resource Manager says of the registry."""

    def found(self, path, version):
        return {"properties": {"loginServer": "fleet.azurecr.io"}}


@pytest.mark.parametrize(
    ("tracking_uri", "tags", "why"),
    [
        (None, {"1"}, ""),
        (None, set(), "fleet.azurecr.io/batch-scoring:1 is not in the registry"),
        ("https://mlflow.example", {"1", "1-train"}, ""),
        ("https://mlflow.example", {"1"}, "fleet.azurecr.io/batch-scoring:1-train is not in the registry"),
    ],
)
def test_workflows_fire_only_when_every_image_that_they_start_is_there(monkeypatch, tracking_uri, tags, why):
    deploy = {
        "name": "fleet",
        "subscription": SUBSCRIPTION,
        "tracking_uri": tracking_uri,
        "image": {"tag": "1"},
    }
    context = SimpleNamespace(params={"deploy": deploy})
    monkeypatch.setattr("batch_scoring.deploy.plan.open_context", lambda *_: context)
    monkeypatch.setattr("batch_scoring.deploy.image.registry.login_for", lambda host: None)
    monkeypatch.setattr(
        "batch_scoring.deploy.image.registry.find_digest",
        lambda host, repository, tag, login: f"sha256:{tag}" if tag in tags else None,
    )
    plan = read_plan(None)
    digests, said = plan.image_digests(Registries())
    assert (bool(digests), said) == (not why, why)
    parameters = plan.request(True, "", digests).parameters
    # Without a server nothing retrains, and no image that trains is named.
    wanted = {"image": "score"} | ({"trainImage": "train"} if tracking_uri else {})
    assert wanted.keys() == parameters.keys() & {"image", "trainImage"}
    for name, variant in wanted.items():
        image = parameters[name]["value"]
        if variant in digests:
            assert image == f"batch-scoring@{digests[variant]}", "a tag may be moved later"
        else:
            assert image == ("batch-scoring:1" if variant == "score" else "batch-scoring:1-train")
