"""What the workflow and the stand-in say to each other is as Azure's published descriptions have it."""

import json

import jsonschema
import pytest

from tests.deploy.workflow.deployed import definition, deployed, parameters
from tests.deploy.workflow.test_run import scripted
from tests.emulators import oav
from tests.emulators.oav.validator import SPECS

pytestmark = pytest.mark.slow

INSTANCES = "containerinstance/resource-manager/Microsoft.ContainerInstance/stable/2023-05-01/*.json"
LOGIC = "logic/resource-manager/Microsoft.Logic/stable/2019-05-01/*.json"
SECRET = "not to be seen"


def test_every_exchange_with_container_instances_is_as_described(tmp_path):
    oav.require(INSTANCES)
    with deployed(tmp_path, scripted("exit 3"), PLAIN="text") as app:
        app.containers.answers.add(429, "TooManyRequests", "Slower.", method="GET", times=2)
        app.run()
        app.containers.answers.add(400, "InaccessibleImage", "No.", method="PUT", times=2)
        app.run()
        groups = app.calls[0][1].rpartition("/")[0]
        app.arm.answer("GET", groups, "api-version=2023-05-01", None, "")
        exchanges = [one for one in app.server.recorder.exchanges if "/containerGroups" in one.path]
    with oav.Validator(INSTANCES, "management.azure.com") as validator:
        violations = validator.violations(exchanges)
    print(f"\nContainer Instances: {len(exchanges)} exchanges, {len(violations)} violations")
    assert {one.method for one in exchanges} == {"PUT", "GET", "DELETE"}
    assert violations == []


def test_the_recurrence_is_one_of_logic_apps():
    oav.require(LOGIC)
    (file,) = (SPECS / "specification").glob(LOGIC.replace("*", "logic"))
    described = json.loads(file.read_text())
    schema = {"$ref": "#/definitions/WorkflowTriggerRecurrence", "definitions": described["definitions"]}
    (trigger,) = definition()["triggers"].values()
    jsonschema.Draft4Validator(schema).validate(trigger["recurrence"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(schema).validate(trigger["recurrence"] | {"interval": "1"})


def test_no_secure_value_is_told(tmp_path):
    with deployed(tmp_path, scripted("true")) as app:
        group = parameters("https://x", "/subscriptions/s/resourceGroups/g")["containerGroup"]["value"]
        container = group["properties"]["containers"][0]["properties"]
        container["environmentVariables"] = [{"name": "KEY", "secureValue": SECRET}]
        path = f"/subscriptions/{app.arm.subscription}/resourceGroups/rg-fleet"
        path += "/providers/Microsoft.ContainerInstance/containerGroups/one"
        answer = app.arm.answer("PUT", path, "api-version=2023-05-01", group, "")
    assert answer.status == 201
    assert SECRET not in json.dumps(answer.body)
