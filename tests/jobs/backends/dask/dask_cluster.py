"""A Dask cluster for tests: a scheduler and workers, each a process, or each on a host of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.waiting import wait_for

PROJECT = Path(__file__).parents[4]


class DaskCluster:
    """A scheduler and workers that can be killed; all of them write into a folder's ``*.log``."""

    def __init__(self, folder, host="127.0.0.1"):
        self.folder, self.workers = folder, []
        file = folder / "scheduler.json"
        options = (
            "--host",
            host,
            "--port",
            "0",
            "--no-dashboard",
            "--no-show",
            "--scheduler-file",
            str(file),
        )
        self.scheduler = self._start("scheduler", "distributed.cli.dask_scheduler", *options)
        wait_for(lambda: file.is_file() and file.read_text().endswith("}"))
        self.address = json.loads(file.read_text())["address"]

    def add_worker(self, *prefix, host="127.0.0.1", cwd=PROJECT, env=None):
        name = f"worker-{len(self.workers)}"
        options = ("--no-nanny", "--nthreads", "1", "--no-dashboard", "--host", host, "--name", name)
        place = ("--local-directory", str(self.folder))
        worker = self._start(
            *(name, "distributed.cli.dask_worker", self.address, *options, *place),
            prefix=prefix,
            cwd=cwd,
            env=env,
        )
        self.workers.append(worker)
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            wait_for(lambda: len(client.scheduler_info(n_workers=-1)["workers"]) >= self.alive(), self.logs)
        assert worker.poll() is None, self.logs()
        return worker

    def alive(self):
        return sum(worker.poll() is None for worker in self.workers)

    def logs(self):
        return "".join(path.read_text() for path in self.folder.glob("*.log"))

    def close(self):
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def _start(self, name, module, *arguments, prefix=(), cwd=PROJECT, env=None):
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [*prefix, sys.executable, "-m", module, *arguments],
                cwd=cwd,
                env=os.environ | {"DO_NOT_TRACK": "1"} | (env or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )


@contextmanager
def two_hosts(folder):
    """A cluster with two workers, each in a network namespace of its own, as on two machines; needs root."""
    number = os.getpid() % 4000
    subnet = f"10.{200 + number // 250}.{number % 250}"
    names = [f"bs{number}{side}" for side in "ab"]
    bridge = f"bs{number}"
    made = []
    try:
        ip("link", "add", bridge, "type", "bridge")
        made.append(("link", "del", bridge))
        ip("addr", "add", f"{subnet}.1/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for place, name in enumerate(names, 2):
            ip("netns", "add", name)
            made.append(("netns", "del", name))
            ip("link", "add", f"{name}o", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"{name}o", "master", bridge, "up")
            ip("-n", name, "addr", "add", f"{subnet}.{place}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        cluster = DaskCluster(folder, host=f"{subnet}.1")
        try:
            for place, name in enumerate(names, 2):
                cluster.add_worker("ip", "netns", "exec", name, host=f"{subnet}.{place}")
            yield cluster
        finally:
            cluster.close()
    finally:
        for command in reversed(made):
            with suppress(subprocess.CalledProcessError):
                ip(*command)


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def is_alive(pid):
    """Whether a process is there, and no zombie."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False
