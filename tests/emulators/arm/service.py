"""The Resource Manager as far as its users see it: groups, providers, resources and deployments."""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode

from tests.emulators.arm import actions
from tests.emulators.arm.deployments import ENDED, Deployment, referring
from tests.emulators.arm.expressions import TemplateError
from tests.emulators.arm.functions import Where
from tests.emulators.arm.ids import Place, group_of
from tests.emulators.arm.known_types import KNOWN, NAMESPACES, is_at_once, listed, status_of_new
from tests.emulators.arm.resources import Resource, Resources
from tests.emulators.arm.templates import Plan, plan
from tests.emulators.arm.what_if import foretell
from tests.emulators.batch_ai.answers import Answer, Answers, RefusedError
from tests.emulators.identity import TENANT
from tests.emulators.oav import Recorder

SUBSCRIPTION = "5ab5c81b-7ce0-4000-8000-000000000001"
# Answers a request below a provider: method, path, query, body, host. None: the Resource Manager shall.
Mounted = Callable[[str, str, str, Any, str], Answer | None]
_DEPLOYMENTS = "microsoft.resources/deployments"


@dataclass
class Group:
    """A resource group."""

    name: str
    location: str
    tags: dict[str, str]


@dataclass
class _Later:
    """A long-running operation: when it ends, and how."""

    ends: float
    act: Callable[[], Answer]
    error: dict[str, str] | None = None
    answer: Answer | None = None


