"""Jobs of the stand-ins for clusters in real containers: a runner for :mod:`tests.emulators.nodes`."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from tests.emulators.containers import HARDENED, Podman, run_options
from tests.emulators.work import ERR, OUT, KilledWith, Runner, Work


class ContainerJob(KilledWith):
    """The podman of a job. Its container belongs to another process, so killing podman is not enough."""

    podman: Podman
    container: str

    def after_kill(self) -> None:
        self.podman.run("rm", "--force", "--time=0", "--ignore", self.container)
        # Killed while it was making one, podman knows nothing of it, but its monitor waits for the start.
        for monitor in psutil.process_iter(["name", "cmdline"]):
            if monitor.info["name"] == "conmon" and self.container in (monitor.info["cmdline"] or ()):
                with suppress(psutil.NoSuchProcess):
                    for process in [*monitor.children(recursive=True), monitor]:
                        process.kill()


def container_runner(
    podman: Podman,
    image: str = "",
    volumes: Mapping[Path, str] | None = None,
    environment: Mapping[str, str] | None = None,
    network: str = "host",
) -> Runner:
    """Run each job in a container, with the options that it asks for, else locked in.

    Parameters
    ----------
    podman : Podman
        Of the nodes. It has to know the registry's password, and pulls an image that it does not have.
    image : str
        Of jobs that name none.
    volumes : mapping of Path to str, optional
        Folders of this machine and where they are in the container.
    environment : mapping of str to str, optional
        Variables beside those of a job.
    network : str
    """

    def start(work: Work, folder: Path) -> subprocess.Popen:
        name = f"job-{folder.name}-{secrets.token_hex(4)}"
        variables = {**(environment or {}), **work.environment}
        options = run_options(volumes or {}, variables, network, work.options or HARDENED)
        with (folder / OUT).open("wb") as out, (folder / ERR).open("wb") as err:
            job = ContainerJob(
                # An image of the same tag that was pushed since is pulled again.
                [
                    "podman",
                    "run",
                    "--pull=newer",
                    f"--name={name}",
                    *options,
                    work.image or image,
                    *work.command,
                ],
                env=podman.environment
                | {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        job.podman, job.container = podman, name
        return job

    return start
