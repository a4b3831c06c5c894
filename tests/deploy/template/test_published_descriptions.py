"""Each resource is what Microsoft says it is: in Swagger, schemas of templates, or its own clients."""

from __future__ import annotations

import copy
import json

import pytest
from jsonschema import Draft4Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from batch_scoring.deploy.template import build
from batch_scoring.deploy.template.check import check_template
from tests.deploy.template import published, sdk_models
from tests.deploy.template.known_differences import KNOWN_DIFFERENCES, is_known
from tests.deploy.template.swagger import body_of, described, faults
from tests.deploy.template.templates import (
    EVERYTHING,
    deployed,
    of_type,
    parameters,
    report_of,
    settings_of,
    template,
)
from tests.emulators.oav.validator import SPECS

pytestmark = pytest.mark.slow  # descriptions are long
specs = pytest.mark.skipif(not SPECS.is_dir(), reason=f"there are no published descriptions in {SPECS}")
# Of the schemas of templates those that are of the version that we use.
ARM_SCHEMAS = ("Microsoft.BatchAI", "Microsoft.StreamAnalytics")
# Parts of a Stream Analytics job that no value can satisfy by that schema: what their kinds have in common
# forbids every property that it does not have itself, and so what makes the kinds. The Swagger file, of which
# the schema was made, has no such clause; the job is held against that, and here without these parts.
CONTRADICTORY = ("InputProperties", "OutputDataSource", "Serialization")
# A child is named here by its own name alone; in a list of resources it has its parent's before it.
OWN_NAME = "Microsoft.BatchAI"
# What a description leaves open: values by names that we choose, and criteria of alerts.
FREE = (
    *("tags", "userAssignedIdentities", "properties/definition", "properties/parameters"),
    *("properties/criteria", "serialization/properties"),
)


def all_faults(resource):
    """What is wrong with a resource, and by which description."""
    kind = resource["type"]
    if kind in published.MODELS:
        return published.MODELS[kind], sdk_models.faults(body_of(resource), published.model(kind))
    name, schema, file = described(SPECS, kind, resource["apiVersion"])
    return name, list(faults(body_of(resource), schema, file))


@specs
@pytest.mark.parametrize("chosen", EVERYTHING)
def test_every_resource_is_as_it_is_described(chosen, capsys):
    lines, wrong = [], []
    for resource in deployed(chosen):
        name, found = all_faults(resource)
        found = [fault for fault in found if not is_known(resource["type"], fault)]
        lines.append(f"{resource['type']} {resource['name']}: {name}: {found or 'ok'}")
        wrong += found
    with capsys.disabled():
        print("", *lines, sep="\n")
    assert wrong == []


@specs
@pytest.mark.parametrize("chosen", ["azure_batch", "batch_ai", "private"])
def test_what_is_unknown_to_a_description_is_found_wherever_it_is(chosen):
    """Of every object in a request: one more property is a fault, unless its keys are free."""
    unnoticed = []
    for resource in deployed(chosen):
        for path in objects_in(body_of(resource)):
            if resource["type"] == "Microsoft.Logic/workflows" and path[:1] == ("identity",):
                continue  # unknown as a whole, see KNOWN_DIFFERENCES
            changed = copy.deepcopy(resource)
            at(changed, path)["nonsense"] = {"a": [1]}
            if len(all_faults(changed)[1]) <= len(all_faults(resource)[1]):
                unnoticed.append((resource["type"], "/".join(map(str, path))))
    assert [one for one in unnoticed if not any(word in one[1] for word in FREE)] == []


