"""Read the mounts of nodes and jobs: containers, shares, file servers and anything ``mount`` knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import read_parameters, require

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
