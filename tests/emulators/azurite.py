"""Starts Azurite, Microsoft's emulator of Blob Storage, as a process with an account of its own."""

from __future__ import annotations

import base64
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.emulators.ports import lasting_port

PROJECT = Path(__file__).parents[2]
# Where `make test` puts it; AZURITE names another folder with node_modules in it.
HOME = Path(os.environ.get("AZURITE") or PROJECT / ".azurite")
PROGRAM = HOME / "node_modules/azurite/dist/src/blob/main.js"
DURABLE = Path(__file__).with_name("azurite_durable.js")
ACCOUNT = "batchscoring"


def why_not_there() -> str | None:
    """Why Azurite cannot be started; None when it can."""
    if shutil.which("node") is None:
        return "there is no Node.js on this machine"
    if not PROGRAM.is_file():
        return f"Azurite is not installed in {HOME}; `make services` and `make test` install it"
    return None


def new_key() -> str:
    """An account key as the service makes them: 64 random bytes."""
    return base64.b64encode(secrets.token_bytes(64)).decode()


@dataclass
class Azurite:
    """A running emulator.

    Attributes
    ----------
    folder : Path or None
        Where it keeps its blobs, so that they outlive it; None: in memory.
    is_durable : bool
        Whether it answers when a change is on disk, as the service does. By itself it writes what has
        changed every five seconds, and :meth:`kill` loses what it has acknowledged since.
    key : str
        The account's key.
    port : int
        Chosen at the first start, kept at the next.
    account : str
        Its only one.
    tls : tuple of Path or None
        Certificate and key: it speaks https, and takes tokens of identities beside the account's key.
    """

    folder: Path | None = None
    is_durable: bool = False
    key: str = field(default_factory=new_key)
    port: int = 0
    account: str = ACCOUNT
    tls: tuple[Path, Path] | None = None
    process: subprocess.Popen[str] | None = None

    def start(self) -> Azurite:
        """Start it and wait until it listens."""
        place = ["--location", str(self.folder)] if self.folder else ["--inMemoryPersistence"]
        first = ["-r", str(DURABLE)] if self.is_durable else []
        secured = (
            ["--cert", str(self.tls[0]), "--key", str(self.tls[1]), "--oauth", "basic"] if self.tls else []
        )
        self.port = self.port or lasting_port()
        self.process = subprocess.Popen(
            [
                *("node", *first, str(PROGRAM), *place, *secured, "--blobHost", "127.0.0.1"),
                *("--blobPort", str(self.port), "--skipApiVersionCheck", "--disableTelemetry", "--silent"),
            ],
            env=os.environ | {"AZURITE_ACCOUNTS": f"{self.account}:{self.key}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        said = ""
        for line in self.process.stdout:
            said += line
            if found := re.search(r"successfully listens on https?://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                return self
        raise RuntimeError(f"Azurite did not start: {said}")

    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def index(self) -> Path:
        """Its index of blobs, replaced with every change when it is durable."""
        assert self.folder is not None
        return self.folder / "__azurite_db_blob__.json"

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process.stdout.close()
            self.process = None

    def __enter__(self) -> Azurite:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, port: int | None = None) -> str:
        """The account's URL; through another port, such as a proxy's."""
        return f"{self._scheme}://127.0.0.1:{port or self.port}/{self.account}"

    @property
    def _scheme(self) -> str:
        return "https" if self.tls else "http"

    def connection_string(self, port: int | None = None) -> str:
        """With the account's key."""
        return (
            f"DefaultEndpointsProtocol={self._scheme};AccountName={self.account};AccountKey={self.key};"
            f"BlobEndpoint={self.url(port)};"
        )

    def make_container(self, name: str | None = None) -> str:
        """Make a container with a name of its own."""
        from azure.storage.blob import ContainerClient

        name = name or f"c{time.time_ns():x}{secrets.token_hex(2)}"
        ContainerClient.from_connection_string(self.connection_string(), name).create_container()
        return name
