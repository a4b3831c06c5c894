"""What can be asked of a resource beside making, reading and deleting it: starting, stopping, enabling."""

from __future__ import annotations

from tests.emulators.arm.resources import Resource
from tests.emulators.batch_ai.answers import Answer, RefusedError


def act(one: Resource, action: str) -> Answer:
    """Do it.

    Raises
    ------
    RefusedError
        When there is no such action, or it hands out keys.
    """
    kind, what = one.place.type.lower(), action.lower()
    if what.startswith("listkeys") or what in ("listcredentials", "regeneratekey"):
        raise RefusedError(403, "KeysAreNotGiven", "Keys are not given out: use identities.")
    if kind == "microsoft.streamanalytics/streamingjobs" and what in ("start", "stop"):
        wanted = {"start": "Running", "stop": "Stopped"}[what]
        if what == "start" and one.told.get("jobState") == "Running":
            raise RefusedError(409, "Conflict", "The job is running already.")
        one.told["jobState"] = wanted
        return Answer(200)
    if kind == "microsoft.logic/workflows" and what in ("enable", "disable"):
        one.told["state"] = {"enable": "Enabled", "disable": "Disabled"}[what]
        return Answer(200)
    raise RefusedError(404, "InvalidResourceType", f"There is no {action} of {one.place.type}.")
