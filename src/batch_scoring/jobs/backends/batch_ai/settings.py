"""The settings of the engine ``batch_ai``; secrets are named by their place in Key Vault, never given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, ClassVar, Literal

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import Settings, at_least, like, read_parameters, require, within

# The service's rule for the names of workspaces, clusters, file servers and experiments.
_NAME = like(r"(?a)[-\w]{1,64}", "1 to 64 letters, digits, - and _")
_IMAGE = like(r"([^:]*:){2,3}[^:]*", "publisher:offer:sku or publisher:offer:sku:version")
_URL = like(r"https://.*", "a URL that begins with https://")
# Where the service mounts what belongs to the cluster, and what belongs to a job.
MOUNT_ROOTS = {"cluster": "$AZ_BATCHAI_MOUNT_ROOT", "job": "$AZ_BATCHAI_JOB_MOUNT_ROOT"}
# Required settings of each kind, besides the path.
_NEEDS = {
    "blob": ("account", "container", "key_secret"),
    "files": ("account", "share", "key_secret"),
    "file_server": (),
    "nfs": ("source",),
    "gluster": ("source",),
    "lustre": ("source",),
    "command": ("command",),
}


@dataclass(frozen=True)
class ClusterSettings(Settings):
    """``jobs.batch_ai.cluster``: the nodes.

    Attributes
    ----------
    scale : str
        ``auto`` between ``min_nodes`` and ``max_nodes`` by the jobs that wait, or ``manual``: always
        ``max_nodes``.
    image : str or None
        ``publisher:offer:sku[:version]``; None: the service's own.
    app_insights, app_insights_secret : str or None
        Resource id of the Application Insights component that gets the nodes' performance counters, and the
        secret with its instrumentation key.
    """

    where: ClassVar[str] = "jobs.batch_ai.cluster"

    name: Annotated[str, _NAME] = "scoring"
    vm_size: str = "STANDARD_D2_V2"
    priority: Literal["dedicated", "lowpriority"] = "dedicated"
    scale: Literal["auto", "manual"] = "auto"
    min_nodes: int = 0
    max_nodes: Annotated[int, at_least(1)] = 4
    initial_nodes: int = 0
    image: Annotated[str | None, _IMAGE] = None
    user: str = "scoring"
    ssh_public_key: str | None = None
    subnet: str | None = None
    setup_command: str | None = None
    app_insights: str | None = None
    app_insights_secret: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        counts = ("min_nodes", "initial_nodes")
        require(self, self.where, {name: within(getattr(self, name), 0, self.max_nodes) for name in counts})
        if (self.app_insights is None) != (self.app_insights_secret is None):
            raise InputError(
                "jobs.batch_ai.cluster: app_insights and app_insights_secret go together; set both or none"
            )


@dataclass(frozen=True)
class FileServerSettings(Settings):
    """``jobs.batch_ai.file_server``: an NFS server of the service's own, made when ``name`` is set."""

    where: ClassVar[str] = "jobs.batch_ai.file_server"

    name: Annotated[str | None, _NAME] = None
    vm_size: str = "STANDARD_D2_V2"
    disks: Annotated[int, at_least(1)] = 1
    disk_gb: Annotated[int, at_least(1)] = 128
    disk_type: Literal["Standard_LRS", "Premium_LRS"] = "Standard_LRS"
    caching: Literal["none", "readonly", "readwrite"] = "none"
    subnet: str | None = None


@dataclass(frozen=True)
class ContainerSettings:
    """``jobs.batch_ai.container``: what a job runs in, from Container Registry."""

    image: str | None = None
    registry: str | None = None
    user: str | None = None
    password_secret: str | None = None
    shm_size: str | None = None

    def __post_init__(self) -> None:
        if (self.user is None) != (self.password_secret is None):
            raise InputError(
                "jobs.batch_ai.container: user and password_secret go together; set both, or none for a "
                "registry that needs none"
            )


@dataclass(frozen=True)
class Volume:
    """One of ``jobs.batch_ai.mounts``.

    Attributes
    ----------
    kind : str
        ``blob``, ``files``, ``file_server``, ``nfs``, ``gluster``, ``lustre``, or ``command`` for another.
    path : str
        Below the mount root.
    of : str
        ``cluster``: mounted once a node; ``job``: for each job.
    key_secret : str or None
        The secret in Key Vault with the storage account's key.
    source : str or None
        Such as ``10.0.0.4:/export`` for NFS; of a file server one of its folders, or None for all of it.
    options : str or None
        As ``mount`` or ``blobfuse`` take them.
    command : str or None
        A mount command; the service appends the path to it.
    """

    kind: Literal["blob", "files", "file_server", "nfs", "gluster", "lustre", "command"]
    path: str
    of: Literal["cluster", "job"] = "cluster"
    account: str | None = None
    container: str | None = None
    share: str | None = None
    key_secret: str | None = None
    source: str | None = None
    options: str | None = None
    command: str | None = None

    def mount_command(self) -> str:
        """Return the mount command of an unmanaged file system; the service appends the path."""
        if self.kind == "command":
            return str(self.command)
        program = {"nfs": "nfs", "gluster": "glusterfs", "lustre": "lustre"}[self.kind]
        options = f" -o {self.options}" if self.options else ""
        return f"mount -t {program}{options} {self.source}"


