"""Role assignments as records: what must be in one, and that there are no two of the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tests.emulators.arm.ids import Place
from tests.emulators.batch_ai.answers import RefusedError

if TYPE_CHECKING:
    from tests.emulators.arm.resources import Resource

TYPE = "microsoft.authorization/roleassignments"


def require_new_assignment(
    place: Place, body: dict[str, Any], former: Resource | None, others: Iterable[Resource]
) -> None:
    """Raise where it lacks something, changes what it gives, or gives what another one gives already."""
    properties = body.get("properties", {})
    before = former.sent["properties"] if former is not None else properties
    if any(before.get(name) != properties.get(name) for name in ("roleDefinitionId", "principalId")):
        message = "Tenant ID, application ID, principal ID, and scope are not allowed to be updated."
        raise RefusedError(400, "RoleAssignmentUpdateNotPermitted", message)
    for name in ("roleDefinitionId", "principalId"):
        if not properties.get(name):
            raise RefusedError(400, "InvalidCreateRoleAssignmentRequest", f"{name} is missing.")
    for other in others:
        same = other.place.type.lower() == TYPE and other.place.scope.lower() == place.scope.lower()
        theirs = other.sent.get("properties", {})
        if same and all(
            str(theirs.get(name)).lower().rsplit("/", 1)[-1]
            == str(properties[name]).lower().rsplit("/", 1)[-1]
            for name in ("roleDefinitionId", "principalId")
        ):
            raise RefusedError(409, "RoleAssignmentExists", "The role assignment already exists.")
