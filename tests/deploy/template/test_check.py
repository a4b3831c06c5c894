"""What Azure would refuse is refused before: the shipped template broken in one place is one sentence."""

from __future__ import annotations

import copy

import pytest

from batch_scoring.deploy.names import names_of
from batch_scoring.deploy.template.check import check_template
from batch_scoring.deploy.template.workflow_check import workflow_faults
from tests.deploy.template.small_workflow import workflow_definition
from tests.deploy.template.templates import EVERYTHING, LOGIC_APP, built, of_type, report_of, settings_of


def faults_of(change, **settings):
    """What is said of the shipped template and parameters after a change."""
    chosen = settings_of(**{"scheduler": LOGIC_APP, **settings})
    changed, given = built(chosen)
    change(changed, given)
    return check_template(changed, given, names_of(chosen).resource_group, chosen.location).faults


def resource(changed, kind):
    return of_type(changed["resources"], kind)[0]


@pytest.mark.parametrize("chosen", EVERYTHING)
def test_the_shipped_template_has_no_fault(chosen):
    assert report_of(chosen).faults == []


def set_in(path, value):
    """A change of one place in the template; the first word is a type of resource or a section."""

    def change(changed, given):
        at = resource(changed, path[0]) if "/" in path[0] else changed[path[0]]
        for key in path[1:-1]:
            at = at[key]
        at[path[-1]] = value

    return change


POOL, STORAGE = "Microsoft.Batch/batchAccounts/pools", "Microsoft.Storage/storageAccounts"
WORKFLOW, JOB = "Microsoft.Logic/workflows", "Microsoft.StreamAnalytics/streamingjobs"
BROKEN = {
    "a misspelt parameter": (
        set_in((STORAGE, "name"), "[parameters('storageAcount')]"),
        "resource 1 (Microsoft.Storage/storageAccounts): there is no parameter 'storageAcount'",
    ),
    "a misspelt variable": (
        set_in((POOL, "identity", "type"), "[variables('nothing')]"),
        "resource 16 (Microsoft.Batch/batchAccounts/pools): there is no variable 'nothing'",
    ),
    "an unknown function": (
        set_in((POOL, "properties", "vmSize"), "[lower('a')]"),
        "resource 16 (Microsoft.Batch/batchAccounts/pools): there is no function 'lower' here",
    ),
    "a bracket too few": (
        set_in((POOL, "properties", "vmSize"), "[concat('a'(]"),
        "resources[15].properties.vmSize: the expression \"[concat('a'(]\" cannot be read: a ')' is missing",
    ),
    "a dependency that is not there": (
        set_in((POOL, "dependsOn"), ["[resourceId('Microsoft.Web/sites', 'a')]"]),
        "Microsoft.Batch/batchAccounts/pools babatchscore3f8e48/batchscore: it depends on "
        "Microsoft.Web/sites/a, which the template does not have",
    ),
    "a reference without a dependency": (
        set_in((POOL, "dependsOn"), ["[variables('batchAccountId')]"]),
        "Microsoft.Batch/batchAccounts/pools babatchscore3f8e48/batchscore: it refers to "
        "Microsoft.ContainerRegistry/registries crbatchscore3f8e48, and does not depend on it",
    ),
    "a reference to what is left out": (
        set_in(
            (POOL, "properties", "vmSize"),
            "[reference(resourceId('Microsoft.BatchAI/workspaces', 'bai-batchscore')).a]",
        ),
        "Microsoft.Batch/batchAccounts/pools babatchscore3f8e48/batchscore: it refers to "
        "Microsoft.BatchAI/workspaces/bai-batchscore, which the template does not have",
    ),
    "a circle": (
        set_in((STORAGE, "dependsOn"), ["[variables('containerId')]"]),
        "Microsoft.Storage/storageAccounts stbatchscore3f8e48: it depends on itself, by way of others",
    ),
    "a scope that is not there": (
        set_in(
            ("Microsoft.Authorization/roleAssignments", "scope"), "[resourceId('Microsoft.Web/sites', 'a')]"
        ),
        "Microsoft.Authorization/roleAssignments",
    ),
    "a name of too few parts": (
        set_in((POOL, "name"), "[parameters('pool')]"),
        "resource 16 (Microsoft.Batch/batchAccounts/pools): Microsoft.Batch/batchAccounts/pools has 2 "
        "names, and is given 1",
    ),
    "a runtime value in a variable": (
        set_in(("variables", "roles", "acrPull"), "[reference(variables('registryId')).a]"),
        "variables.roles.acrPull: reference() is not known yet there",
    ),
    "a parameter that nothing uses": (
        set_in(("parameters", "colour"), {"type": "string", "defaultValue": "red"}),
        "parameter 'colour': nothing uses it",
    ),
    "a variable that nothing uses": (
        set_in(("variables", "colour"), "red"),
        "variable 'colour': nothing uses it",
    ),
    "no version": (
        set_in((POOL, "apiVersion"), ""),
        "resource 16 (Microsoft.Batch/batchAccounts/pools): it has no apiVersion",
    ),
    "an output of what is not deployed": (
        set_in(
            ("outputs", "x"),
            {"type": "string", "value": "[reference(resourceId('Microsoft.Web/sites', 'a')).id]"},
        ),
        "output 'x': it refers to Microsoft.Web/sites/a, which is not deployed",
    ),
    "an output of another type": (
        set_in(("outputs", "x"), {"type": "int", "value": "a"}),
        "output 'x': 'a' is not of type int",
    ),
    "another schema": (
        set_in(("$schema",), "x"),
        "template: its $schema is 'x', not https://schema.management",
    ),
    "a key in the template": (
        set_in((STORAGE, "properties", "x"), "AccountKey=c2VjcmV0c2VjcmV0"),
        "template: line ",
    ),
    "a name that azure does not take": (
        set_in((STORAGE, "name"), "No_Account"),
        "Microsoft.Storage/storageAccounts No_Account: 'No_Account' is not valid; expected 3 to 24",
    ),
    "a stream that gathers longer than the workflow waits": (
        lambda changed, given: resource(changed, JOB)["properties"]["outputs"][0]["properties"].update(
            timeWindow="00:10:00"
        ),
        "outOfOrderSeconds: windows are written 60 s (outOfOrderSeconds), 600 s (timeWindow) and up to 60 s "
        "after their end, and the workflow begins 300 s after the hour",
    ),
    "readings that may be out of order for longer than the workflow waits": (
        lambda changed, given: given["parameters"].update(outOfOrderSeconds={"value": 240}),
        "outOfOrderSeconds: windows are written 240 s (outOfOrderSeconds), 60 s (timeWindow)",
    ),
    "a workflow that waits for nothing": (
        set_in(
            (WORKFLOW, "properties", "definition"), {"actions": {"a": {"runAfter": {"b": ["Succeeded"]}}}}
        ),
        "Microsoft.Logic/workflows logic-batchscore-score: action 'a' runs after 'b', which is not beside it",
    ),
}


