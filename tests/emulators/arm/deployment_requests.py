"""What is asked about deployments: to check, predict, begin, look at, cancel and forget them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from tests.emulators.arm.deployments import ENDED, Ask, Deployment, referring
from tests.emulators.arm.expressions import TemplateError
from tests.emulators.arm.functions import Where
from tests.emulators.arm.ids import Place
from tests.emulators.arm.later import Later
from tests.emulators.arm.resources import Resources
from tests.emulators.arm.templates import Plan, plan
from tests.emulators.arm.what_if import predict
from tests.emulators.batch_ai.answers import Answer, RefusedError

_TYPE = "microsoft.resources/deployments"


class Deployments:
    """All of them, by their ids in lower case.

    Parameters
    ----------
    resources : Resources
    later : Later
    where : callable
        Tells of a path what templates are told of its group.
    ask : callable
        Asks a provider.
    existing : callable
        Gives a resource by its id, as its provider tells it; None: there is none.
    storage_key : str, optional
        What ``listKeys`` gives.
    """

    def __init__(
        self,
        resources: Resources,
        later: Later,
        where: Callable[[str], Where],
        ask: Ask,
        existing: Callable[[str], Any],
        storage_key: str | None,
    ) -> None:
        self._resources, self._later, self._where = resources, later, where
        self._ask, self._existing, self.storage_key = ask, existing, storage_key
        self.by_key: dict[str, Deployment] = {}

    def forget_all(self, scope: str) -> None:
        """Forget those of a group."""
        for key in [key for key in self.by_key if key.startswith(f"{scope.lower()}/")]:
            del self.by_key[key]

    def close(self) -> None:
        for one in self.by_key.values():
            one.close()

    def answer(self, method: str, path: str, place: Place, body: dict[str, Any], host: str) -> Answer:
        """Answer a request for a deployment, or for all of a group."""
        if f"{place.namespace}/{place.types[0]}".lower() != _TYPE:
            raise RefusedError(404, "InvalidResourceType", f"There is nothing at {path}.")
        if not place.names:
            mine = [one for one in self.by_key.values() if one.path.lower().startswith(path.lower() + "/")]
            return Answer(200, {"value": [one.describe() for one in mine]})
        group = self._where(path).group_id
        own = f"{group}/providers/Microsoft.Resources/deployments/{place.names[0]}"
        action = place.types[1].lower() if len(place.types) > 1 else ""
        there = self.by_key.get(own.lower())
        if method == "POST" and action in ("validate", "whatif"):
            planned = self._plan(own, body)
            if action == "validate":
                return Answer(
                    200, {"id": own, "properties": {"provisioningState": "Succeeded", "mode": "Incremental"}}
                )
            return self._later.begin(own, lambda: self._what_if(planned), host)
        if method == "PUT" and not action:
            return self._begin(own, there, body, host)
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
            return self._later.begin(own, lambda: self._forget(own), host)
        return Answer(204) if method == "HEAD" else Answer(200, there.describe())

    def _plan(self, own: str, body: dict[str, Any]) -> Plan:
        properties = body.get("properties") or {}
        if properties.get("mode", "").lower() != "incremental":
            raise TemplateError("Only deployments in the mode 'Incremental' are known here.")
        planned = plan(properties.get("template"), properties.get("parameters"), self._where(own))
        planned.functions["listkeys"] = self._keys
        return planned

    def _keys(self, target: str, api_version: str) -> dict[str, Any]:
        """What only Batch AI's nodes need, which know no identities."""
        if self.storage_key is None:
            raise TemplateError(f"The keys of {target!r} are not given out: use identities.")
        if self._resources.find(target) is None:
            raise TemplateError(f"ResourceNotFound: the resource {target!r} was not found.")
        return {"keys": [{"keyName": "key1", "value": self.storage_key, "permissions": "FULL"}]}

    def _begin(self, own: str, there: Deployment | None, body: dict[str, Any], host: str) -> Answer:
        if there is not None and there.state not in ENDED:
            message = f"The deployment '{own}' cannot be saved: it would overwrite one that is still active."
            raise RefusedError(409, "DeploymentActive", message)
        made = Deployment(own, self._plan(own, body), self._ask, body, self._existing)
        self.by_key[own.lower()] = made
        made.start()
        url = f"https://{host}{own}/operationStatuses/{uuid.uuid4().hex}?api-version=2026-06-01"
        described = made.describe()
        return Answer(200 if there else 201, described, {"Azure-AsyncOperation": url, "Retry-After": "0"})

    def _forget(self, own: str) -> Answer:
        self.by_key.pop(own.lower(), None)
        return Answer(204)

    def _what_if(self, planned: Plan) -> Answer:
        functions = planned.functions | {"reference": referring(planned, self._existing)}
        changes = predict(planned, self._resources, functions)
        return Answer(200, {"status": "Succeeded", "properties": {"changes": changes}})