@dataclass(frozen=True)
class BatchAISettings(Settings):
    """``jobs.batch_ai``; see ``conf/base/parameters_jobs.yml``.

    Attributes
    ----------
    key_vault : str or None
        Resource id of the vault that holds every secret named here.
    data : str or None
        The workspace as the nodes see it, which may begin with ``$AZ_BATCHAI_MOUNT_ROOT/``; None: as here.
    mounts : list of dict
        See :func:`read_volumes`.
    logs : str or None
        Where the service writes what jobs print: a folder on a mount.
    environment, secrets : dict of str to str
        Environment of the jobs; ``secrets`` gives of each variable the secret's name in the vault.
    inputs, outputs : dict of str to str
        Folders on mounts that jobs find as ``$AZ_BATCHAI_INPUT_<id>`` and ``$AZ_BATCHAI_OUTPUT_<id>``.
    at_once : int
        Number of jobs submitted at a time.
    poll_seconds : int
        Between two polls of a resource that the service is creating, where it names no interval itself.

    Raises
    ------
    InputError
        When a setting is not valid.
    """

    where: ClassVar[str] = "jobs.batch_ai"

    endpoint: Annotated[str, _URL] = "https://management.azure.com"
    subscription: str | None = None
    resource_group: str | None = None
    location: str | None = None
    workspace: Annotated[str, _NAME] = "batch-scoring"
    key_vault: str | None = None
    data: str | None = None
    logs: str | None = None
    preparation: str | None = None
    priority: Literal["low", "normal", "high"] = "normal"
    at_once: Annotated[int, at_least(1)] = 8
    poll_seconds: Annotated[int, at_least(0)] = 5
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    container: ContainerSettings = field(default_factory=ContainerSettings)
    file_server: FileServerSettings = field(default_factory=FileServerSettings)
    mounts: list = field(default_factory=list)
    environment: dict = field(default_factory=dict)
    secrets: dict = field(default_factory=dict)
    inputs: dict = field(default_factory=dict)
    outputs: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        read_volumes(self.mounts, self.file_server.name)

    def volumes(self) -> list[Volume]:
        """The mounts, read."""
        return read_volumes(self.mounts, self.file_server.name)

    def check_complete(self) -> None:
        """Check that all required settings are set.

        Raises
        ------
        InputError
            Naming the first setting that is missing.
        """
        needed = {
            "subscription": self.subscription,
            "resource_group": self.resource_group,
            "location": self.location,
            "container.image": self.container.image,
            "cluster.ssh_public_key": self.cluster.ssh_public_key,
            "logs": self.logs,
        }
        for name, value in needed.items():
            if not value:
                raise InputError(f"jobs.batch_ai.{name}: this setting is missing; Batch AI needs it")
        named = (self.container.password_secret, self.cluster.app_insights_secret, self.secrets)
        wants_secrets = any(named) or any(volume.key_secret for volume in self.volumes())
        if wants_secrets and self.key_vault is None:
            raise InputError(
                "jobs.batch_ai.key_vault: this setting is missing; it is the resource id of the Key Vault "
                "that holds the secrets which other settings name"
            )
        self._check_logs()

    def _check_logs(self) -> None:
        if self.cluster.setup_command is not None and str(self.logs).startswith(MOUNT_ROOTS["job"]):
            raise InputError(
                "jobs.batch_ai.logs: lies on a mount of the job, but cluster.setup_command logs there before "
                "there is a job; name a mount of the cluster"
            )
        mounted = [f"{MOUNT_ROOTS[volume.of]}/{volume.path}" for volume in self.volumes()]
        if not any(f"{self.logs}/".startswith(f"{place}/") for place in mounted):
            known = ", ".join(mounted) or "none"
            raise InputError(f"jobs.batch_ai.logs: {self.logs!r} is not on a mount; mounts are: {known}")


def read_volumes(mounts: Sequence[Any], file_server: str | None) -> list[Volume]:
    """Read the list of mounts.

    Parameters
    ----------
    mounts : sequence of mappings
        Each with ``kind`` and ``path``, and what its kind needs.
    file_server : str or None
        The name of the file server, if there is one.

    Raises
    ------
    InputError
        Naming the mount that is not valid.

    Examples
    --------
    >>> read_volumes([{"kind": "nfs", "path": "a", "source": "10.0.0.4:/x"}], None)[0].mount_command()
    'mount -t nfs 10.0.0.4:/x'
    """
    read: list[Volume] = []
    for number, one in enumerate(mounts):
        where = f"jobs.batch_ai.mounts[{number}]"
        volume = read_parameters(Volume, one if isinstance(one, Mapping) else None, where)
        _check(volume, where, file_server)
        if any(volume.path == other.path and volume.of == other.of for other in read):
            raise InputError(f"{where}.path: {volume.path!r} is used by an earlier mount; choose another")
        read.append(volume)
    return read


def _check(volume: Volume, where: str, file_server: str | None) -> None:
    is_below = bool(volume.path) and not volume.path.startswith("/") and ".." not in volume.path.split("/")
    require(volume, where, {"path": (is_below, "a path below the mount root")})
    for name in _NEEDS[volume.kind]:
        if getattr(volume, name) is None:
            raise InputError(
                f"{where}.{name}: this setting is missing; a mount of kind {volume.kind} needs it"
            )
    allowed = {*_NEEDS[volume.kind], "kind", "path", "of", "options"}
    allowed |= {"source"} if volume.kind == "file_server" else set()
    for one in fields(volume):
        if one.name not in allowed and getattr(volume, one.name) is not None:
            raise InputError(f"{where}.{one.name}: a mount of kind {volume.kind} has no such setting")
    if volume.kind == "file_server" and file_server is None:
        raise InputError(f"{where}: there is no file server; set jobs.batch_ai.file_server.name")
