"""The Resource Manager as far as its users see it: groups, providers, resources and deployments."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from tests.emulators.arm import actions
from tests.emulators.arm.deployment_requests import Deployments
from tests.emulators.arm.expressions import TemplateError
from tests.emulators.arm.functions import Where
from tests.emulators.arm.groups import Groups
from tests.emulators.arm.ids import Place, group_of
from tests.emulators.arm.known_types import KNOWN, NAMESPACES, is_at_once, listed, status_of_new
from tests.emulators.arm.later import OPERATIONS, Later
from tests.emulators.arm.resources import Resource, Resources
from tests.emulators.batch_ai.answers import Answer, Answers, RefusedError
from tests.emulators.identity import TENANT
from tests.emulators.oav import Recorder

SUBSCRIPTION = "5ab5c81b-7ce0-4000-8000-000000000001"
# Answers a request below a provider: method, path, query, body, host. None: the Resource Manager shall.
Mounted = Callable[[str, str, str, Any, str], Answer | None]


class Arm:
    """The service, for somebody who is Contributor and Role Based Access Control Administrator: roles are
    assigned and not defined.

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
        self.unregistered: set[str] = set()
        self.deleted_vaults: dict[str, str] = {}
        self._resource_manager, self._lock = resource_manager, threading.RLock()
        self._mounts: dict[str, Mounted] = {}
        self.later = Later(subscription, making_seconds)
        self._groups = Groups(subscription, self.resources, self.later, self._empty)
        self._deployments = Deployments(
            *(self.resources, self.later, self.where, self._ask, self._existing, storage_key)
        )
        self.groups, self.deployments = self._groups.by_name, self._deployments.by_key

    def mount(self, namespace: str, answer: Mounted) -> None:
        """Let another stand-in answer for a provider, such as ``Microsoft.ContainerInstance``."""
        self._mounts[namespace.lower()] = answer

    def fail_operation(self, part: str, code: str, message: str) -> None:
        """Let the next long-running operation on a path with this in it end as failed."""
        self.later.failing.append((part.lower(), {"code": code, "message": message}))

    def close(self) -> None:
        self._deployments.close()

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
            message = f"Deployment template validation failed: '{error}'"
            return Answer(400, {"error": {"code": error.code, "message": message}})
        return self.answers.take(method, path, after=True) or answer

    def where(self, path: str) -> Where:
        """What a template is told of the group that a path is in."""
        group = self._groups.find(path)
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
        if OPERATIONS in path.lower():
            with self._lock:
                return self.later.answer(path, host)
        if place is not None and place.namespace.lower() in self._mounts:
            answer = self._mounted(method, place, path, query, body, host)
            if answer is not None:
                return answer
        with self._lock:
            if place is None:
                return self._above_providers(method, path, body or {}, asked, host)
            if group:
                self._groups.find(path)
            if place.namespace.lower() == "microsoft.resources":
                return self._deployments.answer(method, path, place, body or {}, host)
            return self._resource(method, path, place, body, asked, host)

    def _mounted(
        self, method: str, place: Place, path: str, query: str, body: Any, host: str
    ) -> Answer | None:
        if group_of(path)[1]:
            self._groups.find(path)
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
            return self._groups.answer(method, path, words, body, asked, host)
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

    def _empty(self, scope: str) -> None:
        """Delete all that is in a group, that of other stand-ins, too."""
        tops = [one.place for one in self.resources.within(scope) if len(one.place.names) == 1]
        for place in tops:
            if place.namespace.lower() in self._mounts:
                self._ask("DELETE", place.id, KNOWN.get(place.type.lower(), ("",))[0], None)
            self.resources.delete(place.id)
        self._deployments.forget_all(scope)

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
        if place.type.lower() == "microsoft.authorization/roledefinitions":
            message = "The client does not have authorization to perform the action 'roleDefinitions/write'."
            raise RefusedError(403, "AuthorizationFailed", message)
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
        return self.later.begin(place.id, lambda: self._delete_now(place), host)

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
            return self.later.begin(path, lambda: Answer(200), host)
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
