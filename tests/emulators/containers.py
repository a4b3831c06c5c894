"""Real containers on a bare machine: podman with all that it keeps in one folder, and its base image.

The base image is made of Debian's packages and has the name that the Dockerfile asks for, as no registry of
images can be reached from everywhere.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).parents[2]
# Where `make test` puts the base image, and where stores are kept; CONTAINERS names another folder.
HOME = Path(os.environ.get("CONTAINERS") or PROJECT / ".containers")
BASE = "docker.io/library/python:3.12-slim"
PROGRAMS = ("podman", "runc", "docker-registry")
_BASE_ENVIRONMENT = ("PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8")
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_PIP_SETTINGS = Path("/etc/pip.conf")
# As a job's container is to be able to run.
HARDENED = (
    *("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"),
    *("--user=10001:10001", "--tmpfs=/tmp"),
)


def why_not_there(home: Path = HOME) -> str | None:
    """Why no container can be built and run; None when they can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"there is no {' and no '.join(missing)} on this machine"
    if os.geteuid() != 0:
        return "the tests of containers need root, as their podman has settings of its own"
    if not (home / "base.tar").is_file():
        return f"there is no base image in {home}; `make test` makes it"
    return None


@dataclass
class Podman:
    """Podman with a store of its own: two of them share no image.

    Attributes
    ----------
    folder : Path
        Of its settings and of all it keeps.
    authority : Path or None
        A certificate that is trusted beside the machine's.
    private : Path or None
        Folder of its passwords and authorities, where others use the same store meanwhile; else ``folder``.
    environment : dict
        What a process needs in its environment to use this podman.
    """

    folder: Path
    authority: Path | None = None
    private: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.private = self.private or self.folder
        for folder in (self.folder, self.private):
            folder.mkdir(parents=True, exist_ok=True)
        for name, text in _settings(self.folder).items():
            path = self.folder / name
            # Another process may be reading it.
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
        logins = self.private / "auth.json"
        if not logins.exists():
            logins.write_text("{}")
        self.environment = {
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(self.folder / "registries.conf"),
            "REGISTRY_AUTH_FILE": str(logins),
        }
        if self.authority is not None:
            self.trust(self.authority)

    def trust(self, authority: Path) -> None:
        """Trust a certificate beside the machine's."""
        assert self.private is not None
        known = _AUTHORITIES.read_bytes() if _AUTHORITIES.is_file() else b""
        (self.private / "authorities.pem").write_bytes(known + b"\n" + authority.read_bytes())
        self.environment["SSL_CERT_FILE"] = str(self.private / "authorities.pem")

    def run(
        self, *arguments: str, input: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a podman command to its end; its output is text."""
        done = subprocess.run(
            ["podman", *arguments],
            env=os.environ | self.environment,
            input=input,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"podman {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done

    def start(self, *arguments: str, **options: object) -> subprocess.Popen:
        """Start a podman command; options are those of ``Popen``."""
        return subprocess.Popen(["podman", *arguments], env=os.environ | self.environment, **options)

    def has(self, image: str) -> bool:
        """Whether the store has an image."""
        return self.run("image", "exists", image, check=False).returncode == 0

    def inspect(self, image: str) -> dict:
        """What podman knows of an image."""
        return json.loads(self.run("image", "inspect", image).stdout)[0]

    def import_base(self, archive: Path = HOME / "base.tar") -> None:
        """Have the base image under the name that the Dockerfile asks for."""
        if not self.has(BASE):
            changes = [f"--change=ENV {one}" for one in _BASE_ENVIRONMENT]
            self.run("import", "--quiet", *changes, '--change=CMD ["python3"]', str(archive), BASE)

    def login(self, registry: str, user: str, password: str) -> None:
        """Know a registry's password from now on."""
        self.run("login", f"--username={user}", "--password-stdin", registry, input=password)

    def containers(self) -> list[str]:
        """The names of all containers there are, in whatever state."""
        return self.run("ps", "--all", "--format={{.Names}}").stdout.split()

    def remove_containers(self) -> None:
        """End and remove all of them."""
        self.run("rm", "--force", "--all", "--time=0")


def build_options() -> list[str]:
    """What ``podman build`` needs on a machine without an engine's privileges and networks.

    Settings of pip and authorities are mounted while a step runs: nothing of them stays in a layer.
    """
    mounted = [f"--volume={path}:{path}:ro" for path in (_AUTHORITIES, _PIP_SETTINGS) if path.is_file()]
    return ["--isolation=chroot", "--pull=never", "--layers", *mounted]


def run_options(
    volumes: Mapping[Path, str],
    environment: Mapping[str, str],
    network: str = "host",
    locked_in: Sequence[str] = HARDENED,
) -> Sequence[str]:
    """Options of ``podman run`` for a job: locked in, with these folders and variables."""
    return [
        *locked_in,
        *("--rm", f"--network={network}"),
        *(f"--volume={here}:{there}" for here, there in volumes.items()),
        *(f"--env={name}={value}" for name, value in environment.items()),
    ]


def _settings(folder: Path) -> dict[str, str]:
    return {
        # Podman's own limits ask for rights that a machine in a machine does not have.
        "containers.conf": f"""\
[containers]
default_ulimits = ["nofile=1024:16384", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
tmp_dir = "{folder}/tmp"
lock_type = "file"
[network]
network_config_dir = "{folder}/networks"
""",
        "storage.conf": f"""\
[storage]
driver = "overlay"
graphroot = "{folder}/store"
runroot = "{folder}/run"
""",
        "registries.conf": 'unqualified-search-registries = ["docker.io"]\n',
    }
