"""Container Instances as far as its users see it: groups are made, looked at, listed and deleted."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tests.emulators.batch_ai.answers import Answer, Answers, RefusedError
from tests.emulators.container_instances.group import Group
from tests.emulators.node_faults import Faults
from tests.emulators.work import Runner, run_process

VERSION = "2023-05-01"
_PATH = re.compile(
    r"(?P<id>/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.ContainerInstance/containerGroups)"
    r"(?:/(?P<name>[^/]+)(?:/containers/(?P<container>[^/]+)/logs)?)?",
    re.IGNORECASE,
)
_NAME = re.compile(r"[a-z0-9](?:-?[a-z0-9]){0,62}")


class ContainerInstances:
    """The service.

    Parameters
    ----------
    folder : Path
    runner : Runner
        Starts the container of a group; by default a process of this machine.

    Attributes
    ----------
    answers : Answers
        Wrong answers on demand.
    faults : Faults
        Of containers.
    started : list of str
        The names of all groups that ever were.
    """

    def __init__(self, folder: Path, runner: Runner = run_process) -> None:
        self.answers, self.faults = Answers(), Faults()
        self.groups: dict[str, Group] = {}
        self.started: list[str] = []
        self._folder, self._runner, self._lock = folder, runner, threading.RLock()

    def answer(self, method: str, path: str, query: str, body: Any, host: str) -> Answer:
        """Answer a request."""
        wrong = self.answers.take(method, path, after=False)
        if wrong is not None:
            return wrong
        try:
            answer = self._answer(method, path, parse_qs(query), body)
        except RefusedError as refused:
            return refused.answer
        return self.answers.take(method, path, after=True) or answer

    def close(self) -> None:
        for group in list(self.groups.values()):
            group.delete()

    def _answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> Answer:
        if query.get("api-version") != [VERSION]:
            raise RefusedError(400, "InvalidApiVersionParameter", f"The api-version must be {VERSION}.")
        place = _PATH.fullmatch(path)
        if place is None:
            raise RefusedError(404, "InvalidResourceType", f"There is nothing at {path}.")
        if place["name"] is None:
            return self._list(method, place["id"])
        id = f"{place['id']}/{place['name']}"
        if place["container"] is not None:
            tail = query.get("tail")
            return Answer(200, {"content": self._there(id).log(int(tail[0]) if tail else None)})
        if method == "GET":
            return Answer(200, self._there(id).describe())
        if method == "PUT":
            return self._put(id, place["name"], body)
        if method == "DELETE":
            return self._delete(id)
        raise RefusedError(405, "MethodNotAllowed", f"{method} is not allowed at {path}.")

    def _list(self, method: str, above: str) -> Answer:
        if method != "GET":
            raise RefusedError(405, "MethodNotAllowed", f"{method} is not allowed here.")
        inside = above.lower() + "/"
        found = [group.describe() for key, group in self.groups.items() if key.startswith(inside)]
        return Answer(200, {"value": found})

    def _there(self, id: str) -> Group:
        found = self.groups.get(id.lower())
        if found is None:
            raise RefusedError(404, "ResourceNotFound", f"The Resource '{id}' was not found.")
        return found

    def _put(self, id: str, name: str, body: Any) -> Answer:
        if not _NAME.fullmatch(name):
            raise RefusedError(400, "InvalidContainerGroupName", f"'{name}' is no name of a container group.")
        containers = body.get("properties", {}).get("containers", [])
        if len(containers) != 1 or body["properties"].get("restartPolicy") != "Never":
            raise RefusedError(400, "NotStoodIn", "Only groups of one container that is started once are.")
        with self._lock:
            there = self.groups.get(id.lower())
            if there is not None and there.body == body:
                return Answer(200, there.describe())
            if there is not None:
                raise RefusedError(409, "NotStoodIn", "A group is not changed here once it is there.")
            folder = self._folder / f"{len(self.started):04d}-{name}"
            group = self.groups[id.lower()] = Group(id, body, folder, self._runner, self.faults)
            self.started.append(name)
        return Answer(201, group.describe())

    def _delete(self, id: str) -> Answer:
        with self._lock:
            group = self.groups.pop(id.lower(), None)
        if group is None:
            return Answer(204)
        group.delete()
        return Answer(200, group.describe())
