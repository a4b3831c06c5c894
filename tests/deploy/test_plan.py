"""What a deployment asks before its workflows may fire."""

from types import SimpleNamespace

import pytest

from batch_scoring.deploy.plan import DeploymentPlan, read_plan

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
        "batch_scoring.deploy.image.registry.is_there", lambda host, repository, tag, login: tag in tags
    )
    assert DeploymentPlan.has_images(read_plan(None), Registries()) == (not why, why)
