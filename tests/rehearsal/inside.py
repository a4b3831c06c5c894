"""Inside the rehearsal's network: ``python -m tests.rehearsal.inside FOLDER LOCAL ENGINE SCHEDULER``.

LOCAL is the folder of the local runs that it is compared with.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from batch_scoring.deploy.names import Names, names_of
from batch_scoring.deploy.settings import DeployParameters, read_settings
from batch_scoring.jobs.planning import run_name
from batch_scoring.jobs.records import Records
from batch_scoring.jobs.specs import State
from tests.emulators import containers
from tests.emulators.arm.service import SUBSCRIPTION
from tests.end_to_end.warm_kedro import warm_kedro
from tests.end_to_end.workspaces import Workspace
from tests.rehearsal import fleet
from tests.rehearsal.__main__ import TAG
from tests.rehearsal.hours import in_the_background, play
from tests.rehearsal.services import Services
from tests.rehearsal.timeline import Timeline
from tests.secret_scan import secrets_in

TOLD_WITHIN_SECONDS = 300.0  # of a machine with other work
SETTINGS: dict[str, Any] = {
    "name": "rehearse",
    "subscription": SUBSCRIPTION,
    "image": {"tag": TAG},
    "stream_analytics": {"enabled": False},  # nobody stands in for it: readings are received
    "nodes": {"max_nodes": 2, "ssh_public_key": "ssh-ed25519 AAAA rehearsal"},
    "retrain": {"enabled": False},
}


@dataclass
class Rehearsal:
    """One engine's.

    Attributes
    ----------
    folder : Path
        Of this engine.
    settings : DeployParameters
    project : Path
        A copy of the project's configuration with these settings, in which commands run.
    """

    folder: Path
    settings: DeployParameters
    project: Path
    services: Services
    timeline: Timeline = field(default_factory=Timeline)

    @property
    def names(self) -> Names:
        return names_of(self.settings)

    @property
    def data(self) -> str:
        """The workspace in the cloud."""
        account, container = self.names.storage_account, self.settings.storage.container
        return f"https://{account}.blob.core.windows.net/{container}"

    def kedro(self, *arguments: str, **environment: str) -> str:
        """Run a command as a person who is signed in; returns what it printed."""
        hub = f"{self.names.event_hub_namespace}.servicebus.windows.net"
        variables = {
            "BATCH_SCORING_DATA": self.data,
            "EVENT_HUB_NAMESPACE": hub,
            "EVENT_HUB_NAME": self.names.event_hub,
            "DO_NOT_TRACK": "1",
            **environment,
        }
        code, output = warm_kedro().run(arguments, variables, folder=self.project)
        if code != 0:
            raise RuntimeError(f"kedro {' '.join(arguments)}\n{output}")
        return output

    def play(self, local: Path) -> int:
        """All of it, beside the local runs in a folder; the number of things that are wrong."""
        with self.services:
            self.deploy(fleet.trained(local))
            self.hours()
            wrong = self.compare(fleet.expected(local))
            wrong += self.look_for_secrets()
            wrong += self.take_down()
        return wrong

    def deploy(self, trained: Workspace) -> None:
        step, services = self.timeline.step, self.services
        with step("kedro deploy up") as notes:
            self.kedro("deploy", "up", "--workflows=off")
            notes.append(f"{len(services.arm.resources.changes)} resources")
        with step("kedro deploy image push"):
            login = {
                "CONTAINER_REGISTRY_USER": services.registry.user,
                "CONTAINER_REGISTRY_PASSWORD": services.registry.password,
            }
            builder = containers.Podman(
                containers.HOME / "builder", services.authority, private=self.folder / "builder"
            )
            host = f"{self.names.registry}.azurecr.io"
            self.kedro(
                "deploy",
                "image",
                "push",
                f"--tag={TAG}",
                f"--registry={host}",
                **login,
                **builder.environment,
            )
            services.podman.login(host, services.registry.user, services.registry.password)
        with step("kedro deploy up, now with what fires") as notes:
            self.kedro("deploy", "up", "--workflows=on")
            notes.append(f"schedulers: {', '.join(services.schedulers)}")
        with step("kedro deploy env"):
            self.kedro("deploy", "env")
        with step("kedro deploy models push, data push"):
            source = f"--from={trained.folder}"
            self.kedro("deploy", "models", "push", source)
            self.kedro("deploy", "data", "push", source)

    def hours(self) -> None:
        (app,) = self.services.schedulers.values()
        records = Records(self.data)
        for n, (span, at) in enumerate(zip(fleet.spans()[1:], fleet.HOURS, strict=True)):
            with self.timeline.step(f"readings until {at:%H:%M} are published"):
                self.kedro("run", "--env=azure", "--pipelines=publish", "--params", fleet.publishing(span))
            run = run_name("score", at)
            lost = self._lose_a_node(records, run) if n == 1 else None
            told = self._have_no_nodes(records, run) if n == 0 else None
            happens = ", a node is lost" if lost else ", no nodes for a while" if told else ""
            with self.timeline.step(f"hour {at:%H:%M}{happens}") as notes:
                hour = play(app, records, at, run, times=2 if n == 2 else 1)
                notes.append(hour.note)
                if told is not None:
                    seconds = told()
                    notes.append(f"reported after {seconds:.0f} s")
            if lost is not None:
                lost.join(60)
                if lost.is_alive() or all(one.attempt == 1 for one in hour.records):
                    raise RuntimeError("no node was lost while it worked")

        with self.timeline.step("kedro jobs list, of what was deployed") as notes:
            listed = self.kedro("jobs", "list", "--env=azure", BATCH_SCORING_DATA="")
            notes.append(f"{listed.count('score-')} runs")

    def _have_no_nodes(self, records: Records, run: str) -> Callable[[], float] | None:
        """Until the scheduler says so; what is returned checks that, and tells how long after submitting."""
        if not self.services.starve(True):
            self.services.starve(False)
            return None
        submitted, told = list[float](), list[float]()

        def feed() -> bool:
            if not submitted and records.submitted_to(run) is not None:
                submitted.append(time.monotonic())
            if not self.services.printed("jobs wait and none runs"):
                return False
            told.append(time.monotonic() - (submitted or [time.monotonic()])[0])
            self.services.starve(False)
            return True

        thread = in_the_background(feed)

        def check() -> float:
            thread.join(60)
            if not told or told[0] > TOLD_WITHIN_SECONDS:
                raise RuntimeError(f"nobody said that there are no nodes: {told}")
            return told[0]

        return check

    def _lose_a_node(self, records: Records, run: str) -> threading.Thread:
        """Of whichever engine, while a job is at work in its container."""

        def lose() -> bool:
            at_work = [one for one in records.all_records(run).values() if one.state is State.RUNNING]
            return bool(at_work) and self.services.lose_node(at_work[0].name)

        return in_the_background(lose)

    def compare(self, expected) -> int:
        from tests.end_to_end.workspaces import PREDICTIONS, BlobWorkspace

        with self.timeline.step("predictions are compared") as notes:
            found = BlobWorkspace(self.data).table(PREDICTIONS)
            twice, same = fleet.doubled(found), found.equals(expected)
            notes.append(
                f"{found.num_rows:,} predictions, {twice} twice, "
                + ("equal to those of the local run" if same else "NOT those of the local run")
            )
        return int(bool(twice)) + int(not same)

    def look_for_secrets(self) -> int:
        with self.timeline.step("logs, requests and run histories are searched for secrets") as notes:
            traces = list(self.services.traces())
            planted = [("planted", f"log in with {self.services.secrets()[0]}".encode())]
            found = [
                name
                for name, text in traces + planted
                if secrets_in(text, self.services.secrets()) - {"token"}
            ]
            notes.append(f"{len(traces):,} texts, {', '.join(found)} found")
        return int(found != ["planted"])

    def take_down(self) -> int:
        with self.timeline.step("kedro deploy down") as notes:
            said = self.kedro("deploy", "down", "--yes").strip().splitlines()[-1]
            notes.append(said)
        group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{self.names.resource_group}"
        left = {one.place.namespace for one in self.services.arm.resources.within(group)}
        return int(left != {"Microsoft.Storage"}) + len(self.services.podman.containers())


def main() -> int:
    root, local, engine, scheduler = Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:5]
    folder = root / engine
    own = {"deploy": {**SETTINGS, "compute": engine, "scheduler": {"kind": scheduler}}}
    settings = read_settings(own)
    project = _project(folder / "project", own)
    # Of its own: the other engine may be rehearsed at the same time.
    nodes = containers.Podman(containers.HOME / f"nodes_{engine}")
    services = Services(folder, names_of(settings), settings.location, nodes, _authorities_of_the_image())
    wrong = Rehearsal(folder, settings, project, services).play(local)
    print("all is well" if not wrong else f"{wrong} things are wrong")
    return int(bool(wrong))


def _authorities_of_the_image() -> str:
    """The file in the image that its packages read."""
    where = "import certifi; print(certifi.where())"
    builder = containers.Podman(containers.HOME / "builder")
    image = f"localhost/batch-scoring:{TAG}"
    return builder.run("run", "--rm", "--network=none", image, "python", "-c", where).stdout.strip()


def _project(folder: Path, settings: dict[str, Any]) -> Path:
    """The project's configuration with these settings of a deployment."""
    for name in ("conf", "src"):
        shutil.copytree(containers.PROJECT / name, folder / name)
    shutil.copy(containers.PROJECT / "pyproject.toml", folder)
    (folder / "conf/azure/parameters_deploy.yml").write_text(yaml.safe_dump(settings))
    return folder


if __name__ == "__main__":
    sys.exit(main())
