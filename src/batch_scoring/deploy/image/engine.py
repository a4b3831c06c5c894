"""Build and run the command lines of podman and docker; what differs between the two is here alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from batch_scoring.core.commit import Commit
from batch_scoring.core.errors import InputError

ENGINES = ("podman", "docker")
# Of all files and layers, so that unchanged ones keep their digest. Archive tools support no older one.
TIMESTAMP = 315532800  # 1980-01-01T00:00:00Z
# Extras installed beside the core: to score and schedule scoring; to train and schedule training.
VARIANTS = {"score": "azure,ingest", "train": "azure,ingest,train"}


@dataclass(frozen=True)
class Build:
    """An image to build.

    Attributes
    ----------
    name : str
        ``localhost/REPOSITORY:TAG``.
    base : str
        The base image.
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
    """Return the name of the image on this machine.

    Examples
    --------
    >>> image_name("batch-scoring", "0.1.0-abc", "score"), image_name("batch-scoring", "0.1.0-abc", "train")
    ('localhost/batch-scoring:0.1.0-abc', 'localhost/batch-scoring:0.1.0-abc-train')
    """
    return f"localhost/{repository}:{variant_tag(tag, variant)}"


def variant_tag(tag: str, variant: str) -> str:
    """Return the tag of a variant of the image.

    Examples
    --------
    >>> variant_tag("0.1.0-abc", "score"), variant_tag("0.1.0-abc", "train")
    ('0.1.0-abc', '0.1.0-abc-train')
    """
    return tag if variant == "score" else f"{tag}-{variant}"


def name_in(registry: str, local: str) -> str:
    """Return the name of an image of this machine in a registry.

    Examples
    --------
    >>> name_in("fleet.azurecr.io", "localhost/batch-scoring:1")
    'fleet.azurecr.io/batch-scoring:1'
    """
    return f"{registry}/{local.partition('/')[2]}"


def find_engine(wanted: str | None = None) -> str:
    """Find podman or docker.

    Raises
    ------
    InputError
        When there is none.
    """
    for name in ENGINES if wanted is None else (wanted,):
        if shutil.which(name):
            return name
    raise InputError(
        f"{wanted or 'podman or docker'}: not found on this machine's PATH; "
        "install one of them, for instance with: apt-get install podman"
    )


def build_command(engine: str, build: Build, more: Sequence[str] = ()) -> list[str]:
    """Build the command line that builds an image, to be run in the project's folder."""
    arguments = {"BASE": build.base, "EXTRAS": VARIANTS[build.variant], "VERSION": build.version}
    # Not as build arguments: Podman 4 reuses cached layers of other arguments.
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
    """Build the login command; the password comes through its input, and stays in ``folder``."""
    return [
        *_with_logins_in(engine, folder, "login"),
        *(f"--username={user}", "--password-stdin", *more, registry),
    ]


def push_commands(
    engine: str, folder: Path, local: str, remote: str, *, logged_in: bool, more: Sequence[str] = ()
) -> list[list[str]]:
    """Build the commands that tag the image for the registry, push it, and print its digest there.

    Parameters
    ----------
    engine, local, remote : str
    folder : Path
        For files that the commands share.
    logged_in : bool
        With :func:`login_command`, in that folder; else the engine's own logins count.
    more : sequence of str
        Other options of the push.
    """
    push = _with_logins_in(engine, folder, "push") if logged_in else [engine, "push"]
    tag = [engine, "tag", local, remote]
    if engine == "podman":
        # Podman itself stores the digest of the uncompressed layers.
        digest = str(folder / "digest")
        return [tag, [*push, f"--digestfile={digest}", *more, remote], ["cat", digest]]
    return [tag, [*push, *more, remote], ["docker", "inspect", "--format={{json .RepoDigests}}", remote]]


def digest_in(output: str, remote: str) -> str:
    """Read the digest of an image in its registry from the output of the last of :func:`push_commands`.

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
    raise InputError(f"{remote}: the registry returned no digest; push it again")


def run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    password: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a command with its output shown; ``environment`` is added to that of this process.

    Raises
    ------
    InputError
        When it fails; its output shows why.
    """
    sys.stdout.flush()
    variables = os.environ | dict(environment or {})
    done = subprocess.run(command, cwd=cwd, env=variables, input=password, text=True, check=False)
    _check(command, done.returncode)


def output_of(command: Sequence[str]) -> str:
    """Return the output of a command."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    _check(command, done.returncode)
    return done.stdout


def _check(command: Sequence[str], code: int) -> None:
    if code != 0:
        raise InputError(f"`{command[0]} … {command[-1]}` ended with exit code {code}; see its output above")


def _with_logins_in(engine: str, folder: Path, action: str) -> list[str]:
    if engine == "podman":
        return ["podman", action, f"--authfile={folder / 'auth.json'}"]
    return ["docker", f"--config={folder}", action]
