"""The operations of the data plane that are stood in for, by method and path."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from tests.emulators.azure_batch.account import Account
from tests.emulators.azure_batch.errors import BatchError, missing
from tests.emulators.azure_batch.job import JOB_PROPERTIES, TASK_PROPERTIES
from tests.emulators.azure_batch.odata import ODataError, matches, selected
from tests.emulators.azure_batch.times import in_header
from tests.emulators.servers import Answer


@dataclass(frozen=True)
class Request:
    """A request, understood so far."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    base_url: str


Operation = Callable[..., Answer]
_TABLE: list[tuple[str, re.Pattern[str], Operation]] = []


def _on(method: str, path: str) -> Callable[[Operation], Operation]:
    pattern = re.compile(
        re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path).replace("(?P<file>[^/]+)", "(?P<file>.+)")
    )

    def register(operation: Operation) -> Operation:
        _TABLE.append((method, pattern, operation))
        return operation

    return register


def answer(account: Account, request: Request) -> Answer:
    """Do what a request asks for.

    Raises
    ------
    BatchError
        With what the service would refuse it.
    """
    for method, pattern, operation in _TABLE:
        found = pattern.fullmatch(request.path)
        if found and method == request.method:
            with account.lock:
                try:
                    return operation(
                        account, request, **{k: unquote(v) for k, v in found.groupdict().items()}
                    )
                except ODataError as error:
                    raise BatchError(400, "InvalidQueryParameterValue", str(error)) from None
                except KeyError as error:
                    raise BatchError(400, "MissingRequiredProperty", PropertyName=str(error)) from None
    raise BatchError(404, "ResourceNotFound", f"{request.method} {request.path} is not stood in for")


@_on("POST", "/pools")
def _pool_add(account: Account, request: Request) -> Answer:
    # Nodes have an identity when their pool was created through the management API.
    if "identity" in request.body or "identityReference" in json.dumps(request.body):
        raise BatchError(400, "InvalidPropertyValue", PropertyName="identityReference")
    account.create_pool(request.body)
    return Answer(201)


@_on("GET", "/pools/{pool}")
def _pool_get(account: Account, request: Request, pool: str) -> Answer:
    return Answer(200, account.pool(pool).to_json(f"{request.base_url}/pools/{pool}"))


@_on("POST", "/pools/{pool}/enableautoscale")
def _pool_enable(account: Account, request: Request, pool: str) -> Answer:
    account.pool(pool).enable(request.body)
    return Answer(200)


@_on("GET", "/nodecounts")
def _node_counts(account: Account, request: Request) -> Answer:
    keep = matches(request.query.get("$filter"), ["poolId"])
    found = [{"poolId": name} | pool.counts() for name, pool in account.pools.items()]
    return Answer(200, {"value": [one for one in found if keep(one)]})


@_on("POST", "/jobs")
def _job_add(account: Account, request: Request) -> Answer:
    account.create_job(request.body)
    return Answer(201)


@_on("GET", "/jobs")
def _job_list(account: Account, request: Request) -> Answer:
    jobs = [job.to_json(f"{request.base_url}/jobs/{job.id}") for job in account.jobs.values()]
    return _page(request, sorted(jobs, key=lambda job: job["id"]), JOB_PROPERTIES)


@_on("PATCH", "/jobs/{job}")
def _job_patch(account: Account, request: Request, job: str) -> Answer:
    account.update_job(job, request.body)
    return Answer(200)


@_on("GET", "/jobs/{job}")
def _job_get(account: Account, request: Request, job: str) -> Answer:
    if job not in account.jobs:
        raise missing("Job")
    return Answer(200, account.jobs[job].to_json(f"{request.base_url}/jobs/{job}"))


@_on("DELETE", "/jobs/{job}")
def _job_delete(account: Account, request: Request, job: str) -> Answer:
    if job not in account.jobs:
        raise missing("Job")
    account.delete_job(job)
    return Answer(202)


@_on("POST", "/jobs/{job}/terminate")
def _job_terminate(account: Account, request: Request, job: str) -> Answer:
    account.end_job(job, (request.body or {}).get("terminateReason", "UserTerminate"))
    return Answer(202)


@_on("POST", "/jobs/{job}/addtaskcollection")
def _task_add_collection(account: Account, request: Request, job: str) -> Answer:
    return Answer(200, {"value": account.add_tasks(job, request.body["value"])})


@_on("GET", "/jobs/{job}/tasks")
def _task_list(account: Account, request: Request, job: str) -> Answer:
    if job not in account.jobs:
        raise missing("Job")
    url = f"{request.base_url}/jobs/{job}/tasks"
    tasks = [task.to_json(f"{url}/{task.id}") for task in account.jobs[job].tasks.values()]
    return _page(request, sorted(tasks, key=lambda task: task["id"]), TASK_PROPERTIES)


@_on("POST", "/jobs/{job}/tasks/{task}/terminate")
def _task_terminate(account: Account, request: Request, job: str, task: str) -> Answer:
    account.end_task(job, task)
    return Answer(204)


@_on("POST", "/jobs/{job}/tasks/{task}/reactivate")
def _task_reactivate(account: Account, request: Request, job: str, task: str) -> Answer:
    account.reactivate(job, task)
    return Answer(204)


@_on("HEAD", "/jobs/{job}/tasks/{task}/files/{file}")
def _file_properties(account: Account, request: Request, job: str, task: str, file: str) -> Answer:
    content, headers = _file(account, request, job, task, file)
    return Answer(200, None, headers | {"Content-Length": str(len(content))})


@_on("GET", "/jobs/{job}/tasks/{task}/files/{file}")
def _file_get(account: Account, request: Request, job: str, task: str, file: str) -> Answer:
    content, headers = _file(account, request, job, task, file)
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("ocp-range", ""))
    first, last = (int(found[1]), int(found[2])) if found else (0, len(content) - 1)
    return Answer(200, content[first : last + 1], headers)


def _file(account: Account, request: Request, job: str, task: str, file: str) -> tuple[bytes, dict[str, str]]:
    there = account.task(job, task)
    # Files go with their node.
    nodes = {node.id for node in account.pool(there.pool).nodes.nodes()}
    path = there.folder and there.folder / file
    if path is None or ".." in file or there.node not in nodes or not path.is_file():
        raise BatchError(404, "FileNotFound", "The specified file does not exist.")
    changed = in_header(account.clock.now())
    headers = {
        "Content-Type": "application/octet-stream",
        "Last-Modified": changed,
        "ocp-creation-time": changed,
        "ocp-batch-file-isdirectory": "false",
        "ocp-batch-file-url": f"{request.base_url}{quote(request.path)}",
        "ocp-batch-file-mode": "0o100644",
    }
    return path.read_bytes(), headers


def _page(request: Request, items: list[dict[str, Any]], known: list[str]) -> Answer:
    """The items that a list asks for, at most ``maxresults`` with a link to the next."""
    keep = matches(request.query.get("$filter"), known)
    found = [item for item in items if keep(item)]
    first, most = int(request.query.get("$skiptoken", 0)), int(request.query.get("maxresults", 1000))
    page = [selected(request.query.get("$select"), item, known) for item in found[first : first + most]]
    body: dict[str, Any] = {"value": page}
    if first + most < len(found):
        query = dict(request.query) | {"$skiptoken": str(first + most)}
        asked = "&".join(f"{quote(name)}={quote(value)}" for name, value in query.items())
        body["odata.nextLink"] = f"{request.base_url}{request.path}?{asked}"
    return Answer(200, body)
