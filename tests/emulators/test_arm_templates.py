"""The stand-in evaluates templates as the Resource Manager does, and refuses what it does not know."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.deploy.arm.templates import ACCOUNT, parameters, template
from tests.emulators.arm.expressions import TemplateError, evaluate, parse, resolve
from tests.emulators.arm.functions import Where, plain_functions
from tests.emulators.arm.service import Arm
from tests.emulators.arm.templates import plan

WHERE = Where("s", "rg", "westeurope", "fleet", "t", {"a": "b"})
FUNCTIONS = plain_functions(WHERE) | {"parameters": {"o": {"x": [1, {"y": "z"}]}}.get}
GROUP = "/subscriptions/s/resourceGroups/rg"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[concat('it''s', '-', 3)]", "it's-3"),
        ("[[not one]", "[not one]"),
        ("plain", "plain"),
        ("[parameters('o').x[1].y]", "z"),
        ("[if(equals('A', 'a'), 'yes', div(1, 0))]", "yes"),
        ("[and(true(), not(false()), or(false(), true()))]", True),
        ("[format('{0}/{1}', 'a', true())]", "a/True"),
        ("[resourceId('Microsoft.X/a/b', 'n', 'm')]", f"{GROUP}/providers/Microsoft.X/a/n/b/m"),
        (
            "[resourceId('other', 'Microsoft.X/a', 'n')]",
            "/subscriptions/s/resourceGroups/other/providers/Microsoft.X/a/n",
        ),
        ("[subscriptionResourceId('Microsoft.X/a', 'n')]", "/subscriptions/s/providers/Microsoft.X/a/n"),
        ("[extensionResourceId(resourceGroup().id, 'M.A/r', 'n')]", f"{GROUP}/providers/M.A/r/n"),
        ("[substring(toLower('ABCD'), 1, 2)]", "bc"),
        ("[length(createArray(1, 2))]", 2),
        ("[empty('')]", True),
        ("[coalesce(null(), 'b')]", "b"),
        ("[union(createObject('a', 1), createObject('b', 2))]", {"a": 1, "b": 2}),
        ("[json('{\"a\": [1]}').a[0]]", 1),
        ("[string(createObject('a', 1))]", '{"a":1}'),
        ("[int('7')]", 7),
        ("[environment().suffixes.storage]", "core.windows.net"),
        ("[subscription().tenantId]", "t"),
        ("[resourceGroup().tags.a]", "b"),
    ],
)
def test_expressions_have_the_values_that_are_documented(text, value):
    assert resolve(text, FUNCTIONS) == value


@pytest.mark.parametrize(
    "text",
    [
        "[nothing('x')]",
        "[concat('a']",
        "[concat('a') 'b']",
        "[parameters('o').absent]",
        "[substring('abc', 2, 5)]",
        "[resourceId('Microsoft.X/a/b', 'n')]",
        "[format('{1}', 'a')]",
        "[length()]",
        "[listKeys('x', 'y')]",
    ],
)
def test_what_makes_no_sense_is_refused(text):
    with pytest.raises(TemplateError):
        resolve(text, FUNCTIONS)


@given(st.text())
def test_any_text_can_be_a_literal(text):
    quoted = text.replace("'", "''")
    assert evaluate(parse(f"['{quoted}']"), {}) == text


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_refused(text):
    with suppress(TemplateError, ValueError, ArithmeticError, AttributeError, LookupError):
        resolve(f"[{text}]", FUNCTIONS)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=3))
def test_digests_are_the_same_for_the_same_and_of_the_documented_form(words):
    unique, guid = FUNCTIONS["uniquestring"], FUNCTIONS["guid"]
    assert unique(*words) == unique(*words) and len(unique(*words)) == 13
    assert guid(*words) == guid(*words) and len(guid(*words)) == 36
    assert unique(*words) != unique(*words, "more")


def planned(given=None, **changes):
    return plan(template(**changes), given or parameters(), WHERE)


def test_resources_come_after_what_they_want():
    found = planned()
    keys = list(found.by_key())
    container = next(key for key in keys if "blobservices" in key)
    role = next(one for one in found.resources if one.type.endswith("roleAssignments"))
    assert found.by_key()[container].wants == {container.split("/blobservices")[0]}
    assert {want.split("/")[-1] for want in role.wants} == {ACCOUNT, "id-fleet"}
    assert role.id.startswith(f"{GROUP}/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}/providers/")


def simple(name="n", **changes):
    kind = {"type": "Microsoft.Logic/workflows", "apiVersion": "2019-05-01", "name": name}
    return kind | {"properties": {}} | changes


@pytest.mark.parametrize(
    ("changes", "given", "why"),
    [
        ({"resources": [simple(dependsOn=["absent"])]}, {}, "is not defined in the template"),
        ({"resources": [simple(apiVersion="1999-01-01")]}, {}, "2019-05-01"),
        ({"resources": [simple(type="Microsoft.Logic/none")]}, {}, "is not known"),
        ({"resources": [simple(nonsense=1)]}, {}, "unknown key 'nonsense'"),
        ({"resources": [simple(), simple()]}, {}, "multiple times"),
        ({"resources": [simple("a", dependsOn=["b"]), simple("b", dependsOn=["a"])]}, {}, "Circular"),
        ({"resources": [simple("a/b")]}, {}, "segment"),
        ({"nonsense": 1}, {}, "Could not find member"),
        ({}, {"unknown": 1}, "not present in the original template"),
        ({}, {"account": "ab"}, "minLength"),
        ({}, {"enabled": "yes"}, "expected bool"),
        ({"$schema": "x"}, {}, "schema"),
    ],
)
def test_a_template_with_a_mistake_is_refused(changes, given, why):
    with pytest.raises(TemplateError, match=why):
        planned(parameters(**given), **changes)


@pytest.mark.parametrize("place", [2, 5])
def test_a_want_that_only_luck_would_keep_is_refused(place):
    """The role's scope, and the workflow's reference by id, are wants that dependsOn has to tell."""
    changed = template()
    changed["resources"][place].pop("dependsOn")
    with pytest.raises(TemplateError, match=f"needs '{ACCOUNT}', and has no dependsOn for it"):
        plan(changed, parameters(), WHERE)


def test_what_its_condition_rules_out_is_not_there_and_may_be_wanted():
    off = simple("off", condition="[parameters('enabled')]")
    found = planned(
        resources=[off, simple("on", dependsOn=["[resourceId('Microsoft.Logic/workflows', 'off')]"])]
    )
    assert [one.name for one in found.resources] == ["on"]


def test_another_stand_in_answers_for_its_provider():
    from tests.emulators.batch_ai.answers import Answer

    arm, asked = Arm(), []
    path = f"/subscriptions/{arm.subscription}/resourceGroups/rg"
    arm.answer("PUT", path, "api-version=1", {"location": "x"}, "h")

    def answer(method, path, query, body, host):
        asked.append((method, path))
        return Answer(200, {"properties": {"provisioningState": "Succeeded"}})

    arm.mount("Microsoft.ContainerInstance", answer)
    group = f"{path}/providers/Microsoft.ContainerInstance/containerGroups/g"
    assert arm.answer("PUT", group, "api-version=2023-05-01", {"location": "x"}, "h").status == 200
    listed = arm.answer("GET", f"{path}/resources", "api-version=1", None, "h").body["value"]
    assert [one["id"] for one in listed] == [group]
    arm.answer("DELETE", group, "api-version=2023-05-01", None, "h")
    assert arm.answer("GET", f"{path}/resources", "api-version=1", None, "h").body["value"] == []
    assert asked == [("PUT", group), ("DELETE", group)]


def test_whoever_watches_a_type_is_told_of_what_is_made_and_deleted():
    arm, told = Arm(making_seconds=0), []
    path = f"/subscriptions/{arm.subscription}/resourceGroups/rg"
    arm.answer("PUT", path, "api-version=1", {"location": "x"}, "h")
    arm.resources.watch(
        "Microsoft.Logic/workflows", lambda name, body: told.append((name.split("/")[-1], body is None))
    )
    workflow = f"{path}/providers/Microsoft.Logic/workflows/w"
    arm.answer("PUT", workflow, "api-version=2019-05-01", {"properties": {}}, "h")
    arm.resources.delete(workflow)
    assert told == [("w", False), ("w", True)]


def test_keys_are_never_given():
    arm = Arm()
    path = f"/subscriptions/{arm.subscription}/resourceGroups/rg"
    arm.answer("PUT", path, "api-version=1", {"location": "x"}, "h")
    account = f"{path}/providers/Microsoft.Storage/storageAccounts/a"
    arm.answer("PUT", account, "api-version=2023-05-01", {"properties": {}}, "h")
    assert arm.answer("POST", f"{account}/listKeys", "api-version=2023-05-01", None, "h").status == 403