@pytest.mark.parametrize(("change", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_a_template_broken_in_one_place_is_told_of(change, said):
    def whole(changed, given):
        if said.startswith("template: its $schema"):
            changed["$schema"] = "x"
        else:
            change(changed, given)

    found = faults_of(whole)
    assert [one for one in found if one.startswith(said)], found
    assert not any("c2VjcmV0" in one for one in found)


CRON, SHARDS = "caj-batchscore-score", "caj-batchscore-shards"
BROKEN_JOBS = {
    "a secret that there is not": (
        (CRON, "configuration", "secrets"),
        [],
        "variable APPLICATIONINSIGHTS_CONNECTION_STRING is the unknown secret 'insights'",
    ),
    "a size that is not offered": (
        (SHARDS, "template", "containers", 0, "resources"),
        {"cpu": 0.3, "memory": "1Gi"},
        "0.3 cores with 1Gi are not valid; expected 0.25 to 4 cores",
    ),
    "an image pulled as somebody else": (
        (SHARDS, "configuration", "registries", 0, "identity"),
        "me",
        "it pulls its image as 'me', which is none of its identities",
    ),
    "no container": ((CRON, "template", "containers"), [], "it has 0 containers; expected one"),
    "another trigger": ((SHARDS, "configuration", "triggerType"), "Event", "its trigger is 'Event'"),
    "six fields": (
        (CRON, "configuration", "scheduleTriggerConfig", "cronExpression"),
        "0 5 * * * *",
        "its cron is '0 5 * * * *'; expected five fields",
    ),
    "two kinds of days": (
        (CRON, "configuration", "scheduleTriggerConfig", "cronExpression"),
        "5 0 29 2 1",
        "its cron '5 0 29 2 1' names a day of the month and one of the week",
    ),
}


@pytest.mark.parametrize(("path", "value", "said"), BROKEN_JOBS.values(), ids=BROKEN_JOBS.keys())
def test_a_job_of_container_apps_broken_in_one_place_is_told_of(path, value, said):
    def change(changed, given):
        jobs = of_type(changed["resources"], "Microsoft.App/jobs")
        at = jobs[[SHARDS, CRON].index(path[0])]["properties"]
        for key in path[1:-1]:
            at = at[key]
        at[path[-1]] = value

    found = faults_of(change, scheduler={}, compute="container_apps")
    assert [one for one in found if one.startswith(f"Microsoft.App/jobs {path[0]}: {said}")], found


def test_a_cron_that_fires_before_the_stream_has_written_is_told_of():
    found = faults_of(
        lambda changed, given: given["parameters"].update(scoreCron={"value": "1 * * * *"}), scheduler={}
    )
    assert [one for one in found if "and the cron begins 60 s after the hour" in one], found


GIVEN = {
    "missing": (
        lambda given: given.pop("image"),
        "parameter 'image': the template needs it, and it is not given",
    ),
    "unknown": (
        lambda given: given.update(colour={"value": 1}),
        "parameter 'colour': it is given, and is not in",
    ),
    "of another type": (
        lambda given: given.update(partitions={"value": "4"}),
        "parameter 'partitions': '4' is not",
    ),
    "too small": (
        lambda given: given.update(partitions={"value": 0}),
        "parameter 'partitions': 0 is below its minV",
    ),
    "too large": (
        lambda given: given.update(partitions={"value": 99}),
        "parameter 'partitions': 99 is above its",
    ),
    "too long": (
        lambda given: given.update(keyVault={"value": "k" * 25}),
        "parameter 'keyVault': 'kkkkkkkkkkkkkkk",
    ),
    "not allowed": (
        lambda given: given.update(compute={"value": "x"}),
        "parameter 'compute': 'x' is not one of azure",
    ),
    "a number for a truth": (
        lambda given: given.update(captureEnabled={"value": 1}),
        "parameter 'captureEnabled': 1",
    ),
}


@pytest.mark.parametrize(("change", "said"), GIVEN.values(), ids=GIVEN.keys())
def test_a_wrong_parameter_is_told_of(change, said):
    found = faults_of(lambda changed, given: change(given["parameters"]))
    assert [one for one in found if one.startswith(said)], found


def test_a_pool_in_a_subnet_that_is_not_there_is_found():
    def change(changed, given):
        subnet = "[concat(variables('networkId'), '/subnets/nowhere')]"
        resource(changed, POOL)["properties"]["networkConfiguration"]["subnetId"] = subnet

    found = faults_of(change, network={"access": "private"})
    assert (
        "Microsoft.Batch/batchAccounts/pools babatchscore3f8e48/batchscore: it lies in "
        "Microsoft.Network/virtualNetworks/vnet-batchscore/subnets/nowhere, which the template does not have"
    ) in found


def broken_workflow(change):
    definition = copy.deepcopy(workflow_definition("score"))
    given = {
        name: {"value": {} if one["type"] == "Object" else "a"}
        for name, one in definition["parameters"].items()
    }
    change(definition, given)
    return workflow_faults(definition, given)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d, g: None, None),
        (lambda d, g: g.pop("pipeline"), "parameter 'pipeline' of the definition is not given"),
        (lambda d, g: g.update(x={"value": 1}), "parameter 'x' is given and not in the definition"),
        (
            lambda d, g: g.update(pipeline={"value": 1}),
            "parameter 'pipeline' is not of type String",
        ),
        (lambda d, g: d.pop("triggers"), "the definition has no triggers"),
        (
            lambda d, g: d["actions"]["wait"].update(runAfter={"look": ["Succeeded"]}),
            "action 'wait' runs after 'look', which is not beside it",
        ),
        (
            lambda d, g: d["actions"]["wait"].update(runAfter={"name": ["Well"]}),
            "action 'wait' runs after the unknown state 'Well'",
        ),
        (
            lambda d, g: d["actions"]["name"].update(runAfter={"wait": ["Succeeded"]}),
            "actions wait for each other in a circle: name, wait",
        ),
        (
            lambda d, g: d["actions"]["name"].update(inputs="@body('nothing')"),
            "an expression refers to body('nothing'), which does not exist",
        ),
        (
            lambda d, g: d["actions"]["name"].update(inputs="@variables('x')"),
            "an expression refers to variables('x'), which does not exist",
        ),
        (
            lambda d, g: d["actions"]["name"].update(inputs="@concat(parameters('pipeline')"),
            "the brackets of \"@concat(parameters('pipeline')\" do not match",
        ),
        (
            lambda d, g: d["actions"]["wait"]["actions"]["look"]["inputs"].update(
                authentication={"identity": "@parameters('identityId')"}
            ),
            "the identity of action 'look' is \"@parameters('identityId')\"; expected its resource id, not "
            "an expression",
        ),
        (lambda d, g: d["actions"]["wait"]["actions"].update(name={}), "there are two actions 'name'"),
    ],
)
def test_a_definition_that_does_not_hang_together_is_told_of(change, said):
    assert broken_workflow(change) == ([] if said is None else [said])
