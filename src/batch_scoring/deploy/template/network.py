"""Close a template to the public internet: a virtual network, private endpoints and their names.

``network.json`` holds what is added to a template, and what is changed of its resources by their types; NAME,
TARGET, PART and ZONE of its ``zone`` and ``endpoint`` are filled in for each of its ``endpoints``.

What rests on it, and whose word that is (pages of learn.microsoft.com):

- A container group in a virtual network needs a NAT gateway to reach anything outside, and does not read the
  network's name servers: *Virtual network scenarios and resources for Azure Container Instances*.
- It pulls by an identity from a registry with a private endpoint, if that lets trusted services in: *Deploy
  to Azure Container Instances from Azure Container Registry using a managed identity*.
- Nodes without public addresses reach Batch by the endpoint ``nodeManagement``; both endpoints of an account
  have one zone: *Use private endpoints with Azure Batch accounts*.
- Stream Analytics and IoT Hub read and write as trusted services, by their identities, also where public
  access is off: *Allow access to Azure Event Hubs namespaces via private endpoints*. Of a storage account
  trusted services see nothing while public access is off, so it is on for them, and denied to all others.
- A subnet without default outbound access may not be a delegated one: *Default outbound access in Azure*.
- The workflows call the Resource Manager alone, which has no private address, and so need none.
- The rules of a network let nothing in from the internet by themselves; 168.63.129.16 is the resolver of
  every virtual network, which knows its private zones; private endpoints of a registry need the Premium tier.
- A node that starts before its way to Batch is known is of no use: the pool waits for the endpoint ``nodes``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any


def of_container_group() -> dict[str, Any]:
    """Return what the properties of a container group have besides."""
    found: dict[str, Any] = _read()["containerGroup"]
    return found


def closed(template: Mapping[str, Any]) -> dict[str, Any]:
    """Close a whole template: services are reached through private endpoints, nodes have no public addresses.

    Only the addresses of the parameter ``allowed`` may come from outside.
    """
    own = _read()
    zones = dict.fromkeys(one["ZONE"] for one in own["endpoints"])
    names = [resource for zone in zones for resource in _filled(own["zone"], {"ZONE": zone})]
    resources = [_merged(one, own["changes"].get(one["type"], {})) for one in template["resources"]]
    return {
        **template,
        **{kind: {**template[kind], **own[kind]} for kind in ("parameters", "variables")},
        "resources": [*resources, *own["network"], *names, *_endpoints(own), *own["access"]],
    }


def _endpoints(own: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Build the private endpoints, and let each keep its name in its zone."""
    found: list[dict[str, Any]] = []
    before: Mapping[str, str] = {}
    for one in own["endpoints"]:
        endpoint, group = _filled(own["endpoint"], one)
        # One change of an account at a time.
        if before.get("TARGET") == one["TARGET"]:
            endpoint["dependsOn"].append(_filled(own["endpoint"], before)[1]["dependsOn"][0])
        found += [endpoint, group]
        before = one
    return found


def _filled(resources: list[dict[str, Any]], values: Mapping[str, str]) -> list[dict[str, Any]]:
    """Fill the words of an endpoint into resources."""
    text = json.dumps(resources)
    for word, value in values.items():
        text = text.replace(word, value)
    filled: list[dict[str, Any]] = json.loads(text)
    return filled


def _read() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(files(__package__).joinpath("network.json").read_text("utf-8"))
    return read


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two mappings at every depth, and join their lists; of two other values the second counts."""
    found = dict(first)
    for key, value in second.items():
        before = found.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            found[key] = _merged(before, value)
        else:
            found[key] = [*before, *value] if isinstance(before, list) else value
    return found
