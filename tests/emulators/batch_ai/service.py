"""Batch AI as far as its users see it: resources, long-running operations, clusters and jobs."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from pathlib import Path as Folder
from typing import Any
from urllib.parse import parse_qs

from tests.emulators.batch_ai.agenda import Agenda
from tests.emulators.batch_ai.answers import Answer, Answers, RefusedError
from tests.emulators.batch_ai.clusters import Cluster
from tests.emulators.batch_ai.listings import files_in, operations, usages
from tests.emulators.batch_ai.mounting import CannotMountError, Mounter
from tests.emulators.batch_ai.resources import PROVIDER, REQUIRED, Path, Resource, Resources, without_secrets
from tests.emulators.batch_ai.runs import Run
from tests.emulators.batch_ai.storage import AzuriteStorage, FolderStorage
from tests.emulators.clock import Clock
from tests.emulators.node_faults import Faults
from tests.emulators.work import Runner, run_process

VERSION = "2018-05-01"
_TYPES = {
    "workspaces": "Workspaces",
    "clusters": "Clusters",
    "fileservers": "FileServers",
    "experiments": "Experiments",
    "jobs": "Jobs",
}


class Service:
    """The service.

    Parameters
    ----------
    folder : Path
    storage : FolderStorage or AzuriteStorage
        What nodes can mount.
    vault : dict of str to str
        Values of secrets by their URLs.
    start_seconds, autoscale_seconds, making_seconds : float
        Of the service's clock: from a wish for a node to the node, between two scalings, and of a
        long-running operation.
    requeues : bool
        Whether a job that has lost its node is run again.
    quota : int or None
        Nodes that a cluster can have at most, whatever it asks for.
    runner : Runner
        Starts the process of a job; another one may start containers.
    """

    def __init__(
        self,
        folder: Folder,
        storage: FolderStorage | AzuriteStorage,
        *,
        vault: dict[str, str] | None = None,
        start_seconds: float = 0.1,
        autoscale_seconds: float = 0.1,
        making_seconds: float = 0.03,
        requeues: bool = True,
        quota: int | None = None,
        page: int = 1000,
        clock: Clock | None = None,
        runner: Runner = run_process,
    ) -> None:
        self.storage, self.faults, self.answers = storage, Faults(), Answers()
        self.clock = clock or Clock()
        self.clusters: dict[str, Cluster] = {}
        self.runs: dict[str, Run] = {}
        self._runner = runner
        self.requeues, self.quota, self._page = requeues, quota, page
        self._folder, self._start_seconds = folder, start_seconds
        self._autoscale_seconds, self._making_seconds = autoscale_seconds, making_seconds
        self._mounter = Mounter(storage, {} if vault is None else vault)
        self._resources, self._lock, self._agenda = Resources(), threading.RLock(), Agenda()
        # Of each long-running operation that has ended the id of its result.
        self._operations: dict[str, str | None] = {}
        self._later(autoscale_seconds, self._autoscale)

    def answer(self, method: str, path: str, query: str, body: Any, host: str) -> Answer:
        """Answer a request."""
        wrong = self.answers.take(method, path, after=False)
        if wrong is not None:
            return wrong
        try:
            with self._lock:
                answer = self._answer(method, path, parse_qs(query), body, host)
        except RefusedError as refused:
            return refused.answer
        return self.answers.take(method, path, after=True) or answer

    def close(self) -> None:
        self._agenda.close()
        for cluster in self.clusters.values():
            cluster.close()

    def _answer(self, method: str, path: str, query: dict[str, list[str]], body: Any, host: str) -> Answer:
        if query.get("api-version") != [VERSION]:
            raise RefusedError(400, "InvalidApiVersionParameter", f"The api-version must be {VERSION}.")
        self._subscription = path.split("/")[2] if path.startswith("/subscriptions/") else ""
        if "/operationresults/" in path:
            return self._operation(path, host)
        if path.lower() == f"/providers/{PROVIDER}/operations".lower():
            return Answer(200, {"value": operations()})
        place = Path.read(path)
        if place is None:
            raise RefusedError(404, "InvalidResourceType", f"There is nothing at {path}.")
        if place.kinds[0] == "locations" and place.words[2:] == ("usages",) and method == "GET":
            return Answer(200, {"value": usages(len(self.clusters))})
        if method == "POST":
            return self._act(place, query, host)
        if not place.is_known:
            raise RefusedError(404, "InvalidResourceType", f"There is nothing at {path}.")
        if place.is_list and method == "GET":
            return self._list(place, query, host)
        acts = {"GET": self._get, "PUT": self._put, "PATCH": self._patch, "DELETE": self._delete}
        if place.is_list or method not in acts:
            raise RefusedError(405, "MethodNotAllowed", f"{method} is not allowed at {path}.")
        return acts[method](place, body or {}, host)

    def _get(self, place: Path, body: dict[str, Any], host: str) -> Answer:
        return Answer(200, self._describe(self._there(place.id)))

    def _list(self, place: Path, query: dict[str, list[str]], host: str) -> Answer:
        if len(place.words) > 1:
            self._there(place.id.rsplit("/", 1)[0])
        folder = place.id if len(place.words) > 1 else place.id.split("/providers")[0]
        found = list(self._resources.within(folder, place.kind))
        most = min(self._page, int(query.get("maxresults", ["1000"])[0]))
        first = int(query.get("$skiptoken", ["0"])[0])
        listed: dict[str, Any] = {"value": [self._describe(one) for one in found[first : first + most]]}
        if len(found) > first + most:
            listed["nextLink"] = (
                f"https://{host}{place.id}?api-version={VERSION}&maxresults={most}&$skiptoken={first + most}"
            )
        return Answer(200, listed)

    def _put(self, place: Path, body: dict[str, Any], host: str) -> Answer:
        if len(place.words) > 2 and (above := self._resources.get(place.parent)) is None:
            raise RefusedError(404, "ParentResourceNotFound", f"{place.parent} was not found.")
        if len(place.words) > 2 and above.state != "succeeded":
            raise RefusedError(409, "ParentNotReady", f"{place.parent} is {above.state}.")
        for name in REQUIRED[place.kind]:
            if (body.get("properties") or {}).get(name) is None:
                raise RefusedError(400, "MissingRequiredProperty", f"properties.{name} is missing.")
        there = self._resources.get(place.id)
        if there is not None:
            if there.state != "succeeded" or there.asked != body:
                raise RefusedError(409, "Conflict", f"{place.name} exists already, and is {there.state}.")
            return Answer(200, self._describe(there))
        if place.kind == "jobs" and self._cluster_of(body) is None:
            raise RefusedError(
                404, "ClusterNotFound", f"{body['properties']['cluster']['id']} was not found."
            )
        now = self.clock.now().isoformat()
        self._resources.put(Resource(place, body, "creating", now, now))
        return self._long(place.id, lambda: self._made(place), host)

    def _made(self, place: Path) -> None:
        """The end of a long-running creation."""
        with self._lock:
            resource = self._resources.get(place.id)
            if resource is None:
                return
            if place.kind == "jobs" and self._cluster_of(resource.asked) is None:
                self._turn(resource, "failed")
                return
            begin = self._begin(resource)
            self._turn(resource, "succeeded")
        begin()

    def _begin(self, resource: Resource) -> Callable[[], None]:
        """What a new resource does, to be called without the lock."""
        id, properties = resource.path.id.lower(), resource.properties
        if resource.path.kind == "clusters":
            folder = self._folder / uuid.uuid4().hex
            cluster = Cluster(folder, properties, self._start_seconds, self.faults, self.clock, self._runner)
            cluster.quota = self.quota
            setup = properties.get("nodeSetup") or {}
            try:
                self._mounter.mount(setup.get("mountVolumes"), cluster.mount_root)
            except CannotMountError as error:
                cluster.broken = str(error)
            self.clusters[id] = cluster
        if resource.path.kind == "jobs":
            cluster = self._cluster_of(resource.asked)
            assert cluster is not None
            run = self.runs[id] = Run(
                *(resource.path.id, properties, cluster, self._mounter, self.clock, self.requeues)
            )
            return run.begin
        return lambda: None

    def _patch(self, place: Path, body: dict[str, Any], host: str) -> Answer:
        resource = self._there(place.id)
        if place.kind == "workspaces":
            resource.asked = resource.asked | {"tags": body.get("tags")}
        elif place.kind == "clusters":
            resource.asked = resource.asked | {"properties": resource.properties | body["properties"]}
        else:
            raise RefusedError(405, "MethodNotAllowed", f"PATCH is not allowed at {place.id}.")
        return Answer(200, self._describe(resource))

    def _delete(self, place: Path, body: dict[str, Any], host: str) -> Answer:
        resource = self._resources.get(place.id)
        if resource is None:
            return Answer(204)
        self._turn(resource, "deleting")
        return self._long(None, lambda: self._deleted(place), host)

    def _deleted(self, place: Path) -> None:
        with self._lock:
            gone = {one.path.id.lower() for one in self._resources.drop(place.id)}
            runs = [self.runs.pop(id) for id in gone & self.runs.keys()]
            clusters = [self.clusters.pop(id) for id in gone & self.clusters.keys()]
        for run in runs:
            run.terminate()
        for cluster in clusters:
            cluster.close()

    def _act(self, place: Path, query: dict[str, list[str]], host: str) -> Answer:
        id, _, action = place.id.rpartition("/")
        resource = self._there(id)
        kind, action = resource.path.kind, action.lower()
        if kind == "jobs" and action == "terminate":
            run = self.runs.get(id.lower())
            if run is None or run.state in ("succeeded", "failed"):
                raise RefusedError(409, "JobNotActive", f"{resource.path.name} does not run.")
            return self._long(id, run.terminate, host)
        if kind == "jobs" and action == "listoutputfiles":
            return Answer(200, {"value": self._files(id, query)})
        if kind == "jobs" and action == "listremotelogininformation":
            cluster = self._cluster_of(resource.asked)
            return Answer(200, {"value": cluster.logins()[:1] if cluster else []})
        if kind == "clusters" and action == "listremotelogininformation":
            return Answer(200, {"value": self.clusters[id.lower()].logins()})
        raise RefusedError(404, "InvalidResourceType", f"There is no action {action!r}.")

    def _files(self, id: str, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        run = self.runs.get(id.lower())
        folder = run.output(query["outputdirectoryid"][0]) if run else None
        if folder is None or not folder.is_dir():
            raise RefusedError(404, "OutputDirectoryNotFound", "The output directory is not there.")
        return files_in(folder, self.storage)

    def _describe(self, resource: Resource) -> dict[str, Any]:
        """A resource as the service shows it."""
        place, id = resource.path, resource.path.id.lower()
        properties = without_secrets(resource.properties) | {
            "creationTime": resource.made,
            "provisioningState": resource.state,
            "provisioningStateTransitionTime": resource.changed,
        }
        if id in self.clusters:
            properties |= self.clusters[id].describe()
        if place.kind == "jobs":
            waiting = {"executionState": "queued", "executionStateTransitionTime": resource.made}
            properties |= self.runs[id].describe() if id in self.runs else waiting
        if place.kind == "fileservers" and resource.state == "succeeded":
            properties["mountSettings"] = {"mountPoint": "/mnt/data", "fileServerInternalIP": "10.0.0.4"}
        more = {key: resource.asked[key] for key in ("location", "tags") if resource.asked.get(key)}
        shown = {"id": place.id, "name": place.name, "type": f"{PROVIDER}/{_TYPES[place.kind]}"}
        return shown | {"properties": properties} | more

    def _there(self, id: str) -> Resource:
        resource = self._resources.get(id)
        if resource is None:
            raise RefusedError(404, "ResourceNotFound", f"The resource {id} was not found.")
        return resource

    def _cluster_of(self, job: dict[str, Any]) -> Cluster | None:
        return self.clusters.get(job["properties"]["cluster"]["id"].lower())

    def _long(self, result: str | None, act: Callable[[], None], host: str) -> Answer:
        """Accept something that takes a while; its end is asked for at another address."""
        number = str(uuid.uuid4())
        self._operations[number] = "…"

        def end() -> None:
            act()
            self._operations[number] = result

        self._later(self._making_seconds, end)
        above = f"/subscriptions/{self._subscription}/providers/{PROVIDER}"
        place = f"{above}/locations/eastus/operationresults/{number}"
        return Answer(
            202, None, {"Location": f"https://{host}{place}?api-version={VERSION}", "Retry-After": "0"}
        )

    def _operation(self, path: str, host: str) -> Answer:
        result = self._operations[path.rpartition("/")[2]]
        if result == "…":
            headers = {"Location": f"https://{host}{path}?api-version={VERSION}", "Retry-After": "0"}
            return Answer(202, None, headers)
        resource = self._resources.get(result) if result else None
        return Answer(204) if resource is None else Answer(200, self._describe(resource))

    def _turn(self, resource: Resource, state: str) -> None:
        resource.state, resource.changed = state, self.clock.now().isoformat()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._agenda.add(self.clock.real(seconds), action)

    def _autoscale(self) -> None:
        with self._lock:
            scales = [
                (cluster, resource.properties.get("scaleSettings"))
                for id, cluster in self.clusters.items()
                if (resource := self._resources.get(id)) is not None
            ]
        for cluster, settings in scales:
            cluster.scale(settings)
        self._later(self._autoscale_seconds, self._autoscale)
