"""``python -m tests.emulators.services``: an event hub and Blob Storage on this machine, to play with.

Both keep what they hold in a folder, and are there again at the next start. How to connect is written
into a file that a shell reads: ``. data/services/environment``.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import secrets
import shlex
import signal
import socket
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.emulators.azurite import ACCOUNT, Azurite, new_key, why_not_there
from tests.emulators.event_hubs.process import EventHubsProcess

HUB, PARTITIONS = "telemetry", 4
CONTAINER = "batch-scoring"  # what conf/azure names
# The ports that the real services and their emulators have.
EVENT_HUB_PORT, BLOB_PORT = 5672, 10000


def main() -> None:
    options = _options()
    if (reason := why_not_there()) is not None:
        raise SystemExit(f"Error: {reason}")
    folder: Path = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(
            f"Error: the services of {folder} are running already; connect with . {folder}/environment"
        ) from None
    # Ctrl-C, a closed terminal and an ordinary kill end it in the same way.
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: sys.exit(0))
    with ExitStack() as stack:
        hubs = EventHubsProcess(
            folder / "event-hubs",
            f"{HUB}:{PARTITIONS}",
            key=_secret(folder / "event-hub-key"),
            port=_port(options.event_hub_port),
        )
        stack.callback(hubs.kill)  # it keeps every event it has accepted, however it ends
        hubs.start()
        storage = Azurite(
            folder / "blobs",
            is_durable=True,
            key=_secret(folder / "storage-key"),
            port=_port(options.blob_port),
        )
        stack.callback(storage.stop)
        storage.start()
        _make_container(storage)
        environment = folder / "environment"
        _write_secret(environment, _exports(hubs, storage, folder))
        _tell(hubs, storage, environment)
        while hubs.is_running() and storage.is_running():
            time.sleep(0.5)
        which = "the event hub" if storage.is_running() else "Blob Storage"
        raise SystemExit(f"Error: {which} has ended by itself; see {folder}/event-hubs/output.txt")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.emulators.services", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("data/services"), help="where all is kept")
    parser.add_argument("--event-hub-port", type=int, default=EVENT_HUB_PORT, help="0 takes a free one")
    parser.add_argument("--blob-port", type=int, default=BLOB_PORT, help="0 takes a free one")
    return parser.parse_args()


def _port(wanted: int) -> int:
    """The port if nobody listens there, else 0, for a free one."""
    with socket.socket() as probe, suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", wanted))
        return wanted
    print(f"port {wanted} is taken; a free one is chosen", flush=True)
    return 0


def _secret(path: Path) -> str:
    """A random key; made at the first start."""
    if not path.exists():
        _write_secret(path, new_key())
    return path.read_text(encoding="utf-8")


def _write_secret(path: Path, text: str) -> None:
    """Write a file that nobody else may read, whole or not at all."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    beside.touch(mode=0o600, exist_ok=False)
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def _make_container(storage: Azurite) -> None:
    from azure.core.exceptions import ResourceExistsError

    with suppress(ResourceExistsError):
        storage.make_container(CONTAINER)


def _exports(hubs: EventHubsProcess, storage: Azurite, folder: Path) -> str:
    """What a shell is to export, so that ``kedro run --env=azure`` uses these services."""
    (folder / "mlflow").mkdir(exist_ok=True)
    values = {
        "EVENT_HUB_CONNECTION_STRING": hubs.connection_string(),
        "AZURE_STORAGE_CONNECTION_STRING": storage.connection_string(),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow/mlflow.db",
        "DO_NOT_TRACK": "1",
    }
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in values.items()]
    # Others would count before the connection strings, or beside them.
    others = (
        "EVENT_HUB_NAMESPACE EVENT_HUB_NAME AZURE_STORAGE_ACCOUNT AZURE_STORAGE_KEY AZURE_STORAGE_SAS_TOKEN"
    )
    return "".join([*lines, f"unset {others}\n"])


def _tell(hubs: EventHubsProcess, storage: Azurite, environment: Path) -> None:
    shown = os.path.relpath(environment)
    print(
        f"""
Event Hubs    127.0.0.1:{hubs.port}, hub {HUB}, {PARTITIONS} partitions
Blob Storage  {storage.url()}, container {CONTAINER}

In another terminal, connect with

    . {shown if not shown.startswith("..") else environment}

which sets EVENT_HUB_CONNECTION_STRING, AZURE_STORAGE_CONNECTION_STRING ({ACCOUNT}) and MLFLOW_TRACKING_URI.
Ctrl-C ends both; what they hold stays in {os.path.relpath(environment.parent)}.""",
        flush=True,
    )


if __name__ == "__main__":
    main()
