"""The command lines of podman and docker, and running them; what differs between the two is here alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from batch_scoring.core.errors import InputError
from batch_scoring.deploy.image.commit import Commit

ENGINES = ("podman", "docker")
# Of all files and layers, so that what did not change keeps its digest. Tools for archives know no older one.
TIMESTAMP = 315532800  # 1980-01-01T00:00:00Z
# What is installed beside the core: to score and to submit an hour; to train and to submit that.
VARIANTS = {"score": "azure,ingest", "train": "azure,ingest,train"}


@dataclass(frozen=True)
class Build:
    """What is built.

    Attributes
    ----------
    name : str
        ``localhost/REPOSITORY:TAG``.
    base : str
        The image that it is built on.
    variant : str
        One of ``VARIANTS``.
    version : str
        Of the package.
    commit : Commit
    """

    name: str
    base: str
    variant: str
    version: str
    commit: Commit


def image_name(repository: str, tag: str, variant: str) -> str:
    """What the image is called on this machine.

    Examples
    --------
    >>> image_name("batch-scoring", "0.1.0-abc", "score"), image_name("batch-scoring", "0.1.0-abc", "train")
    ('localhost/batch-scoring:0.1.0-abc', 'localhost/batch-scoring:0.1.0-abc-train')
    """
    return f"localhost/{repository}:{variant_tag(tag, variant)}"


def variant_tag(tag: str, variant: str) -> str:
    """The tag of a variant of the image.

    Examples
    --------
    >>> variant_tag("0.1.0-abc", "score"), variant_tag("0.1.0-abc", "train")
    ('0.1.0-abc', '0.1.0-abc-train')
    """
    return tag if variant == "score" else f"{tag}-{variant}"


def name_in(registry: str, local: str) -> str:
    """What an image of this machine is called in a registry.

    Examples
    --------
    >>> name_in("fleet.azurecr.io", "localhost/batch-scoring:1")
    'fleet.azurecr.io/batch-scoring:1'
    """
    return f"{registry}/{local.partition('/')[2]}"


def find_engine(wanted: str | None = None) -> str:
    """Podman or docker, whichever is there.

    Raises
    ------
    InputError
        When there is none.
    """
    for name in ENGINES if wanted is None else (wanted,):
        if shutil.which(name):
            return name
    raise InputError(
        f"there is no {wanted or 'podman and no docker'} on this machine's PATH; "
        "install one of them, for instance with: apt-get install podman"
    )


def build_command(engine: str, build: Build, more: Sequence[str] = ()) -> list[str]:
    """The command that builds, to be run in the project's folder."""
    arguments = {"BASE": build.base, "EXTRAS": VARIANTS[build.variant]}
    # No arguments of the build: Podman 4 takes layers of its cache for those of other arguments.
    labels = {"version": build.version, "revision": build.commit.revision, "created": build.commit.made}
    own = {
        "podman": [f"--timestamp={TIMESTAMP}"],
        "docker": [f"--build-arg=SOURCE_DATE_EPOCH={TIMESTAMP}"],
    }
    return [
        *(engine, "build", "--file=docker/Dockerfile", f"--tag={build.name}"),
        *own[engine],
        *(f"--build-arg={name}={value}" for name, value in arguments.items()),
        *(f"--label=org.opencontainers.image.{name}={value}" for name, value in labels.items()),
        *more,
        ".",
    ]


def login_command(engine: str, folder: Path, registry: str, user: str, more: Sequence[str] = ()) -> list[str]:
    """The command that logs in; the password comes through its input, and stays in ``folder``."""
    return [
        *_with_logins_in(engine, folder, "login"),
        *(f"--username={user}", "--password-stdin", *more, registry),
    ]


def push_commands(
    engine: str, folder: Path, local: str, remote: str, *, logged_in: bool, more: Sequence[str] = ()
) -> list[list[str]]:
    """The commands that give the image its name in the registry, push it, and print its digest there.

    Parameters
    ----------
    engine, local, remote : str
    folder : Path
        For what is needed between the commands.
    logged_in : bool
        With :func:`login_command`, in that folder; else the engine's own logins count.
    more : sequence of str
        Other options of the push.
    """
    push = _with_logins_in(engine, folder, "push") if logged_in else [engine, "push"]
    tag = [engine, "tag", local, remote]
    if engine == "podman":
        # What it keeps itself is the digest of the layers before they were compressed.
        told = str(folder / "digest")
        return [tag, [*push, f"--digestfile={told}", *more, remote], ["cat", told]]
    return [tag, [*push, *more, remote], ["docker", "inspect", "--format={{json .RepoDigests}}", remote]]


def digest_in(output: str, remote: str) -> str:
    """The digest of an image in its registry, of what the last of :func:`push_commands` prints.

    Examples
    --------
    >>> digest_in("sha256:2", "r.io/a:1.0"), digest_in('["other/a@sha256:1","r.io/a@sha256:2"]', "r.io/a:1.0")
    ('sha256:2', 'sha256:2')
    """
    if output.startswith("sha256:"):
        return output.strip()
    repository = remote.rpartition(":")[0]
    for name in json.loads(output):
        if name.partition("@")[0] == repository:
            return str(name.partition("@")[2])
    raise InputError(f"{remote}: the registry told no digest; push it again")


def run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    password: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a command and let it print; ``environment`` comes to that of this process.

    Raises
    ------
    InputError
        When it fails; it has said why by then.
    """
    sys.stdout.flush()
    variables = os.environ | dict(environment or {})
    done = subprocess.run(command, cwd=cwd, env=variables, input=password, text=True, check=False)
    _check(command, done.returncode)


def output_of(command: Sequence[str]) -> str:
    """What a command prints."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    _check(command, done.returncode)
    return done.stdout


def _check(command: Sequence[str], code: int) -> None:
    if code != 0:
        raise InputError(
            f"`{command[0]} … {command[-1]}` ended with exit code {code}; see what it said above"
        )


def _with_logins_in(engine: str, folder: Path, action: str) -> list[str]:
    if engine == "podman":
        return ["podman", action, f"--authfile={folder / 'auth.json'}"]
    return ["docker", f"--config={folder}", action]
