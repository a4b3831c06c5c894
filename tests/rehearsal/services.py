"""Every service of a deployment, stood in for on this machine at its own name and port."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from subprocess import Popen
from typing import Any

from batch_scoring.deploy.names import Names
from tests.emulators.arm import Arm, ArmServer
from tests.emulators.azure_batch.management import as_data_plane
from tests.emulators.azure_batch.server import AzureBatch
from tests.emulators.azurite import Azurite, new_key
from tests.emulators.batch_ai.answers import Answer
from tests.emulators.batch_ai.service import Service as BatchAI
from tests.emulators.batch_ai.storage import AzuriteStorage
from tests.emulators.certificates import make_certificate
from tests.emulators.clock import Clock
from tests.emulators.container_apps import ContainerApps
from tests.emulators.container_instances import ContainerInstances
from tests.emulators.container_jobs import container_runner
from tests.emulators.containers import Podman
from tests.emulators.event_hubs.process import EventHubsProcess
from tests.emulators.identity import Identity, IdentityServer
from tests.emulators.logic_app import LogicApp
from tests.emulators.registry import Registry
from tests.emulators.tls_router import Target, TlsRouter
from tests.emulators.work import OUT, Runner, Work
from tests.rehearsal.hours import Scheduler
from tests.rehearsal.network import IDENTITY_ADDRESS, furnish
from tests.rehearsal.schedulers import Cron

HTTPS, AMQPS = 443, 5671
# Pauses of the workflows and of autoscaling pass so many times as fast as in Azure.
SPEED = 15.0
SHORTAGE = ("AccountCoreQuotaReached", "The specified account has reached core quota")


@dataclass
class Services:
    """A context in which all services run.

    Attributes
    ----------
    folder : Path
        For all that they keep.
    names : Names
        Of the resources that the template makes.
    location : str
    podman : Podman
        Of the nodes and of Container Instances.
    known_authorities : str
        Where the packages of the image keep the authorities that they trust.
    """

    folder: Path
    names: Names
    location: str
    podman: Podman
    known_authorities: str
    schedulers: dict[str, Scheduler] = field(default_factory=dict)
    arm: Arm = field(init=False)
    storage: Azurite = field(init=False)
    registry: Registry = field(init=False)
    batch: AzureBatch = field(init=False)
    batch_ai: BatchAI = field(init=False)
    apps: ContainerApps = field(init=False)
    containers: ContainerInstances = field(init=False)
    _stack: ExitStack = field(init=False, default_factory=ExitStack)

    def __enter__(self) -> Services:
        names, enter, folder = self.names, self._stack.enter_context, self.folder
        blobs = f"{names.storage_account}.blob.core.windows.net"
        hub = f"{names.event_hub_namespace}.servicebus.windows.net"
        batch = f"{names.batch_account}.{self.location}.batch.azure.com"
        hosts = ["management.azure.com", blobs, hub, batch, f"{names.registry}.azurecr.io"]
        tls = make_certificate(folder / "tls", hosts)
        self._trusted, self.authority = furnish(folder, hosts, tls[0]), tls[0]
        self.podman.trust(self.authority)

        self.storage = enter(Azurite(account=names.storage_account, tls=tls))
        self._identities = enter(IdentityServer(address=(IDENTITY_ADDRESS, 80)))
        groups = ("--group", names.consumer_group, "--group", names.stream_consumer_group)
        self._hubs_key = new_key()
        hub_options = (f"{names.event_hub}:4", "--identities", *groups)
        hubs = EventHubsProcess(folder / "hubs", *hub_options, key=self._hubs_key)
        self._stack.callback(hubs.kill)
        hubs.start()
        self.registry = enter(Registry(folder / "registry"))
        self._start_compute()
        self._manager = manager = self._start_manager()
        targets = {
            hosts[0]: Target(manager.port, manager.certificate),
            blobs: Target(self.storage.port, tls[0]),
            batch: Target(int(self.batch.endpoint.rpartition(":")[2])),
            hosts[-1]: Target(self.registry.port, self.registry.certificate),
        }
        enter(TlsRouter(*tls, HTTPS, targets))
        enter(TlsRouter(*tls, AMQPS, {hub: Target(hubs.port)}))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def secrets(self) -> list[str]:
        """What nobody may find anywhere: keys and passwords of these services."""
        return [self.storage.key, self.registry.password, self._hubs_key, self.batch.key]

    def traces(self) -> Iterator[tuple[str, bytes]]:
        """All that a person could look into: what containers printed, what services were asked and told.

        But for the vault's secrets, which are there to be handed on to nodes without an identity.
        """
        for place in ("groups", "batch", "batch-ai", "apps"):
            for file in sorted((self.folder / place).rglob("*")):
                if file.is_file():
                    yield str(file.relative_to(self.folder)), file.read_bytes()
        recorders = (self._manager.recorder, self.batch.recorder, self.arm.recorder)
        for one in (exchange for recorder in recorders for exchange in recorder.exchanges):
            if "/vaults/" not in one.path:
                yield f"{one.method} {one.path}", repr(one).encode()
        for name, app in self.schedulers.items():
            for run in app.runs:
                yield f"{name}, run {run.name}", run.trace.encode()

    def starve(self, is_starved: bool) -> bool:
        """Have no machine for jobs, or have them again; False: this engine has no shortage on demand."""
        pools = list(self.batch.account.pools.values())
        for pool in pools:
            pool.shortage = SHORTAGE if is_starved else None
        # Of its environment one core stays, for a scheduler by cron.
        self.apps.cores.used += (1 if is_starved else -1) * (self.apps.cores.limit - 1)
        return bool(pools) or any(
            one["properties"]["configuration"]["triggerType"] == "Manual" for one in self.apps.jobs.values()
        )

    def printed(self, text: str) -> bool:
        """Whether a scheduler has printed this."""
        files = (one for place in ("groups", "apps") for one in (self.folder / place).rglob(OUT))
        return any(text in one.read_text("utf-8", "replace") for one in files)

    def lose_node(self, job: str) -> bool:
        """Lose the node that works at a job, of whichever engine; False: there is none."""
        if any(cluster.preempt(job) for cluster in self.batch_ai.clusters.values()):
            return True
        for one in [one for found in self.apps.executions.values() for one in found]:
            if one.shard == job and one.lose_machine():
                return True
        for pool in self.batch.account.pools.values():
            for node in pool.nodes.nodes():
                if any(job in key for key in node.running):
                    pool.nodes.kill(node.id)
                    return True
        return False

    def _start_compute(self) -> None:
        runner = self._runner()
        self.containers = ContainerInstances(self.folder / "groups", runner)
        self._stack.callback(self.containers.close)
        self.apps = ContainerApps(self.folder / "apps", runner)
        self._stack.callback(self.apps.close)
        seconds = {"start_seconds": 0.5, "sample_seconds": 0.2, "evaluate_seconds": 0.5}
        self.batch = self._stack.enter_context(
            AzureBatch(self.folder / "batch", runner=runner, upload=self._upload, **seconds)
        )
        storage = AzuriteStorage(self.storage, self.folder / "mounts")
        mounts = {self.folder / name: str(self.folder / name) for name in ("batch-ai", "mounts")}
        self._vault: dict[str, str] = {}
        self.batch_ai = BatchAI(
            *(self.folder / "batch-ai", storage),
            vault=self._vault,
            start_seconds=0.5,
            runner=self._runner(mounts),
        )
        self._stack.callback(self.batch_ai.close)

    def _runner(self, volumes: Mapping[Path, str] | None = None) -> Runner:
        """Starts containers that trust whom this network trusts, and are given no key."""
        variables = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
        run = container_runner(
            self.podman,
            volumes={self._trusted: f"{self.known_authorities}:ro", **(volumes or {})},
            environment=dict.fromkeys(variables, self.known_authorities),
        )

        def start(work: Work, folder: Path) -> Popen:
            # Where programs are is the image's business.
            variables = {name: value for name, value in work.environment.items() if name != "PATH"}
            return run(replace(work, environment=variables), folder)

        return start

    def _start_manager(self) -> ArmServer:
        self.arm = Arm(storage_key=self.storage.key)
        self.arm.later.ask_again_after = 1
        self.arm.mount("Microsoft.ContainerInstance", self.containers.answer)
        self.arm.mount("Microsoft.BatchAI", self.batch_ai.answer)
        self.arm.mount("Microsoft.Logic", self._answer_of_runs)
        self.apps.join(self.arm)
        for kind, watcher in {
            "Microsoft.Storage/storageAccounts/blobServices/containers": self._make_container,
            "Microsoft.ManagedIdentity/userAssignedIdentities": self._know_identity,
            "Microsoft.KeyVault/vaults/secrets": self._keep_secret,
            "Microsoft.Batch/batchAccounts/pools": self._make_pool,
            "Microsoft.Logic/workflows": self._deploy_workflow,
            "Microsoft.App/jobs": self._deploy_job,
        }.items():
            self.arm.resources.watch(kind, watcher)
        return self._stack.enter_context(ArmServer(self.arm, self.folder / "arm"))

    # What the Resource Manager makes is there in the services.

    def _make_container(self, id: str, body: dict[str, Any] | None) -> None:
        from azure.core.exceptions import ResourceExistsError

        if body is not None:
            with suppress(ResourceExistsError):
                self.storage.make_container(id.rpartition("/")[2])

    def _know_identity(self, id: str, body: dict[str, Any] | None) -> None:
        if body is not None:
            told = body["properties"]
            self._identities.identities.append(Identity(told["clientId"], told["principalId"], id))

    def _keep_secret(self, id: str, body: dict[str, Any] | None) -> None:
        vault, name = id.split("/")[-3], id.rpartition("/")[2]
        secret = self.arm.resources.get(id).sent["properties"]["value"] if body else None
        if secret is not None:
            self._vault[f"https://{vault}.vault.azure.net/secrets/{name}"] = secret

    def _make_pool(self, id: str, body: dict[str, Any] | None) -> None:
        name = id.rpartition("/")[2]
        if body is None:
            self.batch.account.pools.pop(name).close()
        elif name not in self.batch.account.pools:
            self.batch.account.create_pool(as_data_plane(name, body))

    def _deploy_workflow(self, id: str, body: dict[str, Any] | None) -> None:
        name = id.rpartition("/")[2]
        self.schedulers.pop(name, None)
        if body is not None and body["properties"].get("state") == "Enabled":
            told = body["properties"]
            self.schedulers[name] = LogicApp(
                told["definition"], told["parameters"], self._trusted, Clock(SPEED)
            )

    def _deploy_job(self, id: str, body: dict[str, Any] | None) -> None:
        name = id.rpartition("/")[2]
        self.schedulers.pop(name, None)
        if body is not None and body["properties"]["configuration"]["triggerType"] == "Schedule":
            self.schedulers[name] = Cron(self.apps, name)

    def _answer_of_runs(self, method: str, path: str, query: str, body: Any, host: str) -> Answer | None:
        """The history of a workflow; all else of it is the Resource Manager's."""
        above, _, last = path.rpartition("/")
        if last.lower() != "runs" or method != "GET":
            return None
        app = self.schedulers.get(above.rpartition("/")[2])
        runs = reversed(app.runs) if app else ()
        return Answer(200, {"value": [one.describe(above) for one in runs]})

    def _upload(self, container: str, name: str, content: bytes) -> None:
        from azure.storage.blob import BlobClient

        place = container.rpartition("/")[2]
        with BlobClient.from_connection_string(self.storage.connection_string(), place, name) as blob:
            blob.upload_blob(content, overwrite=True)
