"""A network with nothing in it but this machine's stand-ins, which answer at the services' own names.

A process in it sees a loopback device alone, a file of hosts in which every name of Azure's is 127.0.0.1, the
address of the machine's identity, and one more authority to trust. Nothing outside of the process and its
children is changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import certifi

INSIDE = "BATCH_SCORING_REHEARSAL"  # set in the environment of a process that is inside
_AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
# Where a machine in Azure asks for the tokens of its identity.
IDENTITY_ADDRESS = "169.254.169.254"


def why_not() -> str | None:
    """Why there can be no such network here; None when there can."""
    if os.geteuid() != 0:
        return "a network of its own needs root"
    for program in ("unshare", "ip", "mount"):
        if shutil.which(program) is None:
            return f"there is no program {program!r} on this machine"
    tried = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, check=False)
    return None if tried.returncode == 0 else tried.stderr.decode().strip()


def run_inside(command: Sequence[str]) -> int:
    """Run a command in a new network; returns its exit code."""
    return subprocess.run(
        ["unshare", "--net", "--mount", "--propagation", "private", *command],
        env=os.environ | {INSIDE: "1"},
        check=False,
    ).returncode


def furnish(folder: Path, hosts: Sequence[str], authority: Path) -> Path:
    """Of the network that this process is in: its addresses, names, and whom to trust.

    Parameters
    ----------
    folder : Path
        For the files that stand in for those of the machine.
    hosts : sequence of str
        Names that are this machine.
    authority : Path
        A certificate that is trusted beside the machine's.

    Returns
    -------
    Path
        All authorities in one file, for containers.
    """
    if os.environ.get(INSIDE) != "1":
        raise RuntimeError("this process is in the machine's own network; run it with run_inside")
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "address", "add", f"{IDENTITY_ADDRESS}/32", "dev", "lo")
    names = folder / "hosts"
    names.write_text("127.0.0.1 localhost\n" + "".join(f"127.0.0.1 {host}\n" for host in hosts))
    _run("mount", "--bind", str(names), "/etc/hosts")
    trusted = folder / "authorities.pem"
    trusted.write_bytes(Path(certifi.where()).read_bytes() + b"\n" + authority.read_bytes())
    _run("mount", "--bind", str(trusted), certifi.where())
    os.environ |= dict.fromkeys(_AUTHORITIES, str(trusted))  # a machine may name another file there
    return trusted


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
