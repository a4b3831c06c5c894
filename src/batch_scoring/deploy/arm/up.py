"""Deploy: create the group, check and submit the template, and wait; safe to run again at any time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from azure.core.exceptions import ResourceExistsError

from batch_scoring.core.digests import digest_of
from batch_scoring.core.errors import InputError
from batch_scoring.deploy.arm import stream_job, vault
from batch_scoring.deploy.arm.client import Client, word
from batch_scoring.deploy.arm.errors import clear_errors, explained, innermost
from batch_scoring.deploy.arm.place import OWNER_TAG
from batch_scoring.deploy.arm.what_if import all_new, predict

ENDED = ("Succeeded", "Failed", "Canceled")
# Tag of the deployment with the digest of its template and parameters.
DIGEST_TAG = "batch-scoring-digest"
Say = Callable[[str], None]


@dataclass(frozen=True)
class DeploymentRequest:
    """Request for a deployment.

    Attributes
    ----------
    template : mapping
    parameters : mapping
        As the Resource Manager takes them: ``{name: {"value": …}}``.
    stream_job : str or None
        The Stream Analytics job to start afterwards.
    key_vault : str or None
        The vault to recover where it was deleted.
    unwanted : sequence of (str, str)
        Ids and API versions of what must not be there, such as a scheduler of another kind.
    """

    template: Mapping[str, Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    stream_job: str | None = None
    key_vault: str | None = None
    unwanted: Sequence[tuple[str, str]] = ()

    @property
    def digest(self) -> str:
        """Digest of template and parameters."""
        return digest_of([self.template, self.parameters])[:32]

    @property
    def properties(self) -> dict[str, Any]:
        """Properties of the deployment."""
        return {"mode": "Incremental", "template": dict(self.template), "parameters": dict(self.parameters)}


def up(client: Client, request: DeploymentRequest, say: Say) -> dict[str, Any]:
    """Deploy the template; return the outputs.

    Existing resources stay; a running deployment is joined, a failed one is tried again.

    Raises
    ------
    InputError
        When the deployment fails; each failed resource is reported before.
    """
    is_new = _ensure_group(client, say)
    running = None if is_new else client.deployment()
    if running is not None and _state(running) not in ENDED:
        say(f"joining the deployment {client.place.deployment!r}, which is running")
        ended = follow(client, say)
        if _digest(ended) == request.digest:
            return _finished(client, request, ended, say)
    _validate(client, request)
    if not is_new:
        _delete_unwanted(client, request, say)
    there = None if is_new else client.deployment()
    if there is not None and _is_as_wanted(client, request, there):
        say("everything is as the template says; nothing to do")
        return _finished(client, request, there, say)
    if not is_new and request.stream_job:
        stream_job.stop(client, request.stream_job, say)
    if request.key_vault:
        vault.recover(client, request.key_vault, say)
    _begin(client, request, say)
    return _finished(client, request, follow(client, say), say)


def would(client: Client, request: DeploymentRequest, say: Say) -> None:
    """Report what :func:`up` would do, without changing anything."""
    place = client.place
    if client.group() is None:
        say(f"would create the resource group {place.resource_group!r} in {place.location}")
        for change in all_new(request.template):
            say(f"would create {change.name}")
        return
    there = client.deployment()
    if there is not None and _state(there) not in ENDED:
        say(f"would join the deployment {place.deployment!r}, which is running")
        return
    for change in predict(client, request.properties, request.unwanted):
        say(f"would {change.verb} {change.name}")
    if request.stream_job:
        say(f"would start the Stream Analytics job {request.stream_job} unless it runs")


def follow(client: Client, say: Say) -> Any:
    """Wait for the end of the deployment, and report each resource when it is ready."""
    reported: set[str] = set()
    while True:
        found = client.deployment()
        if found is None:
            raise InputError(
                f"deployment {client.place.deployment!r}: it was deleted while it ran; run the command again"
            )
        for line in _news(client.operations(), reported):
            say(line)
        if _state(found) in ENDED:
            return found
        time.sleep(client.place.poll_seconds)


def _news(operations: list[Any], reported: set[str]) -> list[str]:
    lines = []
    for one in operations:
        target = one.properties.target_resource
        if (
            word(one.properties.provisioning_state) == "Succeeded"
            and target is not None
            and target.id not in reported
        ):
            reported.add(target.id)
            lines.append(f"ready: {target.resource_type} {target.resource_name}")
    return lines


def _ensure_group(client: Client, say: Say) -> bool:
    """Create the resource group unless it exists; return whether it is new."""
    place, there = client.place, client.group()
    if there is not None:
        if there.location.replace(" ", "").lower() != place.location.replace(" ", "").lower():
            raise InputError(
                f"deploy.location: {place.location!r} is set, and resource group {place.resource_group!r} "
                f"lies in {there.location!r}; set that, or another `deploy.resource_group`"
            )
        return False
    with clear_errors(f"resource group {place.resource_group!r}", place):
        client.resources.resource_groups.create_or_update(
            place.resource_group, {"location": place.location, "tags": {OWNER_TAG: place.deployment}}
        )
    say(f"ready: resource group {place.resource_group} in {place.location}")
    return True


def _delete_unwanted(client: Client, request: DeploymentRequest, say: Say) -> None:
    """Delete schedulers that must not fire, before others do."""
    for path, version in request.unwanted:
        if client.found(path, version) is not None:
            with clear_errors(_short(path), client.place):
                client.resources.resources.begin_delete_by_id(path, api_version=version).wait()
            say(f"deleted: {_short(path)}")


def _short(path: str) -> str:
    return path.rpartition("/providers/")[2]


def _validate(client: Client, request: DeploymentRequest) -> None:
    place = client.place
    with clear_errors(f"deployment {place.deployment!r}", place):
        found = client.deployments.deployments.begin_validate(
            place.resource_group, place.deployment, {"properties": request.properties}
        ).result()
    if found.error is not None:
        cause = innermost(found.error.as_dict())
        raise InputError(f"deployment {place.deployment!r}: {explained(cause, place)}")


def _is_as_wanted(client: Client, request: DeploymentRequest, there: Any) -> bool:
    if _state(there) != "Succeeded" or _digest(there) != request.digest:
        return False
    return not any(change.changes for change in predict(client, request.properties))


def _begin(client: Client, request: DeploymentRequest, say: Say) -> None:
    place = client.place
    body = {"properties": request.properties, "tags": {DIGEST_TAG: request.digest}}
    with clear_errors(f"deployment {place.deployment!r}", place):
        try:
            client.deployments.deployments.begin_create_or_update(
                place.resource_group, place.deployment, body, polling=False
            )
        except ResourceExistsError as error:
            if getattr(error.error, "code", "") != "DeploymentActive":
                raise
            # Started by us, when only the answer was lost; or by another command, just now.
            say(f"joining the deployment {place.deployment!r}, which is running")


def _finished(client: Client, request: DeploymentRequest, ended: Any, say: Say) -> dict[str, Any]:
    if _state(ended) != "Succeeded":
        raise _failure(client, ended, say)
    if request.stream_job:
        stream_job.start(client, request.stream_job, say)
    return {name: one["value"] for name, one in (ended.properties.outputs or {}).items()}


def _failure(client: Client, ended: Any, say: Say) -> InputError:
    place, failed = client.place, []
    for one in client.operations():
        if word(one.properties.provisioning_state) == "Failed":
            failed.append(_failed_operation(one, client))
            say(f"failed: {failed[-1]}")
    error = ended.properties.error
    first = failed[0] if failed else (explained(innermost(error.as_dict()), place) if error else "no details")
    count = f"{len(failed)} resources could not be created, the first" if len(failed) > 1 else "it failed"
    if _state(ended) == "Canceled":
        count = "it was cancelled; run `kedro deploy up` again"
    return InputError(
        f"deployment {place.deployment!r}: {count}: {first}; `kedro deploy up` goes on from here"
    )


def _failed_operation(one: Any, client: Client) -> str:
    message = one.properties.status_message
    error = message.error.as_dict() if message is not None and message.error is not None else {}
    target = one.properties.target_resource
    cause = innermost(error)
    cause["target"] = target.id if target is not None else cause["target"]
    return explained(cause, client.place)


def _state(deployment: Any) -> str:
    return word(deployment.properties.provisioning_state)


def _digest(deployment: Any) -> str:
    return str((deployment.tags or {}).get(DIGEST_TAG, ""))