class Arm:
    """The service.

    Parameters
    ----------
    subscription : str
        The one there is.
    making_seconds : float
        What a provider needs to make or delete a resource.
    resource_manager : str
        What templates are told as its address.
    storage_key : str, optional
        What ``listKeys`` of a storage account gives to templates, and to nobody else; without it nothing.

    Attributes
    ----------
    answers : Answers
        Wrong answers on demand; a status of 0 breaks the connection.
    resources : Resources
        ``fail(part, code, message)`` lets a resource fail to be made, ``watch(type, function)`` tells of
        each that is made, changed or deleted, ``changes`` are the ids of what was changed.
    recorder : Recorder
        What deployments asked providers, and what these answered.
    unregistered : set of str
        Namespaces, in lower case, that the subscription has not registered.
    """

    def __init__(
        self,
        subscription: str = SUBSCRIPTION,
        making_seconds: float = 0.02,
        resource_manager: str = "https://management.azure.com/",
        storage_key: str | None = None,
    ) -> None:
        self.subscription, self.making_seconds = subscription, making_seconds
        self.answers, self.recorder = Answers(), Recorder()
        self.resources = Resources(making_seconds)
        self.groups: dict[str, Group] = {}
        self.deployments: dict[str, Deployment] = {}
        self.unregistered: set[str] = set()
        self.deleted_vaults: dict[str, str] = {}
        self._resource_manager, self._lock = resource_manager, threading.RLock()
        self._storage_key = storage_key
        self._mounts: dict[str, Mounted] = {}
        self._later: dict[str, _Later] = {}
        self._failing_operations: list[tuple[str, dict[str, str]]] = []

    def mount(self, namespace: str, answer: Mounted) -> None:
        """Let another stand-in answer for a provider, such as ``Microsoft.ContainerInstance``."""
        self._mounts[namespace.lower()] = answer

    def fail_operation(self, part: str, code: str, message: str) -> None:
        """Let the next long-running operation on a path with this in it end as failed."""
        self._failing_operations.append((part.lower(), {"code": code, "message": message}))

    def close(self) -> None:
        for one in self.deployments.values():
            one.close()

    def answer(self, method: str, path: str, query: str, body: Any, host: str) -> Answer:
        """Answer a request."""
        wrong = self.answers.take(method, path, after=False)
        if wrong is not None:
            return wrong
        try:
            answer = self._route(method, path.rstrip("/"), query, body, host)
        except RefusedError as refused:
            return refused.answer
        except TemplateError as error:
            return Answer(
                400,
                {
                    "error": {
                        "code": error.code,
                        "message": f"Deployment template validation failed: '{error}'",
                    }
                },
            )
        return self.answers.take(method, path, after=True) or answer

    def where(self, path: str) -> Where:
        """What a template is told of the group that a path is in."""
        group = self._group(path)
        place = Place.read(path)
        return Where(
            *(self.subscription, group.name, group.location, place.names[0] if place else "", TENANT),
            *(group.tags, self._resource_manager),
        )

    def _route(self, method: str, path: str, query: str, body: Any, host: str) -> Answer:
        asked = {name.lower(): values[0] for name, values in parse_qs(query).items()}
        if "api-version" not in asked:
            raise RefusedError(
                400, "MissingApiVersionParameter", "The api-version query parameter is required."
            )
        subscription, group = group_of(path)
        if subscription and subscription != self.subscription:
            raise RefusedError(
                404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found."
            )
        # The one path of deployments that names no provider.
        path = re.sub(
            r"(?i)(/resourcegroups/[^/]+)/deployments/",
            r"\1/providers/Microsoft.Resources/deployments/",
            path,
        )
        place = Place.read(path)
        if "/standin-operations/" in path.lower():
            with self._lock:
                return self._operation(path.rsplit("/", 1)[-1], path, host)
        if place is not None and place.namespace.lower() in self._mounts:
            answer = self._mounted(method, place, path, query, body, host)
            if answer is not None:
                return answer
        with self._lock:
            if place is None:
                return self._above_providers(method, path, body or {}, asked, host)
            if group:
                self._group(path)
            if place.namespace.lower() == "microsoft.resources":
                return self._deployment(method, path, place, body or {}, host)
            return self._resource(method, path, place, body, asked, host)

    def _mounted(
        self, method: str, place: Place, path: str, query: str, body: Any, host: str
    ) -> Answer | None:
        if group_of(path)[1]:
            self._group(path)
        answer = self._mounts[place.namespace.lower()](method, path, query, body, host)
        if answer is not None and not place.is_list:
            if method == "PUT" and answer.status < 300:
                self.resources.note(place, body or {})
            elif method == "DELETE" and answer.status < 300:
                self.resources.forget(place.id)
        return answer

    # Subscriptions, groups and providers.

    def _above_providers(
        self, method: str, path: str, body: dict[str, Any], asked: dict[str, str], host: str
    ) -> Answer:
        words = path.strip("/").split("/")
        if words[0].lower() == "subscriptions" and len(words) == 1:
            return Answer(200, {"value": [self._describe_subscription()]})
        if len(words) == 2:
            return Answer(200, self._describe_subscription())
        kind = words[2].lower()
        if kind == "resourcegroups":
            return self._groups(method, path, words, body, asked, host)
        if kind == "providers" and len(words) in (4, 5):
            return self._provider(method, words[3])
        raise RefusedError(404, "InvalidResourceType", f"There is nothing at {path}.")

    def _describe_subscription(self) -> dict[str, Any]:
        return {
            "id": f"/subscriptions/{self.subscription}",
            "subscriptionId": self.subscription,
            "tenantId": TENANT,
            "displayName": "stand-in",
            "state": "Enabled",
        }

    def _groups(
        self, method: str, path: str, words: list[str], body: dict[str, Any], asked: dict[str, str], host: str
    ) -> Answer:
        if len(words) == 3:
            return Answer(200, {"value": [self._describe_group(one) for one in self.groups.values()]})
        if len(words) == 5 and words[4].lower() == "resources":
            return self._list_group(path, asked, host)
        name = words[3]
        there = self.groups.get(name.lower())
        if method == "HEAD":
            return Answer(204 if there else 404)
        if method == "PUT":
            if there and there.location != body["location"]:
                message = f"The group '{name}' is in '{there.location}' already."
                raise RefusedError(409, "InvalidResourceGroupLocation", message)
            made = Group(there.name if there else name, body["location"], dict(body.get("tags") or {}))
            self.groups[name.lower()] = made
            if there is None:
                self.resources.changes.append(f"/subscriptions/{self.subscription}/resourceGroups/{name}")
            return Answer(200 if there else 201, self._describe_group(made))
        group = self._group(path)
        if method == "GET":
            return Answer(200, self._describe_group(group))
        if method == "DELETE":
            return self._begin(path, lambda: self._delete_group(group), host)
        raise RefusedError(405, "MethodNotAllowed", f"{method} is not allowed at {path}.")

    def _group(self, path: str) -> Group:
        name = group_of(path)[1]
        if name not in self.groups:
            raise RefusedError(404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.")
        return self.groups[name]

    def _describe_group(self, group: Group) -> dict[str, Any]:
        return {
            "id": f"/subscriptions/{self.subscription}/resourceGroups/{group.name}",
            "name": group.name,
            "type": "Microsoft.Resources/resourceGroups",
            "location": group.location,
            "tags": group.tags,
            "properties": {"provisioningState": "Succeeded"},
        }

    def _delete_group(self, group: Group) -> Answer:
        scope = f"/subscriptions/{self.subscription}/resourceGroups/{group.name}"
        for one in self.resources.within(scope):
            self.resources.delete(one.place.id)
        self.groups.pop(group.name.lower(), None)
        for key in [key for key in self.deployments if key.startswith(f"{scope.lower()}/")]:
            del self.deployments[key]
        self.resources.changes.append(scope)
        return Answer(200)

    def _list_group(self, path: str, asked: dict[str, str], host: str) -> Answer:
        """Resources that are no parts of others, a page at a time."""
        self._group(path)
        scope = path.rsplit("/", 1)[0]
        wanted = asked.get("$filter", "").partition("resourceType eq ")[2].strip("'").lower()
        tops = [one for one in self.resources.within(scope) if len(one.place.names) == 1]
        tops = [
            one
            for one in tops
            if not one.place.is_extension and one.place.namespace.lower() != "microsoft.authorization"
        ]
        found = [one for one in tops if not wanted or one.place.type.lower() == wanted]
        first, most = int(asked.get("$skiptoken", "0")), min(int(asked.get("$top", "5")), 5)
        shown = [_in_listing(self.resources.describe(one)) for one in found[first : first + most]]
        listing: dict[str, Any] = {"value": shown}
        if len(found) > first + most:
            again = {"api-version": asked["api-version"], "$skiptoken": first + most}
            again |= {"$filter": asked["$filter"]} if wanted else {}
            listing["nextLink"] = f"https://{host}{path}?{urlencode(again)}"
        return Answer(200, listing)

    def _provider(self, method: str, namespace: str) -> Answer:
        if namespace.lower() not in {one.lower() for one in NAMESPACES}:
            raise RefusedError(404, "InvalidResourceNamespace", f"The namespace '{namespace}' is invalid.")
        if method == "POST":
            self.unregistered.discard(namespace.lower())
        is_registered = namespace.lower() not in self.unregistered
        kinds = [
            {"resourceType": kind, "apiVersions": list(versions), "locations": []}
            for kind, versions in listed(namespace).items()
        ]
        state = "Registered" if is_registered else "NotRegistered"
        return Answer(200, {"namespace": namespace, "registrationState": state, "resourceTypes": kinds})

    # Resources.

    def _resource(
        self, method: str, path: str, place: Place, body: Any, asked: dict[str, str], host: str
    ) -> Answer:
        if not place.types[:1]:
            raise RefusedError(404, "InvalidResourceType", f"There is nothing at {path}.")
        if place.namespace.lower() == "microsoft.keyvault" and place.types[0].lower() == "locations":
            return self._deleted_vault(method, path, place, host)
        if method == "POST":
            return self._act(path, asked)
        if place.type.lower() not in KNOWN:
            raise RefusedError(
                404, "InvalidResourceType", f"The resource type '{place.type}' could not be found."
            )
        if asked["api-version"] not in KNOWN[place.type.lower()]:
            known = ", ".join(KNOWN[place.type.lower()])
            message = (
                f"No registered resource provider found for API version; the supported ones are '{known}'."
            )
            raise RefusedError(400, "NoRegisteredProviderFound", message)
        if place.is_list:
            return self._list(path, place)
        if place.namespace.lower() in self.unregistered and method == "PUT":
            message = f"The subscription is not registered to use namespace '{place.namespace}'."
            raise RefusedError(409, "MissingSubscriptionRegistration", message)
        if method == "PUT":
            return self._put(place, body or {})
        if method == "DELETE":
            return self._delete(place, host)
        found = self.resources.get(place.id)
        if method == "HEAD":
            return Answer(204)
        if method == "PATCH":
            changed = {**found.sent, **(body or {})}
            changed["properties"] = found.sent.get("properties", {}) | (body or {}).get("properties", {})
            return self._put(place, changed)
        return Answer(200, self._described(found))

    def _put(self, place: Place, body: dict[str, Any]) -> Answer:
        if place.type.lower() == "microsoft.keyvault/vaults":
            name, recovers = place.names[0].lower(), body.get("properties", {}).get("createMode") == "recover"
            if name in self.deleted_vaults and not recovers:
                message = "A vault with the same name already exists in deleted state."
                raise RefusedError(409, "ConflictError", message)
            self.deleted_vaults.pop(name, None)
        made, is_new = self.resources.put(place, body, self.where(place.id))
        return Answer(status_of_new(place.type) if is_new else 200, self._described(made))

    def _described(self, one: Resource) -> dict[str, Any]:
        described = self.resources.describe(one)
        if one.state == "Failed":
            described["properties"]["error"] = one.error
        return described

    def _list(self, path: str, place: Place) -> Answer:
        scope = path.rsplit("/", 1)[0] if place.names else place.scope
        below = self.resources.within(scope)
        fitting = [one for one in below if one.place.type.lower() == place.type.lower()]
        return Answer(200, {"value": [self._described(one) for one in fitting]})

    def _delete(self, place: Place, host: str) -> Answer:
        found = self.resources.find(place.id)
        if found is None:
            return Answer(204)
        if is_at_once(place.type):
            described = self._described(found)
            self.resources.delete(place.id)
            return Answer(200, described)
        return self._begin(place.id, lambda: self._delete_now(place), host)

    def _delete_now(self, place: Place) -> Answer:
        if self.resources.delete(place.id) and place.type.lower() == "microsoft.keyvault/vaults":
            self.deleted_vaults[place.names[0].lower()] = place.id
        return Answer(200)

    def _deleted_vault(self, method: str, path: str, place: Place, host: str) -> Answer:
        name = place.names[1].lower() if len(place.names) > 1 else ""
        if name not in self.deleted_vaults:
            raise RefusedError(404, "DeletedVaultNotFound", f"The deleted vault '{name}' was not found.")
        if method == "POST" and path.lower().endswith("/purge"):
            del self.deleted_vaults[name]
            return self._begin(path, lambda: Answer(200), host)
        return Answer(200, {"name": name, "properties": {"vaultId": self.deleted_vaults[name]}})

    def _act(self, path: str, asked: dict[str, str]) -> Answer:
        on, _, action = path.rpartition("/")
        place = Place.read(on)
        found = self.resources.get(on)
        if place is None or asked["api-version"] not in KNOWN.get(place.type.lower(), ()):
            raise RefusedError(400, "NoRegisteredProviderFound", "The api-version is not known.")
        answer = actions.act(found, action)
        self.resources.changes.append(f"{place.id}/{action}")
        return answer

    # Long-running operations.

    def _begin(self, path: str, act: Callable[[], Answer], host: str) -> Answer:
        failing = next((one for one in self._failing_operations if one[0] in path.lower()), None)
        if failing is not None:
            self._failing_operations.remove(failing)
        key = uuid.uuid4().hex
        self._later[key] = _Later(
            time.monotonic() + self.making_seconds, act, failing[1] if failing else None
        )
        url = f"https://{host}/subscriptions/{self.subscription}/standin-operations/{key}?api-version=2025-04-01"
        return Answer(202, None, {"Location": url, "Retry-After": "0"})

    def _operation(self, key: str, path: str, host: str) -> Answer:
        later = self._later.get(key)
        if later is None:
            raise RefusedError(404, "OperationNotFound", f"There is no operation {key}.")
        if time.monotonic() < later.ends:
            url = f"https://{host}{path}?api-version=2025-04-01"
            return Answer(202, None, {"Location": url, "Retry-After": "0"})
        if later.error is not None:
            return Answer(409, {"error": later.error})
        if later.answer is None:
            later.answer = later.act()
        return later.answer

    # Deployments.

    def _deployment(self, method: str, path: str, place: Place, body: dict[str, Any], host: str) -> Answer:
        if f"{place.namespace}/{place.types[0]}".lower() != _DEPLOYMENTS:
            raise RefusedError(404, "InvalidResourceType", f"There is nothing at {path}.")
        if not place.names:
            self._group(path)
            mine = [
                one for one in self.deployments.values() if one.path.lower().startswith(path.lower() + "/")
            ]
            return Answer(200, {"value": [one.describe() for one in mine]})
        group = self.where(path).group_id
        own = f"{group}/providers/Microsoft.Resources/deployments/{place.names[0]}"
        action = place.types[1].lower() if len(place.types) > 1 else ""
        there = self.deployments.get(own.lower())
        if method == "POST" and action in ("validate", "whatif"):
            planned = self._plan(own, body)
            if action == "validate":
                return Answer(
                    200, {"id": own, "properties": {"provisioningState": "Succeeded", "mode": "Incremental"}}
                )
            return self._begin(own, lambda: self._what_if(planned), host)
        if method == "PUT" and not action:
            return self._deploy(own, there, body, host)
        if there is None:
            raise RefusedError(
                404, "DeploymentNotFound", f"Deployment '{place.names[0]}' could not be found."
            )
        if action == "operations":
            return Answer(200, {"value": [one.describe(own) for one in there.operations]})
        if action == "operationstatuses":
            return Answer(200, {"status": there.state} | ({"error": there.error} if there.error else {}))
        if action == "cancel":
            there.cancel()
            return Answer(204)
        if method == "DELETE":
            return self._begin(own, lambda: self._forget(own), host)
        return Answer(204) if method == "HEAD" else Answer(200, there.describe())

    def _plan(self, own: str, body: dict[str, Any]) -> Plan:
        properties = body.get("properties") or {}
        if properties.get("mode", "").lower() != "incremental":
            raise TemplateError("Only deployments in the mode 'Incremental' are known here.")
        planned = plan(properties.get("template"), properties.get("parameters"), self.where(own))
        planned.functions["listkeys"] = self._keys
        return planned

    def _keys(self, target: str, api_version: str) -> dict[str, Any]:
        """What only Batch AI's nodes need, which know no identities."""
        if self._storage_key is None:
            raise TemplateError(f"The keys of {target!r} are not given out: use identities.")
        if self.resources.find(target) is None:
            raise TemplateError(f"ResourceNotFound: the resource {target!r} was not found.")
        return {"keys": [{"keyName": "key1", "value": self._storage_key, "permissions": "FULL"}]}

    def _deploy(self, own: str, there: Deployment | None, body: dict[str, Any], host: str) -> Answer:
        if there is not None and there.state not in ENDED:
            message = f"The deployment with resource id '{own}' cannot be saved, because this would overwrite an existing deployment which is still active."
            raise RefusedError(409, "DeploymentActive", message)
        made = Deployment(own, self._plan(own, body), self._ask, body, self._existing)
        self.deployments[own.lower()] = made
        made.start()
        url = f"https://{host}{own}/operationStatuses/{uuid.uuid4().hex}?api-version=2026-06-01"
        described = made.describe()
        return Answer(200 if there else 201, described, {"Azure-AsyncOperation": url, "Retry-After": "0"})

    def _forget(self, own: str) -> Answer:
        self.deployments.pop(own.lower(), None)
        return Answer(204)

    def _what_if(self, planned: Plan) -> Answer:
        functions = planned.functions | {"reference": referring(planned, self._existing)}
        changes = foretell(planned, self.resources, functions)
        return Answer(200, {"status": "Succeeded", "properties": {"changes": changes}})

    def _existing(self, path: str) -> Any:
        """A resource as its provider tells it; None: there is none."""
        place = Place.read(path)
        if place is None:
            return None
        versions = KNOWN.get(place.type.lower(), ("",))
        answer = self._ask("GET", path, versions[0], None)
        return answer.body if answer.status == 200 else None

    def _ask(self, method: str, path: str, api_version: str, body: Any) -> Answer:
        """Ask a provider, as a deployment does; what it answers is kept."""
        try:
            answer = self._route(method, path, f"api-version={api_version}", body, "management.azure.com")
        except RefusedError as refused:
            answer = refused.answer
        except TemplateError as error:
            answer = Answer(400, {"error": {"code": error.code, "message": str(error)}})
        kind = {"Content-Type": "application/json"}
        self.recorder.add(
            *(method, f"{path}?api-version={api_version}", kind, json.dumps(body).encode() if body else b""),
            *(answer.status, kind, json.dumps(answer.body).encode() if answer.body else b""),
        )
        return answer


def _in_listing(described: dict[str, Any]) -> dict[str, Any]:
    """A resource as listings of groups show it."""
    keys = ("id", "name", "type", "location", "tags", "kind", "sku", "identity")
    shown = {key: value for key, value in described.items() if key in keys}
    state = described["properties"].get("provisioningState", "Succeeded")
    return shown | {"provisioningState": state}