def objects_in(value, path=()):
    if isinstance(value, dict):
        yield path
        for key, one in value.items():
            yield from objects_in(one, (*path, key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from objects_in(one, (*path, number))


def at(value, path):
    for key in path:
        value = value[key]
    return value


@specs
def test_the_container_group_is_as_it_is_described():
    workflows = [
        one
        for chosen in ("azure_batch", "private")
        for one in of_type(deployed(chosen), "Microsoft.Logic/workflows")
    ]
    assert len(workflows) == 4
    _, schema, file = described(SPECS, "Microsoft.ContainerInstance/containerGroups", "2023-05-01")
    for workflow in workflows:
        group = workflow["properties"]["parameters"]["containerGroup"]["value"]
        assert list(faults(group, schema, file)) == []
        group["properties"]["containers"][0]["properties"]["resources"]["requests"]["memoryInGB"] = "2"
        assert list(faults(group, schema, file)) != []


@specs
@pytest.mark.parametrize("chosen", ["azure_batch", "batch_ai"])
def test_resources_are_as_the_schemas_of_templates_say(chosen):
    wrong, seen = [], set()
    for resource in deployed(chosen):
        namespace, kind = resource["type"].split("/", 1)
        if namespace in ARM_SCHEMAS:
            seen.add(namespace)
            validator = arm_validator(namespace, kind, resource["apiVersion"])
            wrong += [(kind, error.message[:200]) for error in validator.iter_errors(satisfiable(resource))]
    assert wrong == []
    assert seen == (
        {"Microsoft.StreamAnalytics", "Microsoft.BatchAI"}
        if chosen == "batch_ai"
        else {"Microsoft.StreamAnalytics"}
    )


def satisfiable(resource):
    """Without what no value can satisfy, see CONTRADICTORY; with a name of its own, see OWN_NAME."""
    resource = copy.deepcopy(resource)
    if resource["type"].startswith(OWN_NAME):
        resource["name"] = resource["name"].rpartition("/")[2]
    for one in resource["properties"].get("inputs", ()) if "properties" in resource else ():
        del one["properties"]
    for one in resource["properties"].get("outputs", ()) if "properties" in resource else ():
        del one["properties"]["datasource"], one["properties"]["serialization"]
    return resource


@specs
@pytest.mark.parametrize("name", CONTRADICTORY)
def test_the_schema_of_stream_analytics_still_contradicts_itself(name):
    """Once it is mended, the part is to be held against it."""
    document = json.loads(
        (SPECS / "arm-schemas/2020-03-01/Microsoft.StreamAnalytics.json").read_text("utf-8")
    )
    shared, kinds = document["definitions"][name]["allOf"]
    assert shared["additionalProperties"] is False
    for kind in kinds["oneOf"]:
        more = [one["$ref"].rpartition("/")[2] for one in kind["allOf"] if "$ref" in one]
        assert all(
            set(document["definitions"][one]["properties"]) - set(shared["properties"]) for one in more
        )


@specs
def test_every_known_difference_from_a_description_is_still_there():
    seen = set()
    for resource in deployed("azure_batch"):
        _, found = all_faults(resource)
        seen |= {one for one in KNOWN_DIFFERENCES for fault in found if is_known(resource["type"], fault)}
    assert seen == set(KNOWN_DIFFERENCES)


@specs
def test_the_whole_is_a_template_by_its_own_schema():
    schema = json.loads((SPECS / "arm-schemas/2019-04-01/deploymentTemplate.json").read_text("utf-8"))
    # What a resource may be is looked at one by one, above.
    schema["definitions"]["resource"] = {"type": "object", "required": ["name", "type", "apiVersion"]}
    schema["definitions"].pop("resourceBase", None)
    validator = Draft4Validator(schema, registry=registry())
    assert [error.message[:200] for error in validator.iter_errors(template())] == []


def arm_validator(namespace, kind, version):
    file = SPECS / "arm-schemas" / version / f"{namespace}.json"
    document = json.loads(file.read_text("utf-8"))
    place = f"{document['id'].rstrip('#')}#/resourceDefinitions/{kind.replace('/', '_')}"
    return Draft4Validator({"$ref": place}, registry=registry())


def registry():
    def retrieve(url):
        file = SPECS / "arm-schemas" / url.split("/schemas/", 1)[1].rstrip("#")
        return Resource.from_contents(json.loads(file.read_text("utf-8")), default_specification=DRAFT4)

    return Registry(retrieve=retrieve)


def test_a_workflow_of_its_own_for_each_pipeline():
    pipelines = [
        one["properties"]["parameters"]["pipeline"]["value"]
        for one in of_type(deployed("azure_batch"), "Microsoft.Logic/workflows")
    ]
    assert tuple(pipelines) == tuple(build.PIPELINES)


def test_the_parameters_are_all_given_and_all_known():
    settings = settings_of()
    report = check_template(template(), parameters(settings), "rg", "westeurope")
    assert report.faults == [] and report_of("azure_batch").faults == []
