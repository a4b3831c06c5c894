"""``python -m tests.emulators.event_hubs``: the stand-in as a process of its own."""

from __future__ import annotations

import argparse
import contextlib
import socket
from pathlib import Path

from proton.reactor import Container

from tests.emulators.event_hubs.broker import Broker
from tests.emulators.event_hubs.faults import FaultFile
from tests.emulators.event_hubs.hub import Hub, Retention
from tests.emulators.event_hubs.sockets import PaddingIO

KEY_NAME = "RootManageSharedAccessKey"
EXAMPLE_KEY = "SAS_KEY_VALUE"


def main() -> None:
    options = _options()
    port = options.port or _free_port(options.host)
    retention = Retention(options.retention_events, options.retention_seconds)
    hubs = [
        Hub(options.folder, name, int(count or 4), options.group, retention)
        for name, _, count in (hub.partition(":") for hub in options.hub)
    ]
    broker = Broker(
        f"{options.host}:{port}",
        hubs,
        {KEY_NAME: options.key_file.read_text().strip() if options.key_file else EXAMPLE_KEY},
        set(options.bearer_token),
        FaultFile(options.faults),
        options.identities,
    )
    container = Container(broker)
    container.global_handler = PaddingIO()
    shown = "<the key in the file>" if options.key_file else EXAMPLE_KEY
    for hub in hubs:
        print(
            f"Endpoint=sb://{options.host}:{port};SharedAccessKeyName={KEY_NAME};SharedAccessKey={shown};"
            f"UseDevelopmentEmulator=true;EntityPath={hub.name}",
            flush=True,
        )
    with contextlib.suppress(KeyboardInterrupt):
        container.run()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.emulators.event_hubs", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the events are kept")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    parser.add_argument("--hub", action="append", help="NAME:PARTITIONS, as often as wanted")
    parser.add_argument("--group", action="append", default=[], help="a consumer group beside $Default")
    parser.add_argument("--key-file", type=Path, help="the shared access key; default: a well-known example")
    parser.add_argument("--bearer-token", action="append", default=[], help="an Entra token to accept")
    parser.add_argument("--identities", action="store_true", help="accept tokens of any identity")
    parser.add_argument("--retention-events", type=int, help="events kept in each partition")
    parser.add_argument("--retention-seconds", type=float)
    parser.add_argument("--faults", type=Path, help="a JSON file of faults, read whenever it changes")
    options = parser.parse_args()
    options.hub = options.hub or ["telemetry:4"]
    return options


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
